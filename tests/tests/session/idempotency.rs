//! One key, one outcome: however often, however many at once, by whatever way, and across restarts.

use bytes::Bytes;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, MessageSent, SessionRequest};
use carillon_client::{Code, CommandError, Executor};
use carillon_tests::wire::{code, join, request, say};
use carillon_tests::{TestHub, Wire, hub};

const ROOM: &str = "room:a";

fn keyed(id: u32, key: &'static str, command: Command) -> SessionRequest {
    SessionRequest { idempotency_key: Bytes::from_static(key.as_bytes()), ..request(id, command) }
}

fn sent(kind: Kind) -> MessageSent {
    match kind {
        Kind::MessageSent(sent) => sent,
        other => panic!("{other:?}"),
    }
}

async fn head(hub: &TestHub) -> u64 {
    let mut scout = Wire::enters(hub, "scout").await;
    scout.joins(join(ROOM)).await.position.unwrap().seq
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_retries_at_once_are_one_message() {
    let hub = hub().start().await;
    let mut wires = Vec::new();
    for _ in 0..4 {
        wires.push(Wire::enters(&hub, "alice").await);
    }
    let executor = Executor::new(hub.options("alice")).unwrap();
    let by_session = futures::future::join_all(wires.iter_mut().map(|wire| async {
        wire.send(&(50..60).map(|id| keyed(id, "key-of-alice", say(ROOM, "once"))).collect::<Vec<_>>());
        let mut replies = Vec::new();
        for _ in 0..10 {
            let is_sent = |kind: &Kind| if let Kind::MessageSent(sent) = kind { Some(*sent) } else { None };
            replies.push(wire.until(is_sent).await);
        }
        replies
    }));
    let by_execute = futures::future::join_all((0..10).map(|_| {
        executor.call_with_key::<MessageSent>(say(ROOM, "once"), Bytes::from_static(b"key-of-alice"))
    }));
    let (by_session, by_execute) = tokio::join!(by_session, by_execute);
    let mut replies: Vec<MessageSent> = by_session.into_iter().flatten().collect();
    replies.extend(by_execute.into_iter().map(Result::unwrap));
    assert_eq!(replies.len(), 50);
    let first = replies.iter().filter(|reply| !reply.duplicate).count();
    assert_eq!(first, 1, "one is the first");
    for reply in &replies {
        assert_eq!(
            MessageSent { duplicate: false, ..*reply },
            MessageSent { duplicate: false, ..replies[0] }
        );
    }
    assert_eq!(head(&hub).await, 1);
}

#[tokio::test]
async fn a_key_is_one_senders_in_one_room_for_one_command() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let key = "the same key";
    alice.send(&[keyed(50, key, say(ROOM, "one")), keyed(51, key, say(ROOM, "another"))]);
    let first = sent(alice.answer(50).await);
    let Kind::Error(conflict) = alice.answer(51).await else { panic!("a conflict") };
    assert_eq!((&*conflict.code, conflict.retryable), ("CONFLICT", false));
    // Another command, though to the same room.
    let edit = v1::MessageEdit { room: ROOM.to_owned(), seq: 1, ..v1::MessageEdit::default() };
    let edit = v1::MessageEdit { content: Some(carillon_client::text("one")), ..edit };
    alice.send(&[keyed(52, key, Command::MessageEdit(edit))]);
    assert_eq!(code(&alice.answer(52).await), "CONFLICT");
    // Other rooms and other senders have keys of their own.
    alice.send(&[keyed(53, key, say("room:b", "one"))]);
    bob.send(&[keyed(53, key, say(ROOM, "one"))]);
    for wire in [&mut alice, &mut bob] {
        assert!(!sent(wire.answer(53).await).duplicate);
    }
    // The first one still stands.
    alice.send(&[keyed(54, key, say(ROOM, "one"))]);
    assert_eq!(sent(alice.answer(54).await), MessageSent { duplicate: true, ..first });
    let executor = Executor::new(hub.options("alice")).unwrap();
    let other = executor.call_with_key::<MessageSent>(say(ROOM, "else"), Bytes::from_static(b"the same key"));
    match other.await {
        Err(CommandError::Refused(refusal)) => assert_eq!(refusal.code, Code::Conflict),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_outlives_the_hub() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let create = || {
        let bob = v1::Member { user: "bob".to_owned(), ..v1::Member::default() };
        Command::ConversationCreate(v1::ConversationCreate { members: vec![bob], ..Default::default() })
    };
    alice.send(&[keyed(50, "key of a message", say(ROOM, "once")), keyed(51, "key of a room", create())]);
    let (mut message, mut room) = (None, None);
    while message.is_none() || room.is_none() {
        match alice.next().await.unwrap().kind.unwrap() {
            Kind::MessageSent(sent) => message = Some(sent),
            Kind::ConversationCreated(created) => room = Some(created),
            _ => {}
        }
    }
    let (message, room) = (message.unwrap(), room.unwrap());
    assert!(!message.duplicate && !room.duplicate);
    drop(alice);
    let hub = hub.stops().await.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.send(&[keyed(50, "key of a message", say(ROOM, "once"))]);
    assert_eq!(sent(alice.answer(50).await), MessageSent { duplicate: true, ..message });
    alice.send(&[keyed(51, "key of a room", create())]);
    let Kind::ConversationCreated(again) = alice.answer(51).await else { panic!("the room") };
    assert_eq!((&again.room, again.duplicate), (&room.room, true));
    alice.send(&[keyed(52, "key of a message", say(ROOM, "twice"))]);
    assert_eq!(code(&alice.answer(52).await), "CONFLICT");
    assert_eq!(head(&hub).await, 1);
}
