//! What was committed becomes deliveries. Runs on the store's thread, in commit order, and never waits.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::domain::entry::{Entry, EntryBody};
use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::names::RoomKey;
use crate::domain::position::{Epoch, InboxPosition, Seq};
use crate::domain::push::Push;
use crate::domain::time::Timestamp;
use crate::store::{Change, CommitSink};

use super::mailbox::MergeKey;
use super::{Broadcast, Delivery, To};

/// Rooms that got messages since they were last asked for. Bounded by the rooms that are written to in between.
#[derive(Default)]
pub(super) struct UnreadRooms(Mutex<FxHashSet<RoomKey>>);

impl UnreadRooms {
    pub(super) fn take(&self) -> Vec<RoomKey> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }

    fn add(&self, room: &RoomKey) {
        let mut rooms = self.0.lock();
        if !rooms.contains(room) {
            rooms.insert(room.clone());
        }
    }
}

impl CommitSink for Delivery {
    fn committed(&self, changes: &[Change]) {
        let now = Timestamp::now();
        for change in changes {
            match change {
                Change::Entry { room, entry } => self.deliver_entry(room, entry, now),
                Change::Marks { room, user, marks } => {
                    let push = Push::Marks { room: room.room.clone(), user: user.clone(), marks: *marks };
                    self.broadcast_marks(room, &push, MergeKey::of(("marks", &room.room, user)));
                }
                Change::Notified { user, notification } => {
                    self.notify(self.registry.sessions_of(user), notification);
                }
                Change::Broadcast { tenant, notification } => {
                    self.notify(self.registry.sessions_in(tenant), notification);
                }
                Change::Inbox { user, change, summary } => {
                    let push = Push::NotificationState { change: change.clone(), summary: *summary };
                    self.send_to_user(user, &push, None);
                }
                Change::Erased { user } => self.rooms.forget_tails(&user.tenant),
                Change::Trimmed { .. } => {}
            }
        }
    }
}

impl Delivery {
    fn deliver_entry(&self, key: &RoomKey, entry: &Arc<Entry>, now: Timestamp) {
        if let EntryBody::Message(_) = entry.body {
            self.unread.add(key);
        }
        let Some(room) = self.rooms.get(key) else { return };
        let frame = (room.follower_count() > 0).then(|| self.encoder.entry(&key.room, entry));
        room.append(entry.position(), now, frame);
        match &entry.body {
            EntryBody::Edit { target, .. } | EntryBody::Deletion { target } => room.forget_through(*target),
            EntryBody::Membership { user, change, .. } if change.ends() => room.remove_user(user, entry.seq),
            _ => {}
        }
        self.wake_followers(&room);
    }

    fn broadcast_marks(&self, key: &RoomKey, push: &Push, merge: MergeKey) {
        let receipts = self.namespaces.rules(&key.room).is_some_and(|rules| rules.receipts);
        let Some(room) = self.rooms.get(key).filter(|_| receipts) else { return };
        if room.follower_count() == 0 || room.is_large() {
            return;
        }
        let frame = self.encoder.push(push);
        self.broadcast_in(&room, &Broadcast { frame, merge: Some(merge), to: To::All });
    }

    fn notify(&self, sessions: Vec<Arc<super::mailbox::Mailbox>>, notification: &Notification) {
        if sessions.is_empty() {
            return;
        }
        let position = place_as_position(self.epoch(), notification.place);
        let frame = self.encoder.push(&Push::Notification { notification: notification.clone(), position });
        for mailbox in sessions {
            mailbox.push_notification(frame.clone(), notification.place);
        }
    }
}

/// A notification's place alone: clients keep the highest of each log, so that one frame serves every session.
fn place_as_position(epoch: Epoch, place: InboxPlace) -> InboxPosition {
    let (own, broadcast) = match place {
        InboxPlace::Own(seq) => (seq, Seq(0)),
        InboxPlace::Broadcast(seq) => (Seq(0), seq),
    };
    InboxPosition { epoch, own, broadcast }
}
