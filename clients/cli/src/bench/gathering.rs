//! Opens many sessions and joins their rooms, a bounded number at a time.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{Hello, Join, JoinReason, Joined};

use super::BenchError;
use super::clock::Watchdog;
use super::report::progress;
use crate::wire::scan::kind;
use crate::wire::{Event, Fleet, Session, Speech, WireError};

/// Connections that are being opened at once: fewer than a listener's backlog.
const OPENING: usize = 64;

pub(super) const HELLO_ID: u32 = 1;
const JOIN_ID: u32 = 2;

/// What a connection's first words are.
pub(super) enum Opening {
    /// `hello` with a token, then `join` where a room is given.
    Session {
        /// The token.
        token: String,
        /// The room.
        room: Option<String>,
    },
    /// These bytes: to the bare peer, or the request of an event stream.
    Bytes(Vec<u8>),
}

/// Which sessions to open.
pub(super) struct Gathering {
    /// Where.
    pub(super) address: SocketAddr,
    /// What is spoken there.
    pub(super) speech: Speech,
    /// How many.
    pub(super) sessions: usize,
    /// How many share a connection; at least 1.
    pub(super) per_connection: usize,
    /// What the progress bar says.
    pub(super) title: &'static str,
}

/// The command that opens a session.
pub(super) fn hello(token: String) -> Command {
    let client = concat!("bench/", env!("CARGO_PKG_VERSION")).to_owned();
    Command::Hello(Hello { token, protocol: 1, client, ..Hello::default() })
}

impl Gathering {
    /// Opens the sessions with what `opening` gives for the index of each. Returns when all are ready.
    pub(super) fn open(
        &self,
        fleet: &mut Fleet,
        mut opening: impl FnMut(usize) -> Result<Opening, WireError>,
    ) -> Result<Vec<Session>, BenchError> {
        let bar = progress(self.sessions as u64, self.title);
        let mut watchdog = Watchdog::new("the server opened no further session");
        let mut sessions: Vec<Session> = Vec::with_capacity(self.sessions);
        let mut rooms: Vec<Option<String>> = Vec::with_capacity(self.sessions);
        let mut ready = 0;
        while ready < self.sessions {
            while sessions.len() < self.sessions && sessions.len() < ready + OPENING.max(self.per_connection)
            {
                self.open_connection(fleet, &mut opening, &mut sessions, &mut rooms)?;
            }
            let base = sessions.first().copied().unwrap_or(0);
            let mut joins: Vec<(Session, String)> = Vec::new();
            fleet.turn(Duration::from_millis(100), |session, event| {
                // Sessions that were there before have nothing to say yet.
                let Some(room) = session.checked_sub(base).and_then(|index| rooms.get_mut(index)) else {
                    return Ok(());
                };
                let Event::Response(response) = event else { return Err(event.unexpected()) };
                match (response.kind, response.command_id) {
                    (kind::ERROR, _) => return Err(response.refusal()),
                    // Its room's `joined` follows.
                    (kind::CONNECTED, HELLO_ID) if self.speech == Speech::Events => {}
                    (kind::CONNECTED, HELLO_ID) => match room.take() {
                        Some(room) => joins.push((session, room)),
                        None => ready += 1,
                    },
                    (kind::JOINED, JOIN_ID) => ready += 1,
                    // A listener's room is joined with `hello`; rooms that the hub joins by itself are not asked for.
                    (kind::JOINED, 0) if self.speech == Speech::Events => {
                        let joined: Joined = response.decode()?;
                        ready += usize::from(joined.reason() == JoinReason::Resumed);
                    }
                    // The bare peer's word that it has registered a receiver is an empty message.
                    (0, 0) if self.speech == Speech::Bare => ready += 1,
                    _ => {}
                }
                Ok::<(), WireError>(())
            })?;
            for (session, room) in joins {
                fleet.command(session, JOIN_ID, Command::Join(Join { room, ..Join::default() }));
            }
            bar.set_position(ready as u64);
            watchdog.check(ready as u64)?;
        }
        bar.finish_and_clear();
        Ok(sessions)
    }

    fn open_connection(
        &self,
        fleet: &mut Fleet,
        opening: &mut impl FnMut(usize) -> Result<Opening, WireError>,
        sessions: &mut Vec<Session>,
        rooms: &mut Vec<Option<String>>,
    ) -> Result<(), BenchError> {
        let count = self.per_connection.clamp(1, self.sessions - sessions.len());
        let first = fleet.open(self.address, self.speech, count as u32)?;
        for session in first..first + count {
            match opening(sessions.len())? {
                Opening::Session { token, room } => {
                    fleet.command(session, HELLO_ID, hello(token));
                    rooms.push(room);
                }
                Opening::Bytes(bytes) => {
                    fleet.send_bytes(session, &bytes);
                    rooms.push(None);
                }
            }
            sessions.push(session);
        }
        Ok(())
    }
}
