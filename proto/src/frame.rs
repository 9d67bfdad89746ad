//! Owns the wire form of what a hub sends: encoded once, shared by all receivers.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::v1::SessionResponse;

/// What stands before each message in a gRPC stream: a flag byte (0: not compressed) and the message's length in four
/// bytes, big-endian. Source: gRPC over HTTP/2, "Length-Prefixed-Message".
const PREFIX_BYTES: usize = 5;

/// One encoded [`SessionResponse`]. Immutable; a clone costs a reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Prefix and message in one piece, so that the gRPC writer passes it on as it is.
    prefixed: Bytes,
}

impl Frame {
    /// Encodes a response into one buffer of exactly its size. Equal responses give equal bytes: maps are ordered.
    #[must_use]
    pub fn encode(response: &SessionResponse) -> Self {
        let length = response.encoded_len();
        let prefix = u32::try_from(length).expect("the limits keep a response far below 4 GiB");
        let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + length);
        buffer.put_u8(0);
        buffer.put_u32(prefix);
        response.encode_raw(&mut buffer);
        Self { prefixed: buffer.freeze() }
    }

    /// The gRPC form: prefix and message.
    pub fn prefixed(&self) -> &Bytes {
        &self.prefixed
    }

    /// The protobuf message alone; shares the frame's memory.
    pub fn message(&self) -> Bytes {
        self.prefixed.slice(PREFIX_BYTES..)
    }

    /// Bytes of the gRPC form, prefix included; at least 5. What a session's memory bound counts.
    #[expect(clippy::len_without_is_empty, reason = "the prefix is always there")]
    pub fn len(&self) -> usize {
        self.prefixed.len()
    }
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
