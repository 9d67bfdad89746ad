//! What was sent to each room, what was acknowledged, and what the room holds in the end.

use carillon_proto::v1::{HistoryPage, MessageSent, history_entry::Entry};

use crate::bench::ledger::Tally;
use crate::bench::payload::Payloads;
use crate::wire::Response;

/// The rooms of one run.
pub(super) struct Rooms {
    all: Vec<Room>,
    out_of_order: u64,
    /// Acknowledgements that were wrong in themselves: of nothing that was sent, or said to be a duplicate.
    pub(super) faults: u64,
}

struct Room {
    name: String,
    /// The log's head before the run.
    base: u64,
    highest: u64,
    /// The acknowledged seq of each message sent; 0 until then.
    seqs: Vec<u64>,
}

impl Rooms {
    pub(super) fn new(names: Vec<String>) -> Self {
        let room = |name| Room { name, base: 0, highest: 0, seqs: Vec::new() };
        Self { all: names.into_iter().map(room).collect(), out_of_order: 0, faults: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn name(&self, room: usize) -> &str {
        &self.all[room].name
    }

    /// The head before the run.
    pub(super) fn base(&self, room: usize) -> u64 {
        self.all[room].base
    }

    /// Forgets what was sent to the room, whose head is `base` now.
    pub(super) fn start_afresh(&mut self, room: usize, base: u64) {
        let room = &mut self.all[room];
        (room.base, room.highest) = (base, base);
        room.seqs.clear();
    }

    /// The number of the room's next message, and the seq that its own must exceed.
    pub(super) fn begin(&mut self, room: usize) -> (usize, u64) {
        let room = &mut self.all[room];
        room.seqs.push(0);
        (room.seqs.len() - 1, room.highest)
    }

    /// Checks and keeps an acknowledgement.
    pub(super) fn acknowledge(&mut self, room: usize, number: usize, floor: u64, sent: &MessageSent) {
        let seq = sent.position.as_ref().map_or(0, |position| position.seq);
        let room = &mut self.all[room];
        match room.seqs.get_mut(number) {
            Some(known) if *known == 0 && seq > 0 && !sent.duplicate => *known = seq,
            _ => self.faults += 1,
        }
        if seq <= floor {
            self.out_of_order += 1;
        }
        room.highest = room.highest.max(seq);
    }

    /// Ready to see what the rooms hold.
    pub(super) fn begin_check(&self) -> Check {
        let acked = self.all.iter().flat_map(|room| &room.seqs).filter(|seq| **seq > 0).count() as u64;
        Check {
            tally: Tally { out_of_order: self.out_of_order, ..Tally::default() },
            acked,
            faults: self.faults,
            found: self.all.iter().map(|room| vec![false; room.seqs.len()]).collect(),
        }
    }
}

/// The comparison of what was acknowledged with what is stored.
pub(super) struct Check {
    pub(super) tally: Tally,
    /// Messages acknowledged.
    pub(super) acked: u64,
    pub(super) faults: u64,
    found: Vec<Vec<bool>>,
}

impl Check {
    /// Takes a page of a room's history; gives the last seq on it.
    pub(super) fn take(
        &mut self,
        rooms: &Rooms,
        room: usize,
        page: &HistoryPage,
        payloads: &Payloads,
    ) -> u64 {
        let mut last = 0;
        for entry in &page.entries {
            let Some(Entry::Message(message)) = &entry.entry else { continue };
            let seq = message.header.as_ref().map_or(0, |header| header.seq);
            last = last.max(seq);
            let content = message.content.as_ref().map(Response::content_bytes).unwrap_or_default();
            let Some(payload) = payloads.read(content).filter(|payload| payload.room as usize == room) else {
                self.faults += 1;
                continue;
            };
            let number = payload.number as usize;
            let acked = rooms.all[room].seqs.get(number).copied();
            match (self.found[room].get_mut(number), acked) {
                (Some(found), _) if *found => self.tally.duplicated += 1,
                // Stored but not acknowledged is allowed: the answer may have been lost.
                (Some(found), Some(acked)) if acked == 0 || acked == seq => *found = true,
                _ => self.faults += 1,
            }
        }
        last
    }

    /// Counts what was acknowledged and not found.
    pub(super) fn finish(mut self, rooms: &Rooms) -> Self {
        for (room, found) in rooms.all.iter().zip(&self.found) {
            for (seq, found) in room.seqs.iter().zip(found) {
                self.tally.delivered += u64::from(*found && *seq > 0);
                self.tally.lost += u64::from(!found && *seq > 0);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use carillon_proto::v1::{Content, EntryHeader, HistoryEntry, Message, Position, content::Body};

    use super::*;
    use crate::bench::payload::Payload;

    fn sent(seq: u64) -> MessageSent {
        MessageSent { position: Some(Position { seq, ..Position::default() }), ..MessageSent::default() }
    }

    fn stored(payloads: &Payloads, number: u64, seq: u64) -> HistoryEntry {
        let text = payloads.text(Payload { room: 0, number, time: 0 });
        let message = Message {
            header: Some(EntryHeader { seq, ..EntryHeader::default() }),
            content: Some(Content { body: Some(Body::Text(text)), media_type: String::new() }),
            ..Message::default()
        };
        HistoryEntry { entry: Some(Entry::Message(message)) }
    }

    fn check(acks: &[u64], entries: &[(u64, u64)]) -> Check {
        let payloads = Payloads::new(60);
        let mut rooms = Rooms::new(vec!["room:1".to_owned()]);
        for seq in acks {
            let (number, floor) = rooms.begin(0);
            rooms.acknowledge(0, number, floor, &sent(*seq));
        }
        let entries = entries.iter().map(|(number, seq)| stored(&payloads, *number, *seq)).collect();
        let page = HistoryPage { entries, ..HistoryPage::default() };
        let mut check = rooms.begin_check();
        check.take(&rooms, 0, &page, &payloads);
        check.finish(&rooms)
    }

    #[test]
    fn what_was_acknowledged_must_be_stored_once_where_it_was_said() {
        let clean = check(&[1, 2], &[(0, 1), (1, 2)]);
        assert_eq!((clean.tally, clean.faults), (Tally { delivered: 2, ..Tally::default() }, 0));
        assert_eq!(check(&[1, 2], &[(0, 1)]).tally.lost, 1);
        assert_eq!(check(&[1, 2], &[(0, 1), (1, 2), (1, 3)]).tally.duplicated, 1);
        assert_eq!(check(&[1, 2], &[(0, 1), (1, 3)]).faults, 1);
        assert_eq!(check(&[2, 1], &[(1, 1), (0, 2)]).tally.out_of_order, 1);
    }
}
