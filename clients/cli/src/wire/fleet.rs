//! Many sessions over many connections, driven by one loop.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{Disconnected, Pong, SessionRequest};

use super::link::{Incoming, Link, put_message};
use super::poller::Poller;
use super::scan::{Response, kind};
use super::{Speech, WireError};

/// Bytes read from a socket at a time.
const READ_BYTES: usize = 256 * 1024;

/// The id of every pong, which gets no reply: not 0, and none that a benchmark counts up to.
const PONG_ID: u32 = u32::MAX;

/// A session of a [`Fleet`]: counted from 0 in the order of opening, never used twice.
pub(crate) type Session = usize;

/// What happened on a session.
pub(crate) enum Event<'a> {
    /// A reply or push. Pings are answered before they come here.
    Response(Response<'a>),
    /// The hub says that it ends the session, and why; the stream's end follows.
    Disconnected(Disconnected),
    /// The stream ended; the code is HTTP/2's, or that of WebSocket's close frame.
    Ended(u32),
    /// The handshake was answered with this HTTP status.
    Refused(u16),
    /// The connection ended, and the session with it.
    Closed,
}

impl Event<'_> {
    /// The failure that an end is to one who did not ask for it.
    pub(crate) fn unexpected(&self) -> WireError {
        match self {
            Self::Response(_) => WireError::Malformed("a reply that nothing asked for"),
            Self::Disconnected(Disconnected { code, message, .. }) => {
                WireError::Disconnected { code: code.clone(), message: message.clone() }
            }
            Self::Ended(code) => WireError::StreamEnded { code: *code },
            Self::Refused(status) => WireError::Handshake { status: *status },
            Self::Closed => WireError::Closed,
        }
    }
}

/// All sessions of one benchmark at one server.
pub(crate) struct Fleet {
    poller: Poller,
    links: Vec<Option<Berth>>,
    /// Places in `links` that can be used again.
    free: Vec<usize>,
    /// For each session its link, and its number there.
    places: Vec<(usize, u32)>,
    /// Links with something to write.
    dirty: Vec<usize>,
    buffer: Vec<u8>,
    pong: SessionRequest,
}

struct Berth {
    link: Link,
    first: Session,
    sessions: u32,
    dirty: bool,
    watches_output: bool,
}

impl Fleet {
    pub(crate) fn new() -> Result<Self, WireError> {
        let pong = SessionRequest {
            command_id: PONG_ID,
            command: Some(Command::Pong(Pong::default())),
            ..SessionRequest::default()
        };
        Ok(Self {
            poller: Poller::new()?,
            links: Vec::new(),
            free: Vec::new(),
            places: Vec::new(),
            dirty: Vec::new(),
            buffer: vec![0; READ_BYTES],
            pong,
        })
    }

