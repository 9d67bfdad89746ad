//! Unread counts: of rooms, for members who are connected but do not follow them, and of inboxes. Merged over
//! [`UNREAD_INTERVAL`], so that what is busy costs a push a few times a second, not one a message.

mod absent;

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;
use rustc_hash::FxHashSet;
use tokio_util::sync::CancellationToken;

use crate::access::rules::member_reads;
use crate::delivery::LatestMessage;
use crate::delivery::mailbox::MergeKey;
use crate::domain::entry::{Entry, EntryBody};
use crate::domain::limits::{CATCH_UP_BYTES, LISTED_MESSAGE_BYTES, UNREAD_INTERVAL};
use crate::domain::member::Role;
use crate::domain::names::{RoomKey, UserId, UserKey};
use crate::domain::namespace::Who;
use crate::domain::position::Seq;
use crate::domain::push::Push;
use crate::store::{EntryRange, PageBound, StoreError};

use super::live::Live;
use super::services::Services;
pub use absent::{AbsentMember, Here, absent_members};

/// Rooms and inboxes that are read at a time: one with many members holds up no other.
const AT_A_TIME: usize = 8;

/// Rooms whose counts may have changed unheard that are read between two times that counts are sent: so that others' are not
/// held up for long.
const MISSED_AT_ONCE: usize = 512;

/// Where the latest message is looked for, when somebody has read: among this many entries from the end.
const LATEST_AMONG: u32 = 20;

