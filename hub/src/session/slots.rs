//! The rooms that a session follows: a cursor for each, and what is to be sent past it.

use std::collections::VecDeque;
use std::sync::Arc;

use carillon_proto::Frame;

use crate::delivery::follower::Follower;
use crate::delivery::room::ActiveRoom;
use crate::delivery::tail::Past;
use crate::domain::command::Join;
use crate::domain::few;
use crate::domain::limits::CATCH_UP_BYTES;
use crate::domain::names::RoomName;
use crate::domain::position::Seq;
use crate::domain::push::LeaveReason;
use crate::domain::time::Timestamp;

use super::batch::Batch;
use super::permitted::ByRole;

/// Keeps a follower in its room's list; dropping it takes it out.
pub(super) struct Following {
    /// The room.
    pub(super) room: Arc<ActiveRoom>,
    /// The follower.
    pub(super) follower: Arc<Follower>,
}

impl Following {
    /// Puts `follower` into the room's list: from now on later entries wake it.
    pub(super) fn begin(room: Arc<ActiveRoom>, follower: Arc<Follower>) -> Self {
        room.follow(follower.mailbox.shard(), &follower);
        Self { room, follower }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.room.unfollow(self.follower.mailbox.shard(), &self.follower, Timestamp::now());
    }
}

/// A room that the session follows.
pub(super) struct LiveSlot {
    /// Its place among the followers.
    pub(super) following: Following,
    /// Whether the namespace shows presence, and so must be told when the session leaves.
    pub(super) shows_presence: bool,
    /// The version of the membership that it was joined under.
    pub(super) member_since: Option<Seq>,
    /// Whether others are shown that the user types: the namespace shows it, and the authoriser lets them.
    pub(super) shows_typing: bool,
    /// What the authoriser was not asked about, as a role of the token gives it.
    pub(super) by_role: ByRole,
    /// A join of the same room that is under way. Until it is done nothing is pulled, so that what follows it comes once;
    /// where it fails, this goes on.
    anew: Option<Anew>,
    page: VecDeque<Frame>,
    page_bytes: usize,
    /// What a client that sends no more is still given: everything up to this entry.
    promised: Seq,
    queued: bool,
    /// Reading the store; until then nothing is pulled.
    behind: bool,
    /// How often that has failed since it last did not.
    failed: u32,
}

/// A command joins a room anew that is followed.
#[derive(Default)]
struct Anew {
    /// The command that leaves it again, which waits.
    leave: Option<u32>,
}

/// What waited for a join that is done.
#[derive(Default)]
pub(super) struct Waited {
    /// The command that joins the room anew.
    pub(super) again: Option<Box<(u32, Join)>>,
    /// The command that leaves it, after that.
    pub(super) leave: Option<u32>,
}

/// One place in the session's list of rooms. Its number is what wake-ups name.
pub(super) enum Slot {
    /// Free.
    Empty,
    /// The join is under way; what came meanwhile waits in `again`, then in `leave`.
    Joining {
        /// The room.
        room: RoomName,
        /// Whether the client asked for it by a command. A join that it did not ask for gives way to one that it does.
        asked: bool,
        /// The command that joins it anew.
        again: Option<Box<(u32, Join)>>,
        /// The command that leaves it again.
        leave: Option<u32>,
    },
    /// Followed.
    Live(Box<LiveSlot>),
}

/// The session's list of rooms.
#[derive(Default)]
pub(super) struct Slots {
    list: Vec<Slot>,
    ready: VecDeque<u32>,
    behind: VecDeque<u32>,
    /// Bytes of pages that were read and not yet sent, of all rooms.
    page_bytes: usize,
}

impl Slots {
    /// Where a room stands in the list.
    pub(super) fn find(&self, room: &RoomName) -> Option<u32> {
        let found = self.list.iter().position(|slot| match slot {
            Slot::Empty => false,
            Slot::Joining { room: joining, .. } => joining == room,
            Slot::Live(live) => live.following.room.key.room == *room,
        });
        found.map(|index| index as u32)
    }

