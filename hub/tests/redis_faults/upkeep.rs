//! What goes on by itself: what cannot be done holds up nothing else, and it costs little where there is nothing to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_hub::domain::names::RoomKey;
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::redis::{self, Names, Partition};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{Change, Store};

use crate::harness::*;
use carillon_test_redis::{Cluster, Keeps, Server};

/// Opens a store with rules that keep so many entries of a conversation.
fn open_keeping(redis: redis::Options, count: Option<u64>) -> (RedisStore, Setup) {
    let mut setup = Setup::new();
    let conversation = NamespaceRules { retention_count: count, ..NamespaceRules::closed("conversation") };
    let brief =
        NamespaceRules { retention_age: Some(Duration::from_secs(60)), ..NamespaceRules::closed("brief") };
    setup.namespaces = Arc::new(Namespaces::new(vec![conversation, brief]));
    let redis = redis::Options { answer_timeout: Duration::from_secs(1), ..redis };
    let options = Options {
        strict: false,
        clock: setup.clock.source(),
        sweep: Duration::from_millis(20),
        ..Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone())
    };
    (RedisStore::open(options).unwrap(), setup)
}

fn partition(room: &RoomKey) -> Partition {
    Partition::of_room(&room.tenant, &room.room)
}

/// Two conversations with five messages each, in order of their partitions.
async fn two_rooms(server: &Server) -> [String; 2] {
    let (store, _) = open_keeping(redis::Options::new(server.url()), None);
    let mut rooms = ["conversation:a", "conversation:b"].map(str::to_owned);
    rooms.sort_by_key(|room| partition(&room_key(room)));
    for room in &rooms {
        for turn in 0..5 {
            store.commit(send(room, "alice", &turn.to_string())).await.unwrap();
        }
    }
    store.close().await;
    rooms
}

fn is_trimmed(room: &str) -> impl FnMut(&Change) -> bool {
    let key = room_key(room);
    move |change| matches!(change, Change::Trimmed { room, .. } if *room == key)
}

#[tokio::test]
async fn a_room_that_cannot_be_trimmed_holds_up_no_other() {
    let server = Server::start(Keeps::Nothing);
    let [broken, other] = two_rooms(&server).await;
    let key = Names::new(redis::options::PREFIX).room(&room_key(&broken));
    server.command::<()>(&format!("SET {key} nonsense"));
    let (store, setup) = open_keeping(redis::Options::new(server.url()), Some(2));
    setup.sink.wait_for(is_trimmed(&other));
    store.close().await;
}

/// Where the pass over all rooms gets nowhere the store answers nevertheless.
#[tokio::test]
async fn a_pass_that_gets_nowhere_is_no_sign_that_redis_is_away() {
    let server = Server::start(Keeps::Nothing);
    two_rooms(&server).await;
    for partition in Partition::all() {
        let key = format!("{}tenants", Names::new(redis::options::PREFIX).partition(partition));
        server.command::<()>(&format!("SET {key} nonsense"));
    }
    let (store, _setup) = open_keeping(redis::Options::new(server.url()), Some(2));
    // Longer than a Redis that says nothing is taken to be there.
    let until = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < until {
        assert!(store.is_healthy());
        store.room(&room_key("conversation:a")).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn a_master_that_stands_still_holds_up_no_upkeep_of_others() {
    let start = || Cluster::start(false, Keeps::Nothing);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    for server in &cluster.servers {
        // The others go on without it.
        server.command::<()>("CONFIG SET cluster-require-full-coverage no");
    }
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let (store, setup) = open_keeping(redis, None);
    let room = rooms_of(&cluster, "brief")[1].clone();
    store.commit(send(&room, "alice", "soon gone")).await.unwrap();
    cluster.servers[0].freeze();
    // Its connection is still there, and nothing comes over it.
    let stalled = store.room(&room_key(&rooms_of(&cluster, "conversation")[0])).await;
    stalled.unwrap_err();
    setup.clock.advance(Duration::from_secs(3_600));
    let sink = Arc::clone(&setup.sink);
    tokio::task::spawn_blocking(move || sink.wait_for(is_trimmed(&room))).await.unwrap();
    cluster.servers[0].thaw();
    store.close().await;
}

/// A room of a namespace on each master.
pub(crate) fn rooms_of(cluster: &Cluster, namespace: &str) -> [String; 3] {
    let master = |room: &str| {
        let key = Names::new(redis::options::PREFIX).room(&room_key(room));
        let slot: u64 = cluster.servers[1].command(&format!("CLUSTER KEYSLOT {key}"));
        carillon_test_redis::LAST.iter().position(|last| slot <= u64::from(*last)).unwrap()
    };
    let names = || (0..).map(|n| format!("{namespace}:{n}"));
    [0, 1, 2].map(|wanted| names().find(|room| master(room) == wanted).unwrap())
}

/// How often a command was done.
pub(crate) fn calls(server: &Server, command: &str) -> u64 {
    let figures: String = server.command("INFO commandstats");
    let line = figures.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

/// Once in eight looks each partition is asked what is due.
#[tokio::test]
async fn partitions_take_turns() {
    let server = Server::start(Keeps::Nothing);
    let (store, _setup) = open_keeping(redis::Options::new(server.url()), None);
    server.command::<()>("CONFIG RESETSTAT");
    while calls(&server, "zrangebyscore") < 8 * 1_024 {
        tokio::task::yield_now().await;
    }
    // The heartbeat is as frequent as looks are.
    let beats = calls(&server, "hmget");
    assert!(beats >= 24, "all partitions were asked eight times in {beats} beats");
    store.close().await;
}
