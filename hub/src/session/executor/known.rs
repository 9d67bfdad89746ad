//! What the executor remembers of rooms and their members, and how it looks up what it does not.

use crate::access::rules::Created;
use crate::domain::entry::EntryBody;
use crate::domain::error::Refusal;
use crate::domain::limits;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, UserId};
use crate::session::memory::Memory;
use crate::store::{Change, Current, Store, refuse};

use super::Asked;

/// Memberships, which commits make untrue, and what rooms were created as, which never changes in an epoch.
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
    /// Whether the membership was remembered, and so may be out of date.
    pub(super) remembered: bool,
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
        if asked.capability.needs_membership(asked.rules, asked.caller) {
            let (remembered, _) = self.members.look(&key(asked));
            if remembered.is_some() {
                let created = self.created(store, asked).await?;
                return Ok(Standing { member: remembered, created, remembered: true });
            }
        }
        self.read(store, asked).await
    }

    /// What the decision asks for, read.
    pub(super) async fn read(&self, store: &dyn Store, asked: Asked<'_>) -> Result<Standing, Refusal> {
        let mut member = None;
        if asked.capability.needs_membership(asked.rules, asked.caller) {
            let key = key(asked);
            let (_, since) = self.members.look(&key);
            member = store.member(asked.room, &asked.caller.user).await.map_err(refuse)?;
            match &member {
                Some(member) => self.members.keep(key, member.clone(), since),
                None => self.members.forget(&key),
            }
        }
        Ok(Standing { member, created: self.created(store, asked).await?, remembered: false })
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

    /// What a failed condition was checked against. The membership is remembered when it is next read.
    pub(super) fn observed(&self, asked: Asked<'_>, current: &Current, created: Option<Created>) -> Standing {
        self.members.forget(&key(asked));
        let needed = asked.capability.needs_membership(asked.rules, asked.caller);
        let member = current.actor.clone().filter(|_| needed);
        Standing { member, created, remembered: false }
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
            Change::Restarted(_) => {
                self.members.forget_all(|_| true);
                self.created.forget_all(|_| true);
            }
            _ => {}
        }
    }
}

fn key(asked: Asked<'_>) -> (RoomKey, UserId) {
    (asked.room.clone(), asked.caller.user.clone())
}
