//! A user's devices, and how they add up.

use super::room::RoomIndex;
use crate::domain::names::{SessionId, UserId};
use crate::domain::presence::{Status, UserState};
use crate::domain::time::{Moment, Timestamp};

/// One device of a user: a session, or what is left of one during its grace.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) session: SessionId,
    /// False during grace.
    pub(super) connected: bool,
    pub(super) status: Status,
    pub(super) text: Option<Box<str>>,
    /// When the text was set, in the order of all settings of the board; 0 where it never was.
    pub(super) text_order: u64,
    pub(super) last_active: Timestamp,
    /// When its held places end, and the device with them unless it is connected. A timer stands for it.
    pub(super) until: Option<Moment>,
    pub(super) places: Vec<Place>,
    /// Whether another node has the session.
    pub(super) elsewhere: bool,
    /// A hash of the tab or process; 0 where it is not named.
    pub(super) instance: u64,
    /// The sessions whose place it has taken, the newest first, where other nodes are to know that.
    pub(super) continues: Box<[SessionId]>,
}

/// A device's place in a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) room: RoomIndex,
    /// Whether the session asked for the room's presence; false where the place is held.
    pub(super) follows: bool,
    /// The session that took it was lost; it is kept until the grace is over or the user joins again.
    pub(super) held: bool,
}

impl Device {
    pub(super) fn new(session: SessionId, now: Timestamp) -> Self {
        Self {
            session,
            connected: true,
            status: Status::Online,
            text: None,
            text_order: 0,
            last_active: now,
            until: None,
            places: Vec::new(),
            elsewhere: false,
            instance: 0,
            continues: Box::default(),
        }
    }

    /// Whether its timer has nothing left to end.
    pub(super) fn is_settled(&self) -> bool {
        self.connected && self.places.iter().all(|place| !place.held)
    }

    pub(super) fn place(&mut self, room: RoomIndex) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.room == room)
    }

    pub(super) fn take_place(&mut self, room: RoomIndex) -> Option<Place> {
        let index = self.places.iter().position(|place| place.room == room)?;
        let place = self.places.swap_remove(index);
        if self.places.is_empty() {
            self.places = Vec::new();
        }
        Some(place)
    }

    /// Gives up the places that no session has taken over.
    pub(super) fn take_held(&mut self) -> Vec<Place> {
        let (held, taken) = std::mem::take(&mut self.places).into_iter().partition(|place| place.held);
        self.places = taken;
        held
    }
}

/// A user with at least one device.
#[derive(Debug)]
pub(super) struct User {
    devices: Vec<Device>,
}

impl User {
    pub(super) const fn new() -> Self {
        Self { devices: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    pub(super) fn add(&mut self, device: Device) {
        // Most users have one device, and a vector's first growth would make room for four.
        self.devices.reserve_exact(1);
        self.devices.push(device);
    }

    pub(super) fn device(&mut self, session: SessionId) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.session == session)
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// The device of a session of this node, unless the session was lost.
    pub(super) fn connected(&mut self, session: SessionId) -> Option<&mut Device> {
        self.device(session).filter(|device| device.connected && !device.elsewhere)
    }

    pub(super) fn remove(&mut self, session: SessionId) -> Option<Device> {
        let index = self.devices.iter().position(|device| device.session == session)?;
        Some(self.devices.remove(index))
    }

    /// The device that a new session of the user continues: one of the same instance on another node, which cannot know yet
    /// that it was lost, or the one in grace whose grace ends first, of several the one that came first.
    pub(super) fn continued_by(&mut self, instance: u64) -> Option<&mut Device> {
        let is_same = |device: &Device| device.elsewhere && instance != 0 && device.instance == instance;
        let lost = |device: &&mut Device| !device.connected || is_same(device);
        self.devices.iter_mut().filter(lost).min_by_key(|device| (!is_same(device), device.until))
    }

    /// A device other than the session's that holds a place in the room.
    pub(super) fn holder(&mut self, room: RoomIndex, session: SessionId) -> Option<&mut Device> {
        self.devices
            .iter_mut()
            .filter(|device| device.session != session && device.until.is_some() && !device.elsewhere)
            .find(|device| device.places.iter().any(|place| place.room == room && place.held))
    }

    /// The rooms that the user is present in, each once.
    pub(super) fn rooms(&self) -> Vec<RoomIndex> {
        let mut rooms: Vec<_> =
            self.devices.iter().flat_map(|device| &device.places).map(|place| place.room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        rooms
    }

    /// The devices added up: the most available status, the text set last, the latest activity.
    pub(super) fn state(&self, user: &UserId) -> UserState {
        let mut state = UserState::offline(user.clone());
        let mut latest: Option<&Device> = None;
        for device in &self.devices {
            state.status = state.status.max(device.status);
            state.last_active = state.last_active.max(device.last_active);
            state.devices += 1;
            // Of texts of one instant the same on all nodes, in whatever order they have the devices; and by the texts alone, as
            // a device's session may be continued by another without anybody being told.
            let is_later = |other: &Device| {
                (other.text_order, other.text.as_deref()) < (device.text_order, device.text.as_deref())
            };
            if latest.is_none_or(is_later) {
                latest = Some(device);
            }
        }
        state.text = latest.and_then(|device| device.text.as_deref()).unwrap_or_default().into();
        state
    }
}
