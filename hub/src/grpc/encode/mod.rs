//! From domain types to the frames that sessions receive.
//!
//! Everything here is a pure function of what it is given (but for an error's time), so that a live entry and its
//! replay are the same bytes. A text is copied once, into the message that is then written in one buffer.

mod entry;
mod execute;
mod parts;
mod push;
mod reply;
mod revise;

use carillon_proto::v1::session_response::Kind;
use carillon_proto::{Frame, v1};

use crate::delivery::encoder::FrameEncoder;
use crate::domain::entry::Entry;
use crate::domain::error::Refusal;
use crate::domain::names::RoomName;
use crate::domain::push::Push;
use crate::domain::reply::Reply;
use crate::domain::time::Timestamp;

pub(super) use execute::execute_response;
pub(super) use parts::position;

/// Violations that an error names at most.
const VIOLATIONS: usize = 16;

/// Makes `SessionResponse` frames.
#[derive(Clone, Copy, Debug)]
pub struct ProtobufEncoder {
    clock: fn() -> Timestamp,
}

impl ProtobufEncoder {
    /// An encoder whose errors bear the time that `clock` gives.
    pub fn new(clock: fn() -> Timestamp) -> Self {
        Self { clock }
    }
}

impl Default for ProtobufEncoder {
    fn default() -> Self {
        Self::new(Timestamp::now)
    }
}

impl FrameEncoder for ProtobufEncoder {
    fn entry(&self, room: &RoomName, entry: &Entry) -> Frame {
        frame(0, entry::kind(room, entry))
    }

    fn revised(&self, frame: &Frame, change: &Entry) -> Option<Frame> {
        revise::revised(frame, change).map(|response| Frame::encode(&response))
    }

    fn push(&self, push: &Push) -> Frame {
        frame(0, push::kind(push))
    }

    fn reply(&self, command_id: u32, reply: &Reply) -> Frame {
        frame(command_id, reply::kind(reply))
    }

    fn refusal(&self, command_id: u32, refusal: &Refusal, request_id: &str) -> Frame {
        frame(command_id, Kind::Error(error_at(refusal, request_id, (self.clock)())))
    }
}

fn frame(command_id: u32, kind: Kind) -> Frame {
    Frame::encode(&v1::SessionResponse { command_id, kind: Some(kind) })
}

/// A refusal as the protocol's error, of now.
pub(super) fn error(refusal: &Refusal, request_id: &str) -> v1::Error {
    error_at(refusal, request_id, Timestamp::now())
}

fn error_at(refusal: &Refusal, request_id: &str, time: Timestamp) -> v1::Error {
    let row = refusal.code.row();
    v1::Error {
        code: row.name.to_owned(),
        message: row.message.to_owned(),
        time_ms: time.millis(),
        request_id: request_id.to_owned(),
        retryable: row.retryable,
        retry_after_ms: refusal.retry_after.map_or(0, parts::millis),
        violations: refusal
            .violations
            .iter()
            .take(VIOLATIONS)
            .map(|v| v1::Violation { field: v.field.to_owned(), rule: v.rule.to_owned() })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
