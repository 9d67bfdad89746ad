//! What other nodes say of their sessions, put on the board.

use std::time::Duration;

use super::super::super::device::Place;
use super::super::{Board, Device, Notice, PresenceReason, SessionId, Timer, User, UserId};
use crate::bus::sessions::{Record, Told};
use crate::domain::limits::PRESENCE_ELSEWHERE_GRACE;
use crate::domain::time::{Moment, Now};

impl Board {
    /// What another node says of one of its sessions.
    pub(in crate::presence) fn put(&mut self, told: &Told, now: Now) -> Vec<Notice> {
        let now = now.moment;
        let mut notices = Vec::new();
        let Some(record) = &told.record else {
            if self.is_elsewhere(told.session) {
                let reason = if told.has_left { PresenceReason::Left } else { PresenceReason::Disconnected };
                return self.end(told.session, reason, now);
            }
            return notices;
        };
        let session = told.session;
        let is_continued = self.shared.as_ref().is_none_or(|shared| shared.continued.contains_key(&session));
        let known = self.sessions.get(&session);
        if is_continued || known.is_some_and(|user| *user != record.user || !self.is_elsewhere(session)) {
            return notices;
        }
        for lost in &record.continues {
            self.take_over(*lost, session, record, now, &mut notices);
        }
        self.refresh(session, record, &mut notices);
        self.move_places(told, record, now, &mut notices);
        self.lose_elsewhere(session, record.grace_left, now);
        notices
    }

    fn is_elsewhere(&self, session: SessionId) -> bool {
        let device = self
            .sessions
            .get(&session)
            .and_then(|user| self.users.get(user)?.devices().find(|device| device.session == session));
        device.is_some_and(|device| device.elsewhere)
    }

    /// A session of another node has taken the place of `lost`, wherever that is.
    fn take_over(
        &mut self,
        lost: SessionId,
        by: SessionId,
        record: &Record,
        now: Moment,
        notices: &mut Vec<Notice>,
    ) {
        let is_there = self.sessions.get(&lost).is_some_and(|user| *user == record.user);
        if is_there && self.sessions.contains_key(&by) {
            return self.merge(lost, by, now, notices);
        }
        let Some(shared) = &mut self.shared else { return };
        shared.continued.insert(lost, by);
        if !is_there {
            return;
        }
        self.give_up_following(lost);
        self.sessions.remove(&lost);
        self.sessions.insert(by, record.user.clone());
        let device = self.users.get_mut(&record.user).and_then(|devices| devices.device(lost));
        let (Some(device), Some(shared)) = (device, &mut self.shared) else { return };
        device.session = by;
        if let Some(until) = device.until.take() {
            self.timers.remove(&(until, Timer::Grace(lost)));
        }
        // Of those whose place it had the record says who has it now, or nobody has.
        let is_stale = |session: &SessionId| !record.continues.contains(session);
        let stale: Vec<_> = device.continues.iter().copied().filter(is_stale).collect();
        shared.release(&stale, lost);
        device.continues = Box::default();
        if !std::mem::replace(&mut device.elsewhere, true) {
            shared.elsewhere += 1;
            shared.changed.insert(lost, false);
        }
    }

    /// `lost` was the device that `by` is, which is there already: one device less, and its places go over.
    pub(super) fn merge(&mut self, lost: SessionId, by: SessionId, now: Moment, notices: &mut Vec<Notice>) {
        self.give_up_following(lost);
        let Some(user) = self.sessions.get(&by).cloned() else { return };
        let Some(devices) = self.users.get_mut(&user) else { return };
        let before = devices.state(&user);
        let Some(gone) = devices.remove(lost) else { return };
        self.sessions.remove(&lost);
        if let Some(until) = gone.until {
            self.timers.remove(&(until, Timer::Grace(lost)));
        }
        let Some(device) = devices.device(by) else { return };
        let until = now.plus(self.options.grace);
        for place in &gone.places {
            if device.place(place.room).is_some() {
                if let Some(places) =
                    self.rooms.get_mut(place.room).and_then(|room| room.present.get_mut(&user))
                {
                    *places -= 1;
                }
                continue;
            }
            device.places.push(Place { room: place.room, follows: false, held: true });
            if !device.elsewhere && device.until.is_none() {
                device.until = Some(until);
                self.timers.insert((until, Timer::Grace(by)));
            }
        }
        if device.text_order == 0 {
            (device.status, device.text, device.text_order) = (gone.status, gone.text, gone.text_order);
        }
        let elsewhere = device.elsewhere;
        if let Some(shared) = &mut self.shared {
            shared.succeed(device, lost, &gone.continues);
            if gone.elsewhere {
                shared.elsewhere -= 1;
            } else {
                shared.changed.insert(lost, false);
            }
            if !elsewhere {
                shared.changed.insert(by, false);
            }
        }
        let after = devices.state(&user);
        self.spread(&before, &after, PresenceReason::Changed, notices);
    }