    /// Opens a connection with this many sessions; gives the first of them, the others follow it.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        speech: Speech,
        sessions: u32,
    ) -> Result<Session, WireError> {
        let link = Link::open(address, speech, sessions)?;
        let number = self.free.pop().unwrap_or(self.links.len());
        self.poller.add(&link, number)?;
        let first = self.places.len();
        self.places.extend((0..sessions).map(|session| (number, session)));
        let berth = Berth { link, first, sessions, dirty: true, watches_output: false };
        self.dirty.push(number);
        match self.links.get_mut(number) {
            Some(free) => *free = Some(berth),
            None => self.links.push(Some(berth)),
        }
        Ok(first)
    }

    /// Closes the session's connection at once, without a word.
    pub(crate) fn close(&mut self, session: Session) {
        if let Some((number, _)) = self.places.get(session).copied()
            && self.links.get(number).and_then(Option::as_ref).is_some_and(|berth| berth.holds(session))
        {
            self.links[number] = None;
            self.free.push(number);
        }
    }

    /// Queues a request; [`Self::flush`] writes it. Does nothing on a closed connection.
    pub(crate) fn send(&mut self, session: Session, request: &SessionRequest) {
        self.with_link(session, |link, session| link.send(session, request));
    }

    /// Queues a command.
    pub(crate) fn command(&mut self, session: Session, command_id: u32, command: Command) {
        let request = SessionRequest { command_id, command: Some(command), ..SessionRequest::default() };
        self.send(session, &request);
    }

    /// Queues a message that the bare peer passes on.
    pub(crate) fn send_message(&mut self, session: Session, message: &[u8]) {
        let mut prefixed = Vec::with_capacity(5 + message.len());
        put_message(&mut prefixed, message);
        self.send_bytes(session, &prefixed);
    }

    /// Queues bytes as they are. For the first words to the bare peer.
    pub(crate) fn send_bytes(&mut self, session: Session, bytes: &[u8]) {
        self.with_link(session, |link, _| link.send_bytes(bytes));
    }

    fn with_link(&mut self, session: Session, act: impl FnOnce(&mut Link, u32)) {
        let Some((number, place)) = self.places.get(session).copied() else { return };
        let Some(Some(berth)) = self.links.get_mut(number) else { return };
        if berth.holds(session) {
            act(&mut berth.link, place);
            if !std::mem::replace(&mut berth.dirty, true) {
                self.dirty.push(number);
            }
        }
    }

    /// Writes what is queued: one write per connection, however many messages wait.
    pub(crate) fn flush(&mut self) -> Result<(), WireError> {
        for number in std::mem::take(&mut self.dirty) {
            let Some(Some(berth)) = self.links.get_mut(number) else { continue };
            berth.dirty = false;
            berth.flush(&self.poller, number)?;
        }
        Ok(())
    }

    /// Writes what is queued, waits for input no longer than `timeout`, and hands over all that came.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        mut take: impl FnMut(Session, Event<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.flush()?;
        for index in 0..self.poller.wait(timeout)? {
            let Some(ready) = self.poller.ready(index) else { break };
            let Some(Some(berth)) = self.links.get_mut(ready.number) else { continue };
            let received =
                if ready.readable { berth.receive(&mut self.buffer, &self.pong, &mut take) } else { Ok(()) };
            let done = match received {
                Ok(()) if ready.writable || berth.link.has_output() => {
                    berth.flush(&self.poller, ready.number)
                }
                other => other,
            };
            match done {
                Err(WireError::Closed) => {
                    let sessions = berth.first..berth.first + berth.sessions as usize;
                    self.links[ready.number] = None;
                    self.free.push(ready.number);
                    sessions.into_iter().try_for_each(|session| take(session, Event::Closed))?;
                }
                other => other?,
            }
        }
        Ok(())
    }
}

impl Berth {
    fn holds(&self, session: Session) -> bool {
        (self.first..self.first + self.sessions as usize).contains(&session)
    }

    fn receive(
        &mut self,
        buffer: &mut [u8],
        pong: &SessionRequest,
        take: &mut impl FnMut(Session, Event<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut pings = Vec::new();
        let (first, form) = (self.first, self.link.form());
        let received = self.link.receive(buffer, |place, incoming| {
            let session = first + place as usize;
            let response = match incoming {
                Incoming::End(code) => return take(session, Event::Ended(code)),
                Incoming::Refused(status) => return take(session, Event::Refused(status)),
                Incoming::Message(message) => Response::parse(message, form)?,
            };
            match response.kind {
                kind::PING => pings.push(place),
                kind::DISCONNECTED => return take(session, Event::Disconnected(response.decode()?)),
                _ => return take(session, Event::Response(response)),
            }
            Ok(())
        });
        for place in pings {
            self.link.send(place, pong);
        }
        received
    }

    fn flush(&mut self, poller: &Poller, number: usize) -> Result<(), WireError> {
        let waits = !self.link.flush()?;
        if waits != self.watches_output {
            self.watches_output = waits;
            poller.watch_output(&self.link, number, waits)?;
        }
        Ok(())
    }
}
