//! Owns the wire forms of what a hub sends: each made once, shared by all receivers.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::place::Place;
use crate::v1::SessionResponse;

/// What stands before each message in a gRPC stream: a flag byte (0: not compressed) and the message's length in four
/// bytes, big-endian. Source: gRPC over HTTP/2, "Length-Prefixed-Message".
const PREFIX_BYTES: usize = 5;
/// The longest header of a WebSocket frame that a server sends. Source: RFC 6455, 5.2.
const WEB_SOCKET_HEADER_BYTES: usize = 10;

/// What a WebSocket frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketForm {
    /// Binary: the protobuf message.
    Binary,
    /// Text: its canonical JSON.
    Json,
}

/// One encoded [`SessionResponse`], in every form that was asked for so far. Immutable; a clone costs a reference count.
#[derive(Clone, Debug)]
pub struct Frame(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    /// Prefix and message in one piece, so that the gRPC writer passes it on as it is.
    prefixed: Bytes,
    binary: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
    place: OnceLock<Place>,
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.0.prefixed == other.0.prefixed
    }
}

impl Eq for Frame {}

impl Frame {
    /// Encodes a response into one buffer of exactly its size. Equal responses give equal bytes: maps are ordered.
    #[must_use]
    pub fn encode(response: &SessionResponse) -> Self {
        let length = response.encoded_len();
        let mut buffer = prefixed(length);
        response.encode_raw(&mut buffer);
        Self::from_prefixed(buffer.freeze())
    }

    /// The frame of a message that was encoded elsewhere.
    #[must_use]
    pub fn from_message(message: &[u8]) -> Self {
        let mut buffer = prefixed(message.len());
        buffer.put_slice(message);
        Self::from_prefixed(buffer.freeze())
    }

    fn from_prefixed(prefixed: Bytes) -> Self {
        Self(Arc::new(Forms {
            prefixed,
            binary: OnceLock::new(),
            json: OnceLock::new(),
            place: OnceLock::new(),
        }))
    }

    /// The gRPC form: prefix and message.
    pub fn prefixed(&self) -> &Bytes {
        &self.0.prefixed
    }

    /// The protobuf message alone; shares the frame's memory.
    pub fn message(&self) -> Bytes {
        self.0.prefixed.slice(PREFIX_BYTES..)
    }

    /// The whole WebSocket frame, header and payload. Made when first asked for, then shared.
    pub fn web_socket(&self, form: WebSocketForm) -> &Bytes {
        match form {
            WebSocketForm::Binary => self.0.binary.get_or_init(|| binary_frame(&self.0.prefixed)),
            WebSocketForm::Json => self.0.json.get_or_init(|| json_frame(&self.0.prefixed)),
        }
    }

    /// The canonical JSON alone: the payload of the WebSocket's text frame, in the memory that all receivers share.
    pub fn json(&self) -> Bytes {
        let frame = self.web_socket(WebSocketForm::Json);
        let header = match frame.get(1) {
            Some(127) => 10,
            Some(126) => 4,
            _ => 2,
        };
        frame.slice(header.min(frame.len())..)
    }

    /// Where whoever receives it is from then on. Read when first asked for, then shared.
    pub fn place(&self) -> &Place {
        self.0.place.get_or_init(|| Place::of(self.0.prefixed.get(PREFIX_BYTES..).unwrap_or_default()))
    }

    /// Bytes of the gRPC form, prefix included; at least 5. What a session's memory bound counts.
    #[expect(clippy::len_without_is_empty, reason = "the prefix is always there")]
    pub fn len(&self) -> usize {
        self.0.prefixed.len()
    }
}

fn prefixed(length: usize) -> BytesMut {
    let prefix = u32::try_from(length).expect("the limits keep a response far below 4 GiB");
    let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + length);
    buffer.put_u8(0);
    buffer.put_u32(prefix);
    buffer
}

