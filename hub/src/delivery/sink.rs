//! What was committed becomes deliveries. Runs on the thread of the store or of the feed, in commit order, and never waits.

use std::sync::Arc;

use carillon_proto::Frame;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::domain::entry::{Entry, EntryBody};
use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::marks::Marks;
use crate::domain::member::MembershipChange;
use crate::domain::names::{RoomKey, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, InboxPosition, Seq};
use crate::domain::push::Push;
use crate::domain::time::Timestamp;
use crate::store::{Change, CommitSink};

use super::Delivery;
use super::registry::Registry;
use super::room::ActiveRoom;
use super::shard::Wakeup;

/// The latest message of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestMessage {
    /// Its place.
    pub seq: Seq,
    /// Its number: how many messages there are.
    pub number: u64,
}

/// Rooms that got messages since they were last asked for. Bounded by the rooms that are written to in between.
#[derive(Default)]
pub(super) struct UnreadRooms(Mutex<FxHashMap<RoomKey, LatestMessage>>);

impl UnreadRooms {
    pub(super) fn take(&self) -> Vec<(RoomKey, LatestMessage)> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }

    fn add(&self, room: &RoomKey, latest: LatestMessage) {
        let mut rooms = self.0.lock();
        match rooms.get_mut(room) {
            Some(known) => *known = latest,
            None => _ = rooms.insert(room.clone(), latest),
        }
    }
}

/// Connected users who have read, with the rooms, since they were last asked for. Bounded by what they mark in between.
#[derive(Default)]
pub(super) struct ReadRooms(Mutex<FxHashSet<(RoomKey, UserId)>>);

impl ReadRooms {
    pub(super) fn take(&self) -> Vec<(RoomKey, UserId)> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }

    fn add(&self, room: &RoomKey, user: &UserId) {
        self.0.lock().insert((room.clone(), user.clone()));
    }
}

/// Connected users whose inboxes changed since they were last asked for, and tenants all of whose users' did. Bounded by
/// the users who are connected, and by their tenants.
#[derive(Default)]
pub(super) struct ChangedInboxes(Mutex<(FxHashSet<UserKey>, FxHashSet<TenantId>)>);

impl ChangedInboxes {
    pub(super) fn take(&self, registry: &Registry) -> Vec<UserKey> {
        let (mut users, tenants) = std::mem::take(&mut *self.0.lock());
        for tenant in tenants {
            users.extend(registry.sessions_in(&tenant).iter().map(|mailbox| mailbox.user().clone()));
        }
        users.into_iter().collect()
    }

    /// The inbox of a user who is connected.
    fn add(&self, user: &UserKey) {
        let mut changed = self.0.lock();
        if !changed.0.contains(user) {
            changed.0.insert(user.clone());
        }
    }

    pub(super) fn add_all(&self, tenant: &TenantId) {
        let mut changed = self.0.lock();
        if !changed.1.contains(tenant) {
            changed.1.insert(tenant.clone());
        }
    }
}

impl CommitSink for Delivery {
    fn committed(&self, changes: &[Change]) {
        let now = Timestamp::now();
        for change in changes {
            match change {
                Change::Entry { room, entry } => {
                    self.tell_added(room, entry);
                    self.deliver_entry(room, entry, now);
                }
                Change::Marks { room, user, marks } => {
                    // Other devices than the one that marks may show a count that is out of date.
                    self.tell_count(room, user);
                    self.tell_marks(room, user, *marks);
                }
                Change::Notified { user, notification } => self.notify(user, notification),
                Change::Broadcast { tenant, notification } => self.notify_all(tenant, notification),
                Change::Inbox { user, change, summary } => {
                    let push = Push::NotificationState { change: change.clone(), summary: *summary };
                    self.send_to_user_anywhere(user, &push);
                    // A count that was read before is on its way, perhaps.
                    self.inbox_changed(user);
                }
                Change::Erased { user } => {
                    self.rooms.forget_tails(Some(&user.tenant));
                    self.rooms.forget_marks(user);
                    self.inbox_changed(user);
                }
                Change::Restarted(epoch) => self.restart(*epoch),
                Change::Trimmed { .. } | Change::Revoked(_) => {}
            }
        }
    }
}

