//! One server under load: its sessions, and windows of time in which it is measured.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{
    Content, EntryHeader, EventPublish, Message, MessageSend, SessionRequest, SessionResponse, content::Body,
};
use prost::Message as _;

use super::books::{Books, ROOM_MASK};
use super::{Options, Pace, What};
use crate::bench::BenchError;
use crate::bench::clock::{Clock, check_interrupt};
use crate::bench::gathering::{Gathering, Opening};
use crate::bench::keys::Keys;
use crate::bench::report::Latency;
use crate::bench::store::room_names;
use crate::bench::target::Target;
use crate::bench::tickets::Tickets;
use crate::child::Process;
use crate::wire::{Fleet, Session, Speech, WireError, events};

/// Commands that a hub takes from one session at once.
const IN_FLIGHT: u32 = 64;
/// Sessions that send, at most; rooms share them.
const SENDERS: usize = 16;
/// A message that goes out this much after its time, nanoseconds, was late by the load generator's fault.
const LATE: u64 = 10_000_000;

/// Where sessions are opened, and what is spoken there.
#[derive(Clone, Copy)]
struct Server {
    address: SocketAddr,
    speech: Speech,
}

/// A server, its receivers and senders.
pub(super) struct Lane {
    fleet: Fleet,
    speech: Speech,
    clock: Clock,
    process: Option<Process>,
    names: Vec<String>,
    what: What,
    /// The session that sends to each room.
    senders: Vec<Session>,
    pub(super) books: Books,
    /// The next message's room.
    turn: usize,
    commands: u32,
    keys: Keys,
    /// What is missing after this long without any delivery is lost.
    drain: Duration,
}

/// What one window of time gave.
pub(super) struct Window {
    pub(super) deliveries: u64,
    pub(super) messages: u64,
    pub(super) wall: Duration,
    /// Of the server; `None` where its process is not ours.
    pub(super) server_cpu: Option<Duration>,
    pub(super) client_cpu: Duration,
    /// Messages that the load generator sent late.
    pub(super) late: u64,
    pub(super) latency: Latency,
}

impl Lane {
    /// Opens receivers and senders at a hub. Who only listens is sent to over gRPC.
    pub(super) fn hub(target: &Target, options: &Options) -> Result<Self, BenchError> {
        let names = room_names(&options.namespace, options.rooms);
        let senders = options.rooms.min(SENDERS);
        let events = target.speech == Speech::Events;
        let mut tickets = events.then(|| Tickets::open(target.address)).transpose()?;
        let authority = target.address.to_string();
        let opening = |index: usize| {
            let token = target.credentials.token(index);
            let room = (index < options.receivers).then(|| names[index % names.len()].clone());
            Ok(match (&mut tickets, room) {
                (Some(tickets), Some(room)) => {
                    Opening::Bytes(events::request(&authority, &room, &tickets.make(&token)?))
                }
                (_, room) => Opening::Session { token, room },
            })
        };
        let process = target.process.clone();
        let to_receivers = Server { address: target.address, speech: target.speech };
        let to_senders =
            if events { Server { address: target.grpc, speech: Speech::Grpc } } else { to_receivers };
        let mut lane = Self::open([to_receivers, to_senders], process, options, senders, opening)?;
        lane.names = names;
        Ok(lane)
    }

    /// The same at the bare peer.
    pub(super) fn bare(address: SocketAddr, process: Process, options: &Options) -> Result<Self, BenchError> {
        let opening = |index: usize| {
            let role = if index < options.receivers { b'R' } else { b'S' };
            let room = if role == b'R' { index % options.rooms } else { index - options.receivers };
            Ok(Opening::Bytes([&[role][..], &(room as u32).to_be_bytes()].concat()))
        };
        let server = Server { address, speech: Speech::Bare };
        Self::open([server; 2], Some(process), options, options.rooms, opening)
    }

    fn open(
        [server, senders_server]: [Server; 2],
        process: Option<Process>,
        options: &Options,
        senders: usize,
        mut opening: impl FnMut(usize) -> Result<Opening, WireError>,
    ) -> Result<Self, BenchError> {
        let mut fleet = Fleet::new()?;
        // The bare peer cannot share a connection.
        let per_connection = if server.speech == Speech::Grpc { options.per_connection } else { 1 };
        let gathering = |server: Server, sessions, per_connection, title| {
            let Server { address, speech } = server;
            Gathering { address, speech, sessions, per_connection, title }
        };
        let receivers = gathering(server, options.receivers, per_connection, "opening receivers")
            .open(&mut fleet, &mut opening)?;
        let opening = |index| opening(options.receivers + index);
        let senders = gathering(senders_server, senders, 1, "opening senders").open(&mut fleet, opening)?;
        let first = receivers.first().copied().unwrap_or(0);
        let clock = Clock::start();
        Ok(Self {
            books: Books::new(clock, options.size, first..first + receivers.len(), options.rooms),
            senders: (0..options.rooms).map(|room| senders[room % senders.len()]).collect(),
            fleet,
            speech: server.speech,
            clock,
            process,
            names: Vec::new(),
            what: options.kind,
            turn: 0,
            commands: 0,
            keys: Keys::new()?,
            drain: Duration::from_secs_f64(options.drain),
        })
    }

