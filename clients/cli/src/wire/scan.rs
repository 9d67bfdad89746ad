//! Reads of a `SessionResponse` what a benchmark checks, and skips the rest: no allocation, no copy.

use carillon_proto::{WebSocketForm, v1};
use prost::Message;
use serde::de::DeserializeOwned;

use super::{WireError, json};

/// Numbers of `SessionResponse.kind`; a test holds that they are those of the protocol.
pub(crate) mod kind {
    pub(crate) const MESSAGE: u32 = 2;
    pub(crate) const EVENT: u32 = 3;
    pub(crate) const DONE: u32 = 7;
    pub(crate) const MESSAGE_SENT: u32 = 8;
    pub(crate) const PING: u32 = 10;
    pub(crate) const ERROR: u32 = 13;
    pub(crate) const ENTRY_ACCEPTED: u32 = 14;
    pub(crate) const CONNECTED: u32 = 16;
    pub(crate) const DISCONNECTED: u32 = 19;
    pub(crate) const JOINED: u32 = 24;
    pub(crate) const HISTORY_PAGE: u32 = 28;
    /// What is of no interest here, where only its name is known.
    pub(crate) const OTHER: u32 = u32::MAX;

    /// The number of a kind, by its name in JSON.
    pub(crate) fn of(name: &[u8]) -> u32 {
        match name {
            b"message" => MESSAGE,
            b"event" => EVENT,
            b"done" => DONE,
            b"messageSent" => MESSAGE_SENT,
            b"ping" => PING,
            b"error" => ERROR,
            b"entryAccepted" => ENTRY_ACCEPTED,
            b"connected" => CONNECTED,
            b"disconnected" => DISCONNECTED,
            b"joined" => JOINED,
            b"historyPage" => HISTORY_PAGE,
            _ => OTHER,
        }
    }
}

const COMMAND_ID: u32 = 1;
const MALFORMED: WireError = WireError::Malformed("a message that is not protobuf");

/// A reply or push, its kind still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// The command that this answers; 0 for a push.
    pub(crate) command_id: u32,
    /// One of [`kind`], another number for what is of no interest here, 0 for none.
    pub(crate) kind: u32,
    /// The encoded reply or push; as JSON, also what follows it.
    pub(crate) body: &'a [u8],
    /// What it is encoded in.
    pub(crate) form: WebSocketForm,
}

impl<'a> Response<'a> {
    pub(crate) fn parse(message: &'a [u8], form: WebSocketForm) -> Result<Self, WireError> {
        let mut response = Self { command_id: 0, kind: 0, body: &[], form };
        if form == WebSocketForm::Json {
            (response.command_id, response.kind, response.body) = json::response(message)?;
            return Ok(response);
        }
        for field in Fields(message) {
            match field? {
                (COMMAND_ID, Value::Varint(id)) => response.command_id = id as u32,
                (number, Value::Bytes(body)) => (response.kind, response.body) = (number, body),
                _ => {}
            }
        }
        Ok(response)
    }

    /// Decodes the whole body. For what is rare.
    pub(crate) fn decode<M: Message + Default + DeserializeOwned>(&self) -> Result<M, WireError> {
        match self.form {
            WebSocketForm::Binary => M::decode(self.body).map_err(|_| MALFORMED),
            WebSocketForm::Json => json::decode(self.body),
        }
    }

    /// Where this is a message or an event: its place and content. A tombstone has empty content.
    pub(crate) fn delivery(&self) -> Result<Option<Delivery<'a>>, WireError> {
        const HEADER: u32 = 2;
        const SEQ: u32 = 1;
        let content = match self.kind {
            kind::MESSAGE => 4,
            kind::EVENT => 5,
            _ => return Ok(None),
        };
        if self.form == WebSocketForm::Json {
            return json::delivery(self.body).map(Some);
        }
        let mut delivery = Delivery { seq: 0, content: &[] };
        for field in Fields(self.body) {
            let (number, value) = field?;
            match value {
                Value::Bytes(header) if number == HEADER => {
                    if let Some(Value::Varint(seq)) = first(header, SEQ)? {
                        delivery.seq = seq;
                    }
                }
                // Text and data are fields 1 and 2 of `Content`; only one is there, and it comes first.
                Value::Bytes(encoded) if number == content => {
                    if let Some(Ok((1 | 2, Value::Bytes(body)))) = Fields(encoded).next() {
                        delivery.content = body;
                    }
                }
                _ => {}
            }
        }
        Ok(Some(delivery))
    }

    /// The bytes of a decoded content.
    pub(crate) fn content_bytes(content: &v1::Content) -> &[u8] {
        match &content.body {
            Some(v1::content::Body::Text(text)) => text.as_bytes(),
            Some(v1::content::Body::Data(data)) => data,
            None => &[],
        }
    }

    /// The refusal that this reply is, as an error.
    pub(crate) fn refusal(&self) -> WireError {
        match self.decode::<v1::Error>() {
            Ok(error) => WireError::Refused { code: error.code, message: error.message },
            Err(malformed) => malformed,
        }
    }
}

