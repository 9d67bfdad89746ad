//! `Execute`: one command without a session, answered as in one.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::{ClientOptions, CommandError, Executor, v1};
use carillon_hub::config::{LimitsSection, RateSetting};
use carillon_hub::domain::rate::Rate;
use carillon_tests::browser::{Beside, request};
use carillon_tests::hub::TENANT;
use carillon_tests::story::{member, seq_of, text_of, verdict, wrong_field};
use carillon_tests::{TestHub, hub};
use serde_json::json;
use tonic::Code;
use v1::Role;

use crate::audit_tickets::{bearing, calls, over_grpc};

fn executor(hub: &TestHub, user: &str) -> Executor {
    Executor::new(hub.options(user)).unwrap()
}

#[tokio::test]
async fn each_command_is_answered_as_in_a_session() {
    let hub = hub().start().await;
    let alice = executor(&hub, "alice");
    let create = v1::ConversationCreate { members: vec![member("bob", Role::Member)], ..Default::default() };
    let created: v1::ConversationCreated = alice.call(Command::ConversationCreate(create)).await.unwrap();
    let room = || created.room.clone();
    let sent = alice.send(room(), "hello").await.unwrap();
    let seq = sent.position.unwrap().seq;
    assert_eq!(sent.number, 1);
    let content = Some(carillon_client::text("hello all"));
    let edit = v1::MessageEdit { room: room(), seq, content, expected_version: Some(1) };
    let edited: v1::EntryAccepted = alice.call(Command::MessageEdit(edit)).await.unwrap();
    assert_eq!((edited.version, seq_of(&edited)), (2, seq + 1));
    let react = v1::ReactionSet { room: room(), seq, key: "+1".into(), add: true };
    let _: v1::EntryAccepted = executor(&hub, "bob").call(Command::Reaction(react)).await.unwrap();
    let add = v1::MemberAdd { room: room(), user: "carol".into(), role: 0 };
    let _: v1::EntryAccepted = alice.call(Command::MemberAdd(add)).await.unwrap();
    let role = v1::MemberRole { room: room(), user: "carol".into(), role: Role::Reader.into() };
    let _: v1::EntryAccepted = alice.call(Command::MemberRole(role)).await.unwrap();
    let remove = v1::MemberRemove { room: room(), user: "carol".into() };
    let _: v1::EntryAccepted = alice.call(Command::MemberRemove(remove)).await.unwrap();
    let metadata = [("title".to_owned(), "plans".to_owned())].into();
    let update = v1::ConversationUpdate { room: room(), metadata, ..Default::default() };
    let _: v1::EntryAccepted = alice.call(Command::ConversationUpdate(update)).await.unwrap();
    let event = v1::EventPublish { room: room(), name: "moved".into(), ..Default::default() };
    let event: Option<v1::EntryAccepted> = alice.call(Command::EventPublish(event)).await.unwrap();
    let head = seq_of(&event.unwrap());
    let live = v1::EventPublish { room: "live:1".into(), name: "moved".into(), ..Default::default() };
    let live: Option<v1::EntryAccepted> = alice.call(Command::EventPublish(live)).await.unwrap();
    assert!(live.is_none());
    let bob = executor(&hub, "bob");
    let delivered = v1::MarkDelivered { room: room(), up_to: head };
    let marks: v1::MarksAccepted = bob.call(Command::MarkDelivered(delivered)).await.unwrap();
    assert_eq!(marks.marks.map(|marks| (marks.delivered, marks.read)), Some((head, 0)));
    let read = v1::MarkRead { room: room(), up_to: seq };
    let marks: v1::MarksAccepted = bob.call(Command::MarkRead(read)).await.unwrap();
    assert_eq!(marks.marks.map(|marks| (marks.delivered, marks.read)), Some((head, seq)));
    let rooms: v1::RoomsPage = bob.call(Command::Rooms(v1::RoomsGet::default())).await.unwrap();
    assert_eq!((rooms.rooms[0].unread, rooms.rooms[0].metadata["title"].as_str()), (0, "plans"));
    let members = v1::MembersGet { room: room(), ..Default::default() };
    let members: v1::MembersPage = bob.call(Command::Members(members)).await.unwrap();
    assert_eq!(members.members.len(), 2);
    let page = v1::HistoryGet { room: room(), limit: 200, ..Default::default() };
    let history: v1::HistoryPage = bob.call(Command::History(page)).await.unwrap();
    assert_eq!((history.entries.len() as u64, history.as_of.unwrap().seq), (head, head));
    let delete = v1::MessageDelete { room: room(), seq };
    let _: v1::EntryAccepted = alice.call(Command::MessageDelete(delete)).await.unwrap();
}

#[tokio::test]
async fn a_listener_hears_what_is_executed_and_sees_nobody() {
    let hub = hub().start().await;
    let mut bob = hub.enters("bob").await;
    bob.joins("room:lobby").await;
    let alice = executor(&hub, "alice");
    alice.send("room:lobby", "hello").await.unwrap();
    let heard = bob.hears("room:lobby").await;
    assert_eq!(text_of(heard.content.as_ref()), "hello");
    let page = v1::PresenceGet { room: "room:lobby".into(), ..Default::default() };
    let present: v1::PresencePage = alice.call(Command::PresenceGet(page)).await.unwrap();
    let users: Vec<_> = present.states.iter().map(|state| state.user.as_str()).collect();
    assert_eq!((users, present.occupancy), (vec!["bob"], 1));
    let counts = hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    assert_eq!((counts.sessions, counts.users), (1, 1));
    // Cursors of a session and of a command without one are the same.
    for user in ["u1", "u2"] {
        executor(&hub, user).send("room:lobby", "hi").await.unwrap();
    }
}

