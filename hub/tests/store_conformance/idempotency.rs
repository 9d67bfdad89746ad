//! Idempotency keys.

use std::time::Duration;

use carillon_hub::domain::inbox::{InboxChange, Priority};
use carillon_hub::domain::limits::{IDEMPOTENCY_WINDOW, IDEMPOTENCY_WINDOW_FLOOR};
use carillon_hub::domain::names::TenantId;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{CommitError, Committed, Condition, Home, Store, Write};

use crate::harness::*;

pub(crate) async fn repeats_the_first_result<F: Fixture>() {
    let scene = Scene::<F>::new();
    let outcome = send("conversation:a", "alice", "one").keyed("k", 7).given(Condition::RoomNotCreated);
    let first = scene.commit(outcome.clone()).await;
    scene.commit(send("conversation:a", "bob", "two")).await;
    scene.commit(in_room("conversation:a", "bob").writing(Write::Create { direct: false })).await;
    let again = scene.commit(outcome).await;
    assert!(again.duplicate, "though its condition does not hold any more");
    let comparable = |committed: Committed| Committed { duplicate: true, marks: None, ..committed };
    assert_eq!(comparable(again), comparable(first));
    assert_eq!(scene.log("conversation:a").await.len(), 2);
    let edited = append("conversation:a", "alice", edit(1, "three")).keyed("e", 8);
    let first = scene.commit(edited.clone()).await;
    scene.commit(append("conversation:a", "alice", edit(1, "four"))).await;
    assert_eq!((first.version, scene.commit(edited).await.version), (2, 2));
}

pub(crate) async fn concurrent_retries_append_once<F: Fixture>() {
    let scene = Scene::<F>::new();
    for round in 0..20_u64 {
        let outcome = send("conversation:a", "alice", "one").keyed(&round.to_string(), 7);
        let retries: Vec<_> = (0..20).map(|_| scene.store().commit(outcome.clone())).collect();
        let mut firsts = 0;
        for retry in retries {
            let committed = retry.await.unwrap();
            assert_eq!(committed.position.seq, Seq(round + 1));
            firsts += usize::from(!committed.duplicate);
        }
        assert_eq!(firsts, 1);
    }
    assert_eq!(scene.log("conversation:a").await.len(), 20);
    assert_eq!(scene.store().figures().keys, 20);
}

pub(crate) async fn survive_reopening<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let keyed = |turn: u64| send("conversation:a", "alice", "x").keyed(&turn.to_string(), turn);
    for turn in 0..40 {
        scene.commit(keyed(turn)).await;
    }
    for way in 0..3 {
        if way == 1 {
            scene.close_and_open().await
        } else {
            scene.reopen()
        }
        for turn in 0..40 {
            let again = scene.commit(keyed(turn)).await;
            assert_eq!((again.duplicate, again.position.seq, again.number), (true, Seq(turn + 1), turn + 1));
            let entry =
                scene.store().entry(&room_key("conversation:a"), again.position.seq).await.unwrap().unwrap();
            assert_eq!((entry.tag, entry.time), (again.position.tag, again.time));
        }
    }
    assert_eq!(scene.log("conversation:a").await.len(), 40);
}

pub(crate) async fn another_content_is_refused<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(send("conversation:a", "alice", "one").keyed("k", 7)).await;
    let other = send("conversation:a", "alice", "two").keyed("k", 8);
    assert!(matches!(scene.refused(other).await, CommitError::KeyReused));
    assert_eq!(scene.log("conversation:a").await.len(), 1);
}

pub(crate) async fn scope_is_tenant_actor_home_and_key<F: Fixture>() {
    let scene = Scene::<F>::new();
    let mut elsewhere = send("conversation:a", "alice", "one").keyed("k", 7);
    elsewhere.tenant = TenantId::parse("umbrella").unwrap();
    let distinct = [
        send("conversation:a", "alice", "one").keyed("k", 7),
        send("conversation:b", "alice", "one").keyed("k", 7),
        send("conversation:a", "bob", "one").keyed("k", 7),
        send("conversation:a", "alice", "one").keyed("l", 7),
        elsewhere,
        outcome(Home::Tenant, "alice").writing(Write::Know).keyed("k", 7),
        outcome(Home::Inbox(user("alice")), "alice").keyed("k", 7),
    ];
    for outcome in distinct {
        assert!(!scene.commit(outcome).await.duplicate);
    }
}

