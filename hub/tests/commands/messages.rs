//! Messages, reactions and marks.

use carillon_hub::domain::command::{HistoryBound, Stateless};
use carillon_hub::domain::entry::{EntryBody, ReactionKey};
use carillon_hub::domain::error::{ErrorCode, Violation};
use carillon_hub::domain::limits;
use carillon_hub::domain::member::Role;
use carillon_hub::domain::names::RoomName;
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::reply::Reply;

use crate::harness::{Answered, Hub, Person, accepted, code, refused, room};

#[tokio::test]
async fn a_remembered_members_send_reads_nothing() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let room = alice.converses(&["bob"]).await;
    alice.sends(&room, "one").await.unwrap();
    hub.reads();
    for _ in 0..10 {
        alice.sends(&room, "more").await.unwrap();
        alice.marks_read(&room, 3).await.unwrap();
    }
    assert_eq!(hub.reads(), 0);
    let open = crate::harness::room("open:1");
    hub.user("carol").sends(&open, "nobody is a member here").await.unwrap();
    assert_eq!(hub.reads(), 0);
}

#[tokio::test]
async fn places_from_the_future_are_refused() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let room = alice.converses(&[]).await;
    let sent = accepted(&alice.sends(&room, "hello").await).0;
    let beyond = sent.seq.0 + 1;
    let invalid = |field| (ErrorCode::InvalidArgument, Some(field));
    for beyond in [beyond, u64::MAX] {
        assert_eq!(refused(&alice.marks_read(&room, beyond).await), invalid("up_to"));
        assert_eq!(refused(&alice.answers(&room, "what?", Some(beyond)).await), invalid("reply_to"));
        assert_eq!(refused(&alice.edits(&room, beyond, None).await), invalid("seq"));
        assert_eq!(refused(&alice.deletes(&room, beyond).await), invalid("seq"));
        assert_eq!(refused(&reacts(&alice, &room, beyond).await), invalid("seq"));
        let after = alice.reads(&room, Some(HistoryBound::After(Seq(beyond))), 10).await;
        assert_eq!(refused(&after), invalid("after"));
    }
    assert_eq!(refused(&alice.marks_read(&crate::harness::room("open:new"), 1).await), invalid("up_to"));
    assert!(matches!(
        alice.marks_read(&room, sent.seq.0).await,
        Ok(Reply::Marks { marks, .. }) if marks.read == sent.seq
    ));
    assert!(alice.answers(&room, "so be it", Some(sent.seq.0)).await.is_ok());
    assert_eq!(alice.log(&room).await.last().map(|entry| entry.seq), Some(sent.seq.next()));
}

/// Deleting a message blanks its edits in one step, so there are not more than it can do.
#[tokio::test]
async fn a_message_is_edited_so_often_at_most() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let room = alice.converses(&[]).await;
    let seq = accepted(&alice.sends(&room, "hello").await).0.seq.0;
    for _ in 0..10 {
        let edits = (0..limits::EDITS_PER_MESSAGE / 10).map(|_| alice.edits(&room, seq, None));
        assert!(futures::future::join_all(edits).await.iter().all(Result::is_ok));
    }
    let refusal = alice.edits(&room, seq, None).await.unwrap_err();
    let rule = Violation { field: "seq", rule: "a message with fewer than 1000 edits" };
    assert_eq!((refusal.code, refusal.violations), (ErrorCode::InvalidArgument, vec![rule]));
    alice.deletes(&room, seq).await.unwrap();
    let left = alice.log(&room).await.into_iter().filter(|entry| match &entry.body {
        EntryBody::Edit { content, .. } => content.is_some(),
        _ => false,
    });
    assert_eq!(left.count(), 0);
}

async fn reacts(who: &Person<'_>, room: &RoomName, seq: u64) -> Answered {
    let key = ReactionKey::parse("+1").unwrap();
    who.does(Stateless::Reaction { room: room.clone(), seq: Seq(seq), key, add: true }).await
}

