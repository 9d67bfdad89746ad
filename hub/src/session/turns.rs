//! The turns of a session's joins: those that it resumes wait for theirs, and a command may come between.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use crate::access::limits::Limited;
use crate::domain::command::Join;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{RESUME_LOOKS, UNREAD_ROOMS};
use crate::domain::names::RoomName;
use crate::domain::reply::{JoinReason, Reply};
use crate::domain::time::Moment;

use super::dispatch::Done;
use super::driver::{Established, Session};
use super::joins::Awaited;
use super::slots::Slot;
use super::{crowd, join, opening};

/// Joins of one session that are under way at a time: a resume of many rooms takes turns.
const JOINS_UNDER_WAY: usize = 4;

impl Session {
    /// A command joins a room.
    pub(super) fn join(&mut self, id: u32, join: Join) {
        self.begin_waiting_join_of(&join.room);
        let Some(established) = &mut self.established else { return };
        match established.slots.find(&join.room) {
            Some(slot) => {
                if established.slots.is_spoken_for(slot) {
                    return self.refuse(id, &ErrorCode::Conflict.into());
                }
                if let Some(Slot::Joining { again, .. }) = established.slots.get_mut(slot) {
                    // The client cannot know that the hub joins it at this moment.
                    *again = Some(Box::new((id, join)));
                    return self.in_flight.push(id);
                }
            }
            None if !self.has_place_for(&join.room) => {
                return self.refuse(id, &ErrorCode::RoomLimitExceeded.into());
            }
            None => {}
        }
        self.begin_join(id, Awaited::new(join, JoinReason::Command));
    }

    /// Begins a join. Where the room is followed already, that waits until it is done: a join that fails takes nothing away,
    /// and one that does not begins anew, from where the client says.
    pub(super) fn begin_join(&mut self, id: u32, awaited: Awaited) {
        let Some(established) = &mut self.established else { return };
        let (join, is_asked) = (awaited.join.clone(), awaited.reason == JoinReason::Command);
        let slot = established.slots.reserve(join.room.clone(), is_asked);
        let mailbox = Arc::clone(&established.live.mailbox);
        let caller = established.caller.clone();
        let rules = self.services.namespaces.rules(&join.room);
        let hands_over_state = rules.is_some_and(|rules| rules.latest_per_key);
        let limit = self.services.settings.command_timeout;
        let (services, reason) = (Arc::clone(&self.services), awaited.reason);
        let joins = move || async move {
            let joined = join::join(services, caller, mailbox, slot, join, reason);
            let joined = tokio::time::timeout(limit, joined).await;
            joined.unwrap_or_else(|_| Err(ErrorCode::DeadlineExceeded.into()))
        };
        // Who comes back does not come alone. What a room is loaded by, others of it wait for; it is begun when this is polled: what hands
        // over state has a turn before.
        let joined = if is_asked {
            async { crowd::apart(joins()).await }.boxed()
        } else {
            self.services.upkeep.crowd.joins.take(joins).boxed()
        };
        let joined = joined.map(|joined| joined.unwrap_or_else(|| Err(ErrorCode::Internal.into())));
        let command = async move { Done::Joined(id, slot, Box::new((awaited, joined.await))) };
        if hands_over_state {
            self.begin_page(id, command);
        } else {
            self.begin(id, command);
        }
    }

    /// Whether one more room may be joined.
    fn has_place_for(&self, room: &RoomName) -> bool {
        let Some(established) = &self.established else { return false };
        let automatic = opening::automatic_rooms(&self.services, &established.caller);
        if automatic.contains(room) {
            return true;
        }
        let is_taken =
            |room: &&RoomName| established.slots.find(room).is_some() || established.joins.has(room);
        let all = established.slots.occupied() + established.joins.waiting();
        let asked = all - automatic.iter().filter(is_taken).count();
        asked < self.services.settings.terms.rooms_per_session as usize
    }

    /// Begins the join of a room that waits for its turn, if one does: the command that joins the room goes after it, so that
    /// the room is resumed also where the command fails.
    fn begin_waiting_join_of(&mut self, room: &RoomName) {
        let Some(established) = &mut self.established else { return };
        let Some(awaited) = established.joins.remove(room) else { return };
        if established.slots.find(room).is_none() {
            established.joins.under_way += 1;
            self.begin_join(0, awaited);
        }
    }

