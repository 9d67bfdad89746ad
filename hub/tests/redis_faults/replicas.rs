//! One replica is waited for, and stands still: what needs it waits or is refused, and nothing else.

use std::time::{Duration, Instant};

use carillon_hub::domain::position::Seq;
use carillon_hub::redis::{self, Durability};
use carillon_hub::store::redis::RedisStore;
use carillon_hub::store::{EntryRange, PageBound, Store, StoreError};
use futures::future::{Either, select};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::harness::*;
use crate::load::{Load, open};
use crate::upkeep::calls;
use crate::writes::commits_at_last;
use carillon_test_redis::{Keeps, Server};

pub(crate) struct Pair {
    pub(crate) master: Server,
    pub(crate) replica: Server,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let start = || {
            let (master, replica) = (
                Server::start_for_replication(Keeps::Nothing),
                Server::start_for_replication(Keeps::Nothing),
            );
            replica.replicate(&master);
            Self { master, replica }
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    }

    /// A store that waits for the replica no longer than half of this.
    pub(crate) fn open(&self, answer_timeout: Duration) -> RedisStore {
        self.open_telling(answer_timeout, &Setup::new())
    }

    pub(crate) fn open_telling(&self, answer_timeout: Duration, setup: &Setup) -> RedisStore {
        open(redis::Options::new(self.master.url()), |options| {
            options.sink = setup.sink.clone();
            options.durability = Durability::Replicas(1);
            options.strict = false;
            options.sweep = Duration::from_millis(50);
            options.redis.answer_timeout = answer_timeout;
        })
    }
}

/// Longer than all that happens meanwhile.
pub(crate) const PATIENT: Duration = Duration::from_secs(60);
pub(crate) const HASTY: Duration = Duration::from_secs(1);

/// Sends once, however often it has to be asked.
pub(crate) async fn sends(store: &RedisStore, room: &str, text: &str) {
    commits_at_last(store, send(room, "alice", text).keyed(text, 1)).await;
}

async fn page(store: &RedisStore, room: &str) -> Result<usize, StoreError> {
    let bound = PageBound { items: 100, bytes: usize::MAX };
    let page = store.entries(&room_key(room), EntryRange::After(Seq(0)), bound).await?;
    assert_eq!(page.head.seq.0 as usize, page.entries.len());
    Ok(page.entries.len())
}

/// Reads are answered before any of the commits, however many wait.
#[tokio::test]
async fn reads_do_not_wait_behind_commits() {
    let pair = Pair::start().await;
    let store = pair.open(PATIENT);
    sends(&store, "conversation:a", "before").await;
    pair.replica.freeze();
    let mut commits: FuturesUnordered<_> =
        (0..32).map(|n| store.commit(send("conversation:b", "alice", &n.to_string()))).collect();
    for _ in 0..5 {
        let read = Box::pin(page(&store, "conversation:a"));
        match select(commits.next(), read).await {
            Either::Left((committed, _)) => panic!("{committed:?} came first"),
            Either::Right((found, _)) => assert_eq!(found.unwrap(), 1),
        }
        assert!(store.is_healthy());
    }
    pair.replica.thaw();
    while let Some(committed) = commits.next().await {
        committed.unwrap();
    }
    store.close().await;
}

/// Those who come while one WAIT is under way share the next.
#[tokio::test]
async fn commits_share_what_they_wait_for() {
    let pair = Pair::start().await;
    let store = pair.open(PATIENT);
    let (waits, begun) = (calls(&pair.master, "wait"), Instant::now());
    for _ in 0..10 {
        let rooms = (0..400).map(|n| format!("conversation:{}", n % 8));
        let commits = rooms.map(|room| store.commit(send(&room, "alice", "together")));
        for committed in futures::future::join_all(commits).await {
            committed.unwrap();
        }
    }
    let (waits, took) = (calls(&pair.master, "wait") - waits, begun.elapsed());
    eprintln!("{:.0} commits/s with one replica, 400 at once: {waits} waits", 4_000.0 / took.as_secs_f64());
    assert!(waits < 2_000, "{waits} for 4,000 commits");
    store.close().await;
}

/// What a replica does not have is not shown by reads either, on whichever node.
#[tokio::test]
async fn what_no_replica_has_is_not_shown() {
    let pair = Pair::start().await;
    let (store, other) = (pair.open(HASTY), pair.open(HASTY));
    sends(&store, "conversation:a", "kept").await;
    while page(&other, "conversation:a").await.is_err() {}
    assert_eq!(page(&other, "conversation:a").await.unwrap(), 1);
    pair.replica.freeze();
    let sent = send("conversation:a", "alice", "not yet").keyed("once", 1);
    store.commit(sent.clone()).await.unwrap_err();
    for store in [&store, &other] {
        assert!(matches!(page(store, "conversation:a").await, Err(StoreError::Unavailable)));
        let entry = store.entry(&room_key("conversation:a"), Seq(2)).await;
        assert!(matches!(entry, Err(StoreError::Unavailable)));
    }
    pair.replica.thaw();
    assert!(commits_at_last(&store, sent).await.duplicate);
    for store in [&store, &other] {
        while page(store, "conversation:a").await.is_err() {}
        assert_eq!(page(store, "conversation:a").await.unwrap(), 2);
    }
    store.close().await;
    other.close().await;
}

/// Figures: commits, and reads while the replica stands still.
#[tokio::test]
async fn a_replica_that_stands_still_costs_nothing_that_was_acknowledged() {
    let pair = Pair::start().await;
    let store = pair.open(HASTY);
    sends(&store, "conversation:read", "before").await;
    let load = Load::begin(&store);
    load.makes_progress(500).await;
    let took = load.makes_progress(3_000).await;
    eprintln!("{:.0} commits/s with one replica, 16 senders", 3_000.0 / took.as_secs_f64());
    pair.replica.freeze();
    let stopped = Instant::now();
    let mut reads: Vec<Duration> = Vec::new();
    while stopped.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        let _ = page(&store, "conversation:read").await;
        reads.push(asked.elapsed());
        tokio::task::yield_now().await;
    }
    pair.replica.thaw();
    reads.sort_unstable();
    eprintln!(
        "{} reads while it stood still: median {:?}, longest {:?}",
        reads.len(),
        reads[reads.len() / 2],
        reads[reads.len() - 1]
    );
    let recovered = load.makes_progress(500).await;
    load.end("SIGSTOP of the replica for 5 s", recovered).await;
    store.close().await;
}
