//! The rules of presence once more, as slowly and plainly as can be: what the properties hold a [`super::Board`] to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::names::{SessionId, UserId};
use crate::domain::presence::{Status, UserState};
use crate::domain::time::Moment;

/// A room's number in a schedule.
pub(super) type RoomNumber = usize;

#[derive(Clone, Debug)]
struct Device {
    session: SessionId,
    user: UserId,
    connected: bool,
    until: Option<Moment>,
    status: Status,
    text: String,
    text_order: usize,
    taken: BTreeSet<RoomNumber>,
    held: BTreeSet<RoomNumber>,
}

/// All devices in one list, searched from end to end.
#[derive(Debug)]
pub(super) struct Model {
    grace: Duration,
    devices: Vec<Device>,
    settings: usize,
}

impl Model {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, devices: Vec::new(), settings: 0 }
    }

    /// Returns whether it continues a lost device, and so must be silent.
    pub(super) fn connect(&mut self, session: SessionId, user: &UserId) -> bool {
        let lost =
            self.devices.iter_mut().filter(|d| !d.connected && &d.user == user).min_by_key(|d| d.until);
        if let Some(device) = lost {
            device.session = session;
            device.connected = true;
            return true;
        }
        self.devices.push(Device {
            session,
            user: user.clone(),
            connected: true,
            until: None,
            status: Status::Online,
            text: String::new(),
            text_order: 0,
            taken: BTreeSet::new(),
            held: BTreeSet::new(),
        });
        false
    }

    pub(super) fn disconnect(&mut self, session: SessionId, now: Moment) {
        let until = now.plus(self.grace);
        if let Some(device) = self.connected(session) {
            device.connected = false;
            device.until = Some(until);
            let mut taken = std::mem::take(&mut device.taken);
            device.held.append(&mut taken);
        }
    }

    pub(super) fn close(&mut self, session: SessionId) {
        self.devices.retain(|device| device.session != session);
    }

    /// Returns whether the user was there already, and so it must be silent.
    pub(super) fn join(&mut self, session: SessionId, room: RoomNumber) -> bool {
        let Some(user) = self.connected(session).map(|device| device.user.clone()) else { return true };
        let before = self.is_present(&user, room);
        let of_user = |device: &&mut Device| device.user == user;
        let own_place =
            self.connected(session).is_some_and(|d| d.held.remove(&room) || d.taken.contains(&room));
        if !own_place
            && let Some(other) = self.devices.iter_mut().filter(of_user).find(|d| d.held.contains(&room))
        {
            other.held.remove(&room);
        }
        if let Some(device) = self.connected(session) {
            device.taken.insert(room);
        }
        before
    }

    pub(super) fn leave(&mut self, session: SessionId, room: RoomNumber) {
        if let Some(device) = self.connected(session) {
            device.taken.remove(&room);
            device.held.remove(&room);
        }
    }

    pub(super) fn set(&mut self, session: SessionId, status: Status, text: &str) {
        self.settings += 1;
        let settings = self.settings;
        if let Some(device) = self.connected(session) {
            device.status = status;
            text.clone_into(&mut device.text);
            device.text_order = settings;
        }
    }

    pub(super) fn tick(&mut self, now: Moment) {
        let over = |device: &Device| device.until.is_some_and(|until| until <= now);
        self.devices.retain(|device| device.connected || !over(device));
        for device in self.devices.iter_mut().filter(|device| over(device)) {
            device.held.clear();
        }
        for device in self.devices.iter_mut().filter(|device| device.connected && device.held.is_empty()) {
            device.until = None;
        }
    }

    pub(super) fn state(&self, user: &UserId) -> UserState {
        let devices: Vec<_> = self.devices.iter().filter(|device| &device.user == user).collect();
        let mut state = UserState::offline(user.clone());
        state.devices = u32::try_from(devices.len()).unwrap();
        state.status = devices.iter().map(|device| device.status).max().unwrap_or(Status::Offline);
        let latest = devices.iter().max_by_key(|device| device.text_order);
        state.text = latest.map(|device| device.text.clone()).unwrap_or_default();
        state
    }

    pub(super) fn is_present(&self, user: &UserId, room: RoomNumber) -> bool {
        let here = |device: &Device| device.taken.contains(&room) || device.held.contains(&room);
        self.devices.iter().any(|device| &device.user == user && here(device))
    }

    /// Who is present in the room, as others see them.
    pub(super) fn present(&self, room: RoomNumber) -> BTreeMap<UserId, UserState> {
        let users: BTreeSet<_> = self.devices.iter().map(|device| device.user.clone()).collect();
        let present = users.into_iter().filter(|user| self.is_present(user, room));
        present.map(|user| (user.clone(), self.state(&user))).collect()
    }

    pub(super) fn is_connected(&self, session: SessionId) -> bool {
        self.devices.iter().any(|device| device.connected && device.session == session)
    }

    fn connected(&mut self, session: SessionId) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.connected && device.session == session)
    }
}
