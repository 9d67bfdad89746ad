//! What is written down of a resume: one line, for it may be of any number of rooms.

use crate::audit::{About, Source, Trail, event};
use crate::domain::limits::AUDIT_RESUMED_ROOMS;
use crate::domain::names::RoomName;

use super::driver::{Established, Session};

/// The rooms that a session has resumed and of which no line says so yet: how many, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    count: u64,
    rooms: Vec<RoomName>,
}

impl Resumed {
    /// One more was resumed.
    pub(super) fn add(&mut self, room: &RoomName) {
        self.count += 1;
        if self.rooms.len() < AUDIT_RESUMED_ROOMS {
            self.rooms.push(room.clone());
        }
    }
}

impl Established {
    /// Writes down which rooms were resumed, if any.
    pub(super) fn tell_resumed(&mut self, audit: &Trail, source: &Source) {
        let Resumed { count, rooms } = std::mem::take(&mut self.resumed);
        if count > 0 {
            let about = About { count: Some(count), rooms: &rooms, ..About::default() };
            audit.tell(event::RESUMED, source, Some(&self.caller), about, Ok(()));
        }
    }
}

impl Session {
    /// The same, where none of the resume is left.
    pub(super) fn tell_resumed_whole(&mut self) {
        if let Some(established) = &mut self.established
            && established.joins.have_been_tried()
        {
            established.tell_resumed(&self.services.audit, &self.source);
        }
    }
}
