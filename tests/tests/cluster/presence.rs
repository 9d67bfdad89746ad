//! Who is present is known on every node, whichever they are on, and whatever becomes of it.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::{Event, Executor, v1};
use carillon_hub::config::Config;
use carillon_tests::browser::{Beside, request};
use carillon_tests::process::HubProcess;
use carillon_tests::{Keeps, Person, Plan, Proxy, Redis, TestHub, hub};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{interval, timeout};
use v1::{PresenceReason as Reason, PresenceStatus as Status};

use crate::figures::has_its_store;
use crate::nodes::two;

const ROOM: &str = "room:lobby";
/// More than a lease.
const LONG: Duration = Duration::from_secs(60);
/// The tenant of the development tokens.
const DEVELOPMENT: &str = "dev";

/// The next presence that anybody is told of in the room.
async fn next(person: &mut Person) -> (String, Reason, u32) {
    person
        .waits_for(|event| match event {
            Event::Presence(presence) if presence.room == ROOM => {
                let reason = presence.reason();
                presence.state.map(|state| (state.user, reason, state.devices))
            }
            _ => None,
        })
        .await
}

/// Who is present, by a page of two at a time.
async fn present(person: &Person) -> Vec<String> {
    let (mut users, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = v1::PresenceGet { room: ROOM.into(), cursor, limit: 2 };
        let page = person.client.presence_get(page).await.expect("who is present");
        users.extend(page.states.into_iter().map(|state| state.user));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            return users;
        }
    }
}

/// Waits until these are present, as one person's node knows it. What a node says of its sessions is on its way for a moment.
async fn until_present(person: &Person, users: &[&str]) {
    let mut looks = interval(Duration::from_millis(10));
    let looking = async {
        while present(person).await != users {
            looks.tick().await;
        }
    };
    timeout(LONG, looking).await.expect("it is known in time who is present");
}

fn told(user: &str, reason: Reason, devices: u32) -> (String, Reason, u32) {
    (user.to_owned(), reason, devices)
}

#[tokio::test]
async fn two_nodes_see_each_others_users_come_change_and_go() {
    let nodes = two().await;
    let mut alice = nodes.one.enters("alice").await;
    alice.joins(ROOM).await;
    let bob = nodes.other.enters("bob").await;
    until_present(&bob, &["alice"]).await;
    let joined = bob.joins(ROOM).await;
    let users: Vec<_> = joined.presence.iter().map(|state| state.user.as_str()).collect();
    assert_eq!((users, joined.occupancy), (vec!["alice", "bob"], 2), "who was there before");
    assert_eq!(next(&mut alice).await, told("bob", Reason::Joined, 1));
    bob.client.presence_set(Status::Busy, "writing").await.unwrap();
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.status(), state.text.as_str(), reason), (Status::Busy, "writing", Reason::Changed));
    // Another device of his, on her node: one user with two.
    let laptop = nodes.one.enters("bob").await;
    assert_eq!(next(&mut alice).await, told("bob", Reason::Changed, 2));
    assert_eq!(laptop.joins(ROOM).await.occupancy, 2);
    until_present(&alice, &["alice", "bob"]).await;
    bob.client.leave(ROOM).await.unwrap();
    bob.client.presence_set(Status::Away, "").await.unwrap();
    let (state, _) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.status(), state.text.as_str(), state.devices), (Status::Online, "", 2));
    alice.client.presence_set(Status::Away, "lunch").await.unwrap();
    assert_eq!(next(&mut alice).await, told("alice", Reason::Changed, 1));
    let carol = nodes.other.enters("carol").await;
    until_present(&carol, &["alice", "bob"]).await;
    assert_eq!(carol.joins(ROOM).await.occupancy, 3);
    assert_eq!(next(&mut alice).await, told("carol", Reason::Joined, 1));
    carol.client.leave(ROOM).await.unwrap();
    assert_eq!(next(&mut alice).await, told("carol", Reason::Left, 1));
    laptop.client.close().await;
    assert_eq!(next(&mut alice).await, told("bob", Reason::Left, 1));
    bob.joins(ROOM).await;
    assert_eq!(next(&mut alice).await, told("bob", Reason::Joined, 1));
    bob.client.close().await;
    assert_eq!(next(&mut alice).await, told("bob", Reason::Left, 0));
    assert_eq!(present(&alice).await, ["alice"]);
}

#[tokio::test]
async fn watchers_are_told_of_users_on_another_node() {
    let nodes = two().await;
    let mut alice = nodes.one.enters("alice").await;
    alice.client.presence_watch(vec!["bob".into()]).await.unwrap();
    let (state, reason) = alice.sees("", "bob").await;
    assert_eq!((state.devices, reason), (0, Reason::Watched));
    let bob = nodes.other.enters("bob").await;
    let (state, reason) = alice.sees("", "bob").await;
    assert_eq!((state.devices, reason), (1, Reason::Returned));
    bob.client.close().await;
    let (state, reason) = alice.sees("", "bob").await;
    assert_eq!((state.devices, reason), (0, Reason::Left));
}

