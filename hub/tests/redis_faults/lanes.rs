//! What is committed while a server stands still, or has forgotten the scripts.

use carillon_hub::redis::{self, Names, Partition};
use carillon_hub::store::Store;
use futures::StreamExt;
use futures::future::{Either, join_all, select};
use futures::stream::FuturesOrdered;
use tokio_util::sync::CancellationToken;

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

/// Another node loads the scripts again at any moment: what was asked later must not be carried out before what was refused.
#[tokio::test]
async fn scripts_that_another_node_loads_keep_the_order() {
    let server = Server::start(Keeps::Nothing);
    let redis = || redis::Options::new(server.url());
    let (store, other) =
        (open(redis(), |options| options.strict = false), open(redis(), |options| options.strict = false));
    let stop = CancellationToken::new();
    let forgetting = {
        let (url, stop) = (server.url(), stop.clone());
        tokio::task::spawn_blocking(move || {
            let mut connection = ::redis::Client::open(url).unwrap().get_connection().unwrap();
            while !stop.is_cancelled() {
                ::redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).unwrap();
            }
        })
    };
    let loading = {
        let stop = stop.clone();
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let sends = (0..8).map(|n| other.commit(send(&format!("room:{n}"), "bob", "beside")));
                join_all(sends).await;
            }
            other.close().await;
        })
    };
    let mut last = 0;
    let mut done = 0;
    for round in 0..20 {
        let sends = (0..400).map(|n| store.commit(send("room:lobby", "alice", &format!("{round} {n}"))));
        for committed in sends.collect::<FuturesOrdered<_>>().collect::<Vec<_>>().await {
            // What was refused was not carried out, and is nobody's turn.
            let Ok(committed) = committed else { continue };
            let seq = committed.position.seq.0;
            assert!(seq > last, "{seq} was asked for after {last}");
            (last, done) = (seq, done + 1);
        }
    }
    assert!(done > 4_000, "{done} of 8,000");
    stop.cancel();
    forgetting.await.unwrap();
    loading.await.unwrap();
    store.close().await;
}
