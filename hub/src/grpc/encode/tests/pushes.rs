//! Pushes.

use std::time::Duration;

use super::*;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::inbox::InboxChange;
use crate::domain::presence::PresenceReason;
use crate::domain::push::LeaveReason;

fn name() -> String {
    "conversation:1".to_owned()
}

#[test]
fn of_rooms() {
    let Kind::Joined(joined) = pushed(&Push::Joined(Box::new(super::replies::joined(true)))) else {
        panic!()
    };
    assert_eq!(joined.position, wire_position());
    for (reason, wire) in [
        (LeaveReason::Command, v1::LeaveReason::Command),
        (LeaveReason::Removed, v1::LeaveReason::Removed),
        (LeaveReason::Denied, v1::LeaveReason::Denied),
        (LeaveReason::Unavailable, v1::LeaveReason::Unavailable),
    ] {
        let left = Kind::Left(v1::Left { room: name(), reason: wire.into() });
        assert_eq!(pushed(&Push::Left { room: room(), reason }), left);
    }
    assert_eq!(
        pushed(&Push::Gap { room: room(), from: Seq(3), to: Seq(5) }),
        Kind::Gap(v1::Gap { room: name(), from: 3, to: 5 })
    );
    assert_eq!(
        pushed(&Push::Occupancy { room: room(), count: 140 }),
        Kind::Occupancy(v1::Occupancy { room: name(), count: 140 })
    );
}

#[test]
fn unread_shows_the_last_message_alone() {
    let unread = |last: Option<EntryBody>| Push::Unread {
        room: room(),
        count: 4,
        last_seq: Seq(7),
        last_message: last.map(|body| Box::new(entry(body))),
    };
    let Kind::Unread(shown) = pushed(&unread(Some(EntryBody::Message(message())))) else { panic!() };
    assert_eq!((shown.count, shown.last_seq), (4, 7));
    assert_eq!(shown.last_message.unwrap().content, wire_text("hello"));
    for last in [None, Some(EntryBody::Deletion { target: Seq(2) })] {
        let Kind::Unread(bare) = pushed(&unread(last)) else { panic!() };
        assert_eq!(bare.last_message, None);
    }
}

#[test]
fn an_ephemeral_event_has_no_place() {
    for by_service in [false, true] {
        let event = Event { by_service, ..event() };
        let push = Push::Event { room: room(), sender: user("alice"), time: NOW, event };
        let header =
            v1::EntryHeader { time_ms: NOW.millis(), sender: "alice".into(), ..v1::EntryHeader::default() };
        let payload = v1::Content {
            media_type: "application/x-moves".into(),
            body: Some(v1::content::Body::Data(vec![1, 2].into())),
        };
        let expected = v1::Event {
            room: name(),
            header: Some(header),
            name: "moved".into(),
            key: "cursor".into(),
            payload: Some(payload),
            by_service,
        };
        assert_eq!(pushed(&push), Kind::Event(expected));
    }
}

#[test]
fn of_users() {
    let marks = Push::Marks { room: room(), user: user("alice"), marks: marks() };
    assert_eq!(pushed(&marks), Kind::Marks(wire_marks()));
    assert_eq!(
        pushed(&Push::Typing { room: room(), user: user("bob"), active: true }),
        Kind::Typing(v1::Typing { room: name(), user: "bob".into(), active: true })
    );
    for (reason, wire) in [
        (PresenceReason::Snapshot, v1::PresenceReason::Snapshot),
        (PresenceReason::Joined, v1::PresenceReason::Joined),
        (PresenceReason::Left, v1::PresenceReason::Left),
        (PresenceReason::Changed, v1::PresenceReason::Changed),
        (PresenceReason::Disconnected, v1::PresenceReason::Disconnected),
        (PresenceReason::Returned, v1::PresenceReason::Returned),
        (PresenceReason::Watched, v1::PresenceReason::Watched),
    ] {
        for room in [Some(room()), None] {
            let expected = v1::Presence {
                room: room.as_ref().map_or_else(String::new, |_| name()),
                state: Some(wire_state()),
                reason: wire.into(),
            };
            assert_eq!(pushed(&Push::Presence { room, state: state(), reason }), Kind::Presence(expected));
        }
    }
}

#[test]
fn of_the_inbox() {
    let push = Push::Notification { notification: notification(), position: summary().head };
    assert_eq!(pushed(&push), Kind::Notification(wire_notification(4, 9)));
    assert_eq!(
        pushed(&Push::InboxUnread(summary())),
        Kind::InboxUnread(v1::InboxUnread { count: 12, critical: 1 })
    );
    let ids = || vec![NotificationId::parse("n1").unwrap()];
    let wire_ids = || vec!["n1".to_owned()];
    let up_to = Some(v1::InboxPosition { own: 4, broadcast: 9, epoch: 3 });
    for (change, ids, read, deleted, up_to) in [
        (InboxChange::Read(ids()), wire_ids(), true, false, None),
        (InboxChange::ReadUpTo(summary().head), vec![], true, false, up_to),
        (InboxChange::Delete(ids()), wire_ids(), false, true, None),
    ] {
        assert_eq!(
            pushed(&Push::NotificationState { change, summary: summary() }),
            Kind::NotificationState(v1::NotificationState { ids, read, deleted, up_to, inbox_unread: 12 })
        );
    }
}

#[test]
fn of_the_session() {
    assert_eq!(pushed(&Push::Ping), Kind::Ping(v1::Ping {}));
    assert_eq!(
        pushed(&Push::TokenExpiring(Timestamp(9))),
        Kind::TokenExpiring(v1::TokenExpiring { expires_ms: 9 })
    );
    assert_eq!(
        pushed(&Push::GoingAway(Duration::from_secs(2))),
        Kind::GoingAway(v1::GoingAway { reconnect_after_ms: 2_000 })
    );
    let refusal = Refusal { retry_after: Some(Duration::MAX), ..ErrorCode::SlowConsumer.into() };
    assert_eq!(
        pushed(&Push::Disconnected(refusal)),
        Kind::Disconnected(v1::Disconnected {
            code: "SLOW_CONSUMER".into(),
            reconnect: true,
            retry_after_ms: u32::MAX,
            message: "the session reads too slowly".into(),
        })
    );
}
