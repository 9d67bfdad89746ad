//! Entries of a log, as pushes and in pages of history. Both are made by the same function.

use carillon_proto::v1;
use carillon_proto::v1::history_entry::Entry as Item;
use carillon_proto::v1::session_response::Kind;

use super::parts;
use crate::domain::entry::{Entry, EntryBody, Event, Message, ReactionSummary};
use crate::domain::member::{MembershipChange, Role};
use crate::domain::names::{RoomName, UserId};
use crate::domain::position::Seq;
use crate::domain::time::Timestamp;

/// An entry as a push.
pub(super) fn kind(room: &RoomName, entry: &Entry) -> Kind {
    match item(room, entry) {
        Item::Message(message) => Kind::Message(message),
        Item::MessageEdited(edited) => Kind::MessageEdited(edited),
        Item::MessageDeleted(deleted) => Kind::MessageDeleted(deleted),
        Item::Reaction(reaction) => Kind::Reaction(reaction),
        Item::Membership(membership) => Kind::Membership(membership),
        Item::RoomChanged(changed) => Kind::RoomChanged(changed),
        Item::Event(event) => Kind::Event(event),
    }
}

/// An entry in a page of history.
pub(super) fn history_entry(room: &RoomName, entry: &Entry) -> v1::HistoryEntry {
    v1::HistoryEntry { entry: Some(item(room, entry)) }
}

/// An entry as a message; `None` where it is something else.
pub(super) fn message_of(room: &RoomName, entry: &Entry) -> Option<v1::Message> {
    match &entry.body {
        EntryBody::Message(body) => Some(message(room, entry, body)),
        _ => None,
    }
}

/// An event; `header` says where it stands, or that it stands nowhere.
pub(super) fn event(room: &RoomName, header: v1::EntryHeader, event: &Event) -> v1::Event {
    v1::Event {
        room: room.as_str().to_owned(),
        header: Some(header),
        name: event.name.as_str().to_owned(),
        key: event.key.as_ref().map_or_else(String::new, |key| key.as_str().to_owned()),
        payload: event.payload.as_ref().map(parts::content),
        by_service: event.by_service,
    }
}

fn item(room: &RoomName, entry: &Entry) -> Item {
    let name = || room.as_str().to_owned();
    let header = || Some(header(entry));
    match &entry.body {
        EntryBody::Message(body) => Item::Message(message(room, entry, body)),
        EntryBody::Edit { target, content, version } => Item::MessageEdited(v1::MessageEdited {
            room: name(),
            header: header(),
            target_seq: target.0,
            content: content.as_ref().map(parts::content),
            version: *version,
        }),
        EntryBody::Deletion { target: Seq(target_seq) } => Item::MessageDeleted(v1::MessageDeleted {
            room: name(),
            header: header(),
            target_seq: *target_seq,
        }),
        EntryBody::Reaction { target, key, add } => Item::Reaction(v1::Reaction {
            room: name(),
            header: header(),
            target_seq: target.0,
            key: key.as_str().to_owned(),
            add: *add,
        }),
        EntryBody::Membership { user, change, role } => {
            Item::Membership(membership(room, entry, user, *change, *role))
        }
        EntryBody::Room { created, metadata } => Item::RoomChanged(v1::RoomChanged {
            room: name(),
            header: header(),
            metadata: metadata.as_map().clone(),
            created: *created,
        }),
        EntryBody::Event(body) => Item::Event(event(room, self::header(entry), body)),
    }
}

fn header(entry: &Entry) -> v1::EntryHeader {
    v1::EntryHeader {
        seq: entry.seq.0,
        tag: entry.tag.0,
        epoch: entry.epoch.0,
        time_ms: entry.time.millis(),
        sender: entry.sender.as_str().to_owned(),
    }
}

fn message(room: &RoomName, entry: &Entry, message: &Message) -> v1::Message {
    v1::Message {
        room: room.as_str().to_owned(),
        header: Some(header(entry)),
        number: entry.number,
        content: message.content.as_ref().map(parts::content),
        reply_to: message.reply_to.map(|seq| seq.0),
        attributes: message.attributes.as_map().clone(),
        version: message.version,
        deleted: message.content.is_none(),
        edited_time_ms: message.edited.map_or(0, Timestamp::millis),
        reactions: message.reactions.iter().map(reaction_summary).collect(),
        by_service: message.by_service,
    }
}

fn reaction_summary(summary: &ReactionSummary) -> v1::ReactionSummary {
    v1::ReactionSummary {
        key: summary.key.as_str().to_owned(),
        users: summary.users.iter().map(|user| user.as_str().to_owned()).collect(),
        count: summary.count,
    }
}

fn membership(
    room: &RoomName,
    entry: &Entry,
    user: &UserId,
    change: MembershipChange,
    role: Role,
) -> v1::Membership {
    let role = if change.ends() { v1::Role::Unspecified } else { parts::role(role) };
    let change = match change {
        MembershipChange::Added => v1::MembershipChange::Added,
        MembershipChange::Removed => v1::MembershipChange::Removed,
        MembershipChange::Left => v1::MembershipChange::Left,
        MembershipChange::RoleChanged => v1::MembershipChange::RoleChanged,
    };
    v1::Membership {
        room: room.as_str().to_owned(),
        header: Some(header(entry)),
        user: user.as_str().to_owned(),
        change: change.into(),
        role: role.into(),
    }
}
