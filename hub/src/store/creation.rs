//! The outcome that makes a room with members.

use crate::domain::caller::Caller;
use crate::domain::content::Pairs;
use crate::domain::entry::EntryBody;
use crate::domain::member::{MembershipChange, Role};
use crate::domain::names::{RoomName, UserId};

use super::outcome::{Condition, Home, Outcome, Write};

impl Outcome {
    /// A room, its metadata and all its first members in one step, where it was not created before. `direct` for a
    /// conversation of two.
    pub fn creation<'a>(
        caller: &Caller,
        room: &RoomName,
        metadata: &Pairs,
        members: impl IntoIterator<Item = (&'a UserId, Role)>,
        direct: bool,
    ) -> Self {
        let mut writes = vec![
            Write::Create { direct },
            Write::Append(EntryBody::Room { created: true, metadata: metadata.clone() }),
        ];
        writes.extend(members.into_iter().map(|(user, role)| {
            let change = MembershipChange::Added;
            Write::Append(EntryBody::Membership { user: user.clone(), change, role })
        }));
        Self {
            tenant: caller.tenant.clone(),
            home: Home::Room(room.clone()),
            actor: caller.user.clone(),
            by_service: caller.service,
            idempotency: None,
            conditions: vec![Condition::RoomNotCreated],
            writes,
            effects: Vec::new(),
        }
    }
}
