//! A cluster's master dies, and its replica takes over.

use std::ops::Range;
use std::time::Duration;

use carillon_hub::domain::entry::{Entry, EntryBody};
use carillon_hub::domain::position::Seq;
use carillon_hub::redis::{self, Durability};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{Change, EntryRange, PageBound, Store};
use carillon_test_redis::{Cluster, Keeps, Server};

use crate::harness::*;
use crate::load::{Load, open};

/// Which of a cluster's servers is the first master's replica.
const REPLICA: usize = 3;

#[tokio::test]
async fn what_a_replica_has_survives_its_master() {
    let mut cluster = Cluster::start(true, Keeps::EverySecond);
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |options| options.durability = Durability::Replicas(1));
    let load = Load::begin(&store);
    load.makes_progress(500).await;
    cluster.servers[0].kill();
    cluster.wait_for_the_first_replica();
    // It comes back as the other's replica: without one nothing is acknowledged.
    cluster.servers[0].restart();
    let recovered = load.makes_progress(500).await;
    load.end("failover of a master with one replica waited for", recovered).await;
    store.close().await;
}

/// Rooms on all three masters.
const ROOMS: usize = 24;

/// So many messages, in turn into each room; gives their rooms and texts.
async fn says(store: &RedisStore, texts: Range<usize>) -> Vec<(String, String)> {
    let mut said = Vec::new();
    for text in texts {
        let (room, text) = (format!("conversation:{}", text % ROOMS), text.to_string());
        store.commit(send(&room, "alice", &text)).await.unwrap();
        said.push((room, text));
    }
    said
}

/// A room's texts in order, once its server answers.
async fn log_of(store: &RedisStore, room: &str) -> Vec<String> {
    let bound = PageBound { items: 1_000, bytes: usize::MAX };
    let page = loop {
        match store.entries(&room_key(room), EntryRange::After(Seq(0)), bound).await {
            Ok(page) => break page,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    for (entry, seq) in page.entries.iter().zip(1..) {
        assert_eq!(entry.seq, Seq(seq), "a hole in {room}");
    }
    let text = |entry: &Entry| match &entry.body {
        EntryBody::Message(message) => message.content.as_ref().unwrap().as_bytes().to_vec(),
        other => panic!("{other:?}"),
    };
    page.entries.iter().map(|entry| String::from_utf8(text(entry)).unwrap()).collect()
}

/// How far replication has got at a server.
fn offset(server: &Server, name: &str) -> u64 {
    let info: String = server.command("INFO replication");
    info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap()
}

/// A master dies while its replica is behind, and nobody waited for it: the end of what was acknowledged is lost, never a
/// part in between, and everybody is told.
#[tokio::test]
async fn what_a_failover_loses_where_no_replica_is_waited_for_is_told() {
    let mut cluster = Cluster::start(true, Keeps::EverySecond);
    let setup = Setup::new();
    let redis = redis::Options {
        servers: cluster.urls(),
        cluster: true,
        connect_timeout: Duration::from_secs(1),
        answer_timeout: Duration::from_secs(1),
        back_off_most: Duration::from_secs(1),
        ..redis::Options::new("")
    };
    let options = Options::new(redis, setup.namespaces.clone(), setup.sink.clone());
    let store = RedisStore::open(options).unwrap();
    let before = store.epoch();
    let kept = says(&store, 0..240).await;
    let written = offset(&cluster.servers[0], "master_repl_offset:");
    while offset(&cluster.servers[REPLICA], "slave_repl_offset:") < written {
        tokio::task::yield_now().await;
    }
    // What is sent to it would wait in the connection, and reach it yet.
    cluster.servers[REPLICA].freeze();
    cluster.servers[0].command::<u64>("CLIENT KILL TYPE replica");
    let at_risk = says(&store, 240..480).await;
    cluster.servers[0].kill();
    cluster.servers[REPLICA].thaw();
    cluster.wait_for_the_first_replica();
    setup.sink.wait_for(|change| matches!(change, Change::Restarted(epoch) if *epoch != before));
    let mut lost = 0;
    for number in 0..ROOMS {
        let room = format!("conversation:{number}");
        let log = log_of(&store, &room).await;
        let of_room = |said: &[(String, String)]| -> Vec<String> {
            said.iter().filter(|(of, _)| *of == room).map(|(_, text)| text.clone()).collect()
        };
        let all = [of_room(&kept), of_room(&at_risk)].concat();
        assert_eq!(log[..], all[..log.len()], "what is left of {room} is its beginning");
        assert!(log.len() >= of_room(&kept).len(), "what the replica had is there");
        lost += all.len() - log.len();
    }
    eprintln!("failover of a master whose replica was behind: 480 acknowledged, {lost} lost, all told");
    assert!(lost > 0, "the replica was not behind");
    store.close().await;
}
