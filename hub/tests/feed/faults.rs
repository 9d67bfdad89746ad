//! What both nodes are told when connections break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use carillon_hub::bus::Topic;
use carillon_hub::bus::envelope::{Control, For, Live};
use carillon_hub::domain::member::MembershipChange;
use carillon_hub::domain::revocation::{Revocation, Revoked, Scope};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::redis::Durability;
use carillon_hub::store::Change;

use crate::node::{Node, Told, broadcast, entries, membership, notified, notify, room, send, tenant, user};
use carillon_test_redis::{Keeps, Server};

/// Kills the connections that hear, again and again.
fn kill_without_end(server: &Arc<Server>, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    let (server, stop) = (Arc::clone(server), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut killed = 0;
        while !stop.load(Ordering::SeqCst) {
            killed += server.command::<u64>("CLIENT KILL TYPE pubsub");
        }
        killed
    })
}

#[tokio::test]
async fn the_log_is_told_whole_however_often_the_bus_breaks() {
    const ROOMS: [&str; 3] = ["x", "y", "z"];
    const EACH: usize = 400;
    let server = Arc::new(Server::start(Keeps::Nothing));
    let (a, b) = (Node::start(&server, 1).await, Node::start(&server, 2).await);
    let mut holds = Vec::new();
    for id in ROOMS {
        holds.push(a.follows(Topic::Room(room(id))).await);
        holds.push(b.follows(Topic::Room(room(id))).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let killing = kill_without_end(&server, &stop);
    for n in 0..EACH {
        for id in ROOMS {
            let text = format!("{n}");
            let (of_a, of_b) = tokio::join!(
                a.store.commit(send(id, "alice", &text)),
                b.store.commit(send(id, "bob", &text))
            );
            of_a.unwrap();
            of_b.unwrap();
        }
    }
    stop.store(true, Ordering::SeqCst);
    let killed = killing.join().unwrap();
    assert!(killed > 10, "{killed}");
    for id in ROOMS {
        for node in [&a, &b] {
            node.waits("the log", move |told| entries(told, &room(id)).len() >= 2 * EACH).await;
            let log = node.log(&room(id));
            assert!(log.iter().map(|at| at.seq.0).eq(1..=2 * EACH as u64), "in order, each once, no holes");
        }
        assert_eq!(a.log(&room(id)), b.log(&room(id)));
    }
    let diverged = |told: &Told| matches!(told, Told::Diverged);
    assert!(!a.recorder.all().iter().chain(&b.recorder.all()).any(diverged));
}

#[tokio::test]
async fn notifications_that_the_bus_did_not_bring_are_left_to_the_store() {
    const EACH: u64 = 200;
    let server = Arc::new(Server::start(Keeps::Nothing));
    let (a, b) = (Node::start(&server, 1).await, Node::start(&server, 2).await);
    let _reach = loop {
        if let Ok(reach) = a.feed.reach(&user("bob")).await {
            break reach;
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let killing = kill_without_end(&server, &stop);
    for n in 0..EACH {
        b.commit(notify("bob", &format!("n{n}"))).await;
    }
    stop.store(true, Ordering::SeqCst);
    assert!(killing.join().unwrap() > 0);
    let before = a.recorder.all().len();
    b.commit(notify("bob", "last")).await;
    a.waits("the last one", move |told| {
        let grew = told[before..].iter().any(|told| matches!(told, Told::InboxGrew(Topic::User(_))));
        grew || notified(told).last() == Some(&(EACH + 1))
    })
    .await;
    // Each one that is missing is followed by the word that the store has it.
    let mut next = 1;
    let mut read = false;
    for told in a.recorder.all() {
        match told {
            Told::InboxGrew(Topic::User(_)) => read = true,
            Told::Changed(Change::Notified { .. }) => {
                let seq = notified(std::slice::from_ref(&told))[0];
                assert!(seq >= next, "in order");
                assert!(seq == next || read, "{next} is missing, and nobody says so");
                (next, read) = (seq + 1, false);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn revocations_that_a_node_did_not_hear_of_are_read_when_it_is_back() {
    let server = Arc::new(Server::start(Keeps::Nothing));
    let (a, b) = (Node::start(&server, 1).await, Node::start(&server, 2).await);
    let stop = Arc::new(AtomicBool::new(false));
    let killing = kill_without_end(&server, &stop);
    let revoke = |before| {
        let what = Revoked::User { user: user("bob").user, before: Timestamp(before) };
        Revocation { scope: Scope::Tenant(tenant()), what }
    };
    for before in 1..=100 {
        a.store.revoke(revoke(before)).await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    killing.join().unwrap();
    b.waits_for(
        "the last one",
        move |told| matches!(told, Told::Changed(Change::Revoked(revocation)) if *revocation == revoke(100)),
    )
    .await;
}

/// Two nodes, of which the first has a bus that can be taken away.
async fn one_with_a_bus_of_its_own() -> (Server, Node, Node) {
    let server = Server::start(Keeps::Nothing);
    server.command::<()>("ACL SETUSER bus on nopass ~* &* +@all");
    let (a, b) = (Node::start_with_bus_as(&server, 1, Some("bus")).await, Node::start(&server, 2).await);
    (server, a, b)
}

async fn takes_its_bus_away(server: &Server, node: &Node) {
    server.command::<()>("ACL SETUSER bus off");
    server.command::<u64>("CLIENT KILL USER bus");
    while node.feed.is_connected() {
        tokio::task::yield_now().await;
    }
}

/// Who committed it has the store's word: as long as nobody else wrote in between, their own node's people need not wait for
/// the bus.
#[tokio::test]
async fn what_a_node_commits_while_its_bus_is_away_is_told_at_once_where_it_is_the_next() {
    let (server, a, b) = one_with_a_bus_of_its_own().await;
    let _holds = (a.follows(Topic::Room(room("x"))).await, b.follows(Topic::Room(room("x"))).await);
    a.commit(send("x", "alice", "before")).await;
    let seqs = |node: &Node| node.log(&room("x")).iter().map(|at| at.seq.0).collect::<Vec<_>>();
    takes_its_bus_away(&server, &a).await;
    for n in 2..=4 {
        a.commit(send("x", "alice", "alone")).await;
        assert_eq!(seqs(&a), (1..=n).collect::<Vec<_>>(), "before its sender was answered");
    }
    // Of this one it does not hear, so that the next does not follow on what was told.
    b.commit(send("x", "bob", "unheard")).await;
    a.commit(send("x", "alice", "after")).await;
    assert_eq!(seqs(&a), [1, 2, 3, 4]);
    assert!(!a.feed.is_connected());
    server.command::<()>("ACL SETUSER bus on");
    for node in [&a, &b] {
        node.waits("the log", |told| entries(told, &room("x")).len() >= 6).await;
        assert_eq!(seqs(node), [1, 2, 3, 4, 5, 6], "in order, each once");
    }
    let diverged = |told: &Told| matches!(told, Told::Diverged);
    assert!(!a.recorder.all().iter().any(diverged));
}

/// The node that acknowledged it is gone together with what Redis lost: whoever heard of it knows.
#[tokio::test]
async fn what_only_a_node_that_is_gone_acknowledged_is_missed_by_who_heard_it() {
    let mut server = Server::start(Keeps::EverySecond);
    // Settled by its marks alone, as of a server that is not asked which life it is in.
    let always = Durability::Always;
    let (a, b) = (Node::start_with(&server, 1, always).await, Node::start_with(&server, 2, always).await);
    let _hold = a.follows(Topic::User(user("bob"))).await;
    let epoch = a.store.epoch();
    b.commit(notify("bob", "n1")).await;
    let kept = server.back_up();
    b.commit(notify("bob", "n2")).await;
    a.waits("both", |told| notified(told) == [1, 2]).await;
    server.kill();
    drop(b);
    server.go_back(&kept);
    server.restart();
    a.waits_for("another epoch", |told| matches!(told, Told::Changed(Change::Restarted(_)))).await;
    assert_ne!(a.store.epoch(), epoch);
}

/// The store tells it: nobody's bus but that of who hears it matters.
#[tokio::test]
async fn members_and_erasures_are_told_while_the_bus_of_who_commits_is_away() {
    let (server, a, b) = one_with_a_bus_of_its_own().await;
    let _hold = b.follows(Topic::User(user("bob"))).await;
    takes_its_bus_away(&server, &a).await;
    for (change, is_member) in [(MembershipChange::Added, true), (MembershipChange::Removed, false)] {
        a.commit(membership("x", "bob", change)).await;
        let control = Control::Member { room: room("x").room, is_member };
        b.waits_for(
            "the membership",
            move |told| matches!(told, Told::Control(of, came) if *of == user("bob") && *came == control),
        )
        .await;
    }
    a.store.erase(&user("bob")).await.unwrap();
    let is_erased =
        |told: &Told| matches!(told, Told::Changed(Change::Erased { user: of }) if *of == user("bob"));
    b.waits_for("the erasure", is_erased).await;
}

/// Nobody says it again: whoever has a session there is told of the room as it is found.
#[tokio::test]
async fn rooms_that_a_user_got_while_the_bus_of_who_hears_was_away_are_told() {
    let (server, a, b) = one_with_a_bus_of_its_own().await;
    let _reach = a.feed.reach(&user("bob")).await.unwrap();
    a.commit(membership("x", "bob", MembershipChange::Added)).await;
    takes_its_bus_away(&server, &a).await;
    b.commit(membership("y", "bob", MembershipChange::Added)).await;
    server.command::<()>("ACL SETUSER bus on");
    let is_of = |told: &Told, id: &str| {
        let control = Control::Member { room: room(id).room, is_member: true };
        matches!(told, Told::Control(of, came) if *of == user("bob") && *came == control)
    };
    a.waits_for("the new room", move |told| is_of(told, "y")).await;
}

/// What nodes have for each other's users waits for the bus, and comes in order.
#[tokio::test]
async fn what_is_for_a_user_is_told_when_the_bus_is_back() {
    let (server, a, b) = one_with_a_bus_of_its_own().await;
    let _hold = b.follows(Topic::User(user("bob"))).await;
    takes_its_bus_away(&server, &a).await;
    const MANY: u64 = 200;
    for n in 0..MANY {
        let message = Bytes::copy_from_slice(&n.to_le_bytes());
        a.feed.send_to_user(&user("bob"), &Live { to: For::All, merge: None, of_state: true, message });
    }
    server.command::<()>("ACL SETUSER bus on");
    let numbers = |told: &[Told]| {
        let number = |told: &Told| match told {
            Told::Live(_, live) => live.message.as_ref().try_into().ok().map(u64::from_le_bytes),
            _ => None,
        };
        let mut numbers: Vec<u64> = told.iter().filter_map(number).collect();
        // What was not confirmed is told once more.
        numbers.dedup();
        numbers
    };
    b.waits("all of them", move |told| numbers(told).last() == Some(&(MANY - 1))).await;
    assert!(numbers(&b.recorder.all()).is_sorted(), "{:?}", numbers(&b.recorder.all()));
    assert!((0..MANY).all(|n| numbers(&b.recorder.all()).contains(&n)));
}

/// Another epoch: what is followed is followed on, from where its log is now, and nobody is told twice to begin anew.
#[tokio::test]
async fn in_another_epoch_logs_are_followed_from_their_new_beginning() {
    let server = Server::start(Keeps::Nothing);
    let (a, b) = (Node::start(&server, 1).await, Node::start(&server, 2).await);
    let topics = [Topic::User(user("bob")), Topic::Tenant(tenant()), Topic::Room(room("x"))];
    let mut holds = Vec::new();
    for topic in &topics {
        holds.push(b.follows(topic.clone()).await);
    }
    a.commit(notify("bob", "n1")).await;
    a.commit(broadcast("b1")).await;
    a.commit(send("x", "alice", "before")).await;
    let is_broadcast = |told: &Told| matches!(told, Told::Changed(Change::Broadcast { .. }));
    b.waits("all", move |told| {
        notified(told) == [1] && told.iter().any(is_broadcast) && entries(told, &room("x")).len() == 1
    })
    .await;
    server.command::<()>("FLUSHALL");
    let is_restarted = |told: &Told| matches!(told, Told::Changed(Change::Restarted(_)));
    for node in [&a, &b] {
        node.waits_for("another epoch", is_restarted).await;
    }
    let before = b.recorder.all().len();
    for topic in &topics {
        // Whoever begins to follow one is told all that comes after.
        holds.push(b.follows(topic.clone()).await);
    }
    a.commit(notify("bob", "n2")).await;
    a.commit(broadcast("b2")).await;
    a.commit(send("x", "alice", "after")).await;
    b.waits("all of the new ones", move |told| {
        let told = &told[before..];
        notified(told) == [1] && told.iter().any(is_broadcast) && entries(told, &room("x")).len() == 1
    })
    .await;
    let is_diverged = |told: &Told| matches!(told, Told::Diverged);
    assert!(!a.recorder.all().iter().chain(&b.recorder.all()).any(is_diverged));
}
