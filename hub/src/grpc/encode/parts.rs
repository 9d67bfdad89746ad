//! What replies and pushes are made of.

use std::time::Duration;

use carillon_proto::v1;

use super::entry;
use crate::domain::content::{Body, Content, TEXT_MEDIA_TYPES};
use crate::domain::inbox::{InboxPlace, Notification, Priority};
use crate::domain::marks::Marks;
use crate::domain::member::{Member, Role};
use crate::domain::names::{RoomName, UserId};
use crate::domain::position::{Epoch, InboxPosition, Position};
use crate::domain::presence::{Status, UserState};
use crate::domain::room::RoomSummary;
use crate::domain::time::Timestamp;

/// The media type that data has where none is given.
const DATA_MEDIA_TYPE: &str = "application/octet-stream";

pub(in crate::grpc) fn position(position: Position) -> v1::Position {
    v1::Position { epoch: position.epoch.0, seq: position.seq.0, tag: position.tag.0 }
}

pub(super) fn inbox_position(position: InboxPosition) -> v1::InboxPosition {
    v1::InboxPosition { own: position.own.0, broadcast: position.broadcast.0, epoch: position.epoch.0 }
}

/// A content; the default media type is left out.
pub(super) fn content(content: &Content) -> v1::Content {
    let (body, default) = match &content.body {
        Body::Text(text) => (v1::content::Body::Text(text.as_str().to_owned()), TEXT_MEDIA_TYPES[0]),
        Body::Data(data) => (v1::content::Body::Data(data.clone()), DATA_MEDIA_TYPE),
    };
    let media_type =
        if &*content.media_type == default { String::new() } else { (*content.media_type).to_owned() };
    v1::Content { media_type, body: Some(body) }
}

pub(super) fn role(role: Role) -> v1::Role {
    match role {
        Role::Owner => v1::Role::Owner,
        Role::Moderator => v1::Role::Moderator,
        Role::Member => v1::Role::Member,
        Role::Reader => v1::Role::Reader,
    }
}

pub(super) fn member(member: &Member) -> v1::Member {
    v1::Member { user: member.user.as_str().to_owned(), role: role(member.role).into() }
}

pub(super) fn marks(room: &RoomName, user: &UserId, marks: Marks) -> v1::Marks {
    v1::Marks {
        room: room.as_str().to_owned(),
        user: user.as_str().to_owned(),
        delivered: marks.delivered.0,
        read: marks.read.0,
    }
}

pub(super) fn user_state(state: &UserState) -> v1::PresenceState {
    let status = match state.status {
        Status::Online => v1::PresenceStatus::Online,
        Status::Away => v1::PresenceStatus::Away,
        Status::Busy => v1::PresenceStatus::Busy,
        Status::Offline => v1::PresenceStatus::Offline,
    };
    v1::PresenceState {
        user: state.user.as_str().to_owned(),
        status: status.into(),
        text: state.text.clone(),
        last_active_ms: state.last_active.millis(),
        devices: state.devices,
    }
}

/// A room in its member's list. Its marks leave out what the summary says: the room, and whose they are.
pub(super) fn room_summary(summary: &RoomSummary) -> v1::RoomSummary {
    let name = &summary.room.room;
    v1::RoomSummary {
        room: name.as_str().to_owned(),
        head: Some(position(summary.room.head)),
        head_number: summary.room.head_number,
        unread: summary.unread(),
        marks: Some(v1::Marks {
            delivered: summary.marks.delivered.0,
            read: summary.marks.read.0,
            ..v1::Marks::default()
        }),
        last_message: summary.last_message.as_ref().and_then(|last| entry::message_of(name, last)),
        role: role(summary.role).into(),
        metadata: summary.room.metadata.as_map().clone(),
        peer: summary.peer.as_ref().map(|peer| peer.as_str().to_owned()),
        version: summary.room.version.0,
    }
}

/// A notification at `position`: the inbox's after it in a push, its own place in a page.
pub(super) fn notification(notification: &Notification, position: InboxPosition) -> v1::Notification {
    let notice = &notification.notice;
    v1::Notification {
        id: notice.id.as_str().to_owned(),
        position: Some(inbox_position(position)),
        kind: notice.kind.as_str().to_owned(),
        title: (*notice.title).to_owned(),
        body: notice.body.as_ref().map(content),
        priority: priority(notice.priority).into(),
        data: notice.data.as_map().clone(),
        sender: notice.sender.as_str().to_owned(),
        time_ms: notification.time.millis(),
        read: notification.read,
        expires_ms: notice.expires.map_or(0, Timestamp::millis),
    }
}

/// A place in one of an inbox's logs as a position: the other log's place is 0.
pub(super) fn place(place: InboxPlace, epoch: Epoch) -> InboxPosition {
    match place {
        InboxPlace::Own(own) => InboxPosition { epoch, own, ..InboxPosition::default() },
        InboxPlace::Broadcast(broadcast) => InboxPosition { epoch, broadcast, ..InboxPosition::default() },
    }
}

fn priority(priority: Priority) -> v1::NotificationPriority {
    match priority {
        Priority::Low => v1::NotificationPriority::Low,
        Priority::Normal => v1::NotificationPriority::Normal,
        Priority::High => v1::NotificationPriority::High,
        Priority::Critical => v1::NotificationPriority::Critical,
    }
}

/// Whole milliseconds, rounded up: who waits that long has waited long enough.
pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
