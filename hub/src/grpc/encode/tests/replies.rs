//! Replies and refusals.

use std::time::Duration;

use super::*;
use crate::domain::command::Cursor;
use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::limits;
use crate::domain::member::{Member, Role};
use crate::domain::names::{SessionId, TenantId};
use crate::domain::reply::{Connected, JoinReason, Joined, RoomRules, SessionTerms};
use crate::domain::room::{Room, RoomSummary};
use crate::grpc::encode::execute_response;

fn next() -> Cursor {
    Cursor("next".into())
}

pub(super) fn joined(durable: bool) -> Joined {
    Joined {
        room: room(),
        position: position(),
        recovered: true,
        truncated: false,
        user: user("alice"),
        marks: marks(),
        occupancy: 3,
        role: Some(Role::Reader),
        presence: vec![state()],
        presence_more: true,
        rules: RoomRules { durable, typing: true, receipts: true, edit_window_ms: Some(60_000) },
        reason: JoinReason::Resumed,
    }
}

fn room_summary() -> RoomSummary {
    RoomSummary {
        room: Room {
            room: room(),
            head: position(),
            head_number: 5,
            first: Seq(1),
            version: Seq(2),
            created: true,
            direct: true,
            metadata: Pairs::stored([("title".to_owned(), "x".to_owned())].into()),
            members: 2,
        },
        role: Role::Owner,
        marks: marks(),
        last_message: Some(entry(EntryBody::Message(message()))),
        peer: Some(user("bob")),
    }
}

#[test]
fn short_replies() {
    let (position, time, duplicate) = (position(), NOW, true);
    let accepted = |seq| Reply::EntryAccepted {
        position: Position { seq: Seq(seq), ..position },
        time,
        version: 2,
        duplicate,
    };
    let time_ms = NOW.millis();
    let wire = wire_position();
    for (reply, kind) in [
        (Reply::Done, Kind::Done(v1::Done {})),
        (Reply::Pong(NOW), Kind::Pong(v1::Pong { time_ms })),
        (
            Reply::Left(room()),
            Kind::Left(v1::Left { room: "conversation:1".into(), reason: v1::LeaveReason::Command.into() }),
        ),
        (
            Reply::MessageSent { position, number: 5, time, duplicate },
            Kind::MessageSent(v1::MessageSent { position: wire, number: 5, time_ms, duplicate }),
        ),
        (
            accepted(7),
            Kind::EntryAccepted(v1::EntryAccepted { position: wire, time_ms, duplicate, version: 2 }),
        ),
        (accepted(0), Kind::Done(v1::Done {})),
        (
            Reply::ConversationCreated { room: room(), position, duplicate },
            Kind::ConversationCreated(v1::ConversationCreated {
                room: "conversation:1".into(),
                position: wire,
                duplicate,
            }),
        ),
        (
            Reply::Marks { room: room(), user: user("alice"), marks: marks() },
            Kind::MarksAccepted(v1::MarksAccepted { marks: Some(wire_marks()) }),
        ),
    ] {
        assert_eq!(replied(&reply), kind);
    }
}

#[test]
fn a_page_of_history() {
    let entries = vec![entry(EntryBody::Message(message())), entry(EntryBody::Deletion { target: Seq(2) })];
    let reply = Reply::History { room: room(), entries, as_of: position(), more: true };
    let Kind::HistoryPage(page) = replied(&reply) else { panic!() };
    assert_eq!((page.entries.len(), page.as_of, page.more), (2, wire_position(), true));
}

#[test]
fn a_page_of_rooms() {
    let Kind::RoomsPage(page) = replied(&Reply::Rooms { rooms: vec![room_summary()], next: next() }) else {
        panic!()
    };
    let [summary] = &page.rooms[..] else { panic!() };
    assert_eq!((&*summary.room, summary.head, summary.unread), ("conversation:1", wire_position(), 2));
    assert_eq!((summary.role(), summary.peer(), summary.version), (v1::Role::Owner, "bob", 2));
    assert_eq!(summary.marks, Some(v1::Marks { delivered: 6, read: 4, ..Default::default() }));
    assert_eq!((summary.last_message.as_ref().unwrap().number, &*page.next_cursor), (5, "next"));
}

