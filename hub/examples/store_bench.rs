//! Measures the embedded store alone: `store_bench preload DIR [messages]`, `store_bench send DIR [seconds] [in flight]
//! [readers]`, `store_bench open DIR`. Sends are outcomes as an area builds them: a message of 200 bytes by one of 5,000
//! users in one of 1,000 rooms, with an idempotency key.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::names::{IdempotencyKey, RoomKey, RoomName, TenantId, UserId};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::sqlite::{Options, SqliteStore};
use carillon_hub::store::{
    Change, CommitSink, EntryRange, Home, Idempotency, Outcome, PageBound, Store, Write,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

const ROOMS: usize = 1_000;
const USERS: usize = 5_000;

struct Ignored;

impl CommitSink for Ignored {
    fn committed(&self, changes: &[Change]) {
        std::hint::black_box(changes);
    }
}

/// Names and random bits of the load.
struct Load {
    tenant: TenantId,
    rooms: Vec<RoomName>,
    users: Vec<UserId>,
    random: u64,
}

impl Load {
    fn new(seed: u64) -> Self {
        Self {
            tenant: TenantId::parse("acme").expect("a valid name"),
            rooms: (0..ROOMS)
                .map(|i| RoomName::parse(&format!("conversation:{i:08x}")).expect("valid"))
                .collect(),
            users: (0..USERS)
                .map(|i| UserId::parse(&format!("user-{i:08x}")).expect("a valid name"))
                .collect(),
            random: seed | 1,
        }
    }

    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn send(&mut self) -> Outcome {
        let mut text = String::with_capacity(208);
        while text.len() < 200 {
            text.extend(format!("{:016x}", self.next()).chars());
        }
        text.truncate(200);
        let room = (self.next() >> 20) as usize % ROOMS;
        let user = (room * 7 + (self.next() >> 20) as usize % 200) % USERS;
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.next().to_le_bytes());
        key[8..].copy_from_slice(&self.next().to_le_bytes());
        let key = IdempotencyKey::parse(bytes::Bytes::copy_from_slice(&key)).expect("a valid key");
        let content = Content::text(&text, "").expect("valid content");
        Outcome {
            tenant: self.tenant.clone(),
            home: Home::Room(self.rooms[room].clone()),
            actor: self.users[user].clone(),
            by_service: false,
            idempotency: Some(Idempotency { key, fingerprint: self.next() }),
            conditions: Vec::new(),
            writes: vec![Write::Append(EntryBody::Message(Message::new(content, None, Pairs::default())))],
            effects: Vec::new(),
        }
    }

    fn room(&mut self) -> RoomKey {
        let room = (self.next() >> 20) as usize % ROOMS;
        RoomKey { tenant: self.tenant.clone(), room: self.rooms[room].clone() }
    }
}

fn open(directory: &Path) -> SqliteStore {
    let started = Instant::now();
    let namespaces = Arc::new(Namespaces::new(vec![NamespaceRules::closed("conversation")]));
    let store =
        SqliteStore::open(&Options::new(directory, namespaces, Arc::new(Ignored))).expect("the store opens");
    println!("opened in {:.2} s, {} keys", started.elapsed().as_secs_f64(), store.figures().keys);
    store
}

/// A closed loop of `in_flight` sends until `more` says no.
async fn run(
    store: &SqliteStore,
    load: &mut Load,
    in_flight: usize,
    mut more: impl FnMut(u64) -> bool,
) -> Vec<u32> {
    let timed = |outcome| {
        let (started, committed) = (Instant::now(), store.commit(outcome));
        async move {
            committed.await.expect("the store commits");
            started.elapsed().as_micros() as u32
        }
    };
    let mut pending: FuturesUnordered<_> = (0..in_flight).map(|_| timed(load.send())).collect();
    let mut latencies = Vec::new();
    while let Some(latency) = pending.next().await {
        latencies.push(latency);
        if more(latencies.len() as u64) {
            pending.push(timed(load.send()));
        }
    }
    latencies
}

fn at(sorted: &[u32], part: f64) -> f64 {
    sorted.get(((sorted.len().max(1) - 1) as f64 * part) as usize).map_or(0.0, |us| f64::from(*us) / 1_000.0)
}

fn read_last(store: &SqliteStore, stop: &AtomicBool) -> String {
    let (mut load, mut latencies, started) = (Load::new(77), Vec::new(), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let bound = PageBound { items: 50, bytes: usize::MAX };
        let page = futures::executor::block_on(store.entries(
            &load.room(),
            EntryRange::Before(Seq(u64::MAX)),
            bound,
        ));
        let page = page.expect("the store reads");
        assert!(page.entries.windows(2).all(|pair| pair[0].seq.0 == pair[1].seq.0 + 1), "no holes");
        latencies.push(begun.elapsed().as_micros() as u32);
    }
    latencies.sort_unstable();
    let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
    format!(" | reads {rate:.0}/s p50 {:.3} p99 {:.3} ms", at(&latencies, 0.5), at(&latencies, 0.99))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize, default: usize| {
        arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let directory = Path::new(arguments.get(2).expect("store_bench preload|send|open DIR"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = open(directory);
    let seed = std::time::SystemTime::now().elapsed().map_or(1, |d| d.as_nanos() as u64)
        ^ u64::from(std::process::id()) << 32;
    let mut load = Load::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    match arguments.get(1).map(String::as_str) {
        Some("preload") => {
            let (most, started) = (number(3, 2_000_000) as u64, Instant::now());
            runtime.block_on(run(&store, &mut load, 4_000, |done| done < most));
            println!("{most} messages in {:.1} s", started.elapsed().as_secs_f64());
            let closing = Instant::now();
            runtime.block_on(store.close());
            println!("closed in {:.2} s", closing.elapsed().as_secs_f64());
        }
        Some("send") => {
            let (seconds, in_flight, readers) = (number(3, 5), number(4, 256), number(5, 0));
            for round in 0..4 {
                let stop = Arc::new(AtomicBool::new(false));
                let readers: Vec<_> = (0..readers)
                    .map(|_| {
                        let (store, stop) = (store.clone(), Arc::clone(&stop));
                        std::thread::spawn(move || read_last(&store, &stop))
                    })
                    .collect();
                let (before, started) = (store.figures(), Instant::now());
                let end = started
                    + if round == 0 { Duration::from_secs(2) } else { Duration::from_secs(seconds as u64) };
                let mut sorted =
                    runtime.block_on(run(&store, &mut load, in_flight, |_| Instant::now() < end));
                let elapsed = started.elapsed().as_secs_f64();
                stop.store(true, Ordering::Relaxed);
                sorted.sort_unstable();
                let (after, count) = (store.figures(), sorted.len() as f64);
                let group = count / (after.groups - before.groups) as f64;
                let reads: String =
                    readers.into_iter().map(|reader| reader.join().expect("the reader ends")).collect();
                println!(
                    "{:.0}/s p50 {:.1} p99 {:.1} max {:.1} ms, {group:.0} a group, log {} MB{reads}",
                    count / elapsed,
                    at(&sorted, 0.5),
                    at(&sorted, 0.99),
                    at(&sorted, 1.0),
                    after.log_bytes >> 20,
                );
            }
        }
        Some("kill") => {
            runtime.block_on(run(&store, &mut load, 256, |done| done < number(3, 300_000) as u64));
            std::process::abort();
        }
        _ => {}
    }
}
