//! A cursor is good for the user, the list and the room that it was made for.

use carillon_client::v1::send_notification_request::Audience;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, Member, Role};
use carillon_tests::wire::join;
use carillon_tests::{TestHub, Wire, hub};

type Ask = fn(room: &str, cursor: String) -> Command;

fn rooms(_room: &str, cursor: String) -> Command {
    Command::Rooms(v1::RoomsGet { cursor, limit: 1, ..Default::default() })
}

fn members(room: &str, cursor: String) -> Command {
    Command::Members(v1::MembersGet { room: room.to_owned(), cursor, limit: 1 })
}

fn present(room: &str, cursor: String) -> Command {
    Command::PresenceGet(v1::PresenceGet { room: room.to_owned(), cursor, limit: 1 })
}

fn notifications(_room: &str, cursor: String) -> Command {
    Command::Notifications(v1::NotificationsGet { cursor, limit: 1, ..Default::default() })
}

fn next_cursor(page: Kind) -> String {
    match page {
        Kind::RoomsPage(page) => page.next_cursor,
        Kind::MembersPage(page) => page.next_cursor,
        Kind::PresencePage(page) => page.next_cursor,
        Kind::NotificationsPage(page) => page.next_cursor,
        other => panic!("no page: {other:?}"),
    }
}

/// Two conversations of alice and bob, both present, and two notifications each.
async fn furnish(hub: &TestHub, alice: &mut Wire, bob: &mut Wire) -> Vec<String> {
    let mut rooms = Vec::new();
    for n in 0..2 {
        let member = Member { user: "bob".to_owned(), role: Role::Member.into() };
        let create = v1::ConversationCreate { members: vec![member], ..Default::default() };
        match alice.asks(Command::ConversationCreate(create)).await {
            Kind::ConversationCreated(created) => rooms.push(created.room),
            other => panic!("{other:?}"),
        }
        let users = v1::UserList { users: vec!["alice".to_owned(), "bob".to_owned()] };
        let notice = v1::SendNotificationRequest {
            audience: Some(Audience::Users(users)),
            kind: "test".to_owned(),
            title: format!("notice {n}"),
            ..Default::default()
        };
        hub.admin().send_notification(notice).await.unwrap();
    }
    for room in &rooms {
        alice.joins(join(room)).await;
        bob.joins(join(room)).await;
    }
    rooms
}

async fn is_refused(wire: &mut Wire, command: Command) {
    let what = format!("{command:?}");
    let Kind::Error(error) = wire.asks(command).await else { panic!("not refused: {what}") };
    let fields: Vec<_> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!((error.code.as_str(), fields), ("INVALID_ARGUMENT", vec!["cursor"]), "{what}");
}

#[tokio::test]
async fn a_cursor_of_another_user_list_or_room_is_refused() {
    let hub = hub().start().await;
    let (mut alice, mut bob) = (Wire::enters(&hub, "alice").await, Wire::enters(&hub, "bob").await);
    let both = furnish(&hub, &mut alice, &mut bob).await;
    let lists: [(Ask, bool); 4] = [(rooms, false), (members, true), (present, true), (notifications, false)];
    for (at, (ask, of_room)) in lists.into_iter().enumerate() {
        let first = alice.asks(ask(&both[0], String::new())).await;
        let cursor = next_cursor(first);
        assert!(!cursor.is_empty());
        is_refused(&mut bob, ask(&both[0], cursor.clone())).await;
        is_refused(&mut alice, lists[(at + 1) % lists.len()].0(&both[0], cursor.clone())).await;
        if of_room {
            is_refused(&mut alice, ask(&both[1], cursor.clone())).await;
        }
        // To the one whom it was given it is good, and bob's session goes on.
        next_cursor(alice.asks(ask(&both[0], cursor)).await);
        next_cursor(bob.asks(ask(&both[0], String::new())).await);
    }
}
