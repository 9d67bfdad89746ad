//! The marks that were told in a room. A node hears of marks from its store and from the others, in whatever order they come
//! in, and reads them where it may have missed some: what was told only grows.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::limits::TOLD_MARKS;
use crate::domain::marks::Marks;
use crate::domain::names::{RoomKey, UserId};
use crate::domain::namespace::Who;
use crate::domain::push::Push;
use crate::domain::time::Moment;

use super::mailbox::MergeKey;
use super::missed::Missed;
use super::room::ActiveRoom;
use super::{Broadcast, Delivery, To};

/// The greatest marks of each user that were told to a room's followers. Past [`TOLD_MARKS`] users it starts afresh.
#[derive(Default)]
pub(super) struct ToldMarks(Mutex<FxHashMap<UserId, Marks>>);

impl ToldMarks {
    /// Raises a user's marks, and has the greatest told where that is anything new: under the lock, so that they are told in
    /// the order in which they grow.
    fn raise(&self, user: &UserId, marks: Marks, tell: impl FnOnce(Marks)) {
        let mut told = self.0.lock();
        let known = told.get(user).copied();
        let before = known.unwrap_or_default();
        let greatest = before.raised(marks.delivered, marks.read, marks.read_number);
        if greatest == before {
            return;
        }
        if known.is_none() && told.len() >= TOLD_MARKS {
            told.clear();
        }
        told.insert(user.clone(), greatest);
        tell(greatest);
    }

    fn users(&self) -> Vec<UserId> {
        self.0.lock().keys().cloned().collect()
    }

    /// A user's marks are no more.
    pub(super) fn forget(&self, user: &UserId) {
        self.0.lock().remove(user);
    }
}

impl Delivery {
    /// Tells a room's followers of a user's marks. Where there are other nodes, only of those that are greater than what was
    /// told.
    pub fn tell_marks(&self, key: &RoomKey, user: &UserId, marks: Marks) {
        let Some(room) = self.is_told_of_marks(key) else { return };
        let tell = |marks| {
            let push = Push::Marks { room: key.room.clone(), user: user.clone(), marks };
            let merge = Some(MergeKey::of(("marks", &key.room, user)));
            let frame = self.encoder.push(&push);
            self.broadcast_in(&room, &Broadcast { frame, merge, to: To::All, of_state: true });
        };
        match self.feed() {
            None => tell(marks),
            Some(_) => room.marks.raise(user, marks, tell),
        }
    }

    /// A message says how far its sender has got: what they marked before it comes too late.
    pub(super) fn note_sent(&self, key: &RoomKey, user: &UserId, marks: Marks) {
        if self.feed().is_some()
            && let Some(room) = self.is_told_of_marks(key)
        {
            room.marks.raise(user, marks, |_| {});
        }
    }

    /// Those whose marks in a room were told, and those who follow it here: whose marks are to be looked at where some may
    /// have been missed. None where its followers are told of no marks.
    pub fn marked_in(&self, key: &RoomKey) -> Vec<UserId> {
        let Some(room) = self.is_told_of_marks(key) else { return Vec::new() };
        let mut users = room.marks.users();
        for shard in 0..self.shards.len() {
            room.for_each_follower(shard, |follower| users.push(follower.mailbox.user().user.clone()));
        }
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Rooms that are followed and where marks may have been missed since the last call: who follows them is to be told those
    /// that the store has.
    pub fn take_missed_rooms(&self) -> Missed {
        self.missed.take(usize::MAX, Moment::now())
    }

    /// In a room marks may have been missed.
    pub fn misses_marks(&self, room: &RoomKey) {
        if self.is_told_of_marks(room).is_some() {
            self.missed.add(room);
        }
    }

    /// The same, where they could not be read: they are later.
    pub fn misses_marks_longer(&self, room: &RoomKey) {
        if self.is_told_of_marks(room).is_some() {
            self.missed.put_off(room, Moment::now());
        }
    }

    /// Up to `most` rooms whose members' unread counts may have changed unheard, each once.
    pub fn take_missed_counts(&self, most: usize) -> Missed {
        self.missed_counts.take(most, Moment::now())
    }

    /// In a room with members unread counts may have changed unheard.
    pub fn misses_counts(&self, room: &RoomKey) {
        if self.namespaces.rules(&room.room).is_some_and(|rules| rules.join == Who::Members) {
            self.missed_counts.add(room);
        }
    }

    /// The same, where they could not be read: they are later.
    pub fn misses_counts_longer(&self, room: &RoomKey) {
        self.missed_counts.put_off(room, Moment::now());
    }

    /// Whether who follows a room is told of marks there: not of those in large rooms, nor where there are no receipts.
    pub fn tells_marks(&self, key: &RoomKey) -> bool {
        self.is_told_of_marks(key).is_some()
    }

    /// The room, where it has followers who are told of marks.
    fn is_told_of_marks(&self, key: &RoomKey) -> Option<Arc<ActiveRoom>> {
        let receipts = self.namespaces.rules(&key.room).is_some_and(|rules| rules.receipts);
        let room = self.rooms.get(key).filter(|_| receipts)?;
        (room.follower_count() > 0 && !self.is_large(&room)).then_some(room)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::position::Seq;

    fn marks(delivered: u64, read: u64) -> Marks {
        Marks::default().raised(Seq(delivered), Seq(read), read)
    }

    fn user(number: usize) -> UserId {
        UserId::parse(&format!("user-{number}")).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_told_only_grows_and_gets_to_the_greatest(
            said in prop::collection::vec((0usize..3, 0u64..20, 0u64..20), 0..40),
        ) {
            let told = ToldMarks::default();
            let mut last: FxHashMap<usize, Marks> = FxHashMap::default();
            let mut greatest: FxHashMap<usize, Marks> = FxHashMap::default();
            for (who, delivered, read) in said {
                let greatest = greatest.entry(who).or_default();
                *greatest = greatest.raised(Seq(delivered), Seq(read), read);
                told.raise(&user(who), marks(delivered, read), |now| {
                    let before = last.insert(who, now).unwrap_or_default();
                    assert_ne!(before, now);
                    assert!(now.delivered >= before.delivered && now.read >= before.read);
                });
                prop_assert_eq!(last.get(&who).copied().unwrap_or_default(), *greatest);
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let told = ToldMarks::default();
        for number in 0..3 * TOLD_MARKS {
            told.raise(&user(number), marks(1, 1), |_| {});
            assert!((1..=TOLD_MARKS).contains(&told.users().len()));
        }
    }
}
