//! How devices and places end, and who is told of what changed.

use super::super::spare::give_back;
use super::{Board, Notice, Place, RoomIndex, Timer, User};
use crate::domain::names::{RoomKey, SessionId};
use crate::domain::presence::{PresenceReason, UserState};
use crate::domain::time::Moment;

impl Board {
    /// Ends a device with all its places.
    pub(super) fn end(&mut self, session: SessionId, reason: PresenceReason, now: Moment) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(user) = self.sessions.remove(&session) else { return notices };
        give_back(&mut self.sessions);
        self.watchers.remove(session);
        let Some(devices) = self.users.get_mut(&user) else { return notices };
        let before = devices.state(&user);
        let Some(device) = devices.remove(session) else { return notices };
        if let Some(until) = device.until {
            self.timers.remove(&(until, Timer::Grace(session)));
        }
        let mut after = devices.state(&user);
        if devices.is_empty() {
            after.last_active = before.last_active;
            self.users.remove(&user);
            give_back(&mut self.users);
        }
        self.note_end(&device, reason == PresenceReason::Left);
        for place in device.places {
            self.vacate(place, &after, reason, now, &mut notices);
        }
        self.spread(&before, &after, reason, &mut notices);
        notices
    }

    /// The grace of a lost device, or of what its successor has not joined again, is over.
    pub(super) fn end_grace(&mut self, session: SessionId, now: Moment) -> Vec<Notice> {
        let Some(user) = self.sessions.get(&session).cloned() else { return Vec::new() };
        let Some(devices) = self.users.get_mut(&user) else { return Vec::new() };
        let Some(device) = devices.connected(session) else {
            return self.end(session, PresenceReason::Disconnected, now);
        };
        device.until = None;
        let held = device.take_held();
        let state = devices.state(&user);
        self.note(session, false);
        let mut notices = Vec::new();
        for place in held {
            self.vacate(place, &state, PresenceReason::Disconnected, now, &mut notices);
        }
        notices
    }

    /// One place less of a user in a room; the user's last one is told.
    pub(super) fn vacate(
        &mut self,
        place: Place,
        state: &UserState,
        reason: PresenceReason,
        now: Moment,
        notices: &mut Vec<Notice>,
    ) {
        let Some(room) = self.rooms.get_mut(place.room) else { return };
        room.followers -= u32::from(place.follows);
        let Some(places) = room.present.get_mut(&state.user) else { return };
        *places -= 1;
        if *places > 0 {
            return;
        }
        room.present.remove(&state.user);
        if let Some(room) = self.rooms.close_empty(place.room) {
            if let Some(due) = room.occupancy_due() {
                self.timers.remove(&(due, Timer::Occupancy(place.room)));
            }
            return;
        }
        self.tell_room(place.room, state, reason, now, notices);
    }

    /// Tells a room that a user came or went; a large one, how many are there.
    pub(super) fn tell_room(
        &mut self,
        index: RoomIndex,
        state: &UserState,
        reason: PresenceReason,
        now: Moment,
        notices: &mut Vec<Notice>,
    ) {
        let Some(room) = self.rooms.get_mut(index) else { return };
        if room.resize(&self.options) {
            self.tell_occupancy(index, now, notices);
        } else if room.followers > 0 {
            let room = RoomKey { tenant: self.tenant.clone(), room: room.name.clone() };
            notices.push(Notice::in_room(room, state.clone(), reason));
        }
    }

    /// Tells a room's occupancy, or sets the timer that will.
    pub(super) fn tell_occupancy(&mut self, index: RoomIndex, now: Moment, notices: &mut Vec<Notice>) {
        let Some(room) = self.rooms.get_mut(index) else { return };
        let pending = room.occupancy_due();
        let count = room.occupancy_to_tell(&self.options, now);
        let due = room.occupancy_due();
        if let Some(count) = count.filter(|_| room.followers > 0) {
            let room = RoomKey { tenant: self.tenant.clone(), room: room.name.clone() };
            notices.push(Notice::occupancy(room, count));
        }
        if pending != due {
            pending.map(|when| self.timers.remove(&(when, Timer::Occupancy(index))));
            due.map(|when| self.timers.insert((when, Timer::Occupancy(index))));
        }
    }

    /// Tells the small rooms that a user is present in, and those who watch them, what changed.
    pub(super) fn spread(
        &self,
        before: &UserState,
        after: &UserState,
        ended: PresenceReason,
        notices: &mut Vec<Notice>,
    ) {
        if before.looks_like(after) {
            return;
        }
        let rooms = self.users.get(&after.user).map(User::rooms).unwrap_or_default();
        for room in rooms.into_iter().filter_map(|index| self.rooms.get(index)) {
            if room.followers > 0 && !room.large {
                let room = RoomKey { tenant: self.tenant.clone(), room: room.name.clone() };
                notices.push(Notice::in_room(room, after.clone(), PresenceReason::Changed));
            }
        }
        let watchers = self.watchers.of(&after.user);
        if !watchers.is_empty() {
            let reason = match (before.devices, after.devices) {
                (0, _) => PresenceReason::Returned,
                (_, 0) => ended,
                _ => PresenceReason::Changed,
            };
            notices.push(Notice::watched(watchers, after.clone(), reason));
        }
    }
}