/// Whoever asks need not have a session there, and nobody of the tenant.
#[tokio::test]
async fn a_node_without_sessions_knows_who_is_present() {
    let redis = Redis::start(Keeps::Always);
    let bridge = Beside::bind(|options| options);
    let one = hub().without_grace().node_of(&redis).start().await;
    let other = hub().without_grace().node_of(&redis).start_with(&bridge).await;
    let alice = one.enters("alice").await;
    alice.joins(ROOM).await;
    let executor = Executor::new(other.options("bob")).unwrap();
    let bearer = format!("Bearer {}", other.token("bob"));
    let body = json!({"presenceGet": {"room": ROOM}}).to_string();
    // What was joined lately is on its way for a moment.
    let executed = async || {
        let get = v1::PresenceGet { room: ROOM.into(), ..Default::default() };
        let page: v1::PresencePage = executor.call(Command::PresenceGet(get)).await.expect("who is present");
        (page.occupancy, page.states.into_iter().map(|state| state.user).collect::<Vec<_>>())
    };
    let looking = async {
        while executed().await != (1, vec!["alice".to_owned()]) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, looking).await.expect("she is known there");
    let headers = [("authorization", &*bearer)];
    let posted = request(bridge.address(), "POST", "/v1/commands", &headers, &body).await.json();
    assert_eq!(posted["presencePage"]["states"][0]["user"], "alice", "{posted}");
    alice.client.leave(ROOM).await.unwrap();
    let looking = async {
        while executed().await != (0, Vec::new()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, looking).await.expect("that she has left is known there");
}

/// A node whose silence is not borne for long.
fn node(redis: &Redis) -> Plan {
    hub().node_of(redis).with(|config| {
        config.redis.lease = Duration::from_secs(2);
        config.presence.grace = Duration::from_secs(60);
    })
}

async fn enters(hub: &TestHub, user: &str) -> Person {
    let token = hub.token_of(DEVELOPMENT, user, Duration::from_secs(3_600));
    Person::connect(user, hub.options(user).token(token)).await
}

/// How many leases there are.
async fn until_leases(redis: &Redis, count: u64) {
    let mut looks = interval(Duration::from_millis(10));
    let looking = async {
        while tokio::task::block_in_place(|| redis.command::<u64>("ZCARD carillon:{64}:nodes")) != count {
            looks.tick().await;
        }
    };
    timeout(LONG, looking).await.expect("leases of the dead are removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_loses_its_users_and_nobody_else_is_touched() {
    let redis = Redis::start(Keeps::Always);
    let (one, other) = (node(&redis).start().await, node(&redis).start().await);
    let data = TempDir::new().unwrap();
    let mut killed = HubProcess::node(data.path(), &redis.url());
    let mut carol = enters(&one, "carol").await;
    carol.joins(ROOM).await;
    let dan = enters(&other, "dan").await;
    dan.joins(ROOM).await;
    assert_eq!(next(&mut carol).await, told("dan", Reason::Joined, 1));
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let person = Person::connect(name, killed.options(name)).await;
        person.joins(ROOM).await;
        assert_eq!(next(&mut carol).await, told(name, Reason::Joined, 1));
        people.push(person);
    }
    until_leases(&redis, 3).await;
    until_present(&dan, &["alice", "bob", "carol", "dan"]).await;
    killed.is_killed();
    until_present(&carol, &["carol", "dan"]).await;
    let mut gone = [next(&mut carol).await, next(&mut carol).await];
    gone.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(gone, ["alice", "bob"].map(|name| told(name, Reason::Disconnected, 0)));
    // Dan was there all along: the next that is heard of is somebody new.
    let erin = enters(&other, "erin").await;
    erin.joins(ROOM).await;
    assert_eq!(next(&mut carol).await, told("erin", Reason::Joined, 1));
    until_leases(&redis, 2).await;
    // Of each that is left what it keeps of the tenant, and nothing of the dead.
    let kept: Vec<String> = tokio::task::block_in_place(|| redis.command("KEYS *:t/*/p/*"));
    assert_eq!(kept.len(), 2);
    assert_eq!(present(&carol).await, ["carol", "dan", "erin"]);
}

/// A node cannot reach Redis for longer than its lease, on connections that nobody ends.
#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_node_that_was_cut_off_are_gone_and_then_there_again() {
    let redis = Redis::start(Keeps::Always);
    let network = Proxy::to(&redis);
    let impatient = |config: &mut Config| config.redis.answer_timeout = Duration::from_millis(500);
    let other = node(&redis).start().await;
    let cut = node(&redis).node_at(&network.url()).with(impatient).start().await;
    let (alice, mut carol) = (cut.enters("alice").await, other.enters("carol").await);
    alice.joins(ROOM).await;
    carol.joins(ROOM).await;
    until_present(&alice, &["alice", "carol"]).await;
    until_present(&carol, &["alice", "carol"]).await;
    network.cuts();
    until_present(&carol, &["carol"]).await;
    until_leases(&redis, 1).await;
    network.heals();
    until_present(&carol, &["alice", "carol"]).await;
    // Both were told.
    while carol.sees(ROOM, "alice").await.0.devices > 0 {}
    assert_eq!(carol.sees(ROOM, "alice").await.0.devices, 1);
    // Its lease has a connection of its own, which may be there before the store's.
    has_its_store(&cut).await;
    until_present(&alice, &["alice", "carol"]).await;
    until_leases(&redis, 2).await;
}

