//! A board's rooms: who is present in each, and when its occupancy is told.

use std::collections::HashMap;

use super::options::Options;
use super::present::Present;
use super::spare::give_back;
use crate::domain::names::RoomName;
use crate::domain::time::Moment;

/// A room's number on its board: four bytes where the name would be sixteen. Given to another room once this one is
/// empty, so nothing may keep it that does not also have a place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoomIndex(u32);

/// A room with somebody present.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomName,
    /// How many places each user has.
    pub(super) present: Present,
    /// Connected sessions that asked for presence. Nothing is told where there are none.
    pub(super) followers: u32,
    /// Whether its changes are told as occupancy.
    pub(super) large: bool,
    occupancy: Occupancy,
}

/// When a room's occupancy was told last, and when it is to be told next.
#[derive(Debug, Default)]
struct Occupancy {
    told: Option<Moment>,
    due: Option<Moment>,
}

impl Room {
    fn new(name: RoomName) -> Self {
        Self {
            name,
            present: Present::default(),
            followers: 0,
            large: false,
            occupancy: Occupancy::default(),
        }
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.present.len()).unwrap_or(u32::MAX)
    }

    /// Someone came or went. Returns whether that is told as occupancy: the room is large, or was until now.
    pub(super) fn resize(&mut self, options: &Options) -> bool {
        let was = std::mem::replace(&mut self.large, self.present.len() > options.large_room);
        was || self.large
    }

    /// The count to tell now, if an interval has passed since it was last told; otherwise [`Self::occupancy_due`] says
    /// from when on to ask again. The interval is that of the room's size now, so a pending time moves when the room
    /// grows huge or ceases to be. A count that is back to what was told is told again: who joined meanwhile knows
    /// another.
    pub(super) fn occupancy_to_tell(&mut self, options: &Options, now: Moment) -> Option<u32> {
        let huge = self.present.len() > options.huge_room;
        let interval = if huge { options.occupancy_interval_huge } else { options.occupancy_interval };
        self.occupancy.due = self.occupancy.told.map(|told| told.plus(interval)).filter(|due| *due > now);
        if self.occupancy.due.is_some() {
            return None;
        }
        self.occupancy.told = Some(now);
        Some(self.count())
    }

    /// When its occupancy is to be told, where that waits.
    pub(super) const fn occupancy_due(&self) -> Option<Moment> {
        self.occupancy.due
    }
}

/// The rooms with somebody present, by name and by number.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    numbers: HashMap<RoomName, RoomIndex>,
    /// Boxed, so that a number that is free costs eight bytes.
    slots: Vec<Option<Box<Room>>>,
    free: Vec<RoomIndex>,
}

impl Rooms {
    /// The room's number; one is given where it has none. Whoever asks puts somebody in.
    pub(super) fn open(&mut self, name: &RoomName) -> RoomIndex {
        if let Some(index) = self.numbers.get(name) {
            return *index;
        }
        let room = Some(Box::new(Room::new(name.clone())));
        let index = if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(index.0 as usize) {
                *slot = room;
            }
            index
        } else {
            self.slots.push(room);
            RoomIndex(self.slots.len() as u32 - 1)
        };
        self.numbers.insert(name.clone(), index);
        index
    }

    pub(super) fn index(&self, name: &RoomName) -> Option<RoomIndex> {
        self.numbers.get(name).copied()
    }

    pub(super) fn named(&self, name: &RoomName) -> Option<&Room> {
        self.get(self.index(name)?)
    }

    pub(super) fn get(&self, index: RoomIndex) -> Option<&Room> {
        self.slots.get(index.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, index: RoomIndex) -> Option<&mut Room> {
        self.slots.get_mut(index.0 as usize)?.as_deref_mut()
    }

    /// Forgets the room if it is empty, and returns it then.
    pub(super) fn close_empty(&mut self, index: RoomIndex) -> Option<Box<Room>> {
        let slot = self.slots.get_mut(index.0 as usize)?;
        let room = slot.take_if(|room| room.present.is_empty())?;
        self.numbers.remove(&room.name);
        give_back(&mut self.numbers);
        self.free.push(index);
        if self.numbers.is_empty() {
            *self = Self::default();
        }
        Some(room)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}
