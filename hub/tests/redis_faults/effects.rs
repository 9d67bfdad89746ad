//! Effects on other homes: none is applied that may yet be lost, one server that is away holds up what is for it alone, and what
//! is known of them takes no more with time.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::redis::{self, Partition};
use carillon_hub::store::Store;
use carillon_hub::store::redis::RedisStore;
use carillon_test_redis::{Cluster, Keeps, Server};

use crate::harness::*;
use crate::index::{listed, of_room, of_user};
use crate::load::open;
use crate::loss;
use crate::replicas::{HASTY, Pair};
use crate::upkeep::calls;
use crate::writes::commits_at_last;

/// More than are read of an outbox at a time.
const MANY: usize = 20;

/// Who is away; nobody else is.
fn users(server: usize, is_there: bool) -> impl Iterator<Item = String> {
    (0..).map(|n| format!("user{n}")).filter(move |name| (of_user(name) == server) == is_there)
}

#[tokio::test]
async fn nothing_is_applied_elsewhere_that_no_replica_has() {
    let pair = Pair::start().await;
    let store = pair.open(HASTY);
    for (name, role) in [("owner", Role::Owner), ("bob", Role::Member)] {
        commits_at_last(&store, append("conversation:a", "owner", added(name, role)).keyed(name, 1)).await;
    }
    let bob = Partition::of_user(&tenant(), &user("bob")).number();
    let index = format!("ZSCORE carillon:{{{bob}}}:u/acme/bob/r conversation:a");
    let is_listed = || pair.master.command::<Option<u64>>(&index).is_some();
    while !is_listed() {}
    pair.replica.freeze();
    let body = membership("bob", MembershipChange::Removed, Role::Member);
    let removed = append("conversation:a", "owner", body).keyed("removed", 1);
    store.commit(removed.clone()).await.unwrap_err();
    // It is late, and looked at; once it is again, what came of the first look is done.
    let looks = calls(&pair.master, "lrange");
    while calls(&pair.master, "lrange") < looks + 2 {}
    assert!(is_listed(), "the removal may yet be lost");
    pair.replica.thaw();
    assert!(commits_at_last(&store, removed).await.duplicate);
    while is_listed() {}
    store.close().await;
}

/// A cluster that goes on where a part of it is away.
async fn cluster() -> Cluster {
    let start = || Cluster::start(false, Keeps::Nothing);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    for server in &cluster.servers {
        server.command::<()>("CONFIG SET cluster-require-full-coverage no");
    }
    cluster
}

/// A node that looks so often for effects that wait.
fn node(cluster: &Cluster, number: u64, sweep: Duration) -> RedisStore {
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    open(redis, |options| {
        options.strict = false;
        options.node = number;
        options.sweep = sweep;
    })
}

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_server_that_is_away_holds_up_what_is_for_it_alone() {
    let cluster = cluster().await;
    let store = node(&cluster, 1, SOON);
    let away = 0;
    let room = (0..).map(|n| format!("conversation:{n}")).find(|room| of_room(room) != away).unwrap();
    store.commit(append(&room, "owner", added("owner", Role::Owner))).await.unwrap();
    let rooms = BTreeSet::from([room.clone()]);
    cluster.servers[away].freeze();
    let gone: Vec<_> = users(away, true).take(MANY).collect();
    for name in &gone {
        store.commit(append(&room, "owner", added(name, Role::Member))).await.unwrap();
    }
    for name in users(away, false).take(3) {
        store.commit(append(&room, "owner", added(&name, Role::Member))).await.unwrap();
        assert_eq!(listed(&store, &name).await, rooms, "{name} waits for another's server");
    }
    cluster.servers[away].thaw();
    for name in &gone {
        while listed(&store, name).await != rooms {}
    }
    store.close().await;
}

