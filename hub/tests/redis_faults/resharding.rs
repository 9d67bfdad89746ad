//! Slots of a cluster are migrated while senders go on.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon_hub::domain::position::Seq;
use carillon_hub::redis::{self, Durability, Partition};
use carillon_hub::store::redis::RedisStore;
use carillon_hub::store::{EntryRange, PageBound, Store};
use carillon_test_redis::{Cluster, Keeps, LAST};
use futures::FutureExt;

use crate::harness::*;
use crate::load::{self, Load, open};

fn slot(room: &str) -> u16 {
    let key = room_key(room);
    Partition::of_room(&key.tenant, &key.room).slot()
}

fn master(slot: u16) -> usize {
    LAST.iter().position(|last| slot <= *last).unwrap()
}

async fn cluster(durability: Durability) -> (Cluster, RedisStore) {
    let with_replicas = durability != Durability::EverySecond;
    let start = move || Cluster::start(with_replicas, Keeps::EverySecond);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |options| {
        options.durability = durability;
        options.redis.answer_timeout = Duration::from_secs(30);
    });
    (cluster, store)
}

/// Moves the slots of all rooms that are sent to, each to another server and the last one back, while senders go on.
async fn slots_move_under_load(what: &str, durability: Durability) {
    let (cluster, store) = cluster(durability).await;
    let load = Load::begin(&store);
    load.makes_progress(500).await;
    let slots: BTreeSet<u16> = load::rooms().map(|room| slot(&room)).collect();
    for slot in &slots {
        let (from, to) = (master(*slot), (master(*slot) + 1) % LAST.len());
        for (from, to) in [(from, to), (to, from), (from, to)] {
            cluster.begins_to_migrate(*slot, from, to);
            // Its keys are at two servers, one after the other, while outcomes arrive.
            while cluster.migrates(*slot, from, to, 1) > 0 {
                tokio::task::yield_now().await;
            }
            cluster.has_migrated(*slot, from, to);
        }
    }
    let recovered = load.makes_progress(500).await;
    assert_eq!(load.unanswered(), 0, "nobody sees it");
    load.end(what, recovered).await;
    store.close().await;
}

#[tokio::test]
async fn slots_that_move_under_load_are_seen_by_nobody() {
    slots_move_under_load("slots migrated under load", Durability::EverySecond).await;
}

#[tokio::test]
async fn slots_that_move_under_load_are_seen_by_nobody_where_replicas_are_waited_for() {
    slots_move_under_load("slots migrated, one replica waited for", Durability::Replicas(1)).await;
}

/// What is asked of a slot that is on its way waits, in order, with all that comes after it; and what is asked of others does not.
#[tokio::test]
async fn what_is_sent_while_a_slot_is_on_its_way_waits_in_order() {
    let (cluster, store) = cluster(Durability::EverySecond).await;
    let moving = "conversation:0".to_owned();
    let other = (1..).map(|n| format!("conversation:{n}"));
    let other = other.filter(|room| slot(room) != slot(&moving));
    let other = other.into_iter().find(|room| master(slot(room)) == master(slot(&moving))).unwrap();
    store.commit(send(&moving, "alice", "0")).await.unwrap();
    let (from, to) = (master(slot(&moving)), (master(slot(&moving)) + 1) % LAST.len());
    cluster.begins_to_migrate(slot(&moving), from, to);
    assert_eq!(cluster.migrates(slot(&moving), from, to, 1), 1, "the room is at two servers");
    let mut waiting: Vec<_> =
        (1..300).map(|n| store.commit(send(&moving, "alice", &n.to_string()))).collect();
    for _ in 0..10 {
        store.commit(send(&other, "alice", "goes on")).await.unwrap();
    }
    let bound = PageBound { items: 1_000, bytes: usize::MAX };
    let mut reading = store.entries(&room_key(&moving), EntryRange::After(Seq(0)), bound);
    assert!(waiting.iter_mut().all(|commit| commit.now_or_never().is_none()), "they wait");
    assert!((&mut reading).now_or_never().is_none(), "so do those who read");
    while cluster.migrates(slot(&moving), from, to, 1) > 0 {}
    cluster.has_migrated(slot(&moving), from, to);
    let committed = futures::future::try_join_all(waiting).await.unwrap();
    let seqs = committed.into_iter().map(|committed| committed.position.seq.0);
    assert!(seqs.eq(2..=300), "in the order in which they were asked for");
    reading.await.unwrap();
    store.close().await;
}

/// A slot that stays between two servers is not waited for longer than an answer may take.
#[tokio::test]
async fn a_slot_that_stays_on_its_way_is_unavailable() {
    let start = || Cluster::start(false, Keeps::EverySecond);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |_| {});
    let room = "conversation:0";
    let (from, to) = (master(slot(room)), (master(slot(room)) + 1) % LAST.len());
    cluster.begins_to_migrate(slot(room), from, to);
    let waiting: Vec<_> = (0..50).map(|n| store.commit(send(room, "alice", &n.to_string()))).collect();
    for answer in futures::future::join_all(waiting).await {
        answer.unwrap_err();
    }
    for server in [from, to] {
        cluster.servers[server].command::<()>(&format!("CLUSTER SETSLOT {} STABLE", slot(room)));
    }
    let committed = store.commit(send(room, "alice", "again")).await.unwrap();
    assert_eq!(committed.position.seq, Seq(1), "none of what was refused was done");
    store.close().await;
}

/// Each server is written in a slot of its own to see whether it takes writes, and what its replicas have: another slot does where
/// that one is on its way.
#[tokio::test]
async fn a_server_whose_first_slot_is_on_its_way_takes_writes() {
    let (cluster, store) = cluster(Durability::Replicas(1)).await;
    let first = Partition::all().find(|partition| master(partition.slot()) == 0).unwrap().slot();
    let room = (0..).map(|n| format!("conversation:{n}"));
    let room = room.into_iter().find(|room| master(slot(room)) == 0 && slot(room) != first).unwrap();
    store.commit(send(&room, "alice", "0")).await.unwrap();
    cluster.begins_to_migrate(first, 0, 1);
    while cluster.migrates(first, 0, 1, 100) > 0 {}
    store.commit(send(&room, "alice", "1")).await.unwrap();
    store.close().await;
}