    /// The session follows nothing and watches nobody any more.
    fn give_up_following(&mut self, session: SessionId) {
        self.watchers.remove(session);
        let device = self.sessions.get(&session).and_then(|user| self.users.get_mut(user)?.device(session));
        for place in device.into_iter().flat_map(|device| &mut device.places) {
            if std::mem::take(&mut place.follows)
                && let Some(room) = self.rooms.get_mut(place.room)
            {
                room.followers -= 1;
            }
        }
    }

    /// What the device shows; it comes to be where it is not there.
    fn refresh(&mut self, session: SessionId, record: &Record, notices: &mut Vec<Notice>) {
        self.texts_set = self.texts_set.max(record.text_order);
        let user = self.known(&record.user);
        let devices = self.users.entry(user.clone()).or_insert_with(User::new);
        let before = devices.state(&user);
        if devices.device(session).is_none() {
            let mut device = Device::new(session, record.last_active);
            device.elsewhere = true;
            devices.add(device);
            self.sessions.insert(session, user.clone());
            if let Some(shared) = &mut self.shared {
                shared.elsewhere += 1;
            }
        }
        let Some(device) = devices.device(session) else { return };
        device.instance = record.instance;
        device.status = record.status;
        device.text = (!record.text.is_empty()).then(|| record.text.as_str().into());
        device.text_order = record.text_order;
        device.last_active = device.last_active.max(record.last_active);
        if let Some(shared) = self.shared.as_mut().filter(|_| *device.continues != *record.continues) {
            let is_stale = |session: &SessionId| !record.continues.contains(session);
            let stale: Vec<_> = device.continues.iter().copied().filter(is_stale).collect();
            shared.release(&stale, session);
            device.continues = record.continues.as_slice().into();
        }
        let after = devices.state(&user);
        self.spread(&before, &after, PresenceReason::Changed, notices);
    }

    /// The user's id as the board knows it: all that names the user shares its text.
    pub(in super::super) fn known(&self, user: &UserId) -> UserId {
        self.users.get_key_value(user).map_or(user, |(known, _)| known).clone()
    }

    /// The device's places are those of the record.
    fn move_places(&mut self, told: &Told, record: &Record, now: Moment, notices: &mut Vec<Notice>) {
        let session = told.session;
        let mut wanted = Vec::with_capacity(record.rooms.len());
        for name in &record.rooms {
            let index = self.rooms.open(name);
            wanted.push(index);
            let Some(devices) = self.users.get_mut(&record.user) else { return };
            let Some(device) = devices.device(session) else { return };
            if device.place(index).is_some() {
                continue;
            }
            device.places.push(Place { room: index, follows: false, held: false });
            let state = devices.state(&record.user);
            let user = self.known(&record.user);
            let Some(room) = self.rooms.get_mut(index) else { return };
            if room.present.add(&user) == 1 {
                self.tell_room(index, &state, PresenceReason::Joined, now, notices);
            }
        }
        let Some(devices) = self.users.get_mut(&record.user) else { return };
        let Some(device) = devices.device(session) else { return };
        let (stay, left) =
            std::mem::take(&mut device.places).into_iter().partition(|place| wanted.contains(&place.room));
        device.places = stay;
        let state = devices.state(&record.user);
        let reason = if told.has_left { PresenceReason::Left } else { PresenceReason::Disconnected };
        let left: Vec<Place> = left;
        for place in left {
            self.vacate(place, &state, reason, now, notices);
        }
    }

    /// Whether the session was lost. Its node says when it is over; where that node is no more, it is over here by itself.
    fn lose_elsewhere(&mut self, session: SessionId, left: Option<u32>, now: Moment) {
        let device = self.sessions.get(&session).and_then(|user| self.users.get_mut(user)?.device(session));
        let Some(device) = device else { return };
        device.connected = left.is_none();
        device.places.iter_mut().for_each(|place| place.held = left.is_some());
        let until = left.map(|left| {
            let left = Duration::from_millis(left.into());
            now.plus(left + PRESENCE_ELSEWHERE_GRACE)
        });
        if let Some(before) = std::mem::replace(&mut device.until, until) {
            self.timers.remove(&(before, Timer::Grace(session)));
        }
        if let Some(until) = until {
            self.timers.insert((until, Timer::Grace(session)));
        }
    }
}