    /// Begins those joins that wait for their turn, as many as their user may resume.
    pub(super) fn begin_waiting_joins(&mut self) {
        let now = Moment::now();
        while let Some(Established { slots, joins, feed: Some(_), .. }) = self.established.as_deref_mut()
            && joins.under_way < JOINS_UNDER_WAY
            && !joins.are_paused
            // While a command joins the room it waits: that may fail.
            && let Some(awaited) = joins.next(now, |room| !slots.is_joining(room))
        {
            if slots.find(&awaited.join.room).is_some() {
                continue;
            }
            // One that is tried again was counted.
            let counts = awaited.reason == JoinReason::Resumed && awaited.failed == 0;
            if counts && !std::mem::take(&mut joins.may_resume) {
                if self.services.shares(Limited::Resume) {
                    return self.ask_to_resume(awaited);
                }
                if let Err(after) = self.take_resumed() {
                    return self.pause_joins(awaited, after);
                }
            }
            self.counts_as_under_way();
            self.begin_join(0, awaited);
        }
        let Some(established) = &mut self.established else { return };
        if let Some(wait) = established.joins.wait(now) {
            self.begin(0, async move {
                tokio::time::sleep(wait).await;
                Done::JoinAgain
            });
        }
    }

    /// A room that waits is not joined any more.
    pub(super) fn forget_awaited(&mut self, room: &RoomName) {
        if let Some(established) = &mut self.established {
            established.joins.remove(room);
        }
    }

    fn take_resumed(&self) -> Result<(), Duration> {
        let Some(established) = &self.established else { return Ok(()) };
        self.services.take_resumed(&established.caller)
    }

    fn counts_as_under_way(&mut self) {
        if let Some(established) = &mut self.established {
            established.joins.under_way += 1;
        }
    }

    /// The user may resume no more rooms now.
    fn pause_joins(&mut self, awaited: Awaited, after: Duration) {
        let Some(established) = &mut self.established else { return };
        established.joins.put_back(awaited);
        established.joins.are_paused = true;
        self.begin(0, async move {
            tokio::time::sleep(after.min(RESUME_LOOKS)).await;
            Done::JoinsGoOn(false)
        });
    }

    /// A join that nobody asked for could not be done, and may be later: the session goes on, and tries again. One that is
    /// about to end has no time for that.
    pub(super) fn join_later(&mut self, awaited: Awaited, refusal: Refusal) {
        let namespace = awaited.join.room.namespace();
        if let Some(left_out) = self.services.upkeep.unread_rooms.admit_every(UNREAD_ROOMS, Moment::now()) {
            let code = refusal.code.name();
            tracing::warn!(code, namespace, left_out, "a session could not join a room: it tries again");
        }
        let goes_on = self.goes_on();
        let Some(established) = self.established.as_mut().filter(|_| goes_on) else {
            return self.end(Some(refusal));
        };
        established.joins.try_again(awaited, refusal.retry_after, Moment::now());
    }

    /// Asks what all nodes count together whether one more room may be resumed, and waits until it may.
    fn ask_to_resume(&mut self, awaited: Awaited) {
        let Some(established) = &mut self.established else { return };
        established.joins.put_back(awaited);
        established.joins.are_paused = true;
        let (services, caller) = (Arc::clone(&self.services), established.caller.clone());
        self.begin(0, async move {
            match services.wait_to_resume(&caller).await {
                Ok(()) => Done::JoinsGoOn(true),
                Err(refusal) => Done::JoinsFail(refusal),
            }
        });
    }

    /// Nobody could say whether the next room may be resumed.
    pub(super) fn resume_later(&mut self, refusal: Refusal) {
        let Some(established) = &mut self.established else { return };
        established.joins.are_paused = false;
        if let Some(awaited) = established.joins.next(Moment::now(), |_| true) {
            self.join_later(awaited, refusal);
        }
        self.begin_waiting_joins();
    }

    /// A command leaves a room.
    pub(super) fn leave(&mut self, id: u32, room: &RoomName) {
        let Some(established) = &mut self.established else { return };
        established.joins.remove(room);
        let slot = established.slots.find(room);
        if let Some(slot) = slot
            && let Some(leave) = established.slots.leave_of_join(slot)
        {
            if leave.is_some() {
                return self.refuse(id, &ErrorCode::Conflict.into());
            }
            *leave = Some(id);
            return self.in_flight.push(id);
        }
        if let Some(slot) = slot {
            self.drop_slot(slot);
        }
        self.reply(id, &Reply::Left(room.clone()));
    }
}
