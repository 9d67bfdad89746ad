//! `kill -9` under load: nothing that was acknowledged is lost, nothing is doubled, and clients carry on by themselves.
//!
//! `cargo build -p carillon && CARILLON_KILL_ROUNDS=20 cargo test -p carillon-tests --test kill -- --nocapture` kills more
//! often, and shows what each round found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carillon_client::{Client, Event, Events, v1};
use carillon_tests::process::HubProcess;
use carillon_tests::{seq, words};
use tokio::task::JoinSet;

const ROOMS: usize = 8;
const SENDERS: usize = 32;

/// What was acknowledged: room and seq to text.
type Entries = BTreeMap<(String, u64), String>;

/// What the senders know.
#[derive(Default)]
struct Ledger {
    acknowledged: Entries,
    /// Texts without an answer yet.
    in_flight: BTreeSet<String>,
    /// Places that two sends were given.
    clashes: u64,
}

impl Ledger {
    fn sends(&mut self, text: &str) {
        self.in_flight.insert(text.to_owned());
    }

    fn is_told(&mut self, place: (String, u64), text: String) {
        self.in_flight.remove(&text);
        self.clashes += u64::from(self.acknowledged.insert(place, text).is_some());
    }
}

/// Locked for a moment, never over an await.
type Shared = Arc<Mutex<Ledger>>;

fn with<T>(ledger: &Shared, note: impl FnOnce(&mut Ledger) -> T) -> T {
    note(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What a round found in the rooms after a kill.
#[derive(Debug, Default)]
struct Account {
    /// Acknowledged when the hub was killed.
    acknowledged: usize,
    /// Sent and not acknowledged then.
    in_flight: usize,
    /// Of those the ones that are stored when the rooms are read: by then the library may have sent them again.
    found: usize,
    /// Of the acknowledged ones those that are not stored, or elsewhere.
    lost: usize,
    /// Texts that are stored more than once.
    doubled: usize,
    /// Seqs that are missing between the stored ones.
    gaps: u64,
}

impl Account {
    /// Compares what was known at the kill with what is stored now.
    fn of(acknowledged: &Entries, in_flight: &BTreeSet<String>, stored: &Entries) -> Self {
        let mut texts: BTreeMap<&str, usize> = BTreeMap::new();
        for text in stored.values() {
            *texts.entry(text).or_default() += 1;
        }
        let mut heads: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (room, seq) in stored.keys() {
            let (count, head) = heads.entry(room).or_default();
            (*count, *head) = (*count + 1, (*head).max(*seq));
        }
        Self {
            acknowledged: acknowledged.len(),
            in_flight: in_flight.len(),
            found: in_flight.iter().filter(|text| texts.contains_key(text.as_str())).count(),
            lost: acknowledged.iter().filter(|(place, text)| stored.get(*place) != Some(*text)).count(),
            doubled: texts.values().filter(|count| **count > 1).count(),
            gaps: heads.values().map(|(count, head)| head - count).sum(),
        }
    }

    fn check(&self, round: u64) {
        println!(
            "round {round}: {} acknowledged, {} in flight at the kill, {} of them found stored, {} lost, {} doubled, \
             {} gaps",
            self.acknowledged, self.in_flight, self.found, self.lost, self.doubled, self.gaps
        );
        assert_eq!((self.lost, self.doubled, self.gaps), (0, 0, 0), "round {round}");
    }
}

fn rounds() -> u64 {
    std::env::var("CARILLON_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

fn room(index: usize) -> String {
    format!("room:kill-{}", index % ROOMS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = HubProcess::start(folder.path());
    let patient = |name| {
        let backoff = (Duration::from_millis(20), Duration::from_millis(200));
        hub.options(name)
            .backoff(backoff.0, backoff.1)
            .command_timeout(Duration::from_secs(60))
            .wait_for_hub()
    };
    let (listener, events) = Client::connect(patient("bob")).await.unwrap();
    for index in 0..ROOMS {
        listener.join(room(index)).await.unwrap();
    }
    // Whoever does not read its events is not read for: they are collected from the start.
    let (hear, mut heard) = tokio::sync::mpsc::channel(1 << 20);
    tokio::spawn(hear_all(events, hear));
    let (sender, _) = Client::connect(patient("alice").discard_events()).await.unwrap();

    let (stop, ledger) = (Arc::new(AtomicBool::new(false)), Shared::default());
    let mut senders = JoinSet::new();
    for index in 0..SENDERS {
        senders.spawn(send_until(sender.clone(), index, Arc::clone(&stop), Arc::clone(&ledger)));
    }
    for round in 1..=rounds() {
        // In full swing: so many more acknowledged than at the last kill.
        let acknowledged = |ledger: &mut Ledger| ledger.acknowledged.len() as u64;
        let enough = with(&ledger, acknowledged) + 300 * round % 700 + 100;
        while with(&ledger, acknowledged) < enough {
            tokio::task::yield_now().await;
        }
        let (acknowledged, in_flight) = tokio::task::block_in_place(|| {
            hub.is_killed_and_starts_again(|| {
                with(&ledger, |ledger| (ledger.acknowledged.clone(), ledger.in_flight.clone()))
            })
        });
        // Sends go on meanwhile: what is looked for was known before the kill.
        let stored = read_all(&sender).await;
        Account::of(&acknowledged, &in_flight, &stored).check(round);
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(done) = senders.join_next().await {
        done.unwrap();
    }
    let (acknowledged, clashes) =
        with(&ledger, |ledger| (std::mem::take(&mut ledger.acknowledged), ledger.clashes));
    assert_eq!(clashes, 0, "two sends have one place");

    let stored = read_all(&sender).await;
    assert_eq!(stored, acknowledged, "every send was acknowledged in the end: what is stored is just that");
    let mut delivered = Entries::new();
    while delivered.len() < stored.len() {
        let message = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await;
        let message = message.expect("everything is delivered").expect("events go on");
        let place = (message.room.clone(), seq(&message));
        assert_eq!(delivered.insert(place, words(&message).to_owned()), None, "delivered twice");
    }
    assert_eq!(delivered, stored);
}

async fn hear_all(mut events: Events, hear: tokio::sync::mpsc::Sender<v1::Message>) {
    while let Some(event) = events.next().await {
        if let Event::Message(message) = event {
            hear.send(*message).await.expect("the test listens");
        }
    }
}

/// Sends until told to stop; the library carries each send over the kills.
async fn send_until(client: Client, index: usize, stop: Arc<AtomicBool>, ledger: Shared) {
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let (room, text) = (room(index), format!("{index}-{n}"));
        with(&ledger, |ledger| ledger.sends(&text));
        let answer = client.send(&room, &text).await.expect("the send is acknowledged in the end");
        let place = (room, answer.position.expect("a position").seq);
        with(&ledger, |ledger| ledger.is_told(place, text));
    }
}

/// All rooms' histories.
async fn read_all(client: &Client) -> Entries {
    let mut stored = Entries::new();
    for index in 0..ROOMS {
        let (room, mut after) = (room(index), 0);
        loop {
            let bound = Some(v1::history_get::Bound::After(after));
            let page = v1::HistoryGet { room: room.clone(), bound, limit: 200 };
            let page = client.history(page).await.expect("the history is read");
            let messages = page.entries.into_iter().filter_map(|entry| match entry.entry {
                Some(v1::history_entry::Entry::Message(message)) => Some(message),
                _ => None,
            });
            for message in messages {
                after = seq(&message);
                stored.insert((room.clone(), after), words(&message).to_owned());
            }
            if !page.more {
                break;
            }
        }
    }
    stored
}
