//! An outcome: what an area decided, ready to be committed at one home.

use std::sync::Arc;

use crate::domain::entry::{Entry, EntryBody};
use crate::domain::inbox::{InboxChange, InboxSummary, Notice};
use crate::domain::marks::Marks;
use crate::domain::member::Member;
use crate::domain::names::{IdempotencyKey, RoomName, TenantId, UserId};
use crate::domain::position::{Position, Seq};
use crate::domain::room::Room;
use crate::domain::time::Timestamp;

use super::port::StoreError;

/// Where an outcome happens. All its conditions and writes are the home's; the store orders commits per home.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Home {
    /// A room: its log, metadata, members and marks.
    Room(RoomName),
    /// A user: the own log of their inbox and its state.
    Inbox(UserId),
    /// The tenant: its broadcast log, its notifications to many, its directory of users.
    Tenant,
}

/// The caller's key for this attempt, and what makes a retry the same: the same key with another fingerprint is a
/// conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key. Its scope is tenant, kind of actor, actor, home, key.
    pub key: IdempotencyKey,
    /// A hash of the command's content.
    pub fingerprint: u64,
}

/// What an area decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The tenant: of everything in it.
    pub tenant: TenantId,
    /// Where it happens.
    pub home: Home,
    /// Who caused it: the entries' sender, and part of the idempotency scope.
    pub actor: UserId,
    /// Whether that is a service: its name is not that of a user, whose keys and marks would be taken for its own. It has
    /// no marks, no inbox and no place in the directory.
    pub by_service: bool,
    /// Deduplication, where the caller gave a key.
    pub idempotency: Option<Idempotency>,
    /// What it was decided under. All must hold, else nothing is written.
    pub conditions: Vec<Condition>,
    /// What it changes at the home, in order.
    pub writes: Vec<Write>,
    /// What it causes at other homes: applied after the home, in order, at least once, deduplicated there.
    pub effects: Vec<Effect>,
}

impl Outcome {
    /// Whether its parts belong to its home.
    pub(super) fn is_well_formed(&self) -> bool {
        let (in_room, in_tenant) = (matches!(self.home, Home::Room(_)), matches!(self.home, Home::Tenant));
        let never = |condition: &Condition| *condition == Condition::NEVER;
        let of_user = !self.by_service;
        (in_room || self.conditions.is_empty() || in_tenant && self.conditions.iter().all(never))
            && self.writes.iter().all(|write| match write {
                Write::Append(_) | Write::Create { .. } | Write::Already(_) => in_room,
                Write::Marks { .. } => in_room && of_user,
                Write::Inbox(_) => matches!(self.home, Home::Inbox(_)) && of_user,
                Write::Broadcast(_) => in_tenant,
                Write::Know => in_tenant && of_user,
            })
    }
}

/// Something that must still be so at the home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The room was not created (see [`Room::created`]).
    RoomNotCreated,
    /// The room was created and its metadata is of this version.
    RoomVersion(Seq),
    /// The user is a member, and their membership is of this version.
    Member {
        /// The user.
        user: UserId,
        /// [`Member::version`].
        version: Seq,
    },
    /// The user is not a member.
    NotMember(UserId),
    /// The room has fewer members than this.
    MembersBelow(u32),
    /// The room has another owner than this user.
    OtherOwner(UserId),
    /// The entry at `seq` is a message of `sender`, not deleted, at `version` (any where `None`).
    Message {
        /// Its place.
        seq: Seq,
        /// Its sender; any where `None`.
        sender: Option<UserId>,
        /// Its version; any where `None`.
        version: Option<u32>,
    },
    /// The room's head is at least here: nobody marks, answers or reacts to what is not there yet.
    HeadAtLeast(Seq),
}

impl Condition {
    /// Holds nowhere: of an outcome with it nothing is done, but what an earlier attempt with its key gave is found.
    pub const NEVER: Self = Self::MembersBelow(0);
}

/// A change at the home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Appends to the home room's log. The store assigns seq, tag, number and time, and carries out what the body
    /// means: a message counts, and moves its sender's marks where that is a user; an edit changes the message's content, version and
    /// `edited`; a deletion blanks the message, its attributes and its edits; a reaction is kept per user and key; a
    /// membership changes the members, and to a new one what is there already is not unread; a room entry sets the metadata. An [`EntryBody::Edit`]'s `version` is assigned
    /// by the store.
    Append(EntryBody),
    /// Marks the home room as created (see [`Room::created`]); `direct` for a conversation of two.
    Create {
        /// Whether it is a direct conversation.
        direct: bool,
    },
    /// Raises the actor's marks; what is lower changes nothing. A mark beyond the head is refused by a condition.
    Marks {
        /// To here at least.
        delivered: Seq,
        /// To here at least.
        read: Seq,
    },
    /// Nothing, as it is so already: the outcome gives the entry at this seq, which made it so, or no place where there
    /// is none any more. Under a key that is what a retry gets too, whatever has become of it by then.
    Already(Seq),
    /// Changes the home inbox's state. Unknown ids are passed over; nobody is told of what changes nothing.
    Inbox(InboxChange),
    /// Appends to the home tenant's broadcast log, for all users that its directory knows.
    Broadcast(Arc<Notice>),
    /// Records that the actor exists, from now on part of «all users». No change where already known.
    Know,
}

/// A change at another home of the same tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Appends to a user's own inbox log.
    Notify {
        /// Whose.
        user: UserId,
        /// What.
        notice: Arc<Notice>,
    },
}

/// What a commit gave. For a duplicate: what the first attempt gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The last appended entry's position (0 where nothing was appended). In the tenant home of a broadcast, its seq in
    /// the broadcast log.
    pub position: Position,
    /// The number at that entry.
    pub number: u64,
    /// When it was accepted.
    pub time: Timestamp,
    /// The edited message's version; 0 where nothing was edited.
    pub version: u32,
    /// Whether this is the first attempt's result.
    pub duplicate: bool,
    /// The actor's marks afterwards, where marks were written.
    pub marks: Option<Marks>,
    /// The home inbox afterwards, where its state was written.
    pub inbox: Option<InboxSummary>,
}

/// The home's state that a failed condition was checked against: enough to decide again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// The room, where the home is one that exists.
    pub room: Option<Room>,
    /// The actor's membership.
    pub actor: Option<Member>,
    /// The membership of the user whom the failed condition names.
    pub member: Option<Member>,
    /// The entry that the failed condition names.
    pub entry: Option<Entry>,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold. Decide again.
    #[error("a condition did not hold")]
    Condition(Box<Current>),
    /// The idempotency key was used for other content.
    #[error("the idempotency key was used for other content")]
    KeyReused,
    /// The room keeps the last event of each key, and this one does not fit any more.
    #[error("the room's state is full")]
    StateFull,
    /// The message has as many reactions as one may have.
    #[error("the message has too many reactions")]
    ReactionsFull,
    /// No more keys can be remembered for the shortest window.
    #[error("too many idempotency keys")]
    TooManyKeys,
    /// The store failed; the outcome is unknown to the caller and nothing was acknowledged.
    #[error(transparent)]
    Store(#[from] StoreError),
}