#[test]
fn pages_of_users_and_notifications() {
    let (version, joined, history_from) = (Seq(2), Seq(1), Seq(1));
    let member = Member { user: user("bob"), role: Role::Moderator, version, joined, history_from };
    let next_cursor = || "next".to_owned();
    assert_eq!(
        replied(&Reply::Members { members: vec![member], next: next() }),
        Kind::MembersPage(v1::MembersPage {
            members: vec![v1::Member { user: "bob".into(), role: v1::Role::Moderator.into() }],
            next_cursor: next_cursor(),
        })
    );
    assert_eq!(
        replied(&Reply::Presence { states: vec![state()], occupancy: 9, next: next() }),
        Kind::PresencePage(v1::PresencePage {
            states: vec![wire_state()],
            next_cursor: next_cursor(),
            occupancy: 9,
        })
    );
    let notifications = vec![notification()];
    assert_eq!(
        replied(&Reply::Notifications { notifications, summary: summary(), next: next() }),
        Kind::NotificationsPage(v1::NotificationsPage {
            notifications: vec![wire_notification(0, 9)],
            next_cursor: next_cursor(),
            inbox_unread: 12,
            as_of: Some(v1::InboxPosition { own: 4, broadcast: 9, epoch: 3 }),
        })
    );
}

#[test]
fn a_join() {
    let Kind::Joined(durable) = replied(&Reply::Joined(Box::new(joined(true)))) else { panic!() };
    assert_eq!((durable.position, durable.marks.clone()), (wire_position(), Some(wire_marks())));
    assert_eq!((durable.role(), durable.reason()), (v1::Role::Reader, v1::JoinReason::Resumed));
    assert_eq!((durable.presence.clone(), durable.presence_more), (vec![wire_state()], true));
    assert_eq!(durable.rules.unwrap().edit_window_ms, Some(60_000));

    let Kind::Joined(ephemeral) = replied(&Reply::Joined(Box::new(joined(false)))) else { panic!() };
    assert_eq!((ephemeral.position, ephemeral.marks), (None, None));
}

#[test]
fn a_connected_session_knows_its_limits() {
    let connected = Connected {
        session: SessionId(0xab),
        user: user("alice"),
        tenant: TenantId::parse("acme").unwrap(),
        now: NOW,
        terms: SessionTerms {
            heartbeat_interval_ms: 25_000,
            heartbeat_timeout_ms: 60_000,
            frame_bytes: 102_400,
            rooms_per_session: 100,
            idempotency_window_ms: 86_400_000,
        },
        unread: vec![room_summary()],
        unread_more: true,
        inbox: summary(),
        inbox_after: Some(summary().head),
        token_expires: Timestamp(99),
    };
    let Kind::Connected(connected) = replied(&Reply::Connected(Box::new(connected))) else { panic!() };
    assert_eq!(connected.session, "000000000000000000000000000000ab");
    assert_eq!((&*connected.user, &*connected.tenant), ("alice", "acme"));
    let limits = connected.limits.unwrap();
    assert_eq!((limits.content_chars, limits.content_bytes, limits.frame_bytes), (10_000, 65_536, 102_400));
    assert_eq!(limits.commands_in_flight, limits::COMMANDS_IN_FLIGHT as u32);
    assert_eq!(connected.inbox_after, connected.inbox);
    assert_eq!((connected.unread.len(), connected.inbox_unread, connected.token_expires_ms), (1, 12, 99));
}

#[test]
fn a_refusal() {
    let violation = Violation { field: "content.text", rule: "at most 10000 characters" };
    let refusal = Refusal {
        code: ErrorCode::RateLimited,
        violations: vec![violation; 20],
        retry_after: Some(Duration::from_micros(1_500)),
        whose: None,
    };
    let response = response(&encoder().refusal(7, &refusal, "0123456789abcdef"));
    let Some(Kind::Error(error)) = response.kind else { panic!() };
    assert_eq!((response.command_id, &*error.code, error.retryable), (7, "RATE_LIMITED", true));
    assert_eq!((error.time_ms, error.retry_after_ms), (NOW.millis(), 2));
    assert_eq!((&*error.request_id, error.violations.len()), ("0123456789abcdef", 16));
    assert_eq!(error.violations[0].field, "content.text");
}

#[test]
fn execute_answers_what_needs_no_session() {
    let sent = Reply::MessageSent { position: position(), number: 5, time: NOW, duplicate: false };
    let Some(v1::ExecuteResponse { kind: Some(v1::execute_response::Kind::MessageSent(executed)) }) =
        execute_response(&sent)
    else {
        panic!()
    };
    assert_eq!(executed.number, 5);
    assert_eq!(execute_response(&Reply::Pong(NOW)), None);
}
