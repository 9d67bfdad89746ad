//! `kill -9` under load: nothing that was acknowledged is lost, nothing is doubled, and clients carry on by themselves.
//!
//! `CARILLON_KILL_ROUNDS=20 cargo test -p carillon-tests --test kill` kills more often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use carillon_client::{Client, Event, Events, v1};
use carillon_tests::process::HubProcess;
use carillon_tests::{seq, words};
use tokio::task::JoinSet;

const ROOMS: usize = 8;
const SENDERS: usize = 32;

/// What was acknowledged: room and seq to text.
type Entries = BTreeMap<(String, u64), String>;

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

    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut senders = JoinSet::new();
    for index in 0..SENDERS {
        senders.spawn(send_until(sender.clone(), index, Arc::clone(&stop), Arc::clone(&sent)));
    }
    for round in 1..=rounds() {
        // In full swing: so many more acknowledged than at the last kill.
        let enough = sent.load(Ordering::SeqCst) + 300 * round % 700 + 100;
        while sent.load(Ordering::SeqCst) < enough {
            tokio::task::yield_now().await;
        }
        tokio::task::block_in_place(|| hub.is_killed_and_starts_again());
    }
    stop.store(true, Ordering::SeqCst);
    let mut acknowledged = Entries::new();
    while let Some(entries) = senders.join_next().await {
        for (place, text) in entries.unwrap() {
            assert_eq!(acknowledged.insert(place, text), None, "two sends have one place");
        }
    }

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
async fn send_until(client: Client, index: usize, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> Entries {
    let mut acknowledged = Entries::new();
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let (room, text) = (room(index), format!("{index}-{n}"));
        let answer = client.send(&room, &text).await.expect("the send is acknowledged in the end");
        acknowledged.insert((room, answer.position.expect("a position").seq), text);
        sent.fetch_add(1, Ordering::SeqCst);
    }
    acknowledged
}

/// All rooms' histories; a hole in a room's seqs fails.
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
                assert_eq!(seq(&message), after + 1, "a hole in {room}");
                after += 1;
                stored.insert((room.clone(), after), words(&message).to_owned());
            }
            if !page.more {
                break;
            }
        }
    }
    stored
}
