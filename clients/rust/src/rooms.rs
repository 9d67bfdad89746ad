//! What has been received of each room: where to resume, and what is a duplicate. Plain data.
//!
//! A room's position moves only forwards: with each entry, by what the entry's header says. What `joined` says moves it
//! where no entry follows from before the join. Where the hub cannot hand over what the position still misses, the
//! caller is told so (`truncated`), never left with a silent hole.

use std::collections::HashMap;

use carillon_proto::v1::{self, EntryHeader, InboxPosition, Join, Joined, Position};
use prost::Message;

use crate::positions::{Positions, RoomPlace};

/// The joined rooms and the inbox.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    by_name: HashMap<String, Room>,
    /// The highest place of each kind that was handed over: where the inbox is carried on from.
    inbox: Option<InboxPosition>,
}

#[derive(Debug, Default)]
struct Room {
    /// The last entry received, or the place after which entries follow. `None`: not known, or there is no log.
    position: Option<Position>,
    /// Whether earlier entries were promised and none has come: where they begin is not known yet.
    owed: bool,
    /// The last seq of the last gap that was told.
    skipped: u64,
    presence: bool,
}

impl Rooms {
    /// Carries on from what a caller stored.
    pub(crate) fn from_positions(positions: Positions) -> Self {
        let rooms = positions.rooms.into_iter().map(|(room, place)| {
            let state = Room { position: place.position, presence: place.presence, ..Room::default() };
            (room, state)
        });
        Self { by_name: rooms.collect(), inbox: positions.inbox }
    }

    /// What a caller may store.
    pub(crate) fn positions(&self) -> Positions {
        let rooms = self.by_name.iter().map(|(name, room)| {
            (name.clone(), RoomPlace { position: room.position, presence: room.presence })
        });
        Positions { rooms: rooms.collect(), inbox: self.inbox }
    }

    /// What `hello` bears, within these bytes, and the rooms that did not fit. `None`: there is nothing to carry on.
    pub(crate) fn resume(&self, bytes: usize) -> (Option<v1::Resume>, Vec<String>) {
        if self.by_name.is_empty() && self.inbox.is_none() {
            return (None, Vec::new());
        }
        let mut resume = v1::Resume { rooms: Vec::new(), inbox: self.inbox };
        let (mut left, mut late) = (bytes.saturating_sub(resume.encoded_len()), Vec::new());
        for (name, room) in &self.by_name {
            let place =
                v1::RoomPosition { room: name.clone(), position: room.position, presence: room.presence };
            let length = place.encoded_len();
            // Its tag is one byte.
            let Some(rest) = left.checked_sub(1 + prost::length_delimiter_len(length) + length) else {
                late.push(name.clone());
                continue;
            };
            left = rest;
            resume.rooms.push(place);
        }
        (Some(resume), late)
    }

    /// What joins a room that `hello` had no place for, as `resume` would have. `None`: it was left meanwhile.
    pub(crate) fn rejoin(&self, room: &str) -> Option<Join> {
        let known = self.by_name.get(room)?;
        Some(Join { room: room.to_owned(), since: known.position, rewind: 0, presence: known.presence })
    }

    /// A session is open. True when the inbox is of another life than the position: the caller's copy is void.
    pub(crate) fn connected(&mut self, connected: &v1::Connected) -> bool {
        match (self.inbox, connected.inbox) {
            (_, None) => false,
            // Beyond the head is what the hub has lost: what comes will take its places.
            (Some(ours), Some(theirs))
                if ours.epoch == theirs.epoch
                    && ours.own <= theirs.own
                    && ours.broadcast <= theirs.broadcast =>
            {
                false
            }
            (ours, head) => {
                // Where unread ones follow, the place is before them, and moves with each.
                self.inbox = if connected.inbox_unread > 0 { connected.inbox_after } else { head };
                ours.is_some()
            }
        }
    }