#[tokio::test]
async fn messages_are_edited_by_their_senders_and_deleted_by_moderators_too() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let room = alice.converses(&["bob", "carol"]).await;
    let seq = accepted(&bob.sends(&room, "hello").await).0.seq.0;
    assert_eq!(code(&alice.edits(&room, seq, None).await), ErrorCode::PermissionDenied);
    assert!(matches!(bob.edits(&room, seq, Some(1)).await, Ok(Reply::EntryAccepted { version: 2, .. })));
    assert_eq!(code(&bob.edits(&room, seq, Some(1)).await), ErrorCode::Conflict);
    assert!(reacts(&alice, &room, seq).await.is_ok());
    assert_eq!(code(&hub.user("carol").deletes(&room, seq).await), ErrorCode::PermissionDenied);
    assert!(!accepted(&alice.deletes(&room, seq).await).1);
    assert!(accepted(&bob.deletes(&room, seq).await).1, "it is gone already");
    assert_eq!(code(&bob.edits(&room, seq, None).await), ErrorCode::Conflict);
    assert_eq!(code(&reacts(&alice, &room, seq).await), ErrorCode::Conflict);
    let log = alice.log(&room).await;
    let tombstone = log.iter().find(|entry| entry.seq == Seq(seq)).unwrap();
    assert!(matches!(&tombstone.body, EntryBody::Message(message) if message.content.is_none()));
    let deletions = log.iter().filter(|entry| matches!(entry.body, EntryBody::Deletion { .. })).count();
    assert_eq!(deletions, 1);
    assert_eq!(code(&bob.deletes(&room, 1).await), ErrorCode::NotFound, "no message");
}

/// A user whose id is a service's name is another one.
#[tokio::test]
async fn nobody_edits_or_deletes_as_their_own_what_a_service_sent() {
    let hub = Hub::start();
    let (service, namesake) = (hub.service(), hub.user("service"));
    let room = hub.user("alice").converses(&["service"]).await;
    let told = accepted(&service.sends(&room, "told").await).0.seq;
    let said = accepted(&namesake.sends(&room, "said").await).0.seq;
    assert_eq!(code(&namesake.edits(&room, told.0, None).await), ErrorCode::PermissionDenied);
    assert_eq!(code(&namesake.deletes(&room, told.0).await), ErrorCode::PermissionDenied);
    assert_eq!(code(&service.edits(&room, said.0, None).await), ErrorCode::PermissionDenied);
    accepted(&service.edits(&room, told.0, None).await);
    accepted(&namesake.edits(&room, said.0, None).await);
    let log = namesake.log(&room).await;
    let by_service = log.iter().filter_map(|entry| match &entry.body {
        EntryBody::Message(message) => Some((entry.seq, message.version, message.by_service)),
        _ => None,
    });
    let mut by_service: Vec<_> = by_service.collect();
    by_service.sort_unstable();
    assert_eq!(by_service, [(told, 2, true), (said, 2, false)]);
    accepted(&service.deletes(&room, told.0).await);
    assert!(log_says(&namesake, &room, told).await, "of a tombstone too");
    accepted(&namesake.deletes(&room, said.0).await);
}

async fn log_says(who: &Person<'_>, room: &RoomName, seq: Seq) -> bool {
    let log = who.log(room).await;
    log.iter().any(|entry| match &entry.body {
        EntryBody::Message(message) => entry.seq == seq && message.by_service && message.content.is_none(),
        _ => false,
    })
}

#[tokio::test]
async fn edits_end_with_the_window() {
    let hub = Hub::start();
    let small = room("small:1");
    crate::administration::creates(&hub, "small:1", &[("alice", Role::Owner)]).await.unwrap();
    let alice = hub.user("alice");
    let seq = accepted(&alice.sends(&small, "hello").await).0.seq.0;
    assert_eq!(code(&alice.edits(&small, seq, None).await), ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn late_members_see_and_touch_nothing_from_before_them() {
    let hub = Hub::start();
    let case = room("case:1");
    crate::administration::creates(&hub, "case:1", &[("alice", Role::Owner)]).await.unwrap();
    let alice = hub.user("alice");
    let before = accepted(&alice.sends(&case, "secret").await).0.seq.0;
    let added = accepted(&alice.adds(&case, "bob", Role::Moderator).await).0.seq;
    let bob = hub.user("bob");
    let seen: Vec<Seq> = bob.log(&case).await.iter().map(|entry| entry.seq).collect();
    assert_eq!(seen, [added]);
    let forward = bob.reads(&case, Some(HistoryBound::After(Seq(0))), 10).await;
    assert!(matches!(forward, Ok(Reply::History { entries, more: false, .. }) if entries[0].seq == added));
    assert_eq!(code(&reacts(&bob, &case, before).await), ErrorCode::NotFound);
    assert_eq!(code(&bob.deletes(&case, before).await), ErrorCode::NotFound);
    assert_eq!(code(&bob.answers(&case, "about that", Some(before)).await), ErrorCode::NotFound);
}

#[tokio::test]
async fn an_ephemeral_namespace_takes_no_messages() {
    let hub = Hub::start();
    let (alice, cursor) = (hub.user("alice"), room("cursor:1"));
    let invalid = (ErrorCode::InvalidArgument, Some("room"));
    assert_eq!(refused(&alice.sends(&cursor, "hello").await), invalid);
    assert_eq!(refused(&alice.reads(&cursor, None, 10).await), invalid);
    assert_eq!(refused(&alice.marks_read(&cursor, 1).await), invalid);
}
