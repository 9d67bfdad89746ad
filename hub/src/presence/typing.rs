//! Who types where. Never stored, and over by itself.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::names::{RoomKey, UserId};
use crate::domain::push::Push;
use crate::domain::time::Moment;

/// Who types in which room, until when. Whoever neither stops nor goes on typing is taken out by [`Typing::tick`].
#[derive(Debug)]
pub struct Typing {
    expiry: Duration,
    rooms: HashMap<RoomKey, HashMap<UserId, End>>,
    ends: BTreeMap<End, (RoomKey, UserId)>,
    serial: u64,
}

/// When a user's typing ends; the serial number tells those of one moment apart.
type End = (Moment, u64);

impl Typing {
    /// Nobody types. `expiry`: how long typing lasts that is not refreshed.
    pub fn new(expiry: Duration) -> Self {
        Self { expiry, rooms: HashMap::new(), ends: BTreeMap::new(), serial: 0 }
    }

    /// The user types, or no longer. Returns what the room is told: nothing where that changes nothing. Typing on
    /// extends silently.
    pub fn set(&mut self, room: &RoomKey, user: &UserId, active: bool, now: Moment) -> Option<Push> {
        if !active {
            return self.leave(room, user);
        }
        self.serial += 1;
        let end = (now.plus(self.expiry), self.serial);
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), HashMap::new());
        }
        let before = self.rooms.get_mut(room)?.insert(user.clone(), end);
        self.ends.insert(end, (room.clone(), user.clone()));
        if let Some(before) = before {
            self.ends.remove(&before);
            return None;
        }
        Some(push(room, user.clone(), true))
    }

    /// The user left the room, and so no longer types there.
    pub fn leave(&mut self, room: &RoomKey, user: &UserId) -> Option<Push> {
        let users = self.rooms.get_mut(room)?;
        let end = users.remove(user)?;
        if users.is_empty() {
            self.rooms.remove(room);
        }
        self.ends.remove(&end);
        Some(push(room, user.clone(), false))
    }

    /// Ends the typing whose time is over.
    pub fn tick(&mut self, now: Moment) -> Vec<(RoomKey, Push)> {
        let mut over = Vec::new();
        while let Some(first) = self.ends.first_entry()
            && first.key().0 <= now
        {
            let (room, user) = first.remove();
            if let Some(users) = self.rooms.get_mut(&room) {
                users.remove(&user);
                if users.is_empty() {
                    self.rooms.remove(&room);
                }
            }
            let push = push(&room, user, false);
            over.push((room, push));
        }
        over
    }

    /// When the next typing ends.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.ends.first_key_value().map(|((when, _), _)| *when)
    }

    /// Whether nobody types, and nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.ends.is_empty()
    }
}

fn push(room: &RoomKey, user: UserId, active: bool) -> Push {
    Push::Typing { room: room.room.clone(), user, active }
}