/// A final frame's header, not masked: servers never mask. Source: RFC 6455, 5.2.
fn put_web_socket_header(buffer: &mut BytesMut, opcode: u8, length: usize) {
    buffer.put_u8(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => buffer.put_u8(length),
        (_, Ok(length)) => {
            buffer.put_u8(126);
            buffer.put_u16(length);
        }
        _ => {
            buffer.put_u8(127);
            buffer.put_u64(length as u64);
        }
    }
}

fn binary_frame(prefixed: &Bytes) -> Bytes {
    let message = prefixed.get(PREFIX_BYTES..).unwrap_or_default();
    let mut buffer = BytesMut::with_capacity(WEB_SOCKET_HEADER_BYTES + message.len());
    put_web_socket_header(&mut buffer, 2, message.len());
    buffer.put_slice(message);
    buffer.freeze()
}

fn json_frame(prefixed: &Bytes) -> Bytes {
    let text = to_json(prefixed.get(PREFIX_BYTES..).unwrap_or_default());
    let mut buffer = BytesMut::with_capacity(WEB_SOCKET_HEADER_BYTES + text.len());
    put_web_socket_header(&mut buffer, 1, text.len());
    buffer.put_slice(&text);
    buffer.freeze()
}

/// The canonical JSON of an encoded [`SessionResponse`]. What cannot be decoded (a newer hub's, perhaps) reads as a push
/// of no kind, which clients ignore.
pub fn to_json(message: &[u8]) -> Vec<u8> {
    let response = SessionResponse::decode(message).unwrap_or_default();
    serde_json::to_vec(&response).unwrap_or_else(|_| b"{}".to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::v1::session_response::Kind;
    use crate::v1::{self, Content, EntryHeader, content::Body};

    fn message(attributes: impl IntoIterator<Item = (&'static str, &'static str)>) -> SessionResponse {
        let message = v1::Message {
            room: "conversation:1".to_owned(),
            header: Some(EntryHeader {
                seq: 7,
                tag: 0xfeed_beef,
                epoch: 1,
                time_ms: 1_700_000_000_000,
                sender: "alice".to_owned(),
            }),
            number: 5,
            content: Some(Content {
                body: Some(Body::Data(Bytes::from_static(&[0, 255]))),
                media_type: String::new(),
            }),
            attributes: attributes
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            version: 1,
            ..v1::Message::default()
        };
        SessionResponse { command_id: 0, kind: Some(Kind::Message(message)) }
    }

    #[test]
    fn message_decodes_to_what_was_encoded() {
        let response = message([("a", "1")]);
        let frame = Frame::encode(&response);
        assert_eq!(SessionResponse::decode(frame.message()).unwrap(), response);
    }

    #[test]
    fn prefix_is_the_one_of_grpc() {
        let response = message([]);
        let frame = Frame::encode(&response);
        let length = u32::try_from(response.encoded_len()).unwrap();
        assert_eq!(frame.prefixed()[0], 0);
        assert_eq!(frame.prefixed()[1..PREFIX_BYTES], length.to_be_bytes());
        assert_eq!(frame.prefixed()[PREFIX_BYTES..], response.encode_to_vec());
        assert_eq!(frame.len(), PREFIX_BYTES + response.encoded_len());
    }

    #[test]
    fn empty_response_is_a_bare_prefix() {
        let frame = Frame::encode(&SessionResponse::default());
        assert_eq!(frame.prefixed().as_ref(), [0; PREFIX_BYTES]);
        assert!(frame.message().is_empty());
    }

    #[test]
    fn clones_and_message_share_one_buffer() {
        let frame = Frame::encode(&message([]));
        assert_eq!(frame.clone().prefixed().as_ptr(), frame.prefixed().as_ptr());
        assert_eq!(frame.message().as_ptr(), frame.prefixed()[PREFIX_BYTES..].as_ptr());
    }

    #[test]
    fn web_socket_frames_carry_the_message_and_its_json_and_are_made_once() {
        let response = message([("a", "1")]);
        let frame = Frame::encode(&response);
        let binary = frame.web_socket(WebSocketForm::Binary);
        let payload = response.encode_to_vec();
        assert_eq!((binary[0], usize::from(binary[1])), (0x82, payload.len()));
        assert_eq!(binary[2..], payload);
        assert_eq!(binary.as_ptr(), frame.clone().web_socket(WebSocketForm::Binary).as_ptr());
        let json = frame.web_socket(WebSocketForm::Json);
        assert_eq!((json[0], json[1]), (0x81, 126));
        assert_eq!(usize::from(u16::from_be_bytes([json[2], json[3]])), json.len() - 4);
        let value: serde_json::Value = serde_json::from_slice(&json[4..]).unwrap();
        assert_eq!(value["message"]["header"]["seq"], "7");
        assert_eq!(value["message"]["content"]["data"], "AP8=");
        assert_eq!(serde_json::from_slice::<SessionResponse>(&json[4..]).unwrap(), response);
    }

    #[test]
    fn json_alone_is_the_payload_of_the_text_frame_and_shares_its_memory() {
        for length in [0, 20, 200, 70_000] {
            let left = v1::Left { room: "x".repeat(length), ..v1::Left::default() };
            let frame = Frame::encode(&SessionResponse { command_id: 0, kind: Some(Kind::Left(left)) });
            let json = frame.json();
            assert_eq!(json, to_json(&frame.message()));
            let whole = frame.web_socket(WebSocketForm::Json);
            assert_eq!(json.as_ptr_range().end, whole.as_ptr_range().end);
        }
    }

    #[test]
    fn a_place_is_read_once_for_all_receivers() {
        let frame = Frame::encode(&message([]));
        let expected = ("conversation:1".to_owned(), v1::Position { epoch: 1, seq: 7, tag: 0xfeed_beef });
        assert_eq!(*frame.place(), Place::Entry(Box::new(expected)));
        assert!(std::ptr::eq(frame.clone().place(), frame.place()));
        let frame_of = |command_id, kind| Frame::encode(&SessionResponse { command_id, kind: Some(kind) });
        let ephemeral = v1::Event { room: "live:1".to_owned(), ..v1::Event::default() };
        assert_eq!(*frame_of(0, Kind::Event(ephemeral)).place(), Place::Nowhere);
        assert_eq!(*frame_of(0, Kind::Typing(v1::Typing::default())).place(), Place::Nowhere);
        assert_eq!(*frame_of(0, Kind::Left(v1::Left::default())).place(), Place::Other);
        assert_eq!(*frame_of(3, Kind::Pong(v1::Pong::default())).place(), Place::Other);
        assert_eq!(*Frame::from_message(&[0xff]).place(), Place::Other);
    }

    #[test]
    fn headers_say_lengths_of_every_size() {
        for (length, header) in [
            (0_usize, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_535, vec![0x82, 126, 255, 255]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = Frame::from_message(&vec![7; length]);
            let whole = frame.web_socket(WebSocketForm::Binary);
            assert_eq!((&whole[..header.len()], whole.len()), (&header[..], header.len() + length));
        }
    }

    #[test]
    fn a_message_from_elsewhere_gives_the_same_frame() {
        let frame = Frame::encode(&message([]));
        assert_eq!(Frame::from_message(&frame.message()), frame);
        assert_eq!(to_json(&[0xff, 0xff]), b"{}");
    }

    #[test]
    fn maps_are_encoded_in_the_order_of_their_keys() {
        let pairs = [("b", "2"), ("a", "1"), ("c", "3")];
        let frame = Frame::encode(&message(pairs));
        let mut reversed = pairs;
        reversed.reverse();
        assert_eq!(frame, Frame::encode(&message(reversed)));

        let ordered: BTreeMap<_, _> = pairs.into_iter().collect();
        let places: Vec<usize> = ordered
            .into_iter()
            .map(|(key, value)| {
                let entry = [10, 1, key.as_bytes()[0], 18, 1, value.as_bytes()[0]];
                frame.prefixed().windows(entry.len()).position(|window| window == entry).unwrap()
            })
            .collect();
        assert!(places.is_sorted());
    }
}
