//! What both nodes are told when nothing goes wrong.

use bytes::Bytes;
use carillon_hub::bus::Topic;
use carillon_hub::bus::envelope::{Control, For, Live};
use carillon_hub::domain::member::MembershipChange;
use carillon_hub::domain::names::{InstanceId, SessionId};
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::revocation::{Revocation, Revoked, Scope};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::{Change, CommitSink, Home, Outcome, Write};
use futures::future::join_all;

use crate::node::{
    Node, Told, entries, membership, notice, notified, notify, outcome, room, send, tenant, user,
};
use carillon_test_redis::{Keeps, Server};

async fn two() -> (Server, Node, Node) {
    let server = Server::start(Keeps::Nothing);
    let (a, b) = (Node::start(&server, 1).await, Node::start(&server, 2).await);
    (server, a, b)
}

#[tokio::test]
async fn both_are_told_one_log_whoever_writes() {
    const EACH: u64 = 300;
    let (_server, a, b) = two().await;
    let _holds = (a.follows(Topic::Room(room("x"))).await, b.follows(Topic::Room(room("x"))).await);
    let writes = |node: &Node| {
        let commits: Vec<_> =
            (0..EACH).map(|n| node.store.commit(send("x", "alice", &format!("{n}")))).collect();
        join_all(commits)
    };
    let (of_a, of_b) = tokio::join!(writes(&a), writes(&b));
    assert!(of_a.iter().chain(&of_b).all(Result::is_ok));
    for node in [&a, &b] {
        node.waits("the log", |told| entries(told, &room("x")).len() as u64 == 2 * EACH).await;
    }
    let log = a.log(&room("x"));
    assert!(log.iter().map(|at| at.seq.0).eq(1..=2 * EACH), "in order, each once");
    assert_eq!(b.log(&room("x")), log);
    assert_eq!(a.feed.position(&Topic::Room(room("x"))), log.last().copied());
    for node in [&a, &b] {
        // One message for each commit, one copy for each node, its own among them.
        node.hears(2 * EACH).await;
    }
}

#[tokio::test]
async fn an_own_commit_is_told_before_it_is_acknowledged_and_once() {
    let (_server, a, _b) = two().await;
    let _hold = a.follows(Topic::Room(room("x"))).await;
    for n in 1..=50 {
        a.commit(send("x", "alice", "hello")).await;
        assert_eq!(a.log(&room("x")).len(), n, "when the answer is there, it was told");
    }
    // Its echo changes nothing.
    let after = a.commit(send("y", "alice", "after it")).await;
    assert!(after.position.seq == Seq(1));
    assert_eq!(a.log(&room("x")).len(), 50);
}

#[tokio::test]
async fn notifications_of_both_come_in_order() {
    const EACH: usize = 100;
    let (_server, a, b) = two().await;
    let reach = a.feed.reach(&user("bob")).await.unwrap();
    let writes = |node: &Node, name: &'static str| {
        let commits: Vec<_> =
            (0..EACH).map(|n| node.store.commit(notify("bob", &format!("{name}{n}")))).collect();
        join_all(commits)
    };
    let (of_a, of_b) = tokio::join!(writes(&a, "a"), writes(&b, "b"));
    assert!(of_a.iter().chain(&of_b).all(Result::is_ok));
    a.waits("the notifications", |told| notified(told).len() == 2 * EACH).await;
    assert!(notified(&a.recorder.all()).into_iter().eq(1..=2 * EACH as u64));
    b.commit(Outcome { writes: vec![Write::Broadcast(notice("all"))], ..outcome(Home::Tenant, "robot") })
        .await;
    a.waits_for("the broadcast", |told| matches!(told, Told::Changed(Change::Broadcast { .. }))).await;
    drop(reach);
}

#[tokio::test]
async fn who_is_connected_hears_of_their_rooms_wherever_they_were_added() {
    let (_server, a, b) = two().await;
    b.commit(membership("old", "bob", MembershipChange::Added)).await;
    let _reach = a.feed.reach(&user("bob")).await.unwrap();
    b.commit(membership("new", "bob", MembershipChange::Added)).await;
    for id in ["old", "new"] {
        let topic = Topic::Room(room(id));
        // It is followed beside, and from then on everything comes.
        while a.feed.position(&topic).is_none() {
            tokio::task::yield_now().await;
        }
        let at = b.commit(send(id, "carol", "hello")).await.position;
        a.waits("the message", move |told| entries(told, &room(id)).contains(&at)).await;
    }
    b.commit(membership("new", "bob", MembershipChange::Removed)).await;
    while a.feed.position(&Topic::Room(room("new"))).is_some() {
        tokio::task::yield_now().await;
    }
    assert!(a.feed.position(&Topic::Room(room("old"))).is_some());
}

#[tokio::test]
async fn nothing_is_followed_once_nobody_wants_it() {
    let (_server, a, _b) = two().await;
    let hold = a.follows(Topic::Room(room("x"))).await;
    let second = a.feed.want(Topic::Room(room("x")));
    let reach = a.feed.reach(&user("bob")).await.unwrap();
    assert_eq!(a.feed.figures().topics, 4, "with the hub's own");
    drop((hold, reach));
    while a.feed.figures().topics > 2 {
        tokio::task::yield_now().await;
    }
    assert!(a.feed.position(&Topic::Room(room("x"))).is_some(), "one still does");
    drop(second);
    while a.feed.figures().topics > 1 {
        tokio::task::yield_now().await;
    }
    assert!(a.feed.position(&Topic::Room(room("x"))).is_none());
    let _again = a.follows(Topic::Room(room("x"))).await;
}

