//! The store on Redis under the suite: a server of its own for each test.

use std::time::Duration;

use carillon_hub::domain::position::Seq;
use carillon_hub::redis;
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{EntryRange, PageBound, Store};
use futures::future::join_all;

use crate::harness::*;
use carillon_test_redis::{Keeps, Server};

impl Fixture for Server {
    type Store = RedisStore;

    fn new() -> Self {
        Self::start(Keeps::EverySecond)
    }

    fn open(&self, setup: &Setup) -> RedisStore {
        let options = Options {
            clock: setup.clock.source(),
            forgets_by: Some(setup.clock.source()),
            idempotency_keys: setup.idempotency_keys,
            revoked_for: setup.revoked_for,
            sweep: Duration::from_millis(20),
            queue: 65_536,
            ..Options::new(redis::Options::new(self.url()), setup.namespaces.clone(), setup.sink.clone())
        };
        RedisStore::open(options).unwrap()
    }
}

crate::conformance!(carillon_test_redis::Server);

/// Redis gives little more than a page's bytes, however many have reacted to its messages, and pages have all of them.
#[tokio::test]
async fn reactions_are_within_a_pages_bytes() {
    const MESSAGES: u64 = 100;
    const REACTIONS: usize = 50;
    const BYTES: usize = 20_000;
    let scene = Scene::<Server>::new();
    let room = "conversation:a";
    for _ in 0..MESSAGES {
        scene.commit(send(room, "alice", "hello")).await;
    }
    let name = |n: usize| format!("{n:0>100}");
    let react = |seq, n| append(room, &name(n), reaction(seq, "k", true));
    let all = (1..=MESSAGES).flat_map(|seq| (0..REACTIONS).map(move |n| (seq, n)));
    for reacted in join_all(all.map(|(seq, n)| scene.store().commit(react(seq, n)))).await {
        reacted.unwrap();
    }
    for up in [true, false] {
        let mut range = if up { EntryRange::After(Seq(0)) } else { EntryRange::Before(Seq(MESSAGES + 1)) };
        let mut seen = Vec::new();
        while seen.len() < MESSAGES as usize {
            let before = bytes_sent(&scene.fixture);
            let bound = PageBound { items: 200, bytes: BYTES };
            let page = scene.store().entries(&room_key(room), range, bound).await.unwrap();
            let sent = bytes_sent(&scene.fixture) - before;
            // One message more, and what else was asked meanwhile.
            assert!(sent < 3 * BYTES, "{sent}");
            let last = page.entries.last().unwrap().seq;
            assert!(page.more || last == Seq(if up { MESSAGES + 5_000 } else { 1 }));
            seen.extend(page.entries.iter().map(|entry| entry.seq.0).filter(|seq| *seq <= MESSAGES));
            range = if up { EntryRange::After(last) } else { EntryRange::Before(last) };
        }
        if !up {
            seen.reverse();
        }
        assert!(seen.into_iter().eq(1..=MESSAGES));
    }
}

/// What the server has sent so far.
fn bytes_sent(server: &Server) -> usize {
    let stats: String = server.command("INFO stats");
    let sent = stats.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    sent.unwrap().parse().unwrap()
}
