//! Presence.

use std::collections::HashSet;

use carillon_proto::v1;

use super::fields;
use crate::domain::command::{Command, Stateless};
use crate::domain::error::{Refusal, Violation};
use crate::domain::limits;
use crate::domain::names::{RoomName, UserId};
use crate::domain::presence::{Status, parse_text};

impl TryFrom<v1::PresenceSet> for Command {
    type Error = Refusal;

    fn try_from(set: v1::PresenceSet) -> Result<Self, Refusal> {
        let status = match v1::PresenceStatus::try_from(set.status) {
            Ok(v1::PresenceStatus::Online) => Status::Online,
            Ok(v1::PresenceStatus::Away) => Status::Away,
            Ok(v1::PresenceStatus::Busy) => Status::Busy,
            // Offline is the hub's to say.
            Ok(v1::PresenceStatus::Offline | v1::PresenceStatus::Unspecified) | Err(_) => {
                return Err(Refusal::invalid("status", "ONLINE, AWAY or BUSY"));
            }
        };
        Ok(Self::PresenceSet { status, text: parse_text(set.text)? })
    }
}

impl TryFrom<v1::PresenceGet> for Stateless {
    type Error = Refusal;

    fn try_from(get: v1::PresenceGet) -> Result<Self, Refusal> {
        Ok(Self::PresenceGet {
            room: RoomName::parse(&get.room)?,
            cursor: fields::cursor(get.cursor)?,
            limit: fields::page(get.limit)?,
        })
    }
}

impl TryFrom<v1::PresenceWatch> for Command {
    type Error = Refusal;

    fn try_from(watch: v1::PresenceWatch) -> Result<Self, Refusal> {
        if watch.users.len() > limits::WATCHED_USERS {
            return Err(Refusal::invalid("users", "at most 100"));
        }
        let mut users = watch
            .users
            .iter()
            .map(|user| UserId::parse(user).map_err(|v| Violation { field: "users[]", ..v }))
            .collect::<Result<Vec<_>, Violation>>()?;
        // Watching someone twice is watching them.
        let mut seen = HashSet::new();
        users.retain(|user| seen.insert(user.clone()));
        Ok(Self::PresenceWatch(users))
    }
}
