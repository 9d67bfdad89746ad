//! Rooms under names of an administrator's choice.

use std::collections::HashSet;

use crate::access::storage::StorageLimit;
use crate::domain::caller::Caller;
use crate::domain::command::Cursor;
use crate::domain::cursor::{self, List};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits;
use crate::domain::names::{RoomKey, RoomName};
use crate::domain::namespace::{NamespaceRules, Namespaces};
use crate::domain::room::Room;
use crate::store::{CommitError, Condition, Outcome, PageBound, Store, refuse, refuse_commit};

use super::commands::{CreateRoom, ListRooms, RoomCreated, RoomsListed};

pub(super) async fn create(
    store: &dyn Store,
    namespaces: &Namespaces,
    storage: &StorageLimit,
    caller: &Caller,
    create: &CreateRoom,
) -> Result<RoomCreated, Refusal> {
    let rules = namespaces.rules(&create.room).ok_or(ErrorCode::NotFound)?;
    let mut outcome = creation(rules, caller, create)?;
    let (reserved, full) = match storage.reserve(store, &outcome).await {
        Ok(reserved) => (reserved, None),
        Err(refusal) => (None, Some(refusal)),
    };
    if full.is_some() {
        // A retry of what was made is answered all the same.
        outcome.conditions = vec![Condition::NEVER];
    }
    let committed = store.commit(outcome).await;
    if let Some(reserved) = reserved {
        reserved.settle(&committed);
    }
    // A room that exists fails the condition, which is a conflict.
    let committed = committed.map_err(|error| match (error, full) {
        (CommitError::Condition(current), Some(refusal))
            if !current.room.as_ref().is_some_and(|room| room.created) =>
        {
            refusal
        }
        (error, _) => refuse_commit(error),
    })?;
    Ok(RoomCreated { room: get(store, caller, &create.room).await?, duplicate: committed.duplicate })
}

/// The room with its members. The service is none of them, unless it names itself.
fn creation(rules: &NamespaceRules, caller: &Caller, create: &CreateRoom) -> Result<Outcome, Refusal> {
    if !rules.durable {
        return Err(Refusal::invalid("room", "a durable namespace"));
    }
    let distinct: HashSet<_> = create.members.iter().map(|(user, _)| user).collect();
    if distinct.len() < create.members.len() {
        return Err(Refusal::invalid("members", "none twice"));
    }
    if create.members.len() > rules.member_limit as usize {
        return Err(Refusal::invalid("members", "at most the namespace's member limit"));
    }
    let members = create.members.iter().map(|(user, role)| (user, *role));
    let mut outcome = Outcome::creation(caller, &create.room, &create.metadata, members, false);
    outcome.idempotency.clone_from(&create.idempotency);
    Ok(outcome)
}

pub(super) async fn get(store: &dyn Store, caller: &Caller, room: &RoomName) -> Result<Room, Refusal> {
    let key = RoomKey { tenant: caller.tenant.clone(), room: room.clone() };
    store.room(&key).await.map_err(refuse)?.ok_or_else(|| ErrorCode::NotFound.into())
}

pub(super) async fn list(
    store: &dyn Store,
    caller: &Caller,
    asked: &ListRooms,
) -> Result<RoomsListed, Refusal> {
    let (user, prefix) = (caller.key(), asked.prefix.as_str());
    let after =
        cursor::read(List::AdminRooms, &user, prefix, &asked.cursor)?.map(RoomName::parse).transpose();
    let after = after.map_err(|_| cursor::REFUSED)?;
    let bound = PageBound { items: asked.limit, bytes: limits::PAGE_BYTES };
    let page = store.rooms(&caller.tenant, prefix, after.as_ref(), bound).await.map_err(refuse)?;
    let next = match page.next {
        Some(last) => cursor::write(List::AdminRooms, &user, prefix, last.as_str()),
        None => Cursor::default(),
    };
    Ok(RoomsListed { rooms: page.rooms, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::Pairs;
    use crate::domain::member::Role;
    use crate::domain::names::{TenantId, UserId};
    use crate::domain::time::Timestamp;

    fn decide(rules: &NamespaceRules, members: &[&str]) -> Result<Outcome, Refusal> {
        let caller = Caller {
            tenant: TenantId::parse("acme").unwrap(),
            user: UserId::parse("service").unwrap(),
            service: true,
            cross_tenant: false,
            expires: Timestamp(1),
            token: crate::domain::revocation::TokenMark::default(),
            powers: crate::domain::powers::Powers::default(),
        };
        let create = CreateRoom {
            room: RoomName::parse("case:1").unwrap(),
            members: members.iter().map(|name| (UserId::parse(name).unwrap(), Role::Member)).collect(),
            metadata: Pairs::default(),
            idempotency: None,
        };
        creation(rules, &caller, &create)
    }

    #[test]
    fn a_room_is_created_once_with_those_it_names_only() {
        let two = NamespaceRules { member_limit: 2, ..NamespaceRules::closed("case") };
        let one = NamespaceRules { member_limit: 1, ..two.clone() };
        let ephemeral = NamespaceRules { durable: false, ..two.clone() };
        let outcome = decide(&two, &["alice", "bob"]).unwrap();
        assert_eq!(outcome.conditions, [Condition::RoomNotCreated]);
        // Creation, metadata, two memberships.
        assert_eq!(outcome.writes.len(), 4);
        for refused in [
            decide(&two, &["alice", "alice"]),
            decide(&one, &["alice", "bob"]),
            decide(&ephemeral, &["alice"]),
            decide(&ephemeral, &[]),
        ] {
            assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
        }
    }
}
