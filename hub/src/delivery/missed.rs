//! Rooms of which something may have been missed, and is to be read. What cannot be read, as a server is away, waits longer each time
//! and behind all others.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::domain::limits::{SEQUENCE_RETRY, SEQUENCE_RETRY_MOST};
use crate::domain::names::RoomKey;
use crate::domain::time::Moment;

/// The rooms. Bounded by those that are followed, or that connected users are members of.
#[derive(Default)]
pub(super) struct MissedRooms(Mutex<Rooms>);

#[derive(Default)]
struct Rooms {
    fresh: FxHashSet<RoomKey>,
    put_off: FxHashSet<RoomKey>,
    /// When those are due that were put off, and how long that was.
    due: Option<(Moment, Duration)>,
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
    /// Takes out at most so many.
    pub(super) fn take(&self, most: usize, now: Moment) -> Missed {
        let mut rooms = self.0.lock();
        let fresh = take(&mut rooms.fresh, most);
        let again = match rooms.due {
            Some((due, _)) if due <= now => take(&mut rooms.put_off, most - fresh.len()),
            _ => Vec::new(),
        };
        // What finds no room now is tried the next time, before what fails until then.
        if rooms.due.is_some_and(|(due, _)| due <= now) {
            let rest = std::mem::take(&mut rooms.put_off);
            rooms.fresh.extend(rest);
        }
        if rooms.put_off.is_empty() && again.is_empty() {
            // None has failed again.
            rooms.due = None;
        }
        Missed { fresh, again }
    }

    pub(super) fn add(&self, room: &RoomKey) {
        self.0.lock().fresh.insert(room.clone());
    }

    /// It could not be read, or was not tried again.
    pub(super) fn put_off(&self, room: &RoomKey, now: Moment) {
        let mut rooms = self.0.lock();
        rooms.put_off.insert(room.clone());
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

fn take(rooms: &mut FxHashSet<RoomKey>, most: usize) -> Vec<RoomKey> {
    if rooms.len() <= most {
        return std::mem::take(rooms).into_iter().collect();
    }
    let some: Vec<_> = rooms.iter().take(most).cloned().collect();
    for room in &some {
        rooms.remove(room);
    }
    some
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

    #[test]
    fn so_many_are_taken_at_a_time() {
        let rooms = MissedRooms::default();
        (0..5).for_each(|number| rooms.add(&room(number)));
        (5..8).for_each(|number| rooms.put_off(&room(number), Moment(1)));
        let later = Moment(1).plus(SEQUENCE_RETRY);
        let (first, second, third) = (rooms.take(3, later), rooms.take(3, later), rooms.take(3, later));
        let counts = [&first, &second, &third].map(|taken| taken.fresh.len() + taken.again.len());
        assert_eq!((counts, first.again.len()), ([3, 3, 2], 0));
        assert!(rooms.take(3, later).is_empty());
    }
}
