//! The port itself.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::domain::audit::ChainHead;
use crate::domain::entry::Entry;
use crate::domain::inbox::{InboxChange, InboxPlace, InboxSummary, Notification};
use crate::domain::marks::Marks;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, Position, Seq, Tag};
use crate::domain::revocation::Revocation;
use crate::domain::room::{Room, RoomSummary};
use crate::domain::time::Timestamp;
use crate::redis::LinkFigures;

use super::outcome::{CommitError, Committed, Outcome};
use super::query::{
    EntryPage, EntryRange, InboxLog, InboxPage, InboxQuery, Log, PageBound, RoomPage, RoomsQuery,
};

/// What a read gives, later.
pub type Reading<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Why the store could not answer. Nothing that was acknowledged is in doubt.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It stopped after a failed commit or is closing: retry elsewhere or later.
    #[error("the store is not available")]
    Unavailable,
    /// Too much is queued: retry later.
    #[error("the store is overloaded")]
    Overloaded,
    /// The engine failed. The text is for the log, never for a caller.
    #[error("the store failed: {0}")]
    Engine(Arc<str>),
}

impl StoreError {
    /// An outcome whose parts do not belong to its home.
    pub(super) fn malformed() -> Self {
        Self::Engine("an outcome whose parts do not belong to its home".into())
    }
}

