//! Conversations and their members.

use carillon_proto::v1;

use super::fields;
use crate::domain::command::Stateless;
use crate::domain::content::{METADATA, Pairs};
use crate::domain::error::{Refusal, Violation};
use crate::domain::limits;
use crate::domain::names::{RoomName, UserId};

impl TryFrom<v1::ConversationCreate> for Stateless {
    type Error = Refusal;

    fn try_from(create: v1::ConversationCreate) -> Result<Self, Refusal> {
        let members = fields::members(create.members)?;
        if create.direct && members.len() != 1 {
            return Err(Refusal::invalid("members", "exactly one other in a direct conversation"));
        }
        Ok(Self::ConversationCreate {
            members,
            metadata: Pairs::parse(create.metadata, METADATA)?,
            direct: create.direct,
        })
    }
}

impl TryFrom<v1::ConversationUpdate> for Stateless {
    type Error = Refusal;

    fn try_from(update: v1::ConversationUpdate) -> Result<Self, Refusal> {
        let room = RoomName::parse(&update.room)?;
        let metadata = Pairs::parse(update.metadata, METADATA)?;
        check_removed(&update.remove_keys, &metadata)?;
        let expected_version =
            update.expected_version.map(|version| fields::seq(version, "expected_version")).transpose()?;
        Ok(Self::ConversationUpdate { room, metadata, remove_keys: update.remove_keys, expected_version })
    }
}

/// Keys to remove are keys that could be there, and none that the same update sets.
fn check_removed(keys: &[String], set: &Pairs) -> Result<(), Violation> {
    if keys.len() > limits::METADATA {
        return Err(Violation { field: "remove_keys", rule: "at most 32" });
    }
    for key in keys {
        if !(1..=limits::KEY_BYTES).contains(&key.len()) {
            return Err(Violation { field: "remove_keys[]", rule: "1 to 64 bytes" });
        }
        if set.as_map().contains_key(key) {
            return Err(Violation { field: "remove_keys[]", rule: "none that metadata sets" });
        }
    }
    Ok(())
}

impl TryFrom<v1::MemberAdd> for Stateless {
    type Error = Refusal;

    fn try_from(add: v1::MemberAdd) -> Result<Self, Refusal> {
        Ok(Self::MemberAdd {
            room: RoomName::parse(&add.room)?,
            user: UserId::parse(&add.user)?,
            role: fields::role_or_member(add.role, "role")?,
        })
    }
}

impl TryFrom<v1::MemberRemove> for Stateless {
    type Error = Refusal;

    fn try_from(remove: v1::MemberRemove) -> Result<Self, Refusal> {
        Ok(Self::MemberRemove { room: RoomName::parse(&remove.room)?, user: UserId::parse(&remove.user)? })
    }
}

impl TryFrom<v1::MemberRole> for Stateless {
    type Error = Refusal;

    fn try_from(change: v1::MemberRole) -> Result<Self, Refusal> {
        Ok(Self::MemberRole {
            room: RoomName::parse(&change.room)?,
            user: UserId::parse(&change.user)?,
            role: fields::specified_role(change.role, "role")?,
        })
    }
}

impl TryFrom<v1::MembersGet> for Stateless {
    type Error = Refusal;

    fn try_from(get: v1::MembersGet) -> Result<Self, Refusal> {
        Ok(Self::Members {
            room: RoomName::parse(&get.room)?,
            cursor: fields::cursor(get.cursor)?,
            limit: fields::page(get.limit)?,
        })
    }
}
