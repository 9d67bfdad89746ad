//! What presence and others have to say that is in no log, on its way to those who are to hear it.

use std::sync::Arc;

use crate::delivery::mailbox::MergeKey;
use crate::delivery::{Delivery, To};
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::time::Moment;
use crate::events::EphemeralEvent;
use crate::presence::{Audience, Notice, NoticeSink};

use super::services::Services;
use super::sessions::Sessions;

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
            // Who is present elsewhere is not known here, but who types may be seen there.
            Audience::Others(room, user) => {
                self.delivery.broadcast_anywhere(&room, &notice.push, merge, To::Others(user), true);
                return;
            }
            Audience::Sessions(sessions) => {
                let frame = self.delivery.encoder().push(&notice.push);
                for live in sessions.into_iter().filter_map(|id| self.sessions.get(id)) {
                    live.mailbox.push(frame.clone(), merge);
                }
                return;
            }
        };
        self.delivery.broadcast_here(&room, &notice.push, merge, to, true);
    }
}

impl Services {
    /// Sends an event that is in no log to its room's followers on all nodes, unless an earlier attempt of `sender` did.
    /// `UNAVAILABLE` where too much waits already, or other nodes cannot be told; `CONFLICT` where the attempt's key was another command's.
    pub fn publish(&self, sender: &Caller, event: &EphemeralEvent, to: To) -> Result<(), Refusal> {
        let merge = event.merge_key.as_ref().map(|key| MergeKey::of(("event", &event.room, key)));
        let deliver = || self.delivery.broadcast_anywhere(&event.room, &event.push, merge, to, false);
        match &event.attempt {
            Some(attempt) => {
                let sender = (sender.service, &sender.user);
                self.upkeep.once.deliver(sender, &event.room, attempt, Moment::now(), deliver)
            }
            None if deliver() => Ok(()),
            None => Err(ErrorCode::Unavailable.into()),
        }
    }
}
