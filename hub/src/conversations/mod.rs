//! Conversations: rooms, members, messages, reactions and marks. Commands become outcomes here.
//!
//! [`decide`] is pure: a [`Case`] holds who asks, by what right and what is known of the room, and the decision is an
//! outcome to commit, an answer that needs none, or a refusal. What an outcome rests on is among its conditions, so
//! that a decision on old facts is refused by the store and taken again. [`pages`] reads.

mod case;
mod creation;
mod marks;
mod members;
mod messages;
pub mod pages;

pub use case::{Case, Decision, Facts};
pub use creation::{Creation, conversation_id};

use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::RoomName;
use crate::domain::reply::Reply;
use crate::store::Committed;

/// Decides on a command that changes a room. Commands that do not are INTERNAL: they belong elsewhere.
pub fn decide(case: &Case<'_>, command: &Stateless) -> Result<Decision, Refusal> {
    match command {
        Stateless::MessageSend { content, reply_to, attributes, .. } => {
            messages::send(case, content, *reply_to, attributes)
        }
        Stateless::MessageEdit { seq, content, expected_version, .. } => {
            messages::edit(case, *seq, content, *expected_version)
        }
        Stateless::MessageDelete { seq, .. } => messages::delete(case, *seq),
        Stateless::Reaction { seq, key, add, .. } => messages::react(case, *seq, key, *add),
        Stateless::MarkDelivered { up_to, .. } => marks::raise(case, *up_to, false),
        Stateless::MarkRead { up_to, .. } => marks::raise(case, *up_to, true),
        Stateless::ConversationUpdate { metadata, remove_keys, expected_version, .. } => {
            creation::update(case, metadata, remove_keys, *expected_version)
        }
        Stateless::MemberAdd { user, role, .. } => members::add(case, user, *role),
        Stateless::MemberRemove { user, .. } => members::remove(case, user),
        Stateless::MemberRole { user, role, .. } => members::change_role(case, user, *role),
        _ => Err(ErrorCode::Internal.into()),
    }
}

/// What a command that [`decide`] decided on is answered with.
pub fn reply(caller: &Caller, room: &RoomName, command: &Stateless, committed: &Committed) -> Reply {
    match command {
        Stateless::MessageSend { .. } => Reply::MessageSent {
            position: committed.position,
            number: committed.number,
            time: committed.time,
            duplicate: committed.duplicate,
        },
        Stateless::MarkDelivered { .. } | Stateless::MarkRead { .. } => Reply::Marks {
            room: room.clone(),
            user: caller.user.clone(),
            marks: committed.marks.unwrap_or_default(),
        },
        _ => Reply::EntryAccepted {
            position: committed.position,
            time: committed.time,
            version: committed.version,
            duplicate: committed.duplicate,
        },
    }
}

#[cfg(test)]
mod tests;
