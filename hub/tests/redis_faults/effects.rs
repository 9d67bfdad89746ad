//! Effects on other homes: none is applied that may yet be lost, one server that is away holds up what is for it alone, and what
//! is known of them takes no more with time.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::redis::{self, Partition};
use carillon_hub::store::Store;
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

#[tokio::test]
async fn a_server_that_is_away_holds_up_what_is_for_it_alone() {
    let start = || Cluster::start(false, Keeps::Nothing);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    for server in &cluster.servers {
        server.command::<()>("CONFIG SET cluster-require-full-coverage no");
    }
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |options| {
        options.strict = false;
        options.sweep = Duration::from_millis(50);
    });
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
