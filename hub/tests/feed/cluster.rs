//! Two nodes on a Redis cluster: rooms on all of its servers, one of which dies.

use carillon_hub::bus::Topic;
use carillon_hub::bus::envelope::Control;
use carillon_hub::domain::names::{InstanceId, SessionId, UserKey};
use carillon_hub::redis::Partition;

use crate::node::{Node, Told, entries, room, send, tenant, user};
use carillon_test_redis::{Cluster, Keeps, LAST, Server};

const ROOMS: usize = 24;

/// How far a server has got in what is replicated.
fn offset(server: &Server, name: &str) -> u64 {
    let info: String = server.command("INFO replication");
    info.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn both_are_told_one_log_in_a_cluster_whose_master_dies() {
    let start = || Cluster::start(true, Keeps::Nothing);
    let Cluster { mut servers } = tokio::task::spawn_blocking(start).await.unwrap();
    let (a, b) = (Node::start(&servers[1], 1).await, Node::start(&servers[2], 2).await);
    let rooms: Vec<_> = (0..ROOMS).map(|n| format!("r{n}")).collect();
    let mut holds = Vec::new();
    for id in &rooms {
        holds.push(a.follows(Topic::Room(room(id))).await);
        holds.push(b.follows(Topic::Room(room(id))).await);
    }
    let write = async |text: &str| {
        for id in &rooms {
            for (node, name) in [(&a, "alice"), (&b, "bob")] {
                // Where the answer is lost it may have been done.
                while node.store.commit(send(id, name, text)).await.is_err() {
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    write("before").await;
    // The replicas have it, too: nothing is lost with the master.
    for (master, replica) in servers.iter().zip(&servers[3..]) {
        let written = offset(master, "master_repl_offset:");
        while offset(replica, "slave_repl_offset:") < written {
            tokio::task::yield_now().await;
        }
    }
    servers[0].kill();
    write("after").await;
    for id in &rooms {
        let head = loop {
            if let Ok(Some(found)) = a.store.room(&room(id)).await {
                break found.head;
            }
        };
        for node in [&a, &b] {
            let key = room(id);
            node.waits("the log", move |told| entries(told, &key).last() == Some(&head)).await;
            let log = node.log(&room(id));
            assert!(log.iter().map(|at| at.seq.0).eq(1..=head.seq.0), "in order, each once, no holes");
            assert!(log.len() >= 4);
        }
        assert_eq!(a.log(&room(id)), b.log(&room(id)));
    }
}

/// More than are told at once.
const KEPT: usize = 100;

fn users(server: usize) -> impl Iterator<Item = UserKey> {
    let at = |key: &UserKey| Partition::of_user(&tenant(), &key.user).slot();
    let all = (0..).map(|n| user(&format!("user{n}")));
    all.filter(move |key| LAST.iter().position(|last| at(key) <= *last) == Some(server))
}

/// What is kept for users whose channels are at a server that is away waits for it, and holds up nobody else's.
#[tokio::test]
async fn what_is_for_a_server_that_is_away_holds_up_nothing_else() {
    let start = || Cluster::start(false, Keeps::Nothing);
    let Cluster { mut servers } = tokio::task::spawn_blocking(start).await.unwrap();
    for server in &servers {
        server.command::<()>("CONFIG SET cluster-require-full-coverage no");
    }
    let (a, b) = (Node::start(&servers[1], 1).await, Node::start(&servers[2], 2).await);
    let (gone, well) = (users(0).next().unwrap(), users(1).next().unwrap());
    let _holds = (b.follows(Topic::User(gone.clone())).await, b.follows(Topic::User(well.clone())).await);
    let told_to = |key: &UserKey, by: usize| {
        let (key, by) = (key.clone(), SessionId(by as u128));
        move |told: &Told| matches!(told, Told::Control(to, Control::Replaced { by: of, .. }) if *to == key && *of == by)
    };
    let replaced = |by: usize| Control::Replaced {
        instance: InstanceId::parse("tab").unwrap(),
        by: SessionId(by as u128),
        at: 0,
    };
    servers[0].kill();
    for by in 0..KEPT {
        a.feed.tell(&gone, &replaced(by));
    }
    a.feed.tell(&well, &replaced(KEPT));
    b.waits_for("what is for another server's", told_to(&well, KEPT)).await;
    servers[0].restart();
    b.waits_for("what had to wait", told_to(&gone, KEPT - 1)).await;
    let order: Vec<_> = (0..KEPT)
        .map(|by| {
            let is_it = told_to(&gone, by);
            b.recorder.all().iter().position(is_it).unwrap()
        })
        .collect();
    assert!(order.is_sorted(), "in order");
    let twice = b.recorder.all().iter().filter(|told| told_to(&well, KEPT)(told)).count();
    assert_eq!(twice, 1, "what was taken is not told again");
}
