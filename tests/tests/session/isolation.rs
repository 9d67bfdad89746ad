//! Tenants do not know of each other, and nobody learns which rooms exist.

use carillon_client::Event;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, Error, Member, MessageEdit, Role, send_notification_request};
use carillon_hub::access::authentication::{MintFor, MintRequest, ServiceTenants, mint};
use carillon_hub::domain::names::UserId;
use carillon_hub::domain::time::Timestamp;
use carillon_tests::wire::{Opening, greeting, join, join_since, say};
use carillon_tests::{TestHub, Wire, hub};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// A session of a user of a tenant.
async fn enters(hub: &TestHub, tenant: &str, user: &str) -> Wire {
    Wire::enters_with(hub, v1::Hello { token: hub.token_of(tenant, user, HOUR), ..greeting() }).await
}

/// A conversation of its creator and bob.
async fn conversation(wire: &mut Wire) -> String {
    let bob = Member { user: "bob".to_owned(), role: Role::Member.into() };
    let create = v1::ConversationCreate { members: vec![bob], ..v1::ConversationCreate::default() };
    match wire.asks(Command::ConversationCreate(create)).await {
        Kind::ConversationCreated(created) => created.room,
        other => panic!("{other:?}"),
    }
}

/// Reads up to a message of its own, and fails on anything of another tenant.
async fn hears_only_its_own(wire: &mut Wire, room: &str, tenant: &str, who: usize) {
    let fence = format!("fence {who} of {tenant}");
    wire.ask(say(room, fence.clone()));
    loop {
        match wire.next().await.unwrap().kind.unwrap() {
            Kind::Message(message) => {
                let text = carillon_tests::words(&message).to_owned();
                assert!(text.ends_with(tenant), "{text} at {tenant}");
                if text == fence {
                    return;
                }
            }
            Kind::Presence(presence) => {
                assert!(presence.state.unwrap().user.ends_with(tenant) || presence.room.is_empty());
            }
            Kind::Notification(notification) => assert!(notification.title.ends_with(tenant)),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_same_names_in_two_tenants_are_different_things() {
    let hub = hub().start().await;
    let mut wires = Vec::new();
    for tenant in ["acme", "globex"] {
        for user in ["alice", "bob"] {
            let mut wire = enters(&hub, tenant, &format!("{user}-{tenant}")).await;
            let joined = wire.joins(v1::Join { presence: true, ..join("room:same") }).await;
            assert!(joined.occupancy <= 2, "only one's own tenant is present");
            wire.joins(join("live:same")).await;
            wires.push((tenant, wire));
        }
    }
    for (tenant, wire) in &mut wires {
        for n in 0..5 {
            wire.ask(say("room:same", format!("{n} of {tenant}")));
        }
        let event =
            v1::EventPublish { room: "live:same".to_owned(), name: "x".to_owned(), ..Default::default() };
        wire.ask(Command::EventPublish(event));
        let watch = vec!["alice-acme".to_owned(), "alice-globex".to_owned()];
        wire.ask(Command::PresenceWatch(v1::PresenceWatch { users: watch }));
    }
    for (who, (tenant, wire)) in wires.iter_mut().enumerate() {
        hears_only_its_own(wire, "room:same", tenant, who).await;
        let who = v1::PresenceGet { room: "room:same".to_owned(), ..v1::PresenceGet::default() };
        let Kind::PresencePage(page) = wire.asks(Command::PresenceGet(who)).await else { panic!("a page") };
        assert!(page.occupancy == 2 && page.states.iter().all(|state| state.user.ends_with(*tenant)));
    }
    for (_, wire) in &mut wires {
        let head = wire.joins(join("room:same")).await.position.unwrap();
        assert_eq!(head.seq, 12, "two people, five messages and a fence each");
    }
}

#[tokio::test]
async fn who_watches_a_user_of_another_tenant_sees_nobody() {
    let hub = hub().start().await;
    let _alice = enters(&hub, "globex", "alice").await;
    let mut spy = enters(&hub, "acme", "spy").await;
    spy.ask(Command::PresenceWatch(v1::PresenceWatch { users: vec!["alice".to_owned()] }));
    let seen = |kind: &Kind| match kind {
        Kind::Presence(presence) => presence.state.clone(),
        _ => None,
    };
    let state = spy.until(seen).await;
    assert_eq!((state.status(), state.devices, state.last_active_ms), (v1::PresenceStatus::Offline, 0, 0));
}

#[tokio::test]
async fn notifications_reach_one_tenant_alone() {
    let hub = hub().start().await;
    let service = MintFor::Service { name: UserId::parse("billing").unwrap(), tenants: ServiceTenants::All };
    let request = MintRequest { subject: service, ttl: HOUR };
    let token = mint(&hub.authentication(), &request, Timestamp::now()).unwrap();
    let notify = |tenant: &str, all: bool| v1::SendNotificationRequest {
        tenant: tenant.to_owned(),
        kind: "test".to_owned(),
        title: format!("for {tenant}"),
        audience: Some(if all {
            send_notification_request::Audience::AllUsers(true)
        } else {
            let users = vec!["alice".to_owned()];
            send_notification_request::Audience::Users(v1::UserList { users })
        }),
        ..v1::SendNotificationRequest::default()
    };
    let options = |tenant: &str| {
        carillon_client::ClientOptions::new(hub.url()).token(hub.token_of(tenant, "alice", HOUR))
    };
    let mut acme = carillon_tests::Person::connect("alice", options("acme")).await;
    let mut globex = carillon_tests::Person::connect("alice", options("globex")).await;
    for tenant in ["globex", "acme"] {
        let service = carillon_client::ClientOptions::new(hub.url()).token(token.clone());
        let admin = carillon_client::AdminClient::new(service, tenant).unwrap();
        for all in [false, true] {
            admin.send_notification(notify(tenant, all)).await.unwrap();
        }
    }
    for (person, tenant) in [(&mut acme, "acme"), (&mut globex, "globex")] {
        for _ in 0..2 {
            let title = person.waits_for(|event| match event {
                Event::Notification(notification) => Some(notification.title.clone()),
                _ => None,
            });
            assert_eq!(title.await, format!("for {tenant}"));
        }
        let page = person.client.notifications(v1::NotificationsGet::default()).await.unwrap();
        assert_eq!((page.notifications.len(), page.inbox_unread), (2, 2));
    }
}

/// What a command is answered with, but for what differs from one answer to the next.
async fn error(wire: &mut Wire, command: Command) -> Error {
    match wire.asks(command).await {
        Kind::Error(error) => Error { time_ms: 0, request_id: String::new(), ..error },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rooms_that_are_not_ones_own_look_as_if_they_were_not_there() {
    let hub = hub().start().await;
    let mut globex = enters(&hub, "globex", "alice").await;
    let elsewhere = conversation(&mut globex).await;
    let mut alice = enters(&hub, "acme", "alice").await;
    let private = conversation(&mut alice).await;
    alice.asks(say(&private, "secret")).await;
    let position = alice.joins(join(&private)).await.position.unwrap();
    let mut eve = enters(&hub, "acme", "eve").await;
    let commands = |room: &str| {
        let (room, user) = (room.to_owned(), "eve".to_owned());
        let edit = MessageEdit { room: room.clone(), seq: 1, ..MessageEdit::default() };
        [
            Command::Join(join(&room)),
            Command::Join(join_since(&room, position)),
            say(&room, "let me in"),
            Command::History(v1::HistoryGet { room: room.clone(), ..Default::default() }),
            Command::Members(v1::MembersGet { room: room.clone(), ..Default::default() }),
            Command::PresenceGet(v1::PresenceGet { room: room.clone(), ..Default::default() }),
            Command::MemberAdd(v1::MemberAdd { room: room.clone(), user: user.clone(), role: 0 }),
            Command::MemberRemove(v1::MemberRemove { room: room.clone(), user: user.clone() }),
            Command::MemberRemove(v1::MemberRemove { room: room.clone(), user: "alice".to_owned() }),
            Command::MemberRole(v1::MemberRole { room: room.clone(), user, role: Role::Owner.into() }),
            Command::ConversationUpdate(v1::ConversationUpdate {
                room: room.clone(),
                metadata: [("a".to_owned(), "b".to_owned())].into(),
                ..Default::default()
            }),
            Command::MessageEdit(MessageEdit { content: Some(carillon_client::text("x")), ..edit }),
            Command::MessageDelete(v1::MessageDelete { room: room.clone(), seq: 1 }),
            Command::Reaction(v1::ReactionSet { room: room.clone(), seq: 1, key: "+".to_owned(), add: true }),
            Command::MarkRead(v1::MarkRead { room: room.clone(), up_to: 1 }),
            Command::MarkDelivered(v1::MarkDelivered { room, up_to: 1 }),
        ]
    };
    let none = commands("conversation:00000000000000000000000000000000");
    for ((none, private), elsewhere) in none.into_iter().zip(commands(&private)).zip(commands(&elsewhere)) {
        let what = format!("{none:?}");
        let expected = error(&mut eve, none).await;
        assert_eq!(expected.code, "ACCESS_DENIED", "{what}");
        assert_eq!(error(&mut eve, private).await, expected, "{what}, not a member");
        assert_eq!(error(&mut eve, elsewhere).await, expected, "{what}, of another tenant");
    }
    // Nor does what is answered as success tell, or a resume.
    for room in ["conversation:none", &private, &elsewhere] {
        let typing = v1::TypingSet { room: room.to_owned(), active: true };
        assert!(matches!(eve.asks(Command::Typing(typing)).await, Kind::Done(_)));
        let left = eve.asks(Command::Leave(v1::Leave { room: room.to_owned() })).await;
        assert!(matches!(left, Kind::Left(_)));
        let rooms = vec![v1::RoomPosition { room: room.to_owned(), ..Default::default() }];
        let resume = Some(v1::Resume { rooms, inbox: None });
        let mut again = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        again.greets(v1::Hello { token: hub.token("eve"), resume, ..greeting() }).await;
        let left = |kind: &Kind| if let Kind::Left(left) = kind { Some(left.reason()) } else { None };
        assert_eq!(again.until(left).await, v1::LeaveReason::Denied);
    }
    let Kind::RoomsPage(page) = eve.asks(Command::Rooms(v1::RoomsGet::default())).await else { panic!() };
    assert!(page.rooms.is_empty());
}
