//! What the hub sends without being asked.

use carillon_proto::v1;
use carillon_proto::v1::session_response::Kind;

use super::{entry, parts, reply};
use crate::domain::entry::Entry;
use crate::domain::error::Refusal;
use crate::domain::inbox::{InboxChange, InboxSummary};
use crate::domain::names::{NotificationId, RoomName, UserId};
use crate::domain::presence::{PresenceReason, UserState};
use crate::domain::push::{LeaveReason, Push};
use crate::domain::time::Timestamp;

pub(super) fn kind(push: &Push) -> Kind {
    match push {
        Push::Joined(joined) => Kind::Joined(reply::joined(joined)),
        Push::Left { room, reason } => Kind::Left(left(room, *reason)),
        Push::Gap { room, from, to } => {
            Kind::Gap(v1::Gap { room: room.as_str().to_owned(), from: from.0, to: to.0 })
        }
        Push::Event { room, sender, time, event } => {
            Kind::Event(entry::event(room, placeless(sender, *time), event))
        }
        Push::Marks { room, user, marks } => Kind::Marks(parts::marks(room, user, *marks)),
        Push::Typing { room, user, active } => Kind::Typing(v1::Typing {
            room: room.as_str().to_owned(),
            user: user.as_str().to_owned(),
            active: *active,
        }),
        Push::Presence { room, state, reason } => Kind::Presence(presence(room.as_ref(), state, *reason)),
        Push::Occupancy { room, count } => {
            Kind::Occupancy(v1::Occupancy { room: room.as_str().to_owned(), count: *count })
        }
        Push::Unread { room, count, last_seq, last_message } => {
            Kind::Unread(unread(room, *count, last_seq.0, last_message.as_deref()))
        }
        Push::Notification { notification, position } => {
            Kind::Notification(parts::notification(notification, *position))
        }
        Push::NotificationState { change, summary } => {
            Kind::NotificationState(notification_state(change, summary))
        }
        Push::InboxUnread(summary) => {
            Kind::InboxUnread(v1::InboxUnread { count: summary.unread, critical: summary.critical })
        }
        Push::TokenExpiring(expires) => {
            Kind::TokenExpiring(v1::TokenExpiring { expires_ms: expires.millis() })
        }
        Push::Ping => Kind::Ping(v1::Ping {}),
        Push::GoingAway(after) => {
            Kind::GoingAway(v1::GoingAway { reconnect_after_ms: parts::millis(*after) })
        }
        Push::Disconnected(refusal) => Kind::Disconnected(disconnected(refusal)),
    }
}

pub(super) fn left(room: &RoomName, reason: LeaveReason) -> v1::Left {
    let reason = match reason {
        LeaveReason::Command => v1::LeaveReason::Command,
        LeaveReason::Removed => v1::LeaveReason::Removed,
        LeaveReason::Denied => v1::LeaveReason::Denied,
        LeaveReason::Unavailable => v1::LeaveReason::Unavailable,
    };
    v1::Left { room: room.as_str().to_owned(), reason: reason.into() }
}

/// The header of an ephemeral event: it has a sender and a time, and no place in a log.
fn placeless(sender: &UserId, time: Timestamp) -> v1::EntryHeader {
    v1::EntryHeader {
        time_ms: time.millis(),
        sender: sender.as_str().to_owned(),
        ..v1::EntryHeader::default()
    }
}

fn presence(room: Option<&RoomName>, state: &UserState, reason: PresenceReason) -> v1::Presence {
    let reason = match reason {
        PresenceReason::Snapshot => v1::PresenceReason::Snapshot,
        PresenceReason::Joined => v1::PresenceReason::Joined,
        PresenceReason::Left => v1::PresenceReason::Left,
        PresenceReason::Changed => v1::PresenceReason::Changed,
        PresenceReason::Disconnected => v1::PresenceReason::Disconnected,
        PresenceReason::Returned => v1::PresenceReason::Returned,
        PresenceReason::Watched => v1::PresenceReason::Watched,
    };
    v1::Presence {
        room: room.map_or_else(String::new, |room| room.as_str().to_owned()),
        state: Some(parts::user_state(state)),
        reason: reason.into(),
    }
}

fn unread(room: &RoomName, count: u64, last_seq: u64, last_message: Option<&Entry>) -> v1::Unread {
    v1::Unread {
        room: room.as_str().to_owned(),
        count,
        last_seq,
        last_message: last_message.and_then(|last| entry::message_of(room, last)),
    }
}

fn notification_state(change: &InboxChange, summary: &InboxSummary) -> v1::NotificationState {
    let texts = |ids: &[NotificationId]| ids.iter().map(|id| id.as_str().to_owned()).collect();
    let mut state = v1::NotificationState { inbox_unread: summary.unread, ..Default::default() };
    match change {
        InboxChange::Read(ids) => {
            state.ids = texts(ids);
            state.read = true;
        }
        InboxChange::ReadUpTo(up_to) => {
            state.up_to = Some(parts::inbox_position(*up_to));
            state.read = true;
        }
        InboxChange::Delete(ids) => {
            state.ids = texts(ids);
            state.deleted = true;
        }
    }
    state
}

fn disconnected(refusal: &Refusal) -> v1::Disconnected {
    let row = refusal.code.row();
    v1::Disconnected {
        code: row.name.to_owned(),
        reconnect: row.reconnect,
        retry_after_ms: refusal.retry_after.map_or(0, parts::millis),
        message: row.message.to_owned(),
    }
}
