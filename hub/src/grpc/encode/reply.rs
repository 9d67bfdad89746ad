//! What commands are answered with.

use carillon_proto::v1;
use carillon_proto::v1::session_response::Kind;

use super::push::left;
use super::{entry, parts};
use crate::domain::inbox::{InboxSummary, Notification};
use crate::domain::limits;
use crate::domain::push::LeaveReason;
use crate::domain::reply::{Connected, JoinReason, Joined, Reply, RoomRules, SessionTerms};

pub(super) fn kind(reply: &Reply) -> Kind {
    match reply {
        Reply::Connected(connected) => Kind::Connected(self::connected(connected)),
        Reply::Done => Kind::Done(v1::Done {}),
        Reply::Pong(time) => Kind::Pong(v1::Pong { time_ms: time.millis() }),
        Reply::Joined(joined) => Kind::Joined(self::joined(joined)),
        Reply::Left(room) => Kind::Left(left(room, LeaveReason::Command)),
        Reply::MessageSent { position, number, time, duplicate } => Kind::MessageSent(v1::MessageSent {
            position: Some(parts::position(*position)),
            number: *number,
            time_ms: time.millis(),
            duplicate: *duplicate,
        }),
        // An ephemeral event has no place, and so nothing to say.
        Reply::EntryAccepted { position, .. } if position.seq.0 == 0 => Kind::Done(v1::Done {}),
        Reply::EntryAccepted { position, time, version, duplicate } => {
            Kind::EntryAccepted(v1::EntryAccepted {
                position: Some(parts::position(*position)),
                time_ms: time.millis(),
                duplicate: *duplicate,
                version: *version,
            })
        }
        Reply::ConversationCreated { room, position, duplicate } => {
            Kind::ConversationCreated(v1::ConversationCreated {
                room: room.as_str().to_owned(),
                position: Some(parts::position(*position)),
                duplicate: *duplicate,
            })
        }
        Reply::Marks { room, user, marks } => {
            Kind::MarksAccepted(v1::MarksAccepted { marks: Some(parts::marks(room, user, *marks)) })
        }
        Reply::History { room, entries, as_of, more } => Kind::HistoryPage(v1::HistoryPage {
            entries: entries.iter().map(|entry| entry::history_entry(room, entry)).collect(),
            as_of: Some(parts::position(*as_of)),
            more: *more,
        }),
        Reply::Rooms { rooms, next } => Kind::RoomsPage(v1::RoomsPage {
            rooms: rooms.iter().map(parts::room_summary).collect(),
            next_cursor: next.0.clone(),
        }),
        Reply::Members { members, next } => Kind::MembersPage(v1::MembersPage {
            members: members.iter().map(parts::member).collect(),
            next_cursor: next.0.clone(),
        }),
        Reply::Presence { states, occupancy, next } => Kind::PresencePage(v1::PresencePage {
            states: states.iter().map(parts::user_state).collect(),
            next_cursor: next.0.clone(),
            occupancy: *occupancy,
        }),
        Reply::Notifications { notifications, summary, next } => {
            Kind::NotificationsPage(notifications_page(notifications, summary, next.0.clone()))
        }
    }
}

fn notifications_page(
    notifications: &[Notification],
    summary: &InboxSummary,
    next_cursor: String,
) -> v1::NotificationsPage {
    let epoch = summary.head.epoch;
    v1::NotificationsPage {
        notifications: notifications
            .iter()
            .map(|notification| parts::notification(notification, parts::place(notification.place, epoch)))
            .collect(),
        next_cursor,
        inbox_unread: summary.unread,
        as_of: Some(parts::inbox_position(summary.head)),
    }
}

pub(super) fn joined(joined: &Joined) -> v1::Joined {
    let reason = match joined.reason {
        JoinReason::Command => v1::JoinReason::Command,
        JoinReason::Automatic => v1::JoinReason::Automatic,
        JoinReason::Resumed => v1::JoinReason::Resumed,
    };
    let durable = joined.rules.durable;
    v1::Joined {
        room: joined.room.as_str().to_owned(),
        position: durable.then(|| parts::position(joined.position)),
        recovered: joined.recovered,
        truncated: joined.truncated,
        marks: durable.then(|| parts::marks(&joined.room, &joined.user, joined.marks)),
        occupancy: joined.occupancy,
        role: joined.role.map_or(v1::Role::Unspecified, parts::role).into(),
        presence: joined.presence.iter().map(parts::user_state).collect(),
        presence_more: joined.presence_more,
        rules: Some(rules(joined.rules)),
        reason: reason.into(),
    }
}

fn rules(rules: RoomRules) -> v1::RoomRules {
    v1::RoomRules {
        durable: rules.durable,
        typing: rules.typing,
        receipts: rules.receipts,
        edit_window_ms: rules.edit_window_ms,
    }
}

fn connected(connected: &Connected) -> v1::Connected {
    let terms = connected.terms;
    v1::Connected {
        session: connected.session.to_string(),
        user: connected.user.as_str().to_owned(),
        tenant: connected.tenant.as_str().to_owned(),
        server_time_ms: connected.now.millis(),
        heartbeat: Some(v1::Heartbeat {
            interval_ms: terms.heartbeat_interval_ms,
            timeout_ms: terms.heartbeat_timeout_ms,
        }),
        limits: Some(session_limits(terms)),
        unread: connected.unread.iter().map(parts::room_summary).collect(),
        unread_more: connected.unread_more,
        inbox_unread: connected.inbox.unread,
        inbox: Some(parts::inbox_position(connected.inbox.head)),
        inbox_after: connected.inbox_after.map(parts::inbox_position),
        token_expires_ms: connected.token_expires.millis(),
    }
}

fn session_limits(terms: SessionTerms) -> v1::Limits {
    v1::Limits {
        frame_bytes: terms.frame_bytes,
        content_chars: limits::CONTENT_CHARACTERS as u32,
        content_bytes: limits::CONTENT_BYTES as u32,
        rooms_per_session: terms.rooms_per_session,
        commands_in_flight: limits::COMMANDS_IN_FLIGHT as u32,
        idempotency_window_ms: terms.idempotency_window_ms,
        attributes: limits::ATTRIBUTES as u32,
        attribute_key_bytes: limits::KEY_BYTES as u32,
        attribute_value_bytes: limits::ATTRIBUTE_VALUE_BYTES as u32,
        history_entries: limits::HISTORY_LIMIT,
        rewind_entries: limits::REWIND,
        watched_users: limits::WATCHED_USERS as u32,
    }
}
