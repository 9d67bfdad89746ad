//! Between nodes: what is in no log goes to the others as ready frames, and what they send or say is delivered here.

use carillon_proto::Frame;

use crate::bus::Topic;
use crate::bus::envelope::{For, Live};
use crate::domain::names::{RoomKey, UserKey};
use crate::domain::position::Position;
use crate::domain::push::Push;

use super::mailbox::{MergeKey, Signal};
use super::room::begin_anew;
use super::shard::Wakeup;
use super::{Broadcast, Delivery, To};

impl Delivery {
    /// Encodes and broadcasts to who follows the room on this node.
    pub fn broadcast_here(
        &self,
        room: &RoomKey,
        push: &Push,
        merge: Option<MergeKey>,
        to: To,
        of_state: bool,
    ) -> bool {
        !self.is_followed(room)
            || self.broadcast(room, &Broadcast { frame: self.encoder.push(push), merge, to, of_state })
    }

    /// Encodes and broadcasts to who follows the room, on this node and on the others. `false` where it was not taken: what
    /// cannot go to the others now goes to nobody.
    pub fn broadcast_anywhere(
        &self,
        room: &RoomKey,
        push: &Push,
        merge: Option<MergeKey>,
        to: To,
        of_state: bool,
    ) -> bool {
        let Some(feed) = self.feed() else { return self.broadcast_here(room, push, merge, to, of_state) };
        let broadcast = Broadcast { frame: self.encoder.push(push), merge, to, of_state };
        feed.send(&Topic::Room(room.clone()), &live(&broadcast)) && self.broadcast(room, &broadcast)
    }

    fn is_followed(&self, room: &RoomKey) -> bool {
        self.rooms.get(room).is_some_and(|room| room.follower_count() > 0)
    }

    /// Sends to every session of a user, on this node and, as soon as they can be told, on the others.
    pub(super) fn send_to_user_anywhere(&self, user: &UserKey, push: &Push) {
        let Some(feed) = self.feed() else { return self.send_to_user(user, push, None) };
        let frame = self.encoder.push(push);
        let broadcast = Broadcast { frame: frame.clone(), merge: None, to: To::All, of_state: false };
        feed.send_to_user(user, &live(&broadcast));
        for mailbox in self.registry.sessions_of(user) {
            mailbox.push(frame.clone(), None);
        }
    }

    /// Another node has something for who follows a topic.
    pub fn deliver_live(&self, topic: &Topic, live: Live) {
        let Live { to, merge, of_state, message } = live;
        let frame = Frame::from_message(&message);
        let merge = merge.map(MergeKey::from_number);
        match topic {
            Topic::Room(room) => {
                let to = match to {
                    For::All => To::All,
                    For::Except(session) => To::Except(session),
                    For::Others(user) => To::Others(user),
                    For::PresenceFollowers => To::PresenceFollowers,
                };
                // Where too much waits here it is left out: whoever published was told that others have it.
                self.broadcast(room, &Broadcast { frame, merge, to, of_state });
            }
            Topic::User(user) => {
                for mailbox in self.registry.sessions_of(user) {
                    mailbox.push(frame.clone(), merge);
                }
                self.inbox_changed(user);
            }
            Topic::Tenant(_) | Topic::Hub => {}
        }
    }

    /// A user has become a member of a room on another node: they hear of it at once, as of one whose count has changed.
    pub fn tell_member(&self, room: &RoomKey, user: &UserKey) {
        self.tell_count(room, &user.user);
    }

    /// A room's log has got to `head`, and not all before it was told: who follows it reads it from the store.
    pub fn move_on(&self, room: &RoomKey, head: Position) {
        if let Some(room) = self.rooms.get(room).filter(|room| room.move_on(head)) {
            self.wake_followers(&room);
        }
    }

    /// Notifications have arrived that the store alone has.
    pub fn leave_inbox_to_store(&self, topic: &Topic) {
        match topic {
            Topic::User(user) => {
                for mailbox in self.registry.sessions_of(user) {
                    mailbox.leave_to_store();
                }
                self.inbox_changed(user);
            }
            Topic::Tenant(tenant) => {
                for shard in &self.shards {
                    shard.send(Wakeup::ReadInboxes(tenant.clone()));
                }
                self.inboxes.add_all(tenant);
            }
            Topic::Room(_) | Topic::Hub => {}
        }
    }

    /// What was told of a topic is not what its log says now: whoever follows it ends and resumes.
    pub fn begin_anew(&self, topic: &Topic) {
        let sessions = match topic {
            Topic::Room(room) => {
                if let Some(room) = self.rooms.take(room) {
                    room.end();
                }
                return;
            }
            Topic::User(user) => self.registry.sessions_of(user),
            Topic::Tenant(tenant) => self.registry.sessions_in(tenant),
            Topic::Hub => return,
        };
        for mailbox in sessions {
            mailbox.signal(Signal::Close(begin_anew()));
        }
    }

    /// A topic is heard again, and what is in no log may have been missed.
    pub fn catch_up(&self, topic: &Topic) {
        match topic {
            Topic::User(user) => self.inbox_changed(user),
            // Somebody may have been erased.
            Topic::Hub => self.rooms.forget_tails(None),
            Topic::Room(room) => {
                self.misses_marks(room);
                // Of whoever is a member and not there another device may have read, and be heard of no more.
                self.misses_counts(room);
            }
            Topic::Tenant(_) => {}
        }
    }
}

fn live(broadcast: &Broadcast) -> Live {
    let to = match &broadcast.to {
        To::All => For::All,
        To::Except(session) => For::Except(*session),
        To::Others(user) => For::Others(user.clone()),
        To::PresenceFollowers => For::PresenceFollowers,
    };
    let merge = broadcast.merge.map(MergeKey::number);
    Live { to, merge, of_state: broadcast.of_state, message: broadcast.frame.message() }
}
