//! Two nodes on a Redis cluster: rooms on all of its servers, one of which dies.

use carillon_hub::bus::Topic;

use crate::node::{Node, entries, room, send};
use carillon_test_redis::{Cluster, Keeps, Server};

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
