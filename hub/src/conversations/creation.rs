//! Rooms with members: created by users, and their metadata.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::domain::caller::Caller;
use crate::domain::content::{METADATA, Pairs};
use crate::domain::entry::EntryBody;
use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::member::{MembershipChange, Role};
use crate::domain::names::{IdempotencyKey, RoomName, TenantId, UserId};
use crate::domain::namespace::{NamespaceRules, Namespaces};
use crate::domain::position::{Position, Seq};
use crate::domain::reply::Reply;
use crate::store::{Committed, Condition, Current, Home, Outcome, Write};

use super::case::{Case, Decision};

/// What makes a conversation's id.
#[derive(Clone, Copy, Debug)]
enum Seed<'a> {
    /// A direct conversation's is its pair's, whoever asks.
    Pair(&'a UserId, &'a UserId),
    /// A retry finds the same by its sender and key.
    Key(&'a UserId, &'a IdempotencyKey),
}

/// 128 bits that nobody can foresee without the store's secret.
fn hashed(secret: [u8; 16], tenant: &TenantId, seed: Seed<'_>) -> u128 {
    let mut hasher = SipHasher13::new_with_key(&secret);
    let mut part = |bytes: &[u8]| {
        hasher.write_usize(bytes.len());
        hasher.write(bytes);
    };
    part(tenant.as_str().as_bytes());
    match seed {
        Seed::Pair(one, other) => {
            let (low, high) = if one <= other { (one, other) } else { (other, one) };
            part(b"pair");
            part(low.as_str().as_bytes());
            part(high.as_str().as_bytes());
        }
        Seed::Key(sender, key) => {
            part(b"key");
            part(sender.as_str().as_bytes());
            part(key.as_bytes());
        }
    }
    hasher.finish128().as_u128()
}

/// The id of the conversation that `caller` creates: of a direct one the pair's, else of the sender and their
/// idempotency key, so that a retry finds what the first attempt made; `random` without a key.
pub fn conversation_id(
    secret: [u8; 16],
    caller: &Caller,
    peer: Option<&UserId>,
    key: Option<&IdempotencyKey>,
    random: u128,
) -> u128 {
    match (peer, key) {
        (Some(peer), _) => hashed(secret, &caller.tenant, Seed::Pair(&caller.user, peer)),
        (None, Some(key)) => hashed(secret, &caller.tenant, Seed::Key(&caller.user, key)),
        (None, None) => random,
    }
}

/// A conversation to create, checked.
#[derive(Clone, Debug)]
pub struct Creation<'a> {
    caller: &'a Caller,
    rules: &'a NamespaceRules,
    members: &'a [(UserId, Role)],
    metadata: &'a Pairs,
    direct: bool,
}

impl<'a> Creation<'a> {
    /// Checks who shall be in it besides the caller. It is made in the first namespace, in the order of configuration,
    /// that lets users create rooms: `PERMISSION_DENIED` where none does.
    pub fn check(
        namespaces: &'a Namespaces,
        caller: &'a Caller,
        members: &'a [(UserId, Role)],
        metadata: &'a Pairs,
        direct: bool,
    ) -> Result<Self, Refusal> {
        let rules = namespaces.iter().find(|rules| rules.create).ok_or(ErrorCode::PermissionDenied)?;
        distinct(members.iter().map(|(user, _)| user).chain([&caller.user]))?;
        if direct && members.len() != 1 {
            return Err(Refusal::invalid("members", "exactly one other in a direct conversation"));
        }
        if members.len() >= rules.member_limit as usize {
            return Err(Refusal::invalid("members", "fewer than the room's member limit"));
        }
        Ok(Self { caller, rules, members, metadata, direct })
    }

    /// The other user of a direct conversation.
    pub fn peer(&self) -> Option<&'a UserId> {
        self.members.first().map(|(user, _)| user).filter(|_| self.direct)
    }

    /// The room of the conversation `id`.
    pub fn room(&self, id: u128) -> Result<RoomName, Violation> {
        RoomName::of(&self.rules.name, &format!("{id:032x}"))
    }

    /// The conversation with all its members, in one step. The caller is an owner, and so are both of a direct one.
    pub fn outcome(&self, room: &RoomName) -> Outcome {
        let owner = (&self.caller.user, Role::Owner);
        let others =
            self.members.iter().map(|(user, role)| (user, if self.direct { Role::Owner } else { *role }));
        let mut writes = vec![
            Write::Create { direct: self.direct },
            Write::Append(EntryBody::Room { created: true, metadata: self.metadata.clone() }),
        ];
        writes.extend(std::iter::once(owner).chain(others).map(|(user, role)| {
            let change = MembershipChange::Added;
            Write::Append(EntryBody::Membership { user: user.clone(), change, role })
        }));
        Outcome {
            tenant: self.caller.tenant.clone(),
            home: Home::Room(room.clone()),
            actor: self.caller.user.clone(),
            idempotency: None,
            conditions: vec![Condition::RoomNotCreated],
            writes,
            effects: Vec::new(),
        }
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
    let mut seen = std::collections::HashSet::new();
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
