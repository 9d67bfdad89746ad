//! What presence and others have to say that is in no log, on its way to those who are to hear it.

use std::hash::Hash;
use std::sync::Arc;

use crate::delivery::mailbox::MergeKey;
use crate::delivery::{Broadcast, Delivery, To};
use crate::domain::names::RoomKey;
use crate::domain::push::Push;
use crate::presence::{Audience, Notice, NoticeSink};

use super::live::Sessions;
use super::services::Services;

/// Takes presence's notices to the sessions that they are for.
pub struct NoticeRouter {
    /// Fan-out.
    pub delivery: Arc<Delivery>,
    /// All live sessions.
    pub sessions: Arc<Sessions>,
}

impl NoticeSink for NoticeRouter {
    fn deliver(&self, notice: Notice) {
        let merge = Some(MergeKey::of(&notice.merge));
        let (room, to) = match notice.to {
            Audience::Room(room) => (room, To::PresenceFollowers),
            Audience::Others(room, user) => (room, To::Others(user)),
            Audience::Sessions(sessions) => {
                let frame = self.delivery.encoder().push(&notice.push);
                for live in sessions.into_iter().filter_map(|id| self.sessions.get(id)) {
                    live.mailbox.push(frame.clone(), merge);
                }
                return;
            }
        };
        self.delivery.broadcast_push(&room, &notice.push, merge, to, true);
    }
}

impl Services {
    /// Sends an event that is in no log to a room's followers; `about` is what a later one replaces. `false` where too
    /// much waits already.
    pub fn send_to_room(&self, room: &RoomKey, push: &Push, about: Option<impl Hash>, to: To) -> bool {
        self.delivery.broadcast_push(room, push, about.map(MergeKey::of), to, false)
    }
}

impl Delivery {
    /// Encodes and broadcasts, where somebody follows.
    fn broadcast_push(
        &self,
        room: &RoomKey,
        push: &Push,
        merge: Option<MergeKey>,
        to: To,
        of_state: bool,
    ) -> bool {
        if self.rooms().get(room).is_none_or(|room| room.follower_count() == 0) {
            return true;
        }
        self.broadcast(room, &Broadcast { frame: self.encoder().push(push), merge, to, of_state })
    }
}
