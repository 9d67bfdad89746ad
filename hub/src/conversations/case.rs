//! What a command is decided on.

use crate::access::rules::Permit;
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::entry::{Entry, EntryBody, Message};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, RoomName, UserId};
use crate::domain::namespace::NamespaceRules;
use crate::domain::position::Seq;
use crate::domain::reply::Reply;
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::store::{Condition, EntryRange, Home, Outcome, PageBound, Store, StoreError, Write};

const BEYOND_THE_HEAD: &str = "not beyond the head";

/// Who asks, by what right, and what is known.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Where.
    pub room: &'a RoomName,
    /// The rules of its namespace.
    pub rules: &'a NamespaceRules,
    /// By what right.
    pub permit: &'a Permit,
    /// What is known of the room.
    pub facts: &'a Facts,
    /// When.
    pub now: Timestamp,
}

/// What was decided.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Commit this.
    Commit(Outcome),
    /// It is so already: the answer, and the outcome that says so at the home, for whoever gave a key.
    Already(Outcome, Reply),
}

/// What is known of a room when a command is decided. A command that needs nothing of it is decided without, and what
/// it assumed is in its outcome's conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The head, where known.
    pub head: Option<Seq>,
    /// The room, for what changes its metadata.
    pub room: Option<Room>,
    /// The message that the command names, or the entry that made [`Facts::target`] what they are.
    pub entry: Option<Entry>,
    /// The membership of the user whom the command names.
    pub target: Option<Member>,
}

impl Facts {
    /// Reads what `command` is decided on. Most commands need nothing.
    pub async fn load(store: &dyn Store, room: &RoomKey, command: &Stateless) -> Result<Self, StoreError> {
        match command {
            Stateless::MessageEdit { seq, .. }
            | Stateless::MessageDelete { seq, .. }
            | Stateless::Reaction { seq, .. } => {
                // One page gives the entry and the head in one snapshot.
                let range = EntryRange::After(Seq(seq.0.saturating_sub(1)).min(Seq::MAX));
                let page = store.entries(room, range, PageBound { items: 1, bytes: 1 }).await?;
                let entry = page.entries.into_iter().next().filter(|entry| entry.seq == *seq);
                Ok(Self { head: Some(page.head.seq), entry, ..Self::default() })
            }
            Stateless::ConversationUpdate { .. } => {
                Ok(Self { room: store.room(room).await?, ..Self::default() })
            }
            Stateless::MemberAdd { user, .. } | Stateless::MemberRole { user, .. } => {
                let target = store.member(room, user).await?;
                let entry = match &target {
                    Some(member) => store.entry(room, member.version).await?,
                    None => None,
                };
                Ok(Self { entry, target, ..Self::default() })
            }
            Stateless::MemberRemove { user, .. } => {
                Ok(Self { target: store.member(room, user).await?, ..Self::default() })
            }
            _ => Ok(Self::default()),
        }
    }

    /// Whether `command` is decided on what its sender's earlier changes of the room may change.
    pub fn are_of_changes(command: &Stateless) -> bool {
        matches!(
            command,
            Stateless::ConversationUpdate { .. }
                | Stateless::MemberAdd { .. }
                | Stateless::MemberRole { .. }
                | Stateless::MemberRemove { .. }
        )
    }

    /// These facts with a head that was seen before, where one was: heads only grow.
    #[must_use]
    pub fn with_head(mut self, head: Option<Seq>) -> Self {
        self.head = self.head.max(head);
        self
    }
}

impl Case<'_> {
    /// An outcome at the room, under the permit's condition and `conditions`.
    pub(super) fn commit(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Decision {
        Decision::Commit(self.outcome(conditions, writes))
    }

    fn outcome(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Outcome {
        let mut all = conditions;
        all.extend(self.permit.condition());
        Outcome {
            tenant: self.caller.tenant.clone(),
            home: Home::Room(self.room.clone()),
            actor: self.caller.user.clone(),
            by_service: self.caller.service,
            idempotency: None,
            conditions: all,
            writes,
            effects: Vec::new(),
        }
    }

    /// It is so already while `conditions` hold, since the entry at `seq`, which is `entry` where it is still there.
    pub(super) fn already(&self, conditions: Vec<Condition>, seq: Seq, entry: Option<&Entry>) -> Decision {
        let reply = Reply::EntryAccepted {
            position: entry.map(Entry::position).unwrap_or_default(),
            time: entry.map_or(self.now, |entry| entry.time),
            version: 0,
            duplicate: true,
        };
        Decision::Already(self.outcome(conditions, vec![Write::Already(seq)]), reply)
    }

    /// Refuses what only a log can hold.
    pub(super) fn durable(&self) -> Result<(), Refusal> {
        if self.rules.durable { Ok(()) } else { Err(Refusal::invalid("room", "a durable namespace")) }
    }

    /// Refuses a place that is none, or that the log has not reached as far as is known. The condition holds it at
    /// the home.
    pub(super) fn reached(&self, field: &'static str, seq: Seq) -> Result<Condition, Refusal> {
        if seq == Seq(0) {
            return Err(Refusal::invalid(field, "at least 1"));
        }
        if self.facts.head.is_some_and(|head| seq > head) || seq > Seq::MAX {
            return Err(Refusal::invalid(field, BEYOND_THE_HEAD));
        }
        Ok(Condition::HeadAtLeast(seq))
    }

    /// The message at `seq` with its entry. `NOT_FOUND` where there is none that the caller may read.
    pub(super) fn message(&self, seq: Seq) -> Result<(&Entry, &Message), Refusal> {
        self.reached("seq", seq)?;
        match &self.facts.entry {
            Some(entry @ Entry { body: EntryBody::Message(message), .. })
                if seq >= self.permit.history_from =>
            {
                Ok((entry, message))
            }
            _ => Err(ErrorCode::NotFound.into()),
        }
    }

    /// The membership of the user whom the command names. `NOT_FOUND` where there is none.
    pub(super) fn target(&self) -> Result<&Member, Refusal> {
        self.facts.target.as_ref().ok_or_else(|| ErrorCode::NotFound.into())
    }
}

/// A membership as it must still be.
pub(super) fn still(member: &Member) -> Condition {
    Condition::Member { user: member.user.clone(), version: member.version }
}

/// That the room does not lose its last owner with `user`.
pub(super) fn other_owner(user: &UserId) -> Condition {
    Condition::OtherOwner(user.clone())
}
