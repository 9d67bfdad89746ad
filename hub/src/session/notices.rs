//! What presence has to say, on its way to those who are to hear it.

use std::hash::Hash;

use crate::delivery::mailbox::MergeKey;
use crate::delivery::{Broadcast, To};
use crate::domain::names::RoomKey;
use crate::domain::push::Push;
use crate::presence::{Audience, Notice};

use super::services::Services;

impl Services {
    /// Sends notices of presence.
    pub fn send_notices(&self, notices: Vec<Notice>) {
        for notice in notices {
            let merge = Some(MergeKey::of(&notice.merge));
            match notice.to {
                Audience::Room(room) => {
                    if self.delivery.rooms().get(&room).is_some() {
                        let frame = self.delivery.encoder().push(&notice.push);
                        let to = To::PresenceFollowers;
                        self.delivery.broadcast(&room, &Broadcast { frame, merge, to });
                    }
                }
                Audience::Sessions(sessions) => {
                    let frame = self.delivery.encoder().push(&notice.push);
                    for live in sessions.into_iter().filter_map(|id| self.sessions.get(id)) {
                        live.mailbox.push(frame.clone(), merge);
                    }
                }
            }
        }
    }

    /// Sends a push that is in no log to a room's followers; `about` is what a later one replaces.
    pub fn send_to_room(&self, room: &RoomKey, push: &Push, about: Option<impl Hash>, to: To) -> bool {
        if self.delivery.rooms().get(room).is_none() {
            return true;
        }
        let frame = self.delivery.encoder().push(push);
        self.delivery.broadcast(room, &Broadcast { frame, merge: about.map(MergeKey::of), to })
    }
}