/// Durable state. Implementations pass the conformance suite as it is (`hub/tests/store_conformance`).
///
/// Dropping a returned future does not undo what it began.
pub trait Store: Send + Sync + 'static {
    /// Commits an outcome: conditions checked, deduplicated, written and durable, all or nothing.
    fn commit(&self, outcome: Outcome) -> BoxFuture<'static, Result<Committed, CommitError>>;

    /// The epoch of all logs. Where another one begins [`Change::Restarted`] says so.
    fn epoch(&self) -> Epoch;

    /// Another node was heard to commit this in an epoch. Who shares a store that may lose something looks whether it is there.
    fn heard(&self, _epoch: Epoch, _change: &Change) {}

    /// A room; `None` where nothing was ever written to it.
    fn room(&self, room: &RoomKey) -> Reading<Option<Room>>;

    /// The tenant's rooms whose names begin with `prefix`, in order of their names.
    fn rooms(
        &self,
        tenant: &TenantId,
        prefix: &str,
        after: Option<&RoomName>,
        bound: PageBound,
    ) -> Reading<RoomPage<Room>>;

    /// A user's membership.
    fn member(&self, room: &RoomKey, user: &UserId) -> Reading<Option<Member>>;

    /// A room's members in order of their ids.
    fn members(&self, room: &RoomKey, after: Option<&UserId>, limit: u32) -> Reading<Vec<Member>>;

    /// The memberships of those of `users` who are members, in their order. One read, so of so many as
    /// [`USERS_READ`](crate::domain::limits::USERS_READ) at a time.
    fn members_among(&self, room: &RoomKey, users: &[UserId]) -> Reading<Vec<Member>>;

    /// A page of a room's log. A room that does not exist reads as an empty one.
    fn entries(&self, room: &RoomKey, range: EntryRange, bound: PageBound) -> Reading<EntryPage>;

    /// One entry; `None` where there is none or retention removed it.
    fn entry(&self, room: &RoomKey, seq: Seq) -> Reading<Option<Entry>>;

    /// The last event of each key of a room, in order of seq; those without a key are left out.
    fn latest_events(&self, room: &RoomKey, bound: PageBound) -> Reading<Vec<Entry>>;

    /// A user's marks in a room; zero where there are none.
    fn marks(&self, room: &RoomKey, user: &UserId) -> Reading<Marks>;

    /// The marks of `users`, each in its place. One read, so of so many as
    /// [`USERS_READ`](crate::domain::limits::USERS_READ) at a time.
    fn marks_of(&self, room: &RoomKey, users: &[UserId]) -> Reading<Vec<Marks>>;

    /// The rooms that a user is a member of.
    fn rooms_of(&self, user: &UserKey, query: RoomsQuery) -> Reading<RoomPage<RoomSummary>>;

    /// The names alone of rooms that a user is a member of, in the order of [`Store::rooms_of`], at most so many. Cheap; one
    /// that the user has just left may be among them.
    fn room_names_of(
        &self,
        user: &UserKey,
        after: Option<&RoomName>,
        most: u32,
    ) -> Reading<RoomPage<RoomName>>;

    /// The last place of a log of notifications; 0 where nothing was ever written to it. Cheap.
    fn inbox_head(&self, log: InboxLog) -> Reading<Seq>;

    /// A page of a user's inbox.
    fn inbox(&self, user: &UserKey, query: InboxQuery, bound: PageBound) -> Reading<InboxPage>;

    /// What a user's inbox holds in all.
    fn inbox_summary(&self, user: &UserKey) -> Reading<InboxSummary>;

    /// How many users a tenant's directory knows.
    fn known_users(&self, tenant: &TenantId) -> Reading<u64>;

    /// Counts of a tenant; zero where nothing was ever written to it. Slow: it goes over all of the tenant's rooms.
    fn tenant_figures(&self, tenant: &TenantId) -> Reading<TenantFigures>;

    /// What a tenant's rooms hold, bytes: the sum of what their entries count as, as they read now
    /// ([`EntryBody::stored_bytes`](crate::domain::entry::EntryBody::stored_bytes)). What deletion or erasure blanked and
    /// what retention removed does not count any more. Cheap: it is asked while messages are sent.
    fn stored_bytes(&self, tenant: &TenantId) -> Reading<u64>;

    /// Blanks all that a user wrote (messages, edits, durable events, reactions) and removes their inbox, with what was
    /// accepted for it and has not reached it yet, marks and
    /// memberships' personal data; tombstones, seqs and numbers remain, and so do rooms' metadata, which is the rooms'.
    /// Who asks for an erasure that is under way waits for that one. Closing the store ends it where it is:
    /// [`StoreError::Unavailable`]. Repeating it is harmless, and carries on.
    fn erase(&self, user: &UserKey) -> Reading<Erased>;

    /// Keeps that tokens are good no more. Repeating it is harmless; of two instants for the same the later stays. A
    /// token's is forgotten some time after its end, and one that reaches tokens of before an instant some time after those have
    /// ended, where the store was told how long they live.
    fn revoke(&self, revocation: Revocation) -> Reading<()>;

    /// What time it is by the store's own clock, which the nodes that share it have in common; by this machine's where it is this
    /// node's alone.
    fn time(&self) -> Reading<Timestamp> {
        Box::pin(std::future::ready(Ok(Timestamp::now())))
    }

    /// By how much this machine's clock is behind that one, as it was found last; zero where it is not.
    fn behind(&self) -> Duration {
        Duration::ZERO
    }

    /// A page of `most` revocations that count, in the order in which they were made or repeated, after the one where
    /// the page before ended; 0 for the first.
    fn revocations(&self, after: u64, most: u32) -> Reading<RevocationPage>;

    /// Notes where a chain of audit lines stands. Of an hour of a chain the last is kept, and of all the newest 10,000.
    fn anchor_audit(&self, head: ChainHead) -> Reading<()>;

    /// What was noted of audit chains, the oldest first.
    fn audit_heads(&self) -> Reading<Vec<ChainHead>>;

    /// Whether it answers: what is read is current. Whether it commits as well, [`StoreFigures::writable`] says.
    fn is_healthy(&self) -> bool {
        self.figures().healthy
    }

    /// Whether it has failed for good, or could not be closed as it should be: only opening it again may help.
    fn has_failed(&self) -> bool {
        false
    }

    /// Whether who was revoked can be read: of a store with many servers others than the one that has it may be away.
    fn says_who_is_revoked(&self) -> bool {
        self.is_healthy()
    }

    /// For how long what says so has not been heard of: what others revoked since may not be known.
    fn silence(&self) -> Duration {
        Duration::ZERO
    }

    /// For how long it has not answered, or taken what is written, with all of its servers.
    fn silence_of_any(&self) -> Duration {
        Duration::ZERO
    }

    /// A secret of this store's own, made with it: what ids that the hub chooses are hashed with.
    fn secret(&self) -> [u8; 16];

    /// Figures for metrics and health.
    fn figures(&self) -> StoreFigures;

    /// Commits what is queued, writes everything home and closes. Later calls answer [`StoreError::Unavailable`].
    fn close(&self) -> BoxFuture<'static, ()>;
}

/// A page of revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationPage {
    /// In order.
    pub revocations: Vec<Revocation>,
    /// Where the page ended: what the next one begins after.
    pub last: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// Counts of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantFigures {
    /// Users whom the directory knows (see [`super::Write::Know`]).
    pub users: u64,
    /// Rooms stored.
    pub rooms: u64,
    /// Messages ever sent: the sum of the rooms' head numbers.
    pub messages: u64,
    /// Notifications stored: each in a user's own log counts, one in the broadcast log once.
    pub notifications: u64,
}

