//! What was sent and what arrived at one server, checked as it arrives.

use crate::bench::clock::Clock;
use crate::bench::ledger::{Ledger, Tally, Verdict};
use crate::bench::payload::{Payload, Payloads};
use crate::bench::report::Latency;
use crate::wire::scan::kind;
use crate::wire::{Event, Response, Session, WireError};

/// The count of one server's messages and deliveries. Receiver `i` is in room `i % rooms`.
pub(super) struct Books {
    clock: Clock,
    payloads: Payloads,
    /// The receivers' sessions are these; all others send.
    receivers: std::ops::Range<Session>,
    rooms: Vec<Room>,
    ledgers: Vec<Ledger>,
    /// Deliveries still to come.
    pub(super) outstanding: u64,
    /// Distinct deliveries so far.
    pub(super) delivered: u64,
    /// Sends without an answer yet, per room.
    pub(super) unanswered: Vec<u32>,
    /// Sends that were acknowledged.
    pub(super) acked: u64,
    /// Payloads that were not what was sent to that room, and seqs that differ between receivers.
    pub(super) faults: u64,
    /// From when a message was to be sent until it was received.
    pub(super) latency: Latency,
}

#[derive(Default)]
struct Room {
    audience: u64,
    /// For each message sent its seq, as its first receiver saw it; 0 until then.
    seqs: Vec<u64>,
}

impl Books {
    pub(super) fn new(clock: Clock, size: usize, receivers: std::ops::Range<Session>, rooms: usize) -> Self {
        let count = receivers.len();
        let room = |room| Room { audience: (room..count).step_by(rooms).count() as u64, seqs: Vec::new() };
        Self {
            clock,
            payloads: Payloads::new(size),
            ledgers: vec![Ledger::default(); count],
            receivers,
            rooms: (0..rooms).map(room).collect(),
            outstanding: 0,
            delivered: 0,
            unanswered: vec![0; rooms],
            acked: 0,
            faults: 0,
            latency: Latency::new(),
        }
    }

    /// The content of the room's next message, to be sent at `time` by the clock; it counts as sent.
    pub(super) fn send(&mut self, room: usize, time: u64) -> String {
        let number = self.rooms[room].seqs.len() as u64;
        self.rooms[room].seqs.push(0);
        self.outstanding += self.rooms[room].audience;
        self.payloads.text(Payload { room: room as u32, number, time })
    }

    /// Counts what came.
    pub(super) fn take(&mut self, session: Session, event: &Event<'_>) -> Result<(), WireError> {
        let Event::Response(response) = event else { return Err(event.unexpected()) };
        match response.kind {
            kind::MESSAGE | kind::EVENT if self.receivers.contains(&session) => {
                self.receive(session - self.receivers.start, response)
            }
            kind::MESSAGE_SENT | kind::ENTRY_ACCEPTED | kind::DONE => {
                // A send's command id is its room's number and 1.
                let room = (response.command_id & ROOM_MASK) as usize;
                match self.unanswered.get_mut(room).filter(|unanswered| **unanswered > 0) {
                    Some(unanswered) => *unanswered -= 1,
                    None => self.faults += 1,
                }
                self.acked += 1;
                Ok(())
            }
            kind::ERROR => Err(response.refusal()),
            // A gap or an end of membership is a loss, and counted as one by what does not arrive.
            _ => Ok(()),
        }
    }

    fn receive(&mut self, receiver: usize, response: &Response<'_>) -> Result<(), WireError> {
        let Some(delivery) = response.delivery()? else { return Ok(()) };
        let room = receiver % self.rooms.len();
        let payload = self.payloads.read(delivery.content).filter(|payload| payload.room as usize == room);
        let Some((payload, seq)) = payload
            .and_then(|payload| Some((payload, self.rooms[room].seqs.get_mut(payload.number as usize)?)))
        else {
            self.faults += 1;
            return Ok(());
        };
        if *seq == 0 {
            *seq = delivery.seq;
        } else if *seq != delivery.seq {
            self.faults += 1;
        }
        let place = if delivery.seq == 0 { payload.number + 1 } else { delivery.seq };
        if self.ledgers[receiver].record(payload.number, place) == Verdict::New {
            self.outstanding = self.outstanding.saturating_sub(1);
            self.delivered += 1;
            self.latency.record(self.clock.nanoseconds().saturating_sub(payload.time));
        }
        Ok(())
    }

    /// True when everything has arrived and every send is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.outstanding == 0 && self.unanswered.iter().all(|unanswered| *unanswered == 0)
    }

    /// What should have arrived so far.
    pub(super) fn expected(&self) -> u64 {
        self.rooms.iter().map(|room| room.audience * room.seqs.len() as u64).sum()
    }

    /// What is wrong so far.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (receiver, ledger) in self.ledgers.iter().enumerate() {
            tally += ledger.tally(self.rooms[receiver % self.rooms.len()].seqs.len() as u64);
        }
        tally
    }

    /// Messages of one sender whose seq is lower than that of the one before. No promise is broken by them.
    pub(super) fn reordered(&self) -> u64 {
        let swapped =
            |room: &Room| room.seqs.windows(2).filter(|pair| pair[1] != 0 && pair[1] < pair[0]).count();
        self.rooms.iter().map(swapped).sum::<usize>() as u64
    }
}

/// Bits of a send's command id that are its room's number; the bits above make it unlike those in flight.
pub(super) const ROOM_MASK: u32 = 0xffff;