pub(crate) async fn too_many_keys_are_refused<F: Fixture>() {
    let scene = Scene::<F>::with(Setup { idempotency_keys: 5, ..Setup::new() });
    for turn in 0..5_u64 {
        scene.commit(send("conversation:a", "alice", "x").keyed(&turn.to_string(), 1)).await;
    }
    let more = send("conversation:a", "alice", "x").keyed("more", 1);
    assert!(matches!(scene.refused(more.clone()).await, CommitError::TooManyKeys));
    assert!(scene.commit(send("conversation:a", "alice", "x").keyed("2", 1)).await.duplicate);
    scene.commit(send("conversation:a", "alice", "without a key")).await;
    assert_eq!(scene.log("conversation:a").await.len(), 6);
    scene.setup.clock.advance(IDEMPOTENCY_WINDOW_FLOOR + Duration::from_secs(1));
    scene.commit(more).await;
}

pub(crate) async fn the_oldest_give_way<F: Fixture>() {
    let mut scene = Scene::<F>::with(Setup { idempotency_keys: 10, ..Setup::new() });
    for turn in 0..40_u64 {
        scene.commit(send("conversation:a", "alice", "x").keyed(&turn.to_string(), 1)).await;
        scene.setup.clock.advance(IDEMPOTENCY_WINDOW_FLOOR / 8);
        if turn % 15 == 14 {
            scene.reopen();
        }
        assert!(scene.store().figures().keys <= 10);
    }
    assert!(scene.commit(send("conversation:a", "alice", "x").keyed("39", 1)).await.duplicate);
    assert!(!scene.commit(send("conversation:a", "alice", "x").keyed("1", 1)).await.duplicate);
}

pub(crate) async fn expire<F: Fixture>() {
    let scene = Scene::<F>::new();
    let outcome = send("conversation:a", "alice", "x").keyed("k", 1);
    scene.commit(outcome.clone()).await;
    scene.setup.clock.advance(IDEMPOTENCY_WINDOW - Duration::from_secs(1));
    assert!(scene.commit(outcome.clone()).await.duplicate);
    scene.setup.clock.advance(Duration::from_secs(10));
    scene.commit(send("conversation:a", "alice", "any")).await;
    assert!(!scene.commit(outcome).await.duplicate);
}

pub(crate) async fn one_that_is_used_again_is_a_young_one<F: Fixture>() {
    let scene = Scene::<F>::with(Setup { idempotency_keys: 6, ..Setup::new() });
    let keyed = |key: &str| send("conversation:a", "alice", "x").keyed(key, 1);
    // Not an instant in which what has expired is looked for.
    scene.setup.clock.advance(Duration::from_millis(1));
    scene.commit(keyed("again")).await;
    scene.setup.clock.advance(IDEMPOTENCY_WINDOW / 2);
    for key in ["b", "c", "d"] {
        scene.commit(keyed(key)).await;
    }
    scene.setup.clock.advance(IDEMPOTENCY_WINDOW / 2 + Duration::from_secs(16));
    scene.commit(send("conversation:a", "alice", "any")).await;
    assert!(!scene.commit(keyed("again")).await.duplicate, "its window is over");
    scene.setup.clock.advance(IDEMPOTENCY_WINDOW_FLOOR + Duration::from_secs(1));
    // The oldest give way to these, and that is not the one which was used again.
    for key in ["e", "f", "g", "h", "i"] {
        scene.commit(keyed(key)).await;
    }
    assert!(scene.commit(keyed("again")).await.duplicate);
    assert!(!scene.commit(keyed("b")).await.duplicate, "it gave way");
}

pub(crate) async fn of_inbox_and_tenant<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    scene.commit(outcome(Home::Tenant, "bob").writing(Write::Know)).await;
    let broadcast = outcome(Home::Tenant, "robot")
        .writing(Write::Broadcast(notice("n1", Priority::Normal)))
        .keyed("b", 1);
    let asked = broadcast.clone().given(Condition::NEVER);
    let nothing = scene.store().commit(asked.clone()).await;
    assert!(matches!(nothing, Err(CommitError::Condition(_))), "it was not done before: {nothing:?}");
    let first = scene.commit(broadcast.clone()).await;
    scene.reopen();
    for again in [broadcast, asked] {
        let again = scene.commit(again).await;
        assert_eq!((first.position.seq, again.position.seq, again.duplicate), (Seq(1), Seq(1), true));
    }
    assert_eq!(scene.store().inbox_summary(&user_key("bob")).await.unwrap().unread, 1);
    let read = Write::Inbox(InboxChange::Read(vec![notice("n1", Priority::Normal).id.clone()]));
    let read = outcome(Home::Inbox(user("bob")), "bob").writing(read).keyed("r", 1);
    assert_eq!(scene.commit(read.clone()).await.inbox.unwrap().unread, 0);
    let again = scene.commit(read).await;
    assert_eq!((again.duplicate, again.inbox.unwrap().unread), (true, 0));
}