/// What an erasure blanked or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Messages and durable events blanked.
    pub entries: u64,
    /// Notifications removed.
    pub notifications: u64,
}

/// Figures of a store since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Outcomes committed.
    pub committed: u64,
    /// Outcomes answered as duplicates.
    pub duplicates: u64,
    /// Groups committed, each with one sync.
    pub groups: u64,
    /// Outcomes waiting now.
    pub queued: u64,
    /// Idempotency keys remembered now.
    pub keys: u64,
    /// Bytes of the write-ahead log, or its like, now.
    pub log_bytes: u64,
    /// Whether it answers.
    pub healthy: bool,
    /// Whether it commits what it is given.
    pub writable: bool,
    /// Since when it cannot be reached: when it answered last. `None` where it can, and for one in this process.
    pub away_since: Option<Timestamp>,
    /// Figures of what leads to it; `None` for one in this process.
    pub server: Option<ServerFigures>,
}

/// Figures of what leads to a store that is elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerFigures {
    /// Of the connections.
    pub link: LinkFigures,
    /// How long it took to answer the last question of upkeep, which is a small one.
    pub round_trip: Duration,
}

/// What others see of a commit. Each is handed over after it is durable, in commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An entry was appended.
    Entry {
        /// Where.
        room: RoomKey,
        /// The entry, as committed.
        entry: Arc<Entry>,
    },
    /// A user's marks rose by a command (not by sending: the message says that).
    Marks {
        /// Where.
        room: RoomKey,
        /// Whose.
        user: UserId,
        /// To what.
        marks: Marks,
    },
    /// A notification arrived in a user's own log.
    Notified {
        /// Whose.
        user: UserKey,
        /// What.
        notification: Notification,
    },
    /// A notification arrived in the tenant's broadcast log.
    Broadcast {
        /// The tenant.
        tenant: TenantId,
        /// What; `read` is false.
        notification: Notification,
    },
    /// A user changed the state of their inbox.
    Inbox {
        /// Whose.
        user: UserKey,
        /// How.
        change: InboxChange,
        /// What it holds now.
        summary: InboxSummary,
    },
    /// Tokens are good no more.
    Revoked(Revocation),
    /// A user's content was blanked: what is kept of it in memory must go.
    Erased {
        /// Whose.
        user: UserKey,
    },
    /// Something that was acknowledged is lost, so logs are other ones: what anybody holds of them is of an epoch that has
    /// ended. This one begins.
    Restarted(Epoch),
    /// Retention removed entries before `first`.
    Trimmed {
        /// Where.
        room: RoomKey,
        /// The oldest that is left.
        first: Seq,
    },
}

impl Change {
    /// The log that it is of, and its place there; `None` where it has none.
    pub fn place(&self) -> Option<(Log, Seq)> {
        let in_inbox = |log, notification: &Notification| {
            let (InboxPlace::Own(seq) | InboxPlace::Broadcast(seq)) = notification.place;
            Some((Log::Inbox(log), seq))
        };
        match self {
            Self::Entry { room, entry } => Some((Log::Room(room.clone()), entry.seq)),
            Self::Notified { user, notification } => in_inbox(InboxLog::Own(user.clone()), notification),
            Self::Broadcast { tenant, notification } => {
                in_inbox(InboxLog::Broadcast(tenant.clone()), notification)
            }
            _ => None,
        }
    }
}

/// Who is told of commits: delivery. Called in commit order by the store's own thread, so it must not wait.
pub trait CommitSink: Send + Sync + 'static {
    /// Takes a group of changes, after they are durable and before they are acknowledged.
    fn committed(&self, changes: &[Change]);

    /// The same, of one room, whose entry before the first of these has the tag `previous`: by that whoever tells changes of
    /// several nodes knows that these are the next.
    fn committed_after(&self, changes: &[Change], _previous: Tag) {
        self.committed(changes);
    }
}

/// A room's head as delivery needs it.
impl EntryPage {
    /// An empty page of a room that does not exist.
    pub fn empty(epoch: Epoch) -> Self {
        Self {
            entries: Vec::new(),
            head: Position { epoch, ..Position::default() },
            head_number: 0,
            first: Seq(1),
            more: false,
        }
    }
}
