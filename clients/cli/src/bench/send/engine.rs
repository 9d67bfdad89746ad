//! Keeps a number of sends under way, and checks each acknowledgement.

use std::ops::Range;
use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{Content, MessageSend, MessageSent, SessionRequest, content::Body};

use super::pages::Pages;
use super::rooms::{Check, Rooms};
use crate::bench::BenchError;
use crate::bench::choice::choose;
use crate::bench::clock::{Clock, Watchdog};
use crate::bench::gathering::{Gathering, Opening};
use crate::bench::keys::Keys;
use crate::bench::payload::{Payload, Payloads};
use crate::bench::report::{Latency, progress};
use crate::bench::target::Target;
use crate::wire::scan::kind;
use crate::wire::{Event, Fleet, Session, WireError};

/// Commands that a hub takes from one session at once.
pub(super) const IN_FLIGHT: usize = 64;
/// Bits of a command id that are its slot.
const SLOT_BITS: u32 = 8;

/// When to stop sending.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// After this long.
    Time(Duration),
    /// After this many acknowledgements.
    Acked(u64),
}

/// Sessions that send.
pub(super) struct Engine {
    fleet: Fleet,
    first: Session,
    senders: Vec<Sender>,
    rooms: Rooms,
    payloads: Payloads,
    clock: Clock,
    keys: Keys,
    sent: u64,
    /// Acknowledgements so far.
    pub(super) acked: u64,
    /// From a send until its acknowledgement.
    pub(super) latency: Latency,
}

#[derive(Default)]
struct Sender {
    slots: Vec<Option<Flight>>,
    /// Makes a slot's command ids differ.
    generation: u32,
}

/// A send without its acknowledgement.
struct Flight {
    command_id: u32,
    room: usize,
    number: usize,
    time: u64,
    /// The room's highest acknowledged seq when this was sent: its own must be higher.
    floor: u64,
}

impl Engine {
    /// Opens the sessions.
    pub(super) fn open(
        target: &Target,
        sessions: usize,
        names: Vec<String>,
        size: usize,
    ) -> Result<Self, BenchError> {
        let mut fleet = Fleet::new()?;
        let gathering = Gathering {
            address: target.address,
            speech: target.speech,
            sessions,
            per_connection: 1,
            title: "opening sessions",
        };
        let opening = |index| Ok(Opening::Session { token: target.credentials.token(index), room: None });
        let sessions = gathering.open(&mut fleet, opening)?;
        Ok(Self {
            fleet,
            first: sessions.first().copied().unwrap_or(0),
            senders: sessions.iter().map(|_| Sender::default()).collect(),
            rooms: Rooms::new(names),
            payloads: Payloads::new(size),
            clock: Clock::start(),
            keys: Keys::new()?,
            sent: 0,
            acked: 0,
            latency: Latency::new(),
        })
    }

    /// Forgets what was sent and reads where each room's log ends now.
    pub(super) fn start_afresh(&mut self) -> Result<(), BenchError> {
        let sessions = self.sessions();
        Pages { fleet: &mut self.fleet, sessions, title: "reading rooms" }.heads(&mut self.rooms)
    }

    /// Reads back all that was sent since [`Self::start_afresh`].
    pub(super) fn read_back(&mut self) -> Result<Check, BenchError> {
        let mut check = self.rooms.begin_check();
        let sessions = self.sessions();
        let mut pages = Pages { fleet: &mut self.fleet, sessions, title: "reading back" };
        pages.verify(&self.rooms, &self.payloads, &mut check)?;
        Ok(check.finish(&self.rooms))
    }

    fn sessions(&self) -> Range<Session> {
        self.first..self.first + self.senders.len()
    }

    /// Sends, with `each` under way on each session, and waits for the last acknowledgement. Gives the time from the
    /// first send to the last acknowledgement.
    pub(super) fn run(
        &mut self,
        until: Until,
        each: usize,
        title: &'static str,
    ) -> Result<Duration, BenchError> {
        let (start, acked) = (self.clock.nanoseconds(), self.acked);
        let bar = progress(if let Until::Acked(count) = until { count } else { 0 }, title);
        let mut watchdog = Watchdog::new("the hub acknowledged no further send");
        let mut free: Vec<(usize, usize)> = Vec::new();
        for (sender, state) in self.senders.iter_mut().enumerate() {
            state.slots.resize_with(each, || None);
            free.extend((0..each).map(|slot| (sender, slot)));
        }
        let mut under_way = 0;
        loop {
            let open = match until {
                Until::Time(length) => self.clock.nanoseconds() - start < length.as_nanos() as u64,
                Until::Acked(count) => self.acked - acked + under_way < count,
            };
            if open {
                under_way += free.len() as u64;
                free.drain(..).for_each(|(sender, slot)| self.send(sender, slot));
            } else if under_way == 0 {
                break;
            }
            self.turn(&mut free, &mut under_way)?;
            bar.set_position(self.acked - acked);
            watchdog.check(self.acked)?;
        }
        bar.finish_and_clear();
        Ok(Duration::from_nanos(self.clock.nanoseconds() - start))
    }

    /// Takes what came; slots whose send was acknowledged are free again.
    fn turn(&mut self, free: &mut Vec<(usize, usize)>, under_way: &mut u64) -> Result<(), BenchError> {
        let now = |clock: Clock| clock.nanoseconds();
        let Self { fleet, first, senders, rooms, clock, acked, latency, .. } = self;
        fleet.turn(Duration::from_millis(100), |session, event| {
            let Event::Response(response) = event else { return Err(event.unexpected()) };
            match response.kind {
                kind::MESSAGE_SENT => {
                    let sent: MessageSent = response.decode()?;
                    let slot = (response.command_id & ((1 << SLOT_BITS) - 1)) as usize;
                    let sender = session - *first;
                    let flight = senders.get_mut(sender).and_then(|sender| sender.slots.get_mut(slot));
                    let right = |flight: &mut Flight| flight.command_id == response.command_id;
                    let Some(flight) = flight.and_then(|flight| flight.take_if(right)) else {
                        rooms.faults += 1;
                        return Ok(());
                    };
                    rooms.acknowledge(flight.room, flight.number, flight.floor, &sent);
                    latency.record(now(*clock) - flight.time);
                    *acked += 1;
                    *under_way -= 1;
                    free.push((sender, slot));
                }
                kind::ERROR => return Err(response.refusal()),
                _ => {}
            }
            Ok::<(), WireError>(())
        })?;
        Ok(())
    }

    fn send(&mut self, sender: usize, slot: usize) {
        let room = choose(self.sent, self.rooms.count());
        let (number, floor) = self.rooms.begin(room);
        let time = self.clock.nanoseconds();
        let text = self.payloads.text(Payload { room: room as u32, number: number as u64, time });
        let state = &mut self.senders[sender];
        state.generation = state.generation % ((1 << (32 - SLOT_BITS)) - 1) + 1;
        let command_id = state.generation << SLOT_BITS | slot as u32;
        state.slots[slot] = Some(Flight { command_id, room, number, time, floor });
        let content = Some(Content { body: Some(Body::Text(text)), media_type: String::new() });
        let send = MessageSend { room: self.rooms.name(room).to_owned(), content, ..MessageSend::default() };
        let request = SessionRequest {
            command_id,
            idempotency_key: self.keys.key(self.sent),
            command: Some(Command::MessageSend(send)),
        };
        self.sent += 1;
        self.fleet.send(self.first + sender, &request);
    }
}
