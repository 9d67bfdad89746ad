//! Rooms of which something may have been missed, and is to be read. What cannot be read, as a server is away, waits longer each time
//! and behind all others.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::domain::limits::{SEQUENCE_RETRY, SEQUENCE_RETRY_MOST};
use crate::domain::names::RoomKey;
use crate::domain::time::Moment;

/// Rooms that failed before and are tried at a time.
const AGAIN: usize = 8;

/// The rooms. Bounded by those that are followed, or that connected users are members of.
#[derive(Default)]
pub(super) struct MissedRooms(Mutex<Rooms>);

#[derive(Default)]
struct Rooms {
    fresh: Line,
    put_off: Line,
    /// When the first of those are due that were put off, and how long that was.
    due: Option<(Moment, Duration)>,
    /// Those of them that were taken the last time, less those that have failed since.
    in_doubt: FxHashSet<RoomKey>,
}

/// Rooms in the order in which they came, each once.
#[derive(Default)]
struct Line {
    order: VecDeque<RoomKey>,
    known: FxHashSet<RoomKey>,
}

impl Line {
    fn add(&mut self, room: &RoomKey) {
        if self.known.insert(room.clone()) {
            self.order.push_back(room.clone());
        }
    }

    fn take(&mut self, most: usize) -> Vec<RoomKey> {
        let some: Vec<_> = self.order.drain(..most.min(self.order.len())).collect();
        for room in &some {
            self.known.remove(room);
        }
        if self.order.is_empty() {
            *self = Self::default();
        }
        some
    }
}

/// What is to be read now, each room once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Those that were not tried yet.
    pub fresh: Vec<RoomKey>,
    /// Those that could not be read before, to be tried after the others.
    pub again: Vec<RoomKey>,
}

impl Missed {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty()
    }
}

impl MissedRooms {
    /// Takes out at most so many that were not tried, and where it is time a few of those that failed: in the order in which they
    /// came, so that each has its turn. Where one of these is read the next ones are due at once, else after twice as long.
    pub(super) fn take(&self, most: usize, now: Moment) -> Missed {
        let mut rooms = self.0.lock();
        let fresh = rooms.fresh.take(most);
        if !rooms.in_doubt.is_empty() {
            // One of them was read.
            rooms.due = Some((now, SEQUENCE_RETRY));
        }
        let is_time = rooms.due.is_some_and(|(due, _)| due <= now);
        let again = if is_time { rooms.put_off.take(AGAIN) } else { Vec::new() };
        rooms.in_doubt = again.iter().cloned().collect();
        if again.is_empty() && rooms.put_off.order.is_empty() {
            rooms.due = None;
        }
        Missed { fresh, again }
    }

    pub(super) fn add(&self, room: &RoomKey) {
        self.0.lock().fresh.add(room);
    }

    /// It could not be read.
    pub(super) fn put_off(&self, room: &RoomKey, now: Moment) {
        let mut rooms = self.0.lock();
        rooms.put_off.add(room);
        rooms.in_doubt.remove(room);
        rooms.due = match rooms.due {
            None => Some((now.plus(SEQUENCE_RETRY), SEQUENCE_RETRY)),
            Some((due, waited)) if due <= now => {
                let wait = (waited * 2).min(SEQUENCE_RETRY_MOST);
                Some((now.plus(wait), wait))
            }
            waits => waits,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{RoomName, TenantId};

    fn room(number: usize) -> RoomKey {
        let room = RoomName::parse(&format!("room:{number}")).unwrap();
        RoomKey { tenant: TenantId::parse("acme").unwrap(), room }
    }

    #[test]
    fn what_fails_waits_longer_each_time_and_behind_the_others() {
        let rooms = MissedRooms::default();
        let mut now = Moment(1);
        for wait in [1, 2, 4, 8, 16, 16] {
            rooms.put_off(&room(1), now);
            rooms.put_off(&room(2), now);
            rooms.add(&room(3));
            let next = now.plus(Duration::from_secs(wait));
            let before = rooms.take(10, Moment(next.0 - 1));
            assert_eq!((before.fresh, before.again.len()), (vec![room(3)], 0), "{wait} s");
            rooms.add(&room(4));
            let then = rooms.take(10, next);
            assert_eq!((then.fresh, then.again.len()), (vec![room(4)], 2), "{wait} s");
            now = next;
        }
        assert!(rooms.take(10, now).is_empty(), "all was read");
        rooms.put_off(&room(1), now);
        assert_eq!(rooms.take(10, now.plus(SEQUENCE_RETRY)).again, [room(1)]);
    }

    /// However many cannot be read, wherever among them those stand that can: each has its turn.
    #[test]
    fn whoever_can_be_read_again_waits_for_none_that_cannot() {
        for healthy in [0, 1, 99, 199] {
            let rooms = MissedRooms::default();
            let mut now = Moment(1);
            (0..200).for_each(|number| rooms.put_off(&room(number), now));
            let mut looks = 0;
            while !rooms.take(512, now).again.iter().fold(false, |found, tried| {
                let is_healthy = *tried == room(healthy);
                if !is_healthy {
                    rooms.put_off(tried, now);
                }
                found || is_healthy
            }) {
                now = now.plus(SEQUENCE_RETRY_MOST);
                looks += 1;
                assert!(looks <= 200 / AGAIN + 1, "{healthy}");
            }
        }
    }

    /// Those of a server that is back are read one after the other, without a pause.
    #[test]
    fn what_can_be_read_again_is_read_at_once() {
        let rooms = MissedRooms::default();
        (0..200).for_each(|number| rooms.put_off(&room(number), Moment(1)));
        let now = Moment(1).plus(SEQUENCE_RETRY);
        let read: usize = (0..200 / AGAIN).map(|_| rooms.take(512, now).again.len()).sum();
        assert_eq!(read, 200);
        assert!(rooms.take(512, now).is_empty());
    }

    /// The same while another server goes away.
    #[test]
    fn what_fails_for_the_first_time_holds_up_nothing_that_can_be_read_again() {
        let rooms = MissedRooms::default();
        (0..200).for_each(|number| rooms.put_off(&room(number), Moment(1)));
        let (now, mut read) = (Moment(1).plus(SEQUENCE_RETRY), Vec::new());
        for look in 0..200 / AGAIN {
            let away: Vec<_> = (0..AGAIN).map(|number| room(1_000 + look * AGAIN + number)).collect();
            for room in &away {
                rooms.add(room);
            }
            let taken = rooms.take(512, now);
            assert_eq!(taken.fresh, away);
            for room in &away {
                rooms.put_off(room, now);
            }
            read.extend(taken.again);
        }
        assert_eq!(read, (0..200).map(room).collect::<Vec<_>>());
    }

    #[test]
    fn so_many_are_taken_at_a_time_in_their_order() {
        let rooms = MissedRooms::default();
        (0..5).chain(0..5).for_each(|number| rooms.add(&room(number)));
        let taken = [3, 3, 3].map(|most| rooms.take(most, Moment(1)).fresh);
        assert_eq!(taken, [vec![room(0), room(1), room(2)], vec![room(3), room(4)], Vec::new()]);
    }
}