/// Sends unread counts until cancelled.
pub async fn send_unread(services: Arc<Services>, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(UNREAD_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let sending = async {
        loop {
            ticks.tick().await;
            let mut sends = stream::iter(services.unread_counts()).buffer_unordered(AT_A_TIME);
            while let Some(sent) = sends.next().await {
                if let Err(error) = sent {
                    tracing::warn!(error = %error, "an unread count was not sent");
                }
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = cancel.cancelled() => {}
    }
}

type Sending<'a> = BoxFuture<'a, Result<(), StoreError>>;

impl Services {
    /// What has changed since the last call, each to be sent.
    fn unread_counts(&self) -> Vec<Sending<'_>> {
        let with_members = |room: &RoomKey| {
            self.namespaces.rules(&room.room).is_some_and(|rules| rules.join == Who::Members)
        };
        let mut sends: Vec<Sending<'_>> = Vec::new();
        for (room, latest) in self.delivery.take_unread_rooms() {
            if with_members(&room) {
                sends.push(Box::pin(self.send_unread_of(room, latest)));
            }
        }
        for (room, user) in self.delivery.take_read_rooms() {
            if with_members(&room) {
                sends.push(Box::pin(self.send_read(room.clone(), user.clone())));
            }
            sends.push(Box::pin(self.send_own_marks(room, user)));
        }
        for user in self.delivery.take_changed_inboxes() {
            sends.push(Box::pin(self.send_inbox_unread(user)));
        }
        // Among the others, so that no count that was read before is sent after a newer one.
        let missed = self.delivery.take_missed_counts(MISSED_AT_ONCE);
        if !missed.is_empty() {
            sends.push(Box::pin(self.send_missed(missed)));
        }
        sends
    }

    /// To members who are here and do not follow the room, as if it had got its latest message just now.
    pub(super) async fn send_missed_of(&self, room: &RoomKey) -> Result<(), StoreError> {
        let (number, latest) = self.latest_message(room).await?;
        let seq = latest.map_or(Seq(0), |entry| entry.seq);
        self.send_unread_of(room.clone(), LatestMessage { seq, number }).await
    }

    /// A room's number of messages, and the latest where it is among the last entries.
    async fn latest_message(&self, room: &RoomKey) -> Result<(u64, Option<Entry>), StoreError> {
        let bound = PageBound { items: LATEST_AMONG, bytes: CATCH_UP_BYTES };
        let page = self.store.entries(room, EntryRange::Before(Seq::MAX), bound).await?;
        let latest = page.entries.into_iter().find(|entry| matches!(entry.body, EntryBody::Message(_)));
        Ok((page.head_number, latest))
    }

    /// To members who are here and do not follow the room.
    async fn send_unread_of(&self, room: RoomKey, latest: LatestMessage) -> Result<(), StoreError> {
        let registry = self.delivery.registry();
        let here = || {
            let sessions = registry.sessions_in(&room.tenant);
            let here: FxHashSet<UserId> =
                sessions.iter().map(|mailbox| mailbox.user().user.clone()).collect();
            here.into_iter().collect()
        };
        let here = Here { sessions: registry.sessions_in_count(&room.tenant), users: &here };
        let is_absent = |user: &UserId| !self.sessions_elsewhere(&room, user).is_empty();
        let absent = absent_members(&*self.store, &room, latest, &here, &is_absent).await?;
        if absent.is_empty() {
            return Ok(());
        }
        let last = self.store.entry(&room, latest.seq).await?.filter(is_listed).map(Box::new);
        for AbsentMember { user, role, unread, may_read } in absent {
            let may_read = may_read && self.reads(&room, role);
            let sessions = self.sessions_elsewhere(&room, &user);
            if !sessions.is_empty() {
                let last = last.clone().filter(|_| may_read);
                self.push_unread(&room, &sessions, unread, latest.seq, last);
            }
        }
        Ok(())
    }

    /// A user has read in a room: to those of their sessions that do not follow it, also that nothing is unread.
    async fn send_read(&self, room: RoomKey, user: UserId) -> Result<(), StoreError> {
        let absent = self.sessions_elsewhere(&room, &user);
        if absent.is_empty() {
            return Ok(());
        }
        let Some(member) = self.store.member(&room, &user).await? else { return Ok(()) };
        let marks = self.store.marks(&room, &user).await?;
        let (number, latest) = self.latest_message(&room).await?;
        let seq = latest.as_ref().map_or(Seq(0), |entry| entry.seq);
        let may_read = self.reads(&room, member.role);
        let latest = latest.filter(|entry| may_read && entry.seq >= member.history_from && is_listed(entry));
        self.push_unread(&room, &absent, marks.unread(number), seq, latest.map(Box::new));
        Ok(())
    }

    /// A user has read in a room whose followers are told of no marks: to those of their own sessions that follow it.
    async fn send_own_marks(&self, room: RoomKey, user: UserId) -> Result<(), StoreError> {
        let here: Vec<_> = self.sessions_that(&room, &user, true);
        if here.is_empty() || self.delivery.tells_marks(&room) {
            return Ok(());
        }
        let marks = self.store.marks(&room, &user).await?;
        let merge = MergeKey::of(("marks", &room, &user));
        let push = Push::Marks { room: room.room, user, marks };
        let frame = self.delivery.encoder().push(&push);
        for live in here {
            live.mailbox.push(frame.clone(), Some(merge));
        }
        Ok(())
    }

    /// Whether a membership's role may read what is said in a room: what a token says besides is not looked at here.
    fn reads(&self, room: &RoomKey, role: Role) -> bool {
        self.namespaces.rules(&room.room).is_some_and(|rules| member_reads(rules, role))
    }

    fn push_unread(
        &self,
        room: &RoomKey,
        to: &[Arc<Live>],
        count: u64,
        last_seq: Seq,
        last_message: Option<Box<Entry>>,
    ) {
        let push = Push::Unread { room: room.room.clone(), count, last_seq, last_message };
        let frame = self.delivery.encoder().push(&push);
        for live in to {
            live.mailbox.push(frame.clone(), Some(MergeKey::of(("unread", room))));
        }
    }

    async fn send_inbox_unread(&self, user: UserKey) -> Result<(), StoreError> {
        let summary = self.store.inbox_summary(&user).await?;
        self.delivery.send_to_user(&user, &Push::InboxUnread(summary), Some(MergeKey::of("inbox_unread")));
        Ok(())
    }

    /// The user's sessions that do not follow the room.
    fn sessions_elsewhere(&self, room: &RoomKey, user: &UserId) -> Vec<Arc<Live>> {
        self.sessions_that(room, user, false)
    }

    /// The user's sessions that follow the room, or that do not.
    fn sessions_that(&self, room: &RoomKey, user: &UserId, follow: bool) -> Vec<Arc<Live>> {
        let user = UserKey { tenant: room.tenant.clone(), user: user.clone() };
        let sessions = self.delivery.registry().sessions_of(&user);
        let live = sessions.iter().filter_map(|mailbox| self.sessions.get(mailbox.session()));
        live.filter(|live| live.follows(&room.room) == follow).collect()
    }
}

/// Whether a message is told with its room's count: not where it is large, as in lists of rooms.
fn is_listed(message: &Entry) -> bool {
    message.size() <= LISTED_MESSAGE_BYTES
}