/// What a benchmark checks of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery<'a> {
    /// Its place in the log; 0 for an ephemeral event.
    pub(crate) seq: u64,
    /// Text or data.
    pub(crate) content: &'a [u8],
}

fn first(message: &[u8], wanted: u32) -> Result<Option<Value<'_>>, WireError> {
    for field in Fields(message) {
        let (number, value) = field?;
        if number == wanted {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, which nothing here reads.
    Fixed,
}

/// The fields of an encoded message. Ends after the first error.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((u32::try_from(tag >> 3).ok()?, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(MALFORMED))
    }
}

#[cfg(test)]
mod tests {
    use v1::session_response::Kind;
    use v1::{Content, EntryHeader, SessionResponse, content::Body};

    use super::*;

    fn header(seq: u64) -> EntryHeader {
        EntryHeader { seq, tag: 9, epoch: 300, time_ms: 1_700_000_000_000, sender: "alice".to_owned() }
    }

    fn text(text: &str) -> Content {
        Content { body: Some(Body::Text(text.to_owned())), media_type: "text/plain".to_owned() }
    }

    fn encode(kind: Kind) -> Vec<u8> {
        SessionResponse { command_id: 77, kind: Some(kind) }.encode_to_vec()
    }

    #[test]
    fn message_and_event_give_seq_and_content() {
        let message = v1::Message {
            room: "room:1".to_owned(),
            header: Some(header(70_000)),
            number: 3,
            content: Some(text("hello")),
            attributes: [("a".to_owned(), "b".to_owned())].into(),
            ..v1::Message::default()
        };
        let data = Content { body: Some(Body::Data(vec![1, 2].into())), media_type: String::new() };
        let event = v1::Event {
            header: Some(header(0)),
            name: "n".to_owned(),
            payload: Some(data),
            ..Default::default()
        };
        for (kind, seq, content) in
            [(Kind::Message(message), 70_000, &b"hello"[..]), (Kind::Event(event), 0, &[1, 2])]
        {
            let bytes = encode(kind);
            let response = Response::parse(&bytes, WebSocketForm::Binary).unwrap();
            assert_eq!(response.command_id, 77);
            assert_eq!(response.delivery().unwrap(), Some(Delivery { seq, content }));
            let text = carillon_proto::frame::to_json(&bytes);
            let response = Response::parse(&text, WebSocketForm::Json).unwrap();
            assert_eq!(response.command_id, 77);
            // Bytes are in base64 in JSON, which no benchmark sends.
            let content = if content == b"hello" { content } else { &[] };
            assert_eq!(response.delivery().unwrap(), Some(Delivery { seq, content }));
        }
    }

    #[test]
    fn kinds_are_those_of_the_protocol() {
        let kinds = [
            (Kind::Message(v1::Message::default()), kind::MESSAGE),
            (Kind::Event(v1::Event::default()), kind::EVENT),
            (Kind::Done(v1::Done::default()), kind::DONE),
            (Kind::MessageSent(v1::MessageSent::default()), kind::MESSAGE_SENT),
            (Kind::Ping(v1::Ping::default()), kind::PING),
            (Kind::Error(v1::Error::default()), kind::ERROR),
            (Kind::EntryAccepted(v1::EntryAccepted::default()), kind::ENTRY_ACCEPTED),
            (Kind::Connected(v1::Connected::default()), kind::CONNECTED),
            (Kind::Disconnected(v1::Disconnected::default()), kind::DISCONNECTED),
            (Kind::Joined(v1::Joined::default()), kind::JOINED),
            (Kind::HistoryPage(v1::HistoryPage::default()), kind::HISTORY_PAGE),
        ];
        for (sent, number) in kinds {
            let bytes = encode(sent);
            let text = carillon_proto::frame::to_json(&bytes);
            let response = Response::parse(&text, WebSocketForm::Json).unwrap();
            assert_eq!((response.command_id, response.kind), (77, number));
            assert_eq!(
                Response::parse(&bytes, WebSocketForm::Binary).unwrap(),
                Response { command_id: 77, kind: number, body: &[], form: WebSocketForm::Binary }
            );
        }
    }

    #[test]
    fn cut_message_is_malformed_or_shorter_but_never_a_panic() {
        let message =
            v1::Message { header: Some(header(1)), content: Some(text("hello")), ..Default::default() };
        let bytes = encode(Kind::Message(message));
        for end in 0..bytes.len() {
            if let Ok(response) = Response::parse(&bytes[..end], WebSocketForm::Binary) {
                assert_eq!(response.kind, 0, "cut at {end}");
            }
        }
    }
}
