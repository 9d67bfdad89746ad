//! Whose a socket is, until that is known. One whose address has too many is heard: what the hub says goes out once a session has
//! opened, and in the place of any refusal comes that there are too many.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use carillon_net::addresses::Attempt;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{self, SessionResponse};
use carillon_proto::{Frame, WireRow};
use prost::Message as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::outgoing::Outgoing;
use crate::heard::Heard;
use crate::place::{self, Place, says_nobody};
use crate::routes::too_many;

/// What every socket is told that is one too many.
const TOO_MANY: &str = "TOO_MANY_CONNECTIONS";

/// How far it is known whose a socket is.
pub(super) enum Standing {
    /// It counts no more.
    Settled,
    /// It counts at its address.
    Counted(Attempt, Arc<Place>),
    /// Its address has too many.
    Heard(Box<Hearing>),
}

/// A socket that is heard.
pub(super) struct Hearing {
    heard: Heard,
    place: Arc<Place>,
    limit: Pin<Box<Sleep>>,
    /// What the hub has said.
    held: Vec<Frame>,
}

impl Standing {
    /// That of a request which asked for a socket.
    pub(super) fn new(standing: Option<place::Standing>, place: &Arc<Place>) -> Self {
        let place = Arc::clone(place);
        match standing {
            None => Self::Settled,
            Some(place::Standing::Counted(attempt)) => Self::Counted(attempt, place),
            Some(place::Standing::Heard(heard)) => {
                let limit = Box::pin(sleep_until(heard.until));
                Self::Heard(Box::new(Hearing { heard, place, limit, held: Vec::new() }))
            }
        }
    }

    /// Passes on what the hub says. The reply that opens a session says whose it is.
    pub(super) fn passes(&mut self, frame: Frame, outgoing: &mut Outgoing) {
        match self {
            Self::Settled => outgoing.push(frame),
            Self::Heard(hearing) if !is_connected(&frame) => hearing.held.push(frame),
            Self::Counted(..) if !is_connected(&frame) => outgoing.push(frame),
            Self::Counted(..) | Self::Heard(_) => {
                self.is_known(outgoing);
                outgoing.push(frame);
            }
        }
    }

    fn is_known(&mut self, outgoing: &mut Outgoing) {
        match std::mem::replace(self, Self::Settled) {
            Self::Settled => {}
            Self::Counted(attempt, place) => {
                place.is_used();
                attempt.succeeded();
            }
            Self::Heard(hearing) => {
                let Hearing { heard, place, held, .. } = *hearing;
                place.is_used();
                for frame in held {
                    outgoing.push(frame);
                }
                heard.succeeded();
            }
        }
    }

    /// What a session's end says of who tried to open it; gives the code with which the socket ends. Only who cannot say who they
    /// are has failed: not whoever met a hub that stops or is away.
    pub(super) fn ends(
        &mut self,
        row: &'static WireRow,
        is_known: bool,
        outgoing: &mut Outgoing,
    ) -> &'static WireRow {
        // A hub that stops says so of everybody.
        let is_stopping = row.name == "GOING_AWAY";
        match std::mem::replace(self, Self::Settled) {
            Self::Settled => {}
            Self::Counted(attempt, _) if !is_known && says_nobody(row) => drop(attempt),
            Self::Counted(mut attempt, _) => {
                if !is_known && row.http == 503 && !is_stopping {
                    attempt.unjudged(Instant::now().into_std());
                }
                attempt.succeeded();
            }
            Self::Heard(hearing) if is_known || is_stopping => {
                *self = Self::Heard(hearing);
                self.is_known(outgoing);
            }
            Self::Heard(hearing) => return hearing.ends(outgoing),
        }
        row
    }

    /// The client has broken the protocol, and has failed if nobody knows them, whatever the hub says.
    pub(super) fn fails(&mut self) {
        *self = Self::Settled;
    }

    /// The socket ends before anything was said of it, and has failed only if it asked nothing (`asked`): whoever does not wait
    /// for a slow hub has not, nor whose place another was given.
    pub(super) fn leaves(&mut self, asked: bool) {
        let Self::Counted(mut attempt, place) = std::mem::replace(self, Self::Settled) else { return };
        if place.gave_way() {
            attempt.succeeded();
        } else if asked {
            attempt.unjudged(Instant::now().into_std());
            attempt.succeeded();
        }
    }

    /// The code with which the socket ends, once it was heard for as long as it may be.
    pub(super) fn poll_over(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<&'static WireRow> {
        let Self::Heard(hearing) = self else { return Poll::Pending };
        std::task::ready!(hearing.limit.as_mut().poll(cx));
        match std::mem::replace(self, Self::Settled) {
            Self::Heard(hearing) => Poll::Ready(hearing.ends(outgoing)),
            _ => Poll::Pending,
        }
    }
}

impl Hearing {
    /// Says in the place of every refusal that there are too many.
    fn ends(self, outgoing: &mut Outgoing) -> &'static WireRow {
        let (row, wait) = (WireRow::of(TOO_MANY), self.heard.wait());
        for frame in self.held {
            let said = SessionResponse::decode(frame.message()).unwrap_or_default();
            if let Some(Kind::Error(error)) = said.kind {
                let error = too_many(wait, &error.request_id);
                let told = SessionResponse { command_id: said.command_id, kind: Some(Kind::Error(error)) };
                outgoing.push(Frame::encode(&told));
            }
        }
        outgoing.push(disconnected(row, wait));
        row
    }
}

fn disconnected(row: &'static WireRow, wait: Duration) -> Frame {
    let disconnected = v1::Disconnected {
        code: row.name.to_owned(),
        reconnect: row.reconnect,
        retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        message: row.message.to_owned(),
    };
    Frame::encode(&SessionResponse { command_id: 0, kind: Some(Kind::Disconnected(disconnected)) })
}

/// Whether this is the reply that opens a session: from now on it is known whose the connection is.
fn is_connected(frame: &Frame) -> bool {
    let decoded = SessionResponse::decode(frame.message());
    matches!(decoded, Ok(SessionResponse { kind: Some(Kind::Connected(_)), .. }))
}