#[tokio::test]
async fn a_target_is_not_asked_again_for_what_it_has_while_another_is_away() {
    let cluster = cluster().await;
    let store = node(&cluster, 1, SOON);
    let (home, away, there) = (1, 0, 2);
    let room = (0..).map(|n| format!("conversation:{n}")).find(|room| of_room(room) == home).unwrap();
    let [gone, reached] = [away, there].map(|server| users(server, true).next().unwrap());
    store.commit(append(&room, "owner", added("owner", Role::Owner))).await.unwrap();
    cluster.servers[away].freeze();
    let mut both = append(&room, "owner", added(&gone, Role::Member));
    both.writes.extend(append(&room, "owner", added(&reached, Role::Member)).writes);
    store.commit(both).await.unwrap();
    let rooms = BTreeSet::from([room.clone()]);
    assert_eq!(listed(&store, &reached).await, rooms);
    // Twice each time that somebody looks at what is left, as it is late.
    let looks = |times: u64| {
        let before = calls(&cluster.servers[home], "lrange");
        while calls(&cluster.servers[home], "lrange") < before + 2 * times {}
    };
    looks(1);
    let asked = calls(&cluster.servers[there], "evalsha");
    looks(3);
    assert_eq!(calls(&cluster.servers[there], "evalsha"), asked, "it has all that is for it");
    cluster.servers[away].thaw();
    while listed(&store, &gone).await != rooms {}
    store.close().await;
}

#[tokio::test]
async fn a_target_that_was_away_is_not_taken_for_away_once_others_have_applied_what_waited() {
    let cluster = cluster().await;
    // The first one looks for what is late when it starts, and no more while this goes on.
    let [first, other] = [(1, Duration::from_secs(10)), (2, SOON)].map(|(n, sweep)| node(&cluster, n, sweep));
    let (away, looked_at) = (0, 1);
    let partition_of = |room: &String| Partition::of_room(&tenant(), &room_key(room).room);
    let all = || (0..).map(|n| format!("conversation:{n}"));
    let is_meant = |room: &String| of_room(room) != away && partition_of(room).number() % 8 == looked_at;
    let room = all().find(is_meant).unwrap();
    let later = all().find(|other| *other != room && partition_of(other) == partition_of(&room)).unwrap();
    let [gone, reached] = [true, false].map(|is_away| users(away, is_away).next().unwrap());
    let rooms = BTreeSet::from([room.clone()]);
    for room in [&room, &later] {
        first.commit(append(room, "owner", added("owner", Role::Owner))).await.unwrap();
    }
    cluster.servers[away].freeze();
    for name in [&gone, &reached] {
        first.commit(append(&room, "owner", added(name, Role::Member))).await.unwrap();
    }
    assert_eq!(listed(&first, &reached).await, rooms, "it has gone past what is for the one that is away");
    cluster.servers[away].thaw();
    while listed(&other, &gone).await != rooms {}
    while listed(&first, &gone).await != rooms {}
    let outbox = format!("LLEN carillon:{{{}}}:out", partition_of(&room).number());
    while cluster.servers[of_room(&room)].command::<u64>(&outbox) > 0 {}
    first.commit(append(&later, "owner", added(&gone, Role::Member))).await.unwrap();
    assert_eq!(listed(&first, &gone).await, BTreeSet::from([room, later]));
    first.close().await;
    other.close().await;
}

#[tokio::test]
async fn what_is_known_of_effects_does_not_grow_with_epochs() {
    let server = Server::start(Keeps::EverySecond);
    let (store, _) = loss::open(&server);
    let source = Partition::of_tenant(&tenant()).number();
    let target = Partition::of_user(&tenant(), &user("bob")).number();
    let (known, hub) =
        (format!("carillon:{{{target}}}:fx"), format!("carillon:{{{}}}:hub", Partition::of_hub().number()));
    // As versions before had it: a field for each epoch.
    for epoch in ["epoch--1", "epoch--2"] {
        server.command::<u64>(&format!("HSET {known} {source}/{epoch} 12345678"));
    }
    let first = store.epoch().0;
    for turn in 0..6_u64 {
        server.command::<u64>(&format!("HSET {hub} epoch {}", first + turn));
        while store.epoch().0 != first + turn {
            tokio::task::yield_now().await;
        }
        store.commit(notify("bob", notice(&format!("n{turn}"), Priority::Normal))).await.unwrap();
        assert_eq!(store.inbox_summary(&user_key("bob")).await.unwrap().unread, turn + 1);
    }
    assert_eq!(server.command::<u64>(&format!("HLEN {known}")), 2, "the other is for versions before");
    assert_eq!(server.command::<u64>(&format!("HSTRLEN {known} {source}")), 64);
    store.close().await;
}
