//! What is committed while a server stands still, or has forgotten the scripts.

use carillon_hub::redis::{self, Names, Partition};
use carillon_hub::store::Store;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesOrdered;

use crate::harness::*;
use crate::load::open;
use carillon_test_redis::{Cluster, Keeps, LAST, Server};

/// Homes once shared one of sixteen ways to Redis with others like these.
const WAYS: u16 = 16;

fn way(room: &str) -> u16 {
    let key = room_key(room);
    Partition::of_room(&key.tenant, &key.room).number() % WAYS
}

#[tokio::test]
async fn a_master_that_stands_still_holds_up_no_commits_on_others() {
    let start = || Cluster::start(false, Keeps::Nothing);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    for server in &cluster.servers {
        server.command::<()>("CONFIG SET cluster-require-full-coverage no");
    }
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |options| options.strict = false);
    let master = |room: &str| {
        let key = Names::new(redis::options::PREFIX).room(&room_key(room));
        let slot: u64 = cluster.servers[1].command(&format!("CLUSTER KEYSLOT {key}"));
        LAST.iter().position(|last| slot <= u64::from(*last)).unwrap()
    };
    let names = || (0..).map(|n| format!("conversation:{n}"));
    let stalled = names().find(|room| master(room) == 0).unwrap();
    let others = names().filter(|room| master(room) != 0 && way(room) == way(&stalled));
    let others: Vec<_> = others.take(4).collect();
    cluster.servers[0].freeze();
    let mut first = store.commit(send(&stalled, "alice", "held up"));
    for room in &others {
        first = match select(first, store.commit(send(room, "alice", "not held up"))).await {
            Either::Left((held_up, _)) => panic!("{held_up:?} came first"),
            Either::Right((committed, first)) => {
                committed.unwrap();
                first
            }
        };
    }
    first.await.unwrap_err();
    cluster.servers[0].thaw();
    store.close().await;
}

#[tokio::test]
async fn a_server_that_forgets_its_scripts_keeps_the_order() {
    let server = Server::start(Keeps::Nothing);
    let redis = redis::Options::new(server.url());
    let store = open(redis, |options| options.strict = false);
    for round in 0..40 {
        let mut under_way = FuturesOrdered::new();
        for number in 0..200 {
            under_way.push_back(store.commit(send("room:lobby", "alice", &format!("{round} {number}"))));
            if number % 50 == 0 {
                server.command::<()>("SCRIPT FLUSH");
                // What was asked so far is on its way, or waits.
                tokio::task::yield_now().await;
            }
        }
        let committed: Vec<_> = under_way.map(Result::unwrap).collect().await;
        let seqs = committed.into_iter().map(|committed| committed.position.seq.0);
        assert!(seqs.eq(round * 200 + 1..=(round + 1) * 200), "in the order in which they were asked for");
    }
    store.close().await;
}
