//! Senders that ask again with the same key until they are answered, and what must be so afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::position::{Position, Seq};
use carillon_hub::redis;
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{CommitError, EntryRange, PageBound, Store, StoreError};

use tokio::sync::watch;

use crate::harness::*;

const SENDERS: usize = 16;
const ROOMS: usize = 8;

/// What was acknowledged of a room: the position of each message.
type Acknowledged = BTreeMap<String, Position>;

/// Senders under way.
pub(crate) struct Load {
    sending: Sending,
    /// A thread of their own: they go on whatever the test waits for.
    senders: JoinHandle<Vec<(String, Acknowledged)>>,
}

/// What senders share.
struct Sending {
    store: RedisStore,
    stop: Arc<AtomicBool>,
    answered: Arc<watch::Sender<u64>>,
    unanswered: Arc<AtomicU64>,
}

fn room(number: usize) -> String {
    format!("conversation:{}", number % ROOMS)
}

/// The rooms that are sent to.
pub(crate) fn rooms() -> impl Iterator<Item = String> {
    (0..ROOMS).map(room)
}

/// Opens a store that gives up waiting for an answer soon.
pub(crate) fn open(redis: redis::Options, change: impl FnOnce(&mut Options)) -> RedisStore {
    let setup = Setup::new();
    let redis = redis::Options {
        answer_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        back_off_most: Duration::from_secs(1),
        ..redis
    };
    let mut options = Options::new(redis, setup.namespaces.clone(), setup.sink.clone());
    change(&mut options);
    RedisStore::open(options).unwrap()
}

impl Load {
    /// Begins to send.
    pub(crate) fn begin(store: &RedisStore) -> Self {
        let sending = Sending {
            store: store.clone(),
            stop: Arc::default(),
            answered: Arc::default(),
            unanswered: Arc::default(),
        };
        let senders: Vec<_> = (0..SENDERS).map(|number| sending.sender(number)).collect();
        let senders = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(futures::future::join_all(senders))
        });
        Self { sending, senders }
    }

    /// Waits until so many more were acknowledged; how long that took.
    pub(crate) async fn makes_progress(&self, more: u64) -> Duration {
        let begun = Instant::now();
        let mut answered = self.sending.answered.subscribe();
        let wanted = *answered.borrow() + more;
        let reached = answered.wait_for(|answered| *answered >= wanted);
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        assert!(reached.is_ok(), "nothing is acknowledged any more");
        begun.elapsed()
    }

    /// How often somebody was not answered so far, and asked again.
    pub(crate) fn unanswered(&self) -> u64 {
        self.sending.unanswered.load(Ordering::Relaxed)
    }

    /// Stops, and checks that every room is what was acknowledged. Prints what happened.
    pub(crate) async fn end(self, what: &str, recovered: Duration) {
        self.sending.stop.store(true, Ordering::Release);
        let mut rooms: BTreeMap<String, Acknowledged> = BTreeMap::new();
        for (room, acknowledged) in self.senders.join().unwrap() {
            rooms.entry(room).or_default().extend(acknowledged);
        }
        let mut faults = [0_u64; 4];
        for (room, acknowledged) in &rooms {
            for (all, found) in
                faults.iter_mut().zip(faults_of(&self.sending.store, room, acknowledged).await)
            {
                *all += found;
            }
        }
        let [lost, duplicated, out_of_order, moved] = faults;
        eprintln!(
            "{what}: {} acknowledged, {} unacknowledged and asked again, recovered in {} ms; lost {lost}, \
             duplicated {duplicated}, out of order {out_of_order}, false acknowledgements {moved}",
            *self.sending.answered.borrow(),
            self.sending.unanswered.load(Ordering::Relaxed),
            recovered.as_millis(),
        );
        assert_eq!(faults, [0; 4]);
    }
}

impl Sending {
    fn sender(&self, number: usize) -> impl Future<Output = (String, Acknowledged)> + use<> {
        let (store, stop) = (self.store.clone(), Arc::clone(&self.stop));
        let (answered, unanswered) = (Arc::clone(&self.answered), Arc::clone(&self.unanswered));
        let room = room(number);
        async move {
            let mut acknowledged = Acknowledged::new();
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            for turn in 0.. {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let content = format!("{number}-{turn}");
                let outcome = send(&room, &format!("sender{number}"), &content).keyed(&content, 1);
                let committed = loop {
                    match store.commit(outcome.clone()).await {
                        Ok(committed) => break committed,
                        Err(CommitError::Store(StoreError::Unavailable | StoreError::Overloaded)) => {
                            unanswered.fetch_add(1, Ordering::Relaxed);
                            // A client does not ask at once either.
                            pace.tick().await;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                };
                answered.send_modify(|answered| *answered += 1);
                acknowledged.insert(content, committed.position);
            }
            (room, acknowledged)
        }
    }
}

/// Lost, duplicated, out of order, acknowledged with another position than it has.
async fn faults_of(store: &RedisStore, room: &str, acknowledged: &Acknowledged) -> [u64; 4] {
    let mut found: BTreeMap<String, Vec<Position>> = BTreeMap::new();
    let mut after = Seq(0);
    let mut out_of_order = 0;
    loop {
        let bound = PageBound { items: 1_000, bytes: usize::MAX };
        let page = store.entries(&room_key(room), EntryRange::After(after), bound).await.unwrap();
        for entry in &page.entries {
            out_of_order += u64::from(entry.seq != after.next());
            after = entry.seq;
            let EntryBody::Message(message) = &entry.body else { panic!("{entry:?}") };
            let content = message.content.as_ref().unwrap().as_bytes();
            let content = String::from_utf8(content.to_vec()).unwrap();
            found.entry(content).or_default().push(entry.position());
        }
        if !page.more {
            break;
        }
    }
    let mut last: BTreeMap<&str, (u64, Seq)> = BTreeMap::new();
    let mut by_place: Vec<_> =
        found.iter().flat_map(|(content, places)| places.iter().map(move |p| (p, content))).collect();
    by_place.sort_by_key(|(position, _)| position.seq);
    for (position, content) in by_place {
        let (sender, turn) = content.split_once('-').unwrap();
        let turn: u64 = turn.parse().unwrap();
        if last.insert(sender, (turn, position.seq)).is_some_and(|(before, _)| before >= turn) {
            out_of_order += 1;
        }
    }
    let lost = acknowledged.keys().filter(|content| !found.contains_key(*content)).count();
    let duplicated = found.values().filter(|places| places.len() > 1).count();
    let moved = acknowledged
        .iter()
        .filter(|(content, position)| found.get(*content).is_some_and(|places| !places.contains(position)));
    [lost as u64, duplicated as u64, out_of_order, moved.count() as u64]
}
