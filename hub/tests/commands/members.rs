//! Memberships, and what they permit.

use carillon_hub::access::rules::Capability;
use carillon_hub::domain::error::ErrorCode;
use carillon_hub::domain::member::Role;
use futures::future::join_all;

use crate::harness::{Hub, accepted, code, created, room};

#[tokio::test]
async fn who_is_removed_is_out_whatever_is_remembered() {
    for hub in [Hub::start(), Hub::forgetful()] {
        let (alice, bob) = (hub.user("alice"), hub.user("bob"));
        let room = alice.converses(&["bob"]).await;
        bob.sends(&room, "hello").await.unwrap();
        alice.removes(&room, "bob").await.unwrap();
        assert_eq!(code(&bob.sends(&room, "still here?").await), ErrorCode::AccessDenied);
        assert_eq!(code(&bob.reads(&room, None, 10).await), ErrorCode::AccessDenied);
        alice.adds(&room, "bob", Role::Reader).await.unwrap();
        assert_eq!(code(&bob.sends(&room, "back").await), ErrorCode::PermissionDenied);
        assert!(bob.reads(&room, None, 10).await.is_ok());
        alice.promotes(&room, "bob", Role::Member).await.unwrap();
        assert!(bob.sends(&room, "back").await.is_ok(), "what is remembered refuses nobody");
    }
}

#[tokio::test]
async fn strangers_learn_nothing() {
    let hub = Hub::start();
    let room = hub.user("alice").converses(&["bob"]).await;
    let (carol, elsewhere) = (hub.user("carol"), hub.person("other", "alice", false));
    let refusals = [
        carol.sends(&room, "hello").await,
        carol.marks_read(&room, 1).await,
        carol.edits(&room, 99, None).await,
        carol.adds(&room, "carol", Role::Owner).await,
        carol.removes(&room, "alice").await,
        carol.sends(&crate::harness::room("conversation:none"), "hello").await,
        carol.sends(&crate::harness::room("unknown:none"), "hello").await,
        elsewhere.sends(&room, "hello").await,
        elsewhere.reads(&room, None, 10).await,
    ];
    for refusal in refusals {
        assert_eq!(refusal.unwrap_err(), ErrorCode::AccessDenied.into());
    }
    let unknown = hub.executor.authorise(&carol.caller, &room, Capability::Join).await;
    assert_eq!(unknown.unwrap_err(), ErrorCode::AccessDenied.into());
}

#[tokio::test]
async fn a_room_keeps_its_last_owner() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let room = alice.converses(&["bob"]).await;
    assert_eq!(code(&alice.removes(&room, "alice").await), ErrorCode::Conflict);
    assert_eq!(code(&alice.promotes(&room, "alice", Role::Member).await), ErrorCode::Conflict);
    alice.promotes(&room, "bob", Role::Owner).await.unwrap();
    // Both owners leave at once: one must stay.
    let both = join_all([alice.removes(&room, "alice"), bob.removes(&room, "bob")]).await;
    assert_eq!(both.iter().filter(|left| left.is_ok()).count(), 1);
    assert_eq!(hub.service().lists_members(&room).await.len(), 1);
}

#[tokio::test]
async fn a_full_room_takes_nobody() {
    let hub = Hub::start();
    let small = room("small:1");
    crate::administration::creates(&hub, "small:1", &[("alice", Role::Owner)]).await.unwrap();
    let alice = hub.user("alice");
    let added = join_all(["bob", "carol", "dave"].map(|name| alice.adds(&small, name, Role::Member))).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
    assert!(added.iter().filter(|added| added.is_err()).all(|added| code(added) == ErrorCode::Conflict));
    assert_eq!(alice.lists_members(&small).await.len(), 2);
}

#[tokio::test]
async fn moderators_manage_members_and_readers_only() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let room = alice.converses(&["bob", "carol"]).await;
    assert_eq!(code(&bob.adds(&room, "dave", Role::Reader).await), ErrorCode::PermissionDenied);
    alice.promotes(&room, "bob", Role::Moderator).await.unwrap();
    assert!(bob.adds(&room, "dave", Role::Reader).await.is_ok());
    assert_eq!(code(&bob.adds(&room, "eve", Role::Moderator).await), ErrorCode::PermissionDenied);
    assert_eq!(code(&bob.adds(&room, "dave", Role::Member).await), ErrorCode::Conflict);
    assert_eq!(code(&bob.removes(&room, "alice").await), ErrorCode::PermissionDenied);
    assert_eq!(code(&bob.promotes(&room, "dave", Role::Member).await), ErrorCode::PermissionDenied);
    assert!(bob.removes(&room, "carol").await.is_ok());
    assert_eq!(code(&bob.removes(&room, "carol").await), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_pair_has_one_direct_conversation_whose_members_stay() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let both = join_all([alice.creates(&["bob"], true), bob.creates(&["alice"], true)]).await;
    let (one, other) = (created(&both[0]), created(&both[1]));
    assert_eq!(one.0, other.0);
    assert!(one.1 != other.1, "one of them made it");
    let room = one.0;
    let roles: Vec<Role> = bob.lists_members(&room).await.iter().map(|member| member.role).collect();
    assert_eq!(roles, [Role::Owner, Role::Owner]);
    for refused in [
        alice.adds(&room, "carol", Role::Member).await,
        alice.removes(&room, "bob").await,
        bob.removes(&room, "bob").await,
        bob.promotes(&room, "alice", Role::Reader).await,
        hub.service().removes(&room, "bob").await,
    ] {
        assert_eq!(code(&refused), ErrorCode::PermissionDenied);
    }
    assert!(!accepted(&alice.sends(&room, "hello").await).1);
}

#[tokio::test]
async fn services_do_everything_in_rooms_that_exist() {
    let hub = Hub::start();
    let (alice, service) = (hub.user("alice"), hub.service());
    let room = alice.converses(&["bob"]).await;
    service.sends(&room, "from above").await.unwrap();
    hub.reads();
    service.sends(&room, "and again").await.unwrap();
    assert_eq!(hub.reads(), 0, "that the room was created is remembered");
    service.adds(&room, "carol", Role::Moderator).await.unwrap();
    service.removes(&room, "bob").await.unwrap();
    let none = crate::harness::room("conversation:none");
    assert_eq!(code(&service.sends(&none, "anyone?").await), ErrorCode::NotFound);
    assert_eq!(code(&service.adds(&none, "carol", Role::Member).await), ErrorCode::NotFound);
    let open = crate::harness::room("open:new");
    assert!(service.sends(&open, "the first word").await.is_ok());
    assert_eq!(code(&service.adds(&open, "carol", Role::Member).await), ErrorCode::NotFound);
}
