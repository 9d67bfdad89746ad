//! A retry with the same key gives the first attempt's result.

use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::error::ErrorCode;
use carillon_hub::domain::member::Role;
use futures::future::join_all;

use crate::harness::{Hub, accepted, code, created};

#[tokio::test]
async fn a_message_is_sent_once_however_often_it_is_tried_at_the_same_time() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let room = alice.converses(&["bob"]).await;
    let keyed = alice.keyed("first-key");
    let tries = join_all((0..16).map(|_| keyed.sends(&room, "once"))).await;
    let accepted: Vec<_> = tries.iter().map(accepted).collect();
    assert_eq!(accepted.iter().filter(|(_, duplicate)| !duplicate).count(), 1);
    assert!(accepted.iter().all(|(position, _)| *position == accepted[0].0));
    let log = alice.log(&room).await;
    assert_eq!(log.iter().filter(|entry| matches!(entry.body, EntryBody::Message(_))).count(), 1);
    assert_eq!(code(&keyed.sends(&room, "another").await), ErrorCode::Conflict);
    assert!(!crate::harness::accepted(&hub.user("bob").keyed("first-key").sends(&room, "mine").await).1);
}

#[tokio::test]
async fn leaving_is_confirmed_again_though_one_has_left() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let room = alice.converses(&["bob"]).await;
    let left = accepted(&bob.keyed("leave-key").removes(&room, "bob").await);
    let again = accepted(&bob.keyed("leave-key").removes(&room, "bob").await);
    assert_eq!((left.1, again), (false, (left.0, true)));
    assert_eq!(code(&bob.removes(&room, "bob").await), ErrorCode::AccessDenied);
    assert_eq!(code(&bob.keyed("leave-two").removes(&room, "bob").await), ErrorCode::AccessDenied);
    assert_eq!(code(&bob.keyed("leave-key").removes(&room, "alice").await), ErrorCode::Conflict);
}

#[tokio::test]
async fn what_changed_since_does_not_change_a_retrys_result() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let room = alice.converses(&["bob"]).await;
    let seq = accepted(&bob.sends(&room, "hello").await).0.seq.0;
    let edited = accepted(&bob.keyed("edit-key").edits(&room, seq, Some(1)).await).0;
    assert_eq!(accepted(&bob.keyed("edit-key").edits(&room, seq, Some(1)).await), (edited, true));
    let deleted = accepted(&bob.keyed("delete-key").deletes(&room, seq).await).0;
    assert_eq!(accepted(&bob.keyed("delete-key").deletes(&room, seq).await), (deleted, true));
    assert_eq!(accepted(&bob.keyed("edit-key").edits(&room, seq, Some(1)).await), (edited, true));
    let added = accepted(&alice.keyed("add-carol").adds(&room, "carol", Role::Reader).await).0;
    assert_eq!(accepted(&alice.keyed("add-carol").adds(&room, "carol", Role::Reader).await), (added, true));
    assert_eq!(accepted(&alice.adds(&room, "carol", Role::Reader).await), (added, true), "a member already");
    let sent = accepted(&bob.keyed("send-key").sends(&room, "last words").await).0;
    alice.removes(&room, "bob").await.unwrap();
    assert_eq!(accepted(&bob.keyed("send-key").sends(&room, "last words").await), (sent, true));
    assert_eq!(code(&bob.keyed("late-key").sends(&room, "more").await), ErrorCode::AccessDenied);
}

/// What had no need to be done is not done by a late retry, when there would be need.
#[tokio::test]
async fn what_was_so_already_is_remembered_too() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let room = alice.converses(&["bob", "carol"]).await;
    let again = alice.keyed("add-again");
    let needless = accepted(&again.adds(&room, "bob", Role::Member).await);
    assert!(needless.1 && needless.0.seq.0 > 0, "{needless:?}");
    let as_is = alice.keyed("role-as-is");
    let same_role = accepted(&as_is.promotes(&room, "carol", Role::Member).await);
    assert!(same_role.1);
    alice.removes(&room, "bob").await.unwrap();
    alice.promotes(&room, "carol", Role::Moderator).await.unwrap();
    let before = alice.log(&room).await.len();
    assert_eq!(accepted(&again.adds(&room, "bob", Role::Member).await), needless);
    assert_eq!(accepted(&as_is.promotes(&room, "carol", Role::Member).await), same_role);
    assert_eq!(alice.log(&room).await.len(), before, "nobody was added again, and nobody demoted");
    assert_eq!(code(&again.adds(&room, "dave", Role::Member).await), ErrorCode::Conflict);
    let seq = accepted(&alice.sends(&room, "hello").await).0.seq.0;
    alice.deletes(&room, seq).await.unwrap();
    let tombstone = accepted(&alice.keyed("delete-again").deletes(&room, seq).await);
    assert_eq!((tombstone.0.seq.0, tombstone.1), (seq, true));
    assert_eq!(accepted(&alice.keyed("delete-again").deletes(&room, seq).await), tombstone);
}

#[tokio::test]
async fn a_conversation_is_created_once_per_key() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let keyed = alice.keyed("create-key");
    let tries = join_all((0..4).map(|_| keyed.creates(&["bob"], false))).await;
    let rooms: Vec<_> = tries.iter().map(created).collect();
    assert_eq!(rooms.iter().filter(|(_, duplicate)| !duplicate).count(), 1);
    assert!(rooms.iter().all(|(room, _)| *room == rooms[0].0));
    assert_eq!(code(&keyed.creates(&["carol"], false).await), ErrorCode::Conflict);
    assert_ne!(created(&alice.creates(&["bob"], false).await).0, rooms[0].0);
}
