//! What was read of a socket, understood.

use bytes::Bytes;
use carillon_proto::v1::{SessionRequest, Violation};
use carillon_proto::wire::{BROKEN_FRAME, CloseRow, NOT_UTF8, WRONG_KIND};
use carillon_proto::{WebSocketForm, WireRow};
use prost::Message as _;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::json::{self, JsonError};

/// What was read.
pub(super) enum Inbound {
    /// An encoded `SessionRequest`, as far as anybody can tell here.
    Request(Bytes),
    /// A command, by its id, whose JSON is not that of a request.
    Refused(u32, Violation),
    /// Something that tungstenite answers by itself: a ping.
    Asked,
    /// Nothing to do: a pong.
    Idle,
    /// The other side closes.
    Closed,
    /// The other side is gone.
    Gone,
    /// What must not be: the session ends with this code, the socket with this close code.
    Wrong { code: &'static WireRow, close: u16 },
}

impl Inbound {
    /// What ends a session, its socket with the code's own close code.
    fn wrong(code: &str) -> Self {
        let code = WireRow::of(code);
        Self::Wrong { code, close: code.close }
    }

    /// What breaks the protocol of sockets.
    fn broken(row: CloseRow) -> Self {
        Self::Wrong { code: WireRow::of(row.code), close: row.close }
    }
}

/// Understands what tungstenite gave.
pub(super) fn understand(read: Option<Result<Message, Error>>, form: WebSocketForm) -> Inbound {
    match (read, form) {
        (Some(Ok(Message::Binary(bytes))), WebSocketForm::Binary) => Inbound::Request(bytes),
        (Some(Ok(Message::Text(text))), WebSocketForm::Json) => request(text.as_bytes()),
        (Some(Ok(Message::Binary(_) | Message::Text(_))), _) => Inbound::broken(WRONG_KIND),
        (Some(Ok(Message::Ping(_))), _) => Inbound::Asked,
        (Some(Ok(Message::Pong(_) | Message::Frame(_))), _) => Inbound::Idle,
        (Some(Ok(Message::Close(_))), _) => Inbound::Closed,
        (None, _) => Inbound::Gone,
        (Some(Err(error)), _) => broken(&error),
    }
}

fn request(text: &[u8]) -> Inbound {
    match json::parse::<SessionRequest>(text) {
        Ok(request) => Inbound::Request(request.encode_to_vec().into()),
        Err(JsonError::Broken) => Inbound::wrong("PROTOCOL_ERROR"),
        Err(JsonError::Refused(violation)) => match json::command_id(text) {
            Some(id) => Inbound::Refused(id, violation),
            None => Inbound::wrong("PROTOCOL_ERROR"),
        },
    }
}

fn broken(error: &Error) -> Inbound {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Inbound::wrong("MESSAGE_TOO_LARGE"),
        Error::Utf8(_) => Inbound::broken(NOT_UTF8),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Inbound::Gone,
        Error::Protocol(_) => Inbound::broken(BROKEN_FRAME),
        _ => Inbound::Gone,
    }
}