#[tokio::test]
async fn revocations_and_erasures_reach_every_node() {
    let (_server, a, b) = two().await;
    let revoke = |before| {
        let what = Revoked::User { user: user("bob").user, before: Timestamp(before) };
        Revocation { scope: Scope::Tenant(tenant()), what }
    };
    for before in [1_000, 2_000, 3_000] {
        a.store.revoke(revoke(before)).await.unwrap();
        b.waits_for("the revocation", move |told| {
            matches!(told, Told::Changed(Change::Revoked(revocation)) if *revocation == revoke(before))
        })
        .await;
    }
    a.store.erase(&user("bob")).await.unwrap();
    b.waits_for(
        "the erasure",
        |told| matches!(told, Told::Changed(Change::Erased { user: of }) if *of == user("bob")),
    )
    .await;
}

#[tokio::test]
async fn what_is_in_no_log_goes_to_the_others_alone() {
    let (_server, a, b) = two().await;
    let topic = Topic::Room(room("x"));
    let _holds = (
        a.follows(topic.clone()).await,
        b.follows(topic.clone()).await,
        b.follows(Topic::User(user("bob"))).await,
    );
    let live = Live {
        to: For::Others(user("bob").user),
        merge: Some(5),
        of_state: true,
        message: Bytes::from_static(b"x"),
    };
    assert!(a.feed.send(&topic, &live));
    b.waits_for(
        "the push",
        move |told| matches!(told, Told::Live(of, came) if *of == Topic::Room(room("x")) && *came == live),
    )
    .await;
    let replaced = Control::Replaced { instance: InstanceId::parse("tab").unwrap(), by: SessionId(5), at: 9 };
    a.feed.tell(&user("bob"), &replaced);
    b.waits_for(
        "the word",
        move |told| matches!(told, Told::Control(of, came) if *of == user("bob") && *came == replaced),
    )
    .await;
    let of_others = |told: &Told| matches!(told, Told::Live(..) | Told::Control(..));
    assert!(!a.recorder.all().iter().any(of_others));
}

#[tokio::test]
async fn marks_are_told_where_the_room_is_followed() {
    let (_server, a, b) = two().await;
    let _hold = b.follows(Topic::Room(room("x"))).await;
    a.commit(send("x", "alice", "hello")).await;
    let marks = Write::Marks { delivered: Seq(1), read: Seq(1) };
    a.commit(Outcome { writes: vec![marks], ..outcome(Home::Room(room("x").room), "bob") }).await;
    b.waits_for(
        "the marks",
        |told| matches!(told, Told::Changed(Change::Marks { user: of, .. }) if *of == user("bob").user),
    )
    .await;
}

/// A replica has taken over that lost some, and its clock is behind: what is revoked there has places before the last that others
/// know.
#[tokio::test]
async fn after_a_loss_revocations_are_read_from_the_first() {
    let (server, a, b) = two().await;
    let revoke = |name: &str| {
        let what = Revoked::User { user: user(name).user, before: Timestamp(1_000) };
        Revocation { scope: Scope::Tenant(tenant()), what }
    };
    let hubs: Vec<String> = server.command("KEYS *:hub");
    server.command::<u64>(&format!("HSET {} revocations 8000000000000000", hubs[0]));
    let tells = |name: &str| {
        let revocation = revoke(name);
        move |told: &Told| matches!(told, Told::Changed(Change::Revoked(found)) if *found == revocation)
    };
    a.store.revoke(revoke("alice")).await.unwrap();
    b.waits_for("what is lost then", tells("alice")).await;
    server.command::<u64>(&format!("DEL {}/v {}/vz", hubs[0], hubs[0]));
    server.command::<u64>(&format!("HDEL {} revocations", hubs[0]));
    a.store.revoke(revoke("bob")).await.unwrap();
    b.feed.committed(&[Change::Restarted(b.store.epoch())]);
    b.waits_for("what came after", tells("bob")).await;
}

#[tokio::test]
async fn what_one_asks_the_others_answer() {
    let server = Server::start(Keeps::Nothing);
    let (a, b) = (Node::start(&server, 1).await, Node::start(&server, 2).await);
    let c = Node::start(&server, 3).await;
    // All of them hear the hub's topic.
    for (number, node) in [&a, &b, &c].into_iter().enumerate() {
        let what = Revoked::User { user: user("bob").user, before: Timestamp(1_000 + number as i64) };
        let revocation = Revocation { scope: Scope::Tenant(tenant()), what };
        a.store.revoke(revocation.clone()).await.unwrap();
        node.waits_for(
            "the revocation",
            move |told| matches!(told, Told::Changed(Change::Revoked(found)) if *found == revocation),
        )
        .await;
    }
    for (asker, question, others) in [(&a, "one", [2, 3]), (&b, "two", [1, 3]), (&a, "three", [3, 2])] {
        let mut answers = asker.feed.ask(question.as_bytes(), &others).await.unwrap();
        answers.sort_unstable();
        let mut expected = others.map(|node| (node, Bytes::from(format!("re: {question}"))));
        expected.sort_unstable();
        assert_eq!(answers, expected);
    }
    assert!(a.feed.ask(b"nobody", &[]).await.unwrap().is_empty());
    // One that is not there is waited for, in vain: nobody answers in its place.
    let answers = b.feed.ask(b"more", &[1, 4]).await.unwrap();
    assert_eq!(answers, [(1, Bytes::from_static(b"re: more"))]);
    assert!(a.feed.ask(b"silence", &[2, 3]).await.unwrap().is_empty());
}