    /// A room was joined, by this command or by the hub. True when the caller's copy is void.
    pub(crate) fn joined(&mut self, joined: &Joined, command: Option<&Join>) -> bool {
        let known = self.by_name.remove(&joined.room);
        let resumed = command.is_none() && known.is_some();
        let presence = command.map_or(known.as_ref().is_some_and(|room| room.presence), |join| join.presence);
        let mut room = match (command, known) {
            (Some(join), _) => Room::asked(join, joined),
            (None, Some(room)) => room,
            (None, None) => Room::asked(&Join::default(), joined),
        };
        room.presence = presence;
        let truncated = joined.truncated || (resumed && room.owed) || room.misses(joined);
        if truncated || (room.position.is_none() && !room.owed) {
            room = Room::anew(joined);
            room.presence = presence;
        }
        self.by_name.insert(joined.room.clone(), room);
        truncated
    }

    /// A room is not joined any more.
    pub(crate) fn left(&mut self, room: &str) {
        self.by_name.remove(room);
    }

    /// An entry came, or an ephemeral event (seq 0). False: it is a duplicate, drop it.
    pub(crate) fn entry(&mut self, room: &str, header: &EntryHeader) -> bool {
        if header.seq == 0 {
            return true;
        }
        let Some(room) = self.by_name.get_mut(room) else { return true };
        if room.position.is_some_and(|p| p.epoch == header.epoch && header.seq <= p.seq) {
            return false;
        }
        room.position = Some(Position { epoch: header.epoch, seq: header.seq, tag: header.tag });
        room.owed = false;
        true
    }

    /// Entries up to `to` are missing for good. False: this was told already.
    pub(crate) fn gap(&mut self, room: &str, to: u64) -> bool {
        let Some(room) = self.by_name.get_mut(room) else { return true };
        if to <= room.skipped || room.position.is_some_and(|p| to <= p.seq) {
            return false;
        }
        room.skipped = to;
        true
    }

    /// A notification came. False: it is a duplicate, drop it.
    pub(crate) fn notification(&mut self, position: Option<InboxPosition>) -> bool {
        let (Some(theirs), Some(ours)) = (position, self.inbox) else {
            self.inbox = position.or(self.inbox);
            return true;
        };
        if theirs.epoch != ours.epoch {
            self.inbox = Some(theirs);
            return true;
        }
        if theirs.own <= ours.own && theirs.broadcast <= ours.broadcast {
            return false;
        }
        self.inbox = Some(InboxPosition {
            own: ours.own.max(theirs.own),
            broadcast: ours.broadcast.max(theirs.broadcast),
            epoch: ours.epoch,
        });
        true
    }
}

impl Room {
    /// What follows the reply to a join: everything after `since`, or `rewind` entries up to the head, or the last event
    /// of each key where those are the room's state, then later ones.
    fn asked(join: &Join, joined: &Joined) -> Self {
        let Some(head) = joined.position else { return Self::default() };
        if join.since.is_some() {
            return Self { position: join.since, ..Self::default() };
        }
        // A rewind recovers nothing where retention has taken all that it asks for: then there is nothing owed.
        let rewound = join.rewind > 0 && joined.recovered;
        let state = join.rewind == 0 && joined.recovered;
        if state || (rewound && head.seq > u64::from(join.rewind)) {
            return Self { owed: true, ..Self::default() };
        }
        let seq = if rewound { 0 } else { head.seq };
        let tag = if seq == 0 { 0 } else { head.tag };
        Self { position: Some(Position { epoch: head.epoch, seq, tag }), ..Self::default() }
    }

    /// Where nothing of before counts any more: the head, unless the room's state follows, which begins before it.
    fn anew(joined: &Joined) -> Self {
        let position = joined.position.filter(|_| !joined.recovered);
        Self { position, owed: joined.recovered, ..Self::default() }
    }

    /// Whether entries lie between the position and the head that the hub does not say will follow.
    fn misses(&self, joined: &Joined) -> bool {
        let (Some(ours), Some(head)) = (self.position, joined.position) else { return false };
        !joined.recovered && ours.seq > 0 && (ours.epoch != head.epoch || ours.seq < head.seq)
    }
}

#[cfg(test)]
mod tests;