/// All nodes are stopped and started, one after the other; their people come back to another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_is_silent() {
    let redis = Redis::start(Keeps::Always);
    let mut nodes = vec![node(&redis).start().await, node(&redis).start().await];
    let watching = node(&redis).start().await;
    let mut carol = watching.enters("carol").await;
    carol.joins(ROOM).await;
    let tab = |hub: &TestHub| hub.options("alice").instance("tab-1");
    let mut alice = Person::connect("alice", tab(&nodes[0])).await;
    alice.joins(ROOM).await;
    assert_eq!(next(&mut carol).await, told("alice", Reason::Joined, 1));
    let mut bob = nodes[0].enters("bob").await;
    bob.joins(ROOM).await;
    assert_eq!(next(&mut carol).await, told("bob", Reason::Joined, 1));
    alice.client.presence_set(Status::Busy, "writing").await.unwrap();
    assert_eq!(next(&mut carol).await, told("alice", Reason::Changed, 1));
    for _ in 0..4 {
        // They are there for the others too before their node goes.
        until_present(&carol, &["alice", "bob", "carol"]).await;
        let plan = nodes.remove(0).stops().await;
        let (came, back) = (Person::connect("alice", tab(&nodes[0])).await, nodes[0].enters("bob").await);
        for person in [&came, &back] {
            let joined = person.joins(ROOM).await;
            assert_eq!(joined.occupancy, 3);
        }
        (alice, bob) = (came, back);
        nodes.push(plan.start().await);
    }
    // A single node that stops and starts: they come back to a process that knows nothing by itself.
    let plan = nodes.remove(0).stops().await;
    drop((alice, bob));
    let again = plan.start().await;
    let alice = Person::connect("alice", tab(&again)).await;
    alice.joins(ROOM).await;
    let bob = again.enters("bob").await;
    bob.joins(ROOM).await;
    let dan = nodes[0].enters("dan").await;
    dan.joins(ROOM).await;
    assert_eq!(next(&mut carol).await, told("dan", Reason::Joined, 1), "nothing else was told");
    until_present(&carol, &["alice", "bob", "carol", "dan"]).await;
    let page = v1::PresenceGet { room: ROOM.into(), ..Default::default() };
    let states = carol.client.presence_get(page).await.unwrap().states;
    let states: Vec<_> =
        states.iter().map(|s| (s.user.as_str(), s.devices, s.status(), s.text.as_str())).collect();
    let there = |user| (user, 1, Status::Online, "");
    assert_eq!(states, [("alice", 1, Status::Busy, "writing"), there("bob"), there("carol"), there("dan")]);
}

/// Redis forgets that they are there, as after a failover that lost it: they say everything anew.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_whose_leases_ended_find_each_other_again() {
    let redis = Redis::start(Keeps::Always);
    let (one, other) = (node(&redis).start().await, node(&redis).start().await);
    let (alice, bob) = (one.enters("alice").await, other.enters("bob").await);
    alice.joins(ROOM).await;
    bob.joins(ROOM).await;
    until_leases(&redis, 2).await;
    tokio::task::block_in_place(|| {
        let kept: Vec<String> = redis.command("KEYS */p/*");
        let forgotten: usize = redis.command(&format!("DEL carillon:{{64}}:nodes {}", kept.join(" ")));
        assert_eq!(forgotten, kept.len() + 1);
    });
    let mut carol = other.enters("carol").await;
    carol.joins(ROOM).await;
    // What is said from now on is said in the next life.
    alice.client.presence_set(Status::Busy, "back").await.unwrap();
    for person in [&alice, &bob, &carol] {
        until_present(person, &["alice", "bob", "carol"]).await;
    }
    while carol.sees(ROOM, "alice").await.0.text != "back" {}
    until_leases(&redis, 2).await;
    let dan = one.enters("dan").await;
    dan.joins(ROOM).await;
    until_present(&carol, &["alice", "bob", "carol", "dan"]).await;
    assert_eq!(carol.sees(ROOM, "dan").await.1, Reason::Joined);
}