impl Delivery {
    /// Whoever is added to a room hears of it at once, as of a room whose count has changed.
    fn tell_added(&self, room: &RoomKey, entry: &Entry) {
        if let EntryBody::Membership { user, change: MembershipChange::Added, .. } = &entry.body {
            self.tell_count(room, user);
        }
    }

    /// A user who is connected is to hear how many messages are unread in a room.
    pub(super) fn tell_count(&self, room: &RoomKey, user: &UserId) {
        let key = UserKey { tenant: room.tenant.clone(), user: user.clone() };
        if self.registry.is_online(&key) {
            self.read.add(room, user);
        }
    }

    fn deliver_entry(&self, key: &RoomKey, entry: &Arc<Entry>, now: Timestamp) {
        if let EntryBody::Message(message) = &entry.body {
            self.unread.add(key, LatestMessage { seq: entry.seq, number: entry.number });
            // A service has no marks, and its name may be a user's.
            if !message.by_service {
                let marks = Marks { delivered: entry.seq, read: entry.seq, read_number: entry.number };
                self.note_sent(key, &entry.sender, marks);
            }
        }
        let Some(room) = self.rooms.get(key) else { return };
        let about = self.revise(&room, entry);
        let frame = (room.follower_count() > 0).then(|| self.encoder.entry(&key.room, entry));
        room.append(entry.position(), about, now, frame);
        if let EntryBody::Membership { user, change, role } = &entry.body {
            room.change_member(user, entry.seq, (!change.ends()).then_some(*role));
        }
        self.wake_followers(&room);
    }

    /// Gives frames that followers have not got yet the form that they have after `entry`, so that nobody has to read the
    /// store for it: an edit is what its message says now, a deletion leaves nothing of the edits either. Gives the message
    /// that the entry is about.
    fn revise(&self, room: &ActiveRoom, entry: &Entry) -> Seq {
        match &entry.body {
            EntryBody::Message(_) => entry.seq,
            EntryBody::Edit { target, .. } => {
                room.revise(*target, |seq, frame| {
                    // Earlier edits say what they said.
                    if seq == *target { self.encoder.revised(frame, entry) } else { Some(frame.clone()) }
                });
                *target
            }
            EntryBody::Deletion { target } => {
                room.revise(*target, |_, frame| self.encoder.revised(frame, entry));
                *target
            }
            _ => Seq(0),
        }
    }

    pub(super) fn inbox_changed(&self, user: &UserKey) {
        if self.registry.is_online(user) {
            self.inboxes.add(user);
        }
    }

    fn notify(&self, user: &UserKey, notification: &Notification) {
        let sessions = self.registry.sessions_of(user);
        if sessions.is_empty() {
            return;
        }
        self.inboxes.add(user);
        let frame = self.notification(notification);
        for mailbox in sessions {
            if let Some(shard) = self.shards.get(mailbox.shard()) {
                shard.send(Wakeup::Notification(mailbox, frame.clone(), notification.place));
            }
        }
    }

    /// Each runtime looks for the tenant's sessions itself: here it would hold up the store.
    fn notify_all(&self, tenant: &TenantId, notification: &Notification) {
        let mut frame = None;
        for (index, shard) in self.shards.iter().enumerate() {
            if self.registry.count_in(index, tenant) > 0 {
                let frame = frame.get_or_insert_with(|| self.notification(notification)).clone();
                shard.send(Wakeup::Notifications(tenant.clone(), frame, notification.place));
            }
        }
        if frame.is_some() {
            self.inboxes.add_all(tenant);
        }
    }

    fn notification(&self, notification: &Notification) -> Frame {
        let position = place_as_position(self.epoch(), notification.place);
        self.encoder.push(&Push::Notification { notification: notification.clone(), position })
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
