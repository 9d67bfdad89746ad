//! Rooms with members: created by users, and their metadata.

use std::collections::HashSet;

use crate::access::rules;
use crate::domain::caller::Caller;
use crate::domain::content::{METADATA, Pairs};
use crate::domain::derived::derived_id;
use crate::domain::entry::EntryBody;
use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::member::Role;
use crate::domain::names::{IdempotencyKey, RoomName, UserId};
use crate::domain::namespace::{NamespaceRules, Namespaces};
use crate::domain::position::{Position, Seq};
use crate::domain::reply::Reply;
use crate::store::{Committed, Condition, Current, Outcome, Write};

use super::case::{Case, Decision};

/// The id of the conversation that `caller` creates: of a direct one the pair's, else of the sender and their
/// idempotency key, so that a retry finds what the first attempt made; `random` without a key.
pub fn conversation_id(
    secret: [u8; 16],
    caller: &Caller,
    peer: Option<&UserId>,
    key: Option<&IdempotencyKey>,
    random: u128,
) -> u128 {
    let tenant = caller.tenant.as_str().as_bytes();
    let user = caller.user.as_str().as_bytes();
    match (peer, key) {
        (Some(peer), _) => {
            let peer = peer.as_str().as_bytes();
            derived_id(secret, "pair", [tenant, user.min(peer), user.max(peer)])
        }
        (None, Some(key)) => derived_id(secret, "conversation", [tenant, user, key.as_bytes()]),
        (None, None) => random,
    }
}

/// A conversation to create, checked.
#[derive(Clone, Debug)]
pub struct Creation<'a> {
    caller: &'a Caller,
    members: &'a [(UserId, Role)],
    metadata: &'a Pairs,
    direct: bool,
}

impl<'a> Creation<'a> {
    /// Checks who shall be in it besides the caller.
    pub fn check(
        caller: &'a Caller,
        members: &'a [(UserId, Role)],
        metadata: &'a Pairs,
        direct: bool,
    ) -> Result<Self, Refusal> {
        distinct(members.iter().map(|(user, _)| user).chain([&caller.user]))?;
        if direct && members.len() != 1 {
            return Err(Refusal::invalid("members", "exactly one other in a direct conversation"));
        }
        Ok(Self { caller, members, metadata, direct })
    }

    /// The namespace that it is made in: the first, in the order of configuration, that lets the caller create rooms.
    /// `PERMISSION_DENIED` where none does.
    ///
    /// Two users have one direct conversation, whoever of them asks for it and with whatever token: all are in one
    /// namespace, the first that lets everybody create rooms, or where there is none, the first that lets anybody.
    pub fn place<'n>(&self, namespaces: &'n Namespaces) -> Result<&'n NamespaceRules, Refusal> {
        let rules = self
            .places(namespaces)
            .find(|rules| rules::may_create(rules, self.caller))
            .ok_or(ErrorCode::PermissionDenied)?;
        if self.members.len() >= rules.member_limit as usize {
            return Err(Refusal::invalid("members", "fewer than the room's member limit"));
        }
        Ok(rules)
    }

    /// The namespaces that somebody may make such a conversation in.
    pub fn places<'n>(&self, namespaces: &'n Namespaces) -> impl Iterator<Item = &'n NamespaceRules> {
        let some = || namespaces.iter().filter(|rules| rules::may_be_created_in(rules));
        let direct = namespaces.iter().find(|rules| rules.create).or_else(|| some().next());
        let (direct, others) = if self.direct { (direct, None) } else { (None, Some(some())) };
        direct.into_iter().chain(others.into_iter().flatten())
    }

    /// The other user of a direct conversation.
    pub fn peer(&self) -> Option<&'a UserId> {
        self.members.first().map(|(user, _)| user).filter(|_| self.direct)
    }

    /// The room of the conversation `id` in a namespace.
    pub fn room(&self, rules: &NamespaceRules, id: u128) -> Result<RoomName, Violation> {
        RoomName::of(&rules.name, &format!("{id:032x}"))
    }

    /// The conversation with all its members, in one step. The caller is an owner, and so are both of a direct one.
    pub fn outcome(&self, room: &RoomName) -> Outcome {
        let role_of = |role| if self.direct { Role::Owner } else { role };
        let others = self.members.iter().map(|(user, role)| (user, role_of(*role)));
        let members = std::iter::once((&self.caller.user, Role::Owner)).chain(others);
        Outcome::creation(self.caller, room, self.metadata, members, self.direct)
    }

    /// The answer to what was committed.
    pub fn created(&self, room: RoomName, committed: &Committed) -> Reply {
        Reply::ConversationCreated { room, position: committed.position, duplicate: committed.duplicate }
    }

    /// The answer where the room is there already: the pair's, or that of an attempt whose key is forgotten. `None`
    /// where it is not there after all.
    pub fn found(&self, room: RoomName, current: &Current) -> Option<Reply> {
        let position: Position = current.room.as_ref().filter(|room| room.created)?.head;
        Some(Reply::ConversationCreated { room, position, duplicate: true })
    }
}

/// Refuses a user who is named twice. The caller counts as named.
fn distinct<'a>(users: impl Iterator<Item = &'a UserId>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for user in users {
        if !seen.insert(user) {
            return Err(Refusal::invalid("members", "others than oneself, none twice"));
        }
    }
    Ok(())
}

/// Other metadata for a room that was created. CONFLICT where its version is not the expected one.
pub(super) fn update(
    case: &Case<'_>,
    set: &Pairs,
    remove: &[String],
    expected_version: Option<Seq>,
) -> Result<Decision, Refusal> {
    let room = case.facts.room.as_ref().filter(|room| room.created).ok_or(ErrorCode::NotFound)?;
    if expected_version.is_some_and(|version| version != room.version) {
        return Err(ErrorCode::Conflict.into());
    }
    let metadata = room.metadata.updated(set, remove, METADATA)?;
    let entry = EntryBody::Room { created: false, metadata };
    Ok(case.commit(vec![Condition::RoomVersion(room.version)], vec![Write::Append(entry)]))
}