#[tokio::test]
async fn the_inbox_is_there_without_a_session() {
    let hub = hub().start().await;
    let mut phone = hub.enters("alice").await;
    let users = v1::UserList { users: vec!["alice".into()] };
    let notify = v1::SendNotificationRequest {
        audience: Some(v1::send_notification_request::Audience::Users(users)),
        kind: "news".into(),
        title: "hello".into(),
        ..Default::default()
    };
    let sent = hub.admin().send_notification(notify).await.unwrap();
    let alice = executor(&hub, "alice");
    let page = || Command::Notifications(v1::NotificationsGet::default());
    let listed: v1::NotificationsPage = alice.call(page()).await.unwrap();
    assert_eq!((listed.inbox_unread, listed.notifications[0].id.as_str()), (1, &*sent.id));
    let read = v1::NotificationRead { ids: vec![sent.id.clone()], up_to: None };
    let _: v1::Done = alice.call(Command::NotificationRead(read)).await.unwrap();
    let state = phone.waits_for(|event| match event {
        carillon_client::Event::NotificationState(state) => Some(state),
        _ => None,
    });
    assert_eq!(state.await.ids, std::slice::from_ref(&sent.id));
    let delete = v1::NotificationDelete { ids: vec![sent.id] };
    let _: v1::Done = alice.call(Command::NotificationDelete(delete)).await.unwrap();
    let listed: v1::NotificationsPage = alice.call(page()).await.unwrap();
    assert!(listed.notifications.is_empty());
}

#[tokio::test]
async fn refusals_and_retries_are_those_of_a_session() {
    let hub = hub().start().await;
    let (alice, session) = (executor(&hub, "alice"), hub.enters("alice").await);
    let send = |words: &str| Command::MessageSend(carillon_tests::story::message("room:lobby", words));
    let key = bytes::Bytes::from_static(b"the-same-key");
    let first: v1::MessageSent = alice.call_with_key(send("once"), key.clone()).await.unwrap();
    let again: v1::MessageSent = alice.call_with_key(send("once"), key.clone()).await.unwrap();
    assert!(!first.duplicate && again.duplicate && again.position == first.position);
    // A session and Execute share the key's scope.
    let third = session.client.with_key(key.clone()).send("room:lobby", "once").await.unwrap();
    assert!(third.duplicate && third.position == first.position);
    let reused: Result<v1::MessageSent, _> = alice.call_with_key(send("twice"), key).await;
    assert_eq!(verdict(reused), "CONFLICT");
    assert_eq!(wrong_field(alice.send("nonsense", "hello").await), "room");
    assert_eq!(verdict(alice.send("conversation:none", "hello").await), "ACCESS_DENIED");
    assert_eq!(verdict(alice.send("room:lobby", "x".repeat(10_001)).await), "MESSAGE_TOO_LARGE");
    let join = Command::Join(v1::Join { room: "room:lobby".into(), ..Default::default() });
    let join: Result<v1::Joined, _> = alice.call(join).await;
    assert_eq!(wrong_field(join), "command");
    let nobody = Executor::new(ClientOptions::new(hub.url())).unwrap();
    assert_eq!(verdict(nobody.send("room:lobby", "hello").await), "AUTH_REQUIRED");
    let bad = Executor::new(ClientOptions::new(hub.url()).token("bad")).unwrap();
    assert_eq!(verdict(bad.send("room:lobby", "hello").await), "INVALID_TOKEN");
    let service = Executor::new(ClientOptions::new(hub.url()).token(hub.service_token())).unwrap();
    let refused: Result<_, CommandError> = service.send("room:lobby", "hello").await;
    assert_eq!(verdict(refused), "PERMISSION_DENIED", "services have AdminService");
    assert_eq!(session.reads("room:lobby").await.len(), 1);
}

/// Over gRPC, and posted at a bridge, with a token and with a ticket: to refuse it is work as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_command_counts_as_one() {
    let only = |burst| RateSetting(Some(Rate::new(burst, Duration::from_hours(1))));
    let limits = LimitsSection { commands: only(3), service: only(3), ..LimitsSection::off() };
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| config.limits = limits).start_with(&bridge).await;
    let sends = async |token: &str| {
        let sent = calls(&hub).await.execute(bearing(token, v1::ExecuteRequest::default())).await;
        sent.unwrap_err().code()
    };
    let posts = async |token: &str| {
        let headers = [("authorization", &*format!("Bearer {token}"))];
        request(bridge.address(), "POST", "/v1/commands", &headers, "{}").await.status
    };
    let alice = hub.token("alice");
    for _ in 0..3 {
        assert_eq!(sends(&alice).await, Code::InvalidArgument);
    }
    assert_eq!((sends(&alice).await, posts(&alice).await), (Code::ResourceExhausted, 429));
    let bob = hub.token("bob");
    for _ in 0..3 {
        assert_eq!(posts(&bob).await, 400);
    }
    assert_eq!((posts(&bob).await, sends(&bob).await), (429, Code::ResourceExhausted));
    // A ticket is one of them, and is not used up.
    let mailer = hub.token_that_says(&json!({"sub": "mailer", "svc": true, "tenants": [TENANT]}));
    for bearer in [hub.token("carol"), mailer] {
        let ticket = over_grpc(&hub, &bearer).await.unwrap();
        assert_eq!((sends(&ticket).await, posts(&ticket).await), (Code::InvalidArgument, 400));
        assert_eq!((sends(&ticket).await, posts(&ticket).await), (Code::ResourceExhausted, 429));
    }
}
