//! The index of users' rooms is at the users', and members are at the rooms': one server of a cluster may lose the one while
//! another one keeps the other.

use std::collections::BTreeSet;

use carillon_hub::domain::member::Role;
use carillon_hub::redis;
use carillon_hub::redis::Partition;
use carillon_hub::store::redis::RedisStore;
use carillon_hub::store::{PageBound, RoomsQuery, Store};
use carillon_test_redis::{Cluster, Keeps, LAST};

use crate::harness::*;
use crate::load::open;

/// Members of the largest room: more than one item of an outbox concerns.
const MANY: usize = 300;

fn master(partition: Partition) -> usize {
    LAST.iter().position(|last| partition.slot() <= *last).unwrap()
}

pub(crate) fn of_user(name: &str) -> usize {
    master(Partition::of_user(&tenant(), &user(name)))
}

pub(crate) fn of_room(name: &str) -> usize {
    master(Partition::of_room(&tenant(), &room_key(name).room))
}

/// The names of a user's rooms as their list has them.
pub(crate) async fn listed(store: &RedisStore, name: &str) -> BTreeSet<String> {
    let bound = PageBound { items: 100, bytes: usize::MAX };
    let query = RoomsQuery { after: None, unread_only: false, bound };
    let page = loop {
        match store.rooms_of(&user_key(name), query.clone()).await {
            Ok(page) => break page,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    page.rooms.into_iter().map(|summary| summary.room.room.as_str().to_owned()).collect()
}

#[tokio::test]
async fn the_index_of_users_rooms_is_made_anew_where_it_was_lost() {
    let mut cluster = tokio::task::spawn_blocking(|| Cluster::start(false, Keeps::Nothing)).await.unwrap();
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |options| options.strict = false);
    let lost = (0..3).find(|server| *server != master(Partition::of_hub())).unwrap();
    let names = || (0..).map(|n| format!("conversation:{n}"));
    let kept: Vec<_> = names().filter(|room| of_room(room) != lost).take(3).collect();
    let gone = names().find(|room| of_room(room) == lost).unwrap();
    let users: Vec<_> =
        (0..).map(|n| format!("user{n}")).filter(|name| of_user(name) == lost).take(MANY).collect();
    for room in kept.iter().chain([&gone]) {
        store.commit(append(room, "owner", added("owner", Role::Owner))).await.unwrap();
    }
    for name in &users {
        store.commit(append(&kept[0], "owner", added(name, Role::Member))).await.unwrap();
    }
    for room in kept[1..].iter().chain([&gone]) {
        store.commit(append(room, "owner", added(&users[0], Role::Member))).await.unwrap();
    }
    assert_eq!(listed(&store, &users[0]).await.len(), 4);
    cluster.servers[lost].kill();
    cluster.servers[lost].restart();
    let all: BTreeSet<_> = kept.iter().cloned().collect();
    let [first, last] = [&users[0], &users[MANY - 1]];
    let is_whole = async {
        while listed(&store, first).await != all || listed(&store, last).await.len() != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), is_whole).await.expect("it is made anew");
    store.close().await;
}
