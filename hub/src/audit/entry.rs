//! What a line says: who did what from where, with what outcome. By ids alone: no content, no token.

use std::net::IpAddr;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::time::Timestamp;

/// One line. What is unset is left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry<'a> {
    /// What happened: see [`event`].
    pub event: &'a str,
    /// `ok`, or `refused`.
    pub outcome: Outcome,
    /// Why not, or why it ended: an error's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<&'a str>,
    /// The user, where a user did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// The service, where a service did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<&'a str>,
    /// The request's id; within a session `STREAM/COMMAND`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<&'a str>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What the client says that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<&'a str>,
    /// The page's origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'a str>,
    /// The hash by which the token can be revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
    /// What it was done to.
    #[serde(flatten)]
    pub about: About<'a>,
    /// Lines like this one that were left out since the last.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// What something was done to, by ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct About<'a> {
    /// The room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<&'a str>,
    /// The entry's seq: what was written, edited or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// The user whom it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// How many it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    #[default]
    Ok,
    /// It was not.
    Refused,
}

/// The events that are no command's and no administrator's call: those have the names that they have on the wire.
pub mod event {
    /// A file begins; `prev` is the seal before it.
    pub const FILE: &str = "audit.file";
    /// Files were removed since there were too many; `through` is their last line.
    pub const REMOVED: &str = "audit.removed";
    /// Lines were lost, since they could not be written; `count` says how many.
    pub const LOST: &str = "audit.lost";
    /// What was found at the start is not what was left at the end.
    pub const BROKEN: &str = "audit.broken";
    /// The hub started.
    pub const STARTED: &str = "hub.started";
    /// The hub stopped.
    pub const STOPPED: &str = "hub.stopped";
    /// A token was refused.
    pub const AUTHENTICATION: &str = "authentication";
    /// A session was opened, or was not.
    pub const SESSION_OPENED: &str = "session.opened";
    /// A session ended.
    pub const SESSION_ENDED: &str = "session.ended";
    /// Something was done too often.
    pub const LIMIT: &str = "limit";
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A line's body as [`Place::append`](super::chain::Place::append) takes it, into `into`: `time` and then what is given.
pub(super) fn write_body(time: Timestamp, entry: &impl Serialize, into: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Timed<'a, T> {
        time: &'a str,
        #[serde(flatten)]
        entry: &'a T,
    }
    let time = to_text(time);
    let begin = into.len();
    // Of texts and numbers, in memory: it cannot fail.
    let _ = serde_json::to_writer(&mut *into, &Timed { time: &time, entry });
    // The braces are the chain's.
    if into.len() > begin {
        into.remove(begin);
        into.pop();
    }
}

/// `2026-11-25T18:59:00.123Z`.
fn to_text(time: Timestamp) -> String {
    let nanos = i128::from(time.millis()) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}