    /// The slot of that number.
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.list.get_mut(slot as usize)
    }

    /// The room followed in a slot.
    pub(super) fn live_mut(&mut self, slot: u32) -> Option<&mut LiveSlot> {
        match self.list.get_mut(slot as usize) {
            Some(Slot::Live(live)) => Some(live),
            _ => None,
        }
    }

    /// The rooms that are followed, by their slots.
    pub(super) fn followed(&self) -> impl Iterator<Item = (u32, &LiveSlot)> {
        self.list.iter().enumerate().filter_map(|(index, slot)| match slot {
            Slot::Live(live) => Some((index as u32, &**live)),
            _ => None,
        })
    }

    /// How many rooms are followed or being joined.
    pub(super) fn occupied(&self) -> usize {
        self.list.iter().filter(|slot| !matches!(slot, Slot::Empty)).count()
    }

    /// Whether a join of a room is under way that is not followed.
    pub(super) fn is_joining(&self, room: &RoomName) -> bool {
        let is_it = |slot: &Slot| matches!(slot, Slot::Joining { room: joining, .. } if joining == room);
        self.list.iter().any(is_it)
    }

    /// Whether a command that joins the room of a slot, or leaves it after a join, is under way.
    pub(super) fn is_spoken_for(&self, slot: u32) -> bool {
        match self.list.get(slot as usize) {
            Some(Slot::Joining { asked, again, leave, .. }) => *asked || again.is_some() || leave.is_some(),
            Some(Slot::Live(live)) => live.anew.is_some(),
            _ => false,
        }
    }

    /// Where a room is being joined: the command that leaves it, which waits for that.
    pub(super) fn leave_of_join(&mut self, slot: u32) -> Option<&mut Option<u32>> {
        match self.list.get_mut(slot as usize)? {
            Slot::Empty => None,
            Slot::Joining { leave, .. } => Some(leave),
            Slot::Live(live) => live.anew.as_mut().map(|anew| &mut anew.leave),
        }
    }

    /// A slot for a join that begins: that of the room where it is followed already, else a free one.
    pub(super) fn reserve(&mut self, room: RoomName, asked: bool) -> u32 {
        if let Some(slot) = self.find(&room)
            && let Some(live) = self.live_mut(slot)
        {
            live.anew = Some(Anew::default());
            return slot;
        }
        let joining = Slot::Joining { room, asked, again: None, leave: None };
        if let Some(index) = self.list.iter().position(|slot| matches!(slot, Slot::Empty)) {
            self.list[index] = joining;
            return index as u32;
        }
        few::push(&mut self.list, joining);
        (self.list.len() - 1) as u32
    }

    /// The join is done: from `cursor` on, everything is sent.
    pub(super) fn begin(
        &mut self,
        slot: u32,
        following: Following,
        cursor: Seq,
        shows_presence: bool,
        member_since: Option<Seq>,
        shows_typing: bool,
    ) {
        if let Some(place) = self.list.get_mut(slot as usize) {
            following.follower.set_cursor(cursor);
            *place = Slot::Live(Box::new(LiveSlot {
                following,
                shows_presence,
                member_since,
                shows_typing,
                by_role: ByRole::default(),
                anew: None,
                page: VecDeque::new(),
                page_bytes: 0,
                promised: Seq(0),
                queued: false,
                behind: false,
                failed: 0,
            }));
            self.mark_ready(slot);
        }
    }

    /// A join is done. Gives what waited for it; `None` where nothing does. Its slot is free, but for what is still followed
    /// there from before.
    pub(super) fn end_join(&mut self, slot: u32) -> Option<Waited> {
        let place = self.list.get_mut(slot as usize)?;
        if let Slot::Live(live) = place {
            let Anew { leave } = live.anew.take()?;
            self.mark_ready(slot);
            return Some(Waited { again: None, leave });
        }
        match std::mem::replace(place, Slot::Empty) {
            Slot::Joining { again, leave, .. } => Some(Waited { again, leave }),
            _ => None,
        }
    }

    /// Takes out the room that is followed in a slot. Where it is being joined anew, the slot is that join's.
    pub(super) fn take(&mut self, slot: u32) -> Option<LiveSlot> {
        let place = self.list.get_mut(slot as usize)?;
        let Slot::Live(live) = place else { return None };
        let room = live.following.room.key.room.clone();
        let joining = |Anew { leave }| Slot::Joining { room, asked: true, again: None, leave };
        let left = live.anew.take().map_or(Slot::Empty, joining);
        let Slot::Live(live) = std::mem::replace(place, left) else { return None };
        self.page_bytes -= live.page_bytes;
        Some(*live)
    }

    /// All rooms that are followed, taken out.
    pub(super) fn drain(&mut self) -> Vec<LiveSlot> {
        let slots = std::mem::take(&mut self.list);
        self.page_bytes = 0;
        slots
            .into_iter()
            .filter_map(|slot| if let Slot::Live(live) = slot { Some(*live) } else { None })
            .collect()
    }

    /// A wake-up named this slot; one that is free or waits already is passed over.
    pub(super) fn mark_ready(&mut self, slot: u32) {
        if let Some(live) = self.live_mut(slot)
            && !std::mem::replace(&mut live.queued, true)
        {
            self.ready.push_back(slot);
        }
    }

    /// Sends what lies past the cursors, room by room, while there is room in the batch. Gives a room whose user was
    /// removed: all that they may see was sent.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Option<(u32, LeaveReason)> {
        while batch.has_room() {
            let slot = *self.ready.front()?;
            let Some(live) = self.live_mut(slot) else {
                self.ready.pop_front();
                continue;
            };
            live.follower().clear_ready();
            let held = live.page_bytes;
            let past = live.pull(batch);
            let sent = held - live.page_bytes;
            self.page_bytes -= sent;
            let Some(live) = self.live_mut(slot) else { continue };
            let removed = live.cursor() >= live.follower().until() && live.page.is_empty();
            if past == Past::More {
                // The others get their turn before this room goes on.
                self.ready.rotate_left(1);
                continue;
            }
            live.queued = false;
            if past == Past::Behind {
                live.behind = true;
                self.behind.push_back(slot);
            }
            self.ready.pop_front();
            if removed && past == Past::Nothing {
                return Some((slot, LeaveReason::Removed));
            }
        }
        None
    }

    /// Whether a room must be read from the store, and less than a page is held for all rooms: with the one that is
    /// read next, a session holds two at most, however many of its rooms are behind.
    pub(super) fn may_read(&self) -> bool {
        !self.behind.is_empty() && self.page_bytes < CATCH_UP_BYTES
    }

    /// Whether everything that is known of was handed over.
    pub(super) fn are_caught_up(&self) -> bool {
        self.behind.is_empty() && self.ready.is_empty() && self.page_bytes == 0
    }

    /// What the rooms have now is to be handed over before the session ends.
    pub(super) fn promise(&mut self) {
        for slot in &mut self.list {
            if let Slot::Live(live) = slot {
                live.promised = live.following.room.head().seq;
            }
        }
    }

    /// Whether some of what was [promised](Self::promise) was not handed over yet.
    pub(super) fn owe(&self) -> bool {
        self.followed().any(|(_, live)| live.cursor() < live.promised || !live.page.is_empty())
    }

    /// The next room that must be read from the store: its slot, room and cursor.
    pub(super) fn next_behind(&mut self) -> Option<(u32, Arc<ActiveRoom>, Seq)> {
        while let Some(slot) = self.behind.pop_front() {
            if let Some(live) = self.live_mut(slot)
                && live.behind
            {
                return Some((slot, Arc::clone(&live.following.room), live.cursor()));
            }
        }
        None
    }

    /// A page could not be read for a room that waits for it: how often in a row now. Nothing is pulled until
    /// [`Self::read_again`].
    pub(super) fn could_not_read(&mut self, slot: u32) -> u32 {
        self.live_mut(slot).map_or(0, |live| {
            live.failed += 1;
            live.failed
        })
    }

    /// It is time to try that again.
    pub(super) fn read_again(&mut self, slot: u32) {
        if self.live_mut(slot).is_some_and(|live| live.behind) {
            self.behind.push_back(slot);
        }
    }

    /// A page was read for a room that [waits for it](LiveSlot::waits_for): it is sent next, then the rest is pulled.
    pub(super) fn take_page(&mut self, slot: u32, page: VecDeque<Frame>, cursor: Seq) {
        if let Some(live) = self.live_mut(slot) {
            let bytes = page.iter().map(Frame::len).sum();
            live.page = page;
            live.page_bytes = bytes;
            live.follower().set_cursor(cursor);
            (live.behind, live.failed) = (false, 0);
            self.page_bytes += bytes;
            self.mark_ready(slot);
        }
    }
}

impl LiveSlot {
    /// The follower.
    pub(super) fn follower(&self) -> &Follower {
        &self.following.follower
    }

    /// The last entry that was sent, or is in `page`.
    pub(super) fn cursor(&self) -> Seq {
        self.follower().cursor()
    }

    /// Whether it waits for the page of `room` that follows `after`. It does not where the room was left while the page
    /// was read, be it that the slot has another room now or that the same one was joined again from elsewhere.
    pub(super) fn waits_for(&self, room: &Arc<ActiveRoom>, after: Seq) -> bool {
        self.behind && self.cursor() == after && Arc::ptr_eq(&self.following.room, room)
    }

    fn pull(&mut self, batch: &mut Batch) -> Past {
        if self.behind || self.anew.is_some() {
            return Past::Nothing;
        }
        while let Some(frame) = self.page.pop_front() {
            self.page_bytes -= frame.len();
            if !batch.push(frame) {
                return Past::More;
            }
        }
        let until = self.following.follower.until();
        let mut cursor = self.cursor();
        let past = self.following.room.pull(&mut cursor, until, |frame| batch.push(frame.clone()));
        self.follower().set_cursor(cursor);
        past
    }
}

#[cfg(test)]
mod tests;
