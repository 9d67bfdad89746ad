//! What the executor remembers of rooms and their members, and how it looks up what it does not.

use crate::access::rules::Created;
use crate::domain::entry::EntryBody;
use crate::domain::error::Refusal;
use crate::domain::limits;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, UserId};
use crate::store::{Change, Current, Store, refuse};

use super::Asked;
use super::memory::Memory;

/// Memberships, which commits make untrue, and what rooms were created as, which never changes.
pub(super) struct Known {
    members: Memory<(RoomKey, UserId), Member>,
    created: Memory<RoomKey, Created>,
}

/// What a permit is decided on.
pub(super) struct Standing {
    /// The caller's membership, where the decision asks for it and there is one.
    pub(super) member: Option<Member>,
    /// What the room was created as, where the decision asks for it and it was.
    pub(super) created: Option<Created>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self {
            members: Memory::new(limits::REMEMBERED_MEMBERSHIPS),
            created: Memory::new(limits::REMEMBERED_ROOMS),
        }
    }

    /// What the decision asks for, remembered or read.
    pub(super) async fn standing(&self, store: &dyn Store, asked: Asked<'_>) -> Result<Standing, Refusal> {
        let needed = asked.capability.needs_membership(asked.rules, asked.caller);
        let member = if needed { self.member(store, asked).await? } else { None };
        Ok(Standing { member, created: self.created(store, asked).await? })
    }

    async fn member(&self, store: &dyn Store, asked: Asked<'_>) -> Result<Option<Member>, Refusal> {
        let key = (asked.room.clone(), asked.caller.user.clone());
        let (remembered, since) = self.members.look(&key);
        if remembered.is_some() {
            return Ok(remembered);
        }
        let read = store.member(asked.room, &asked.caller.user).await.map_err(refuse)?;
        if let Some(member) = &read {
            self.members.keep(key, member.clone(), since);
        }
        Ok(read)
    }

    /// What the room was created as, where the decision asks for it.
    pub(super) async fn created(
        &self,
        store: &dyn Store,
        asked: Asked<'_>,
    ) -> Result<Option<Created>, Refusal> {
        if !asked.capability.needs_room(asked.rules, asked.caller) {
            return Ok(None);
        }
        let (remembered, since) = self.created.look(asked.room);
        if remembered.is_some() {
            return Ok(remembered);
        }
        let read = store.room(asked.room).await.map_err(refuse)?.as_ref().and_then(Created::of);
        if let Some(created) = read {
            self.created.keep(asked.room.clone(), created, since);
        }
        Ok(read)
    }

    /// The caller's membership as a failed condition was checked against it. It is remembered when it is next read.
    pub(super) fn observed(&self, asked: Asked<'_>, current: &Current) -> Option<Member> {
        self.members.forget(&(asked.room.clone(), asked.caller.user.clone()));
        current.actor.clone()
    }

    /// Forgets the membership that an entry changed, and all of a user who was erased.
    pub(super) fn invalidate(&self, change: &Change) {
        match change {
            Change::Entry { room, entry } => {
                if let EntryBody::Membership { user, .. } = &entry.body {
                    self.members.forget(&(room.clone(), user.clone()));
                }
            }
            Change::Erased { user } => {
                self.members.forget_all(|(room, member)| room.tenant == user.tenant && *member == user.user);
            }
            _ => {}
        }
    }
}