    /// Sends at the given pace for this long, then waits until all has arrived.
    pub(super) fn window(&mut self, pace: Pace, length: Duration) -> Result<Window, BenchError> {
        self.books.latency = Latency::new();
        let (delivered, messages) = (self.books.delivered, self.commands);
        let server = self.process.as_ref().map(Process::cpu).transpose()?;
        let client = Process::this().cpu()?;
        let start = self.clock.nanoseconds();
        let late = self.send_for(pace, start, length)?;
        self.drain()?;
        let wall = Duration::from_nanos(self.clock.nanoseconds() - start);
        let server_now = self.process.as_ref().map(Process::cpu).transpose()?;
        Ok(Window {
            deliveries: self.books.delivered - delivered,
            messages: u64::from(self.commands - messages),
            wall,
            server_cpu: server.zip(server_now).map(|(before, now)| now.saturating_sub(before)),
            client_cpu: Process::this().cpu()?.saturating_sub(client),
            late,
            latency: self.books.latency.clone(),
        })
    }

    /// Gives how many messages were late.
    fn send_for(&mut self, pace: Pace, start: u64, length: Duration) -> Result<u64, BenchError> {
        let end = start + length.as_nanos() as u64;
        let (mut sent, mut late, mut held) = (0_u64, 0, start);
        loop {
            let now = self.clock.nanoseconds();
            if now >= end {
                return Ok(late);
            }
            let mut wait = Duration::from_nanos(end - now);
            match pace {
                Pace::Rate(rate) => loop {
                    let due = start + (sent as f64 / rate * 1e9) as u64;
                    if due > now {
                        wait = wait.min(Duration::from_nanos(due - now));
                        break;
                    }
                    if !self.may_send() {
                        held = now;
                        break;
                    }
                    late += u64::from(now.saturating_sub(due.max(held)) > LATE);
                    self.send(due);
                    sent += 1;
                },
                Pace::Burst(burst) if self.books.is_settled() => (0..burst).for_each(|_| self.send(now)),
                Pace::Burst(_) => {}
                Pace::Flood(window) => {
                    while self.books.outstanding < window && self.may_send() {
                        self.send(now);
                    }
                }
            }
            self.turn(wait)?;
        }
    }

    /// Waits for what is under way.
    fn drain(&mut self) -> Result<(), BenchError> {
        let mut progress = (self.books.delivered, self.clock.nanoseconds());
        while !self.books.is_settled() {
            self.turn(Duration::from_millis(100))?;
            let now = self.clock.nanoseconds();
            if self.books.delivered != progress.0 {
                progress = (self.books.delivered, now);
            } else if now - progress.1 > self.drain.as_nanos() as u64 {
                // What is missing stays expected, and so counts as lost.
                self.books.outstanding = 0;
                break;
            }
        }
        Ok(())
    }

    fn turn(&mut self, wait: Duration) -> Result<(), BenchError> {
        check_interrupt()?;
        let books = &mut self.books;
        // Short enough to see Ctrl-C.
        self.fleet
            .turn(wait.min(Duration::from_millis(100)), |session, event| books.take(session, &event))?;
        Ok(())
    }

    /// Whether the session that sends to the next room has a command to spare.
    fn may_send(&self) -> bool {
        let sender = self.senders[self.turn];
        let rooms = self.senders.iter().zip(&self.books.unanswered);
        rooms.filter(|(session, _)| **session == sender).map(|(_, count)| count).sum::<u32>() < IN_FLIGHT
    }

    fn send(&mut self, due: u64) {
        let room = self.turn;
        self.turn = (room + 1) % self.senders.len();
        self.commands += 1;
        let text = self.books.send(room, due);
        let content = Some(Content { body: Some(Body::Text(text)), media_type: String::new() });
        let session = self.senders[room];
        if self.speech == Speech::Bare {
            self.fleet.send_message(session, &bare_message(room, self.commands, content));
            return;
        }
        self.books.unanswered[room] += 1;
        let name = self.names[room].clone();
        let command = match self.what {
            What::Message => {
                Command::MessageSend(MessageSend { room: name, content, ..MessageSend::default() })
            }
            What::Event => Command::EventPublish(EventPublish {
                room: name,
                name: "bench".to_owned(),
                payload: content,
                ..EventPublish::default()
            }),
        };
        // Above the room's bits a counter that is never 0, so that no id is 0 or in flight.
        let count = self.commands % ROOM_MASK + 1;
        let request = SessionRequest {
            command_id: count << ROOM_MASK.count_ones() | room as u32,
            idempotency_key: self.keys.key(self.commands.into()),
            command: Some(command),
        };
        self.fleet.send(session, &request);
    }
}

/// What a hub would push for this message, as bytes: the bare peer passes on as many.
fn bare_message(room: usize, number: u32, content: Option<Content>) -> Vec<u8> {
    let header = EntryHeader {
        seq: number.into(),
        tag: 0x5eed_5eed,
        epoch: 1 << 50,
        time_ms: 1_700_000_000_000,
        sender: "bench-1000".to_owned(),
    };
    let message = Message {
        room: format!("room:bench-{room}"),
        header: Some(header),
        number: number.into(),
        content,
        version: 1,
        ..Message::default()
    };
    SessionResponse { command_id: 0, kind: Some(Kind::Message(message)) }.encode_to_vec()
}
