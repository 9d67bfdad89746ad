//! Sessions that other nodes have: devices of the board like its own, but followers of nothing here. What the others say of
//! them is put in; what they are to be told of the board's own is taken out.

mod put;

use rustc_hash::FxHashMap;

use super::{Board, Device, Moment, Notice, Now, SessionId, User};
use crate::bus::sessions::{Record, Told};

/// Sessions whose place one has taken of which it is known. One is forgotten by its own node at once, unless that is no more:
/// then by all when its lease ends, and nobody comes back so often until then.
const CONTINUED: usize = 16;

/// What a board keeps where other nodes have sessions of the tenant too.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Own sessions that the others are to be told of, each with whether what ended did so on purpose.
    changed: FxHashMap<SessionId, bool>,
    /// Sessions whose place another has taken, with that other. Their node may not know it yet.
    continued: FxHashMap<SessionId, SessionId>,
    /// Sessions whose place nobody has any more who took it: their node may still have them.
    released: Vec<SessionId>,
    /// Own sessions that came before the others' were known.
    early: Vec<SessionId>,
    /// Whether the others' sessions are known.
    is_whole: bool,
    /// How many of the board's sessions are others'.
    elsewhere: usize,
    /// The node ends: for all its sessions others need wait no longer than so many milliseconds.
    leaving: Option<u32>,
}

impl Shared {
    /// Others are to be told of an own session, of which nothing has ended.
    pub(super) fn note(&mut self, session: SessionId) {
        self.changed.insert(session, false);
    }

    /// `by` has these sessions' place no more.
    fn release(&mut self, sessions: &[SessionId], by: SessionId) {
        for session in sessions {
            if self.continued.get(session) == Some(&by) {
                self.continued.remove(session);
                self.released.push(*session);
            }
        }
    }

    /// `device` has taken the place of `lost`, and with it of those whose place that one had.
    fn succeed(&mut self, device: &mut Device, lost: SessionId, its: &[SessionId]) {
        let mut all = vec![lost];
        all.extend(its);
        all.extend(device.continues.iter().filter(|session| !its.contains(session)));
        let (all, old) = all.split_at(all.len().min(CONTINUED));
        self.release(old, device.session);
        self.continued.extend(all.iter().map(|session| (*session, device.session)));
        device.continues = all.into();
    }
}

impl Board {
    /// Notes that others are to be told of an own session.
    pub(super) fn note(&mut self, session: SessionId, has_left: bool) {
        if let Some(shared) = &mut self.shared {
            shared.changed.insert(session, has_left);
        }
    }

    /// An own session has taken the place of another, whose device it has now.
    pub(super) fn note_continued(&mut self, lost: SessionId, by: SessionId) {
        let Some(shared) = &mut self.shared else { return };
        let device = self.sessions.get(&by).and_then(|user| self.users.get_mut(user)?.device(by));
        let Some(device) = device else { return };
        if std::mem::take(&mut device.elsewhere) {
            shared.elsewhere -= 1;
        } else {
            shared.changed.insert(lost, false);
        }
        let its = std::mem::take(&mut device.continues);
        shared.succeed(device, lost, &its);
        shared.changed.insert(by, false);
    }

    /// A device has ended that is the board's no more.
    pub(super) fn note_end(&mut self, device: &Device, has_left: bool) {
        let Some(shared) = &mut self.shared else { return };
        shared.release(&device.continues, device.session);
        if device.elsewhere {
            shared.elsewhere -= 1;
        } else {
            shared.changed.insert(device.session, has_left);
            shared.early.retain(|early| *early != device.session);
        }
    }

    /// An own session came that took nobody's place.
    pub(super) fn note_new(&mut self, session: SessionId) {
        if let Some(shared) = &mut self.shared {
            shared.changed.insert(session, false);
            if !shared.is_whole {
                shared.early.push(session);
            }
        }
    }

