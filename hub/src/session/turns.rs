//! The turns of a session's joins: those that it resumes wait for theirs, and a command may come between.

use std::sync::Arc;

use crate::access::limits::Limited;
use crate::domain::command::Join;
use crate::domain::error::ErrorCode;
use crate::domain::limits::RESUME_LOOKS;
use crate::domain::names::RoomName;
use crate::domain::reply::{JoinReason, Reply};

use super::dispatch::Done;
use super::driver::Session;
use super::slots::Slot;
use super::{join, opening};

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
        self.begin_join(id, join, JoinReason::Command);
    }

    /// Begins a join. Where the room is followed already, that waits until it is done: a join that fails takes nothing away,
    /// and one that does not begins anew, from where the client says.
    pub(super) fn begin_join(&mut self, id: u32, join: Join, reason: JoinReason) {
        let Some(established) = &mut self.established else { return };
        let slot = established.slots.reserve(join.room.clone(), reason == JoinReason::Command);
        let mailbox = Arc::clone(&established.live.mailbox);
        let caller = established.caller.clone();
        let room = join.room.clone();
        let joined = join::join(Arc::clone(&self.services), caller, mailbox, slot, join, reason);
        let limit = self.services.settings.command_timeout;
        let hands_over_state =
            self.services.namespaces.rules(&room).is_some_and(|rules| rules.latest_per_key);
        let command = async move {
            let joined = tokio::time::timeout(limit, joined).await;
            let joined = joined.unwrap_or_else(|_| Err(ErrorCode::DeadlineExceeded.into()));
            Done::Joined(id, slot, room, reason, Box::new(joined))
        };
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
        let is_taken = |room: &&RoomName| {
            established.slots.find(room).is_some()
                || established.joins.iter().any(|(join, _)| join.room == **room)
        };
        let all = established.slots.occupied() + established.joins.len();
        let asked = all - automatic.iter().filter(is_taken).count();
        asked < self.services.settings.terms.rooms_per_session as usize
    }

    /// Begins the join of a room that waits for its turn, if one does: the command that joins the room goes after it, so that
    /// the room is resumed also where the command fails.
    fn begin_waiting_join_of(&mut self, room: &RoomName) {
        let Some(established) = &mut self.established else { return };
        let place = established.joins.iter().position(|(waiting, _)| waiting.room == *room);
        let Some((join, reason)) = place.and_then(|place| established.joins.remove(place)) else { return };
        if established.slots.find(room).is_none() {
            established.joins_under_way += 1;
            self.begin_join(0, join, reason);
        }
    }

    /// Begins those joins that wait for their turn, as many as their user may resume.
    pub(super) fn begin_waiting_joins(&mut self) {
        while let Some(established) = &mut self.established
            && established.feed.is_some()
            && established.joins_under_way < JOINS_UNDER_WAY
            && !established.joins_pause
            && let Some((join, reason)) = established.joins.pop_front()
        {
            if established.slots.find(&join.room).is_some() {
                continue;
            }
            if reason == JoinReason::Resumed && !std::mem::take(&mut established.may_resume) {
                if self.services.shares(Limited::Resume) {
                    return self.ask_to_resume((join, reason));
                }
                if let Err(after) = self.services.take_resumed(&established.caller) {
                    established.joins.push_front((join, reason));
                    established.joins_pause = true;
                    return self.begin(0, async move {
                        tokio::time::sleep(after.min(RESUME_LOOKS)).await;
                        Done::JoinsGoOn(false)
                    });
                }
            }
            established.joins_under_way += 1;
            self.begin_join(0, join, reason);
        }
    }

    /// Asks what all nodes count together whether one more room may be resumed, and waits until it may.
    fn ask_to_resume(&mut self, join: (Join, JoinReason)) {
        let Some(established) = &mut self.established else { return };
        established.joins.push_front(join);
        established.joins_pause = true;
        let (services, caller) = (Arc::clone(&self.services), established.caller.clone());
        self.begin(0, async move {
            match services.wait_to_resume(&caller).await {
                Ok(()) => Done::JoinsGoOn(true),
                Err(refusal) => Done::JoinsFail(refusal),
            }
        });
    }

    /// A command leaves a room.
    pub(super) fn leave(&mut self, id: u32, room: &RoomName) {
        let Some(established) = &mut self.established else { return };
        established.joins.retain(|(join, _)| join.room != *room);
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
