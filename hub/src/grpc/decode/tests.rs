//! Good and bad frames, and that no bytes make decoding panic.
#![expect(clippy::unnecessary_wraps, reason = "the fields of generated types are options")]

mod bad_fields;
mod bad_frames;
mod good;
mod keys;

use carillon_proto::v1;
use prost::Message;

use super::{DecodeError, SessionMember, request};
use crate::domain::command::{Command, Stateless};
use crate::domain::error::{ErrorCode, Refusal};

const ROOM: &str = "conversation:1";

fn frame(command_id: u32, key: &'static [u8], command: impl Into<Option<SessionMember>>) -> bytes::Bytes {
    let idempotency_key = bytes::Bytes::from_static(key);
    let request = v1::SessionRequest { command_id, idempotency_key, command: command.into() };
    request.encode_to_vec().into()
}

fn accepted(command: SessionMember) -> Command {
    request(frame(7, b"", command)).unwrap().command
}

fn stateless(command: SessionMember) -> Stateless {
    match accepted(command) {
        Command::Stateless(stateless) => stateless,
        other => panic!("{other:?}"),
    }
}

/// How a command with this member is refused; that it is answered under its own id is part of it.
fn refused(command: impl Into<Option<SessionMember>>) -> Refusal {
    match request(frame(7, b"", command)) {
        Err(DecodeError::Refused { command_id: 7, refusal }) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Asserts that each command is refused for one field, as `INVALID_ARGUMENT`.
fn assert_invalid(cases: impl IntoIterator<Item = (SessionMember, &'static str)>) {
    for (command, field) in cases {
        let shown = format!("{command:?}");
        let refusal = refused(command);
        let fields: Vec<_> = refusal.violations.iter().map(|v| v.field).collect();
        assert_eq!((refusal.code, fields), (ErrorCode::InvalidArgument, vec![field]), "{shown:.200}");
    }
}

fn text(text: impl Into<String>) -> Option<v1::Content> {
    Some(v1::Content { body: Some(v1::content::Body::Text(text.into())), media_type: String::new() })
}

fn data(length: usize, media_type: &str) -> Option<v1::Content> {
    Some(v1::Content {
        body: Some(v1::content::Body::Data(vec![1; length].into())),
        media_type: media_type.to_owned(),
    })
}

fn room() -> String {
    ROOM.to_owned()
}

fn send() -> v1::MessageSend {
    v1::MessageSend { room: room(), content: text("hello"), ..Default::default() }
}

fn hello() -> v1::Hello {
    v1::Hello { protocol: 1, ..Default::default() }
}