    /// How many of its sessions are this node's.
    pub(in super::super) fn own(&self) -> usize {
        self.sessions.len() - self.shared.as_ref().map_or(0, |shared| shared.elsewhere)
    }

    /// Whether others are to be told something.
    pub(in super::super) fn has_changed(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| !shared.changed.is_empty())
    }

    /// Takes what others are to be told of since it was last taken; `whole` where they are to be told everything.
    pub(in super::super) fn take_changes(&mut self, whole: bool, now: Now) -> Vec<Told> {
        let Some(shared) = &mut self.shared else { return Vec::new() };
        let mut changed = std::mem::take(&mut shared.changed);
        if whole {
            changed = self.own_sessions().into_iter().map(|session| (session, false)).collect();
        }
        let told = |(session, has_left)| Told { session, has_left, record: self.record(session, now.moment) };
        let mut told: Vec<_> = changed.into_iter().map(told).collect();
        // Whoever takes another's place does so before that one goes.
        told.sort_unstable_by_key(|told| (told.record.is_none(), told.session));
        told
    }

    /// Takes sessions of which their nodes may know more than this board.
    pub(in super::super) fn take_released(&mut self) -> Vec<SessionId> {
        self.shared.as_mut().map(|shared| std::mem::take(&mut shared.released)).unwrap_or_default()
    }

    /// This node is about to end: others take each of its sessions for one that is lost and may come back to them, for
    /// `left` milliseconds.
    pub(in super::super) fn leave_for(&mut self, left: u32) {
        let own = self.own_sessions();
        if let Some(shared) = &mut self.shared {
            shared.leaving = Some(left);
            shared.changed.extend(own.into_iter().map(|session| (session, false)));
        }
    }

    /// How its own sessions are.
    #[cfg(test)]
    pub(in super::super) fn own_records(&self) -> Vec<(SessionId, Record)> {
        let record = |session| Some((session, self.record(session, Moment(0))?));
        self.own_sessions().into_iter().filter_map(record).collect()
    }

    fn own_sessions(&self) -> Vec<SessionId> {
        let devices = self.users.values().flat_map(User::devices);
        devices.filter(|device| !device.elsewhere).map(|device| device.session).collect()
    }

    /// How an own session is; `None` where it is no more.
    fn record(&self, session: SessionId, now: Moment) -> Option<Record> {
        let user = self.sessions.get(&session)?;
        let device = self.users.get(user)?.devices().find(|device| device.session == session)?;
        if device.elsewhere {
            return None;
        }
        let lost = device.until.filter(|_| !device.connected);
        let left = |until: Moment| u32::try_from(until.since(now).as_millis()).unwrap_or(u32::MAX);
        let leaving = self.shared.as_ref().and_then(|shared| shared.leaving);
        let rooms = device.places.iter().filter_map(|place| self.rooms.get(place.room));
        Some(Record {
            user: user.clone(),
            instance: device.instance,
            status: device.status,
            text: device.text.as_deref().unwrap_or_default().to_owned(),
            text_order: device.text_order,
            last_active: device.last_active,
            grace_left: lost.map(left).or(leaving),
            continues: device.continues.to_vec(),
            rooms: rooms.map(|room| room.name.clone()).collect(),
        })
    }

    /// The others' sessions are known from now on: who came before them takes, as they would have then, the places of those
    /// that were lost.
    pub(in super::super) fn become_whole(&mut self, now: Now) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(shared) = &mut self.shared else { return notices };
        shared.is_whole = true;
        for session in std::mem::take(&mut shared.early) {
            let Some(devices) = self.sessions.get(&session).and_then(|user| self.users.get_mut(user)) else {
                continue;
            };
            let Some(instance) = devices.connected(session).map(|device| device.instance) else { continue };
            let lost = devices.continued_by(instance).map(|device| device.session);
            if let Some(lost) = lost.filter(|lost| *lost != session) {
                self.merge(lost, session, now.moment, &mut notices);
            }
        }
        notices
    }
}

#[cfg(test)]
mod tests;
