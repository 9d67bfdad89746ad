//! `bench store`: a store alone, beside readers of each room's newest entries, and its opening after a kill.

pub(super) mod inbox;
mod kill;
mod load;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use carillon_hub::domain::position::Seq;
use carillon_hub::store::redis;
use carillon_hub::store::sqlite::OpenError;
use carillon_hub::store::{CommitError, EntryRange, PageBound, Store, StoreError};
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::BenchError;
use super::choice::choose;
use super::clock::check_interrupt;
use super::options::{count, positive};
use super::report::{Figures, Latency, Report, progress};
use super::target::Scratch;
use crate::child::Process;

pub(super) use kill::{Victim, run_victim};
pub(super) use load::{Load, open};

/// Sends under way while messages are stored beforehand: fewer than the store lets wait.
pub(super) const PRELOAD_IN_FLIGHT: usize = 4_000;
const WARM_UP: Duration = Duration::from_secs(1);
/// Entries that a reader asks for.
const NEWEST: u32 = 50;
const TENANT: &str = "dev";

/// What to store.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    scratch: Scratch,
    /// Sends under way at once.
    #[arg(long, default_value_t = 256, value_parser = count(1..=8_000))]
    in_flight: usize,
    /// Rooms, of which each send takes one at random.
    #[arg(long, default_value_t = 1_000, value_parser = count(1..=1_000_000))]
    rooms: usize,
    /// Bytes of a message's text, 40 to 10,000.
    #[arg(long, default_value_t = 200, value_parser = count(40..=10_000))]
    size: usize,
    /// Seconds.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Messages stored before the measurement, over the same rooms.
    #[arg(long, default_value_t = 0)]
    preload: u64,
    /// Threads that read the newest 50 entries of rooms by chance, without a pause.
    #[arg(long, default_value_t = 0, value_parser = count(0..=64))]
    readers: usize,
    /// Measure the store on Redis instead of the embedded one: redis://HOST:PORT or unix:///PATH.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

/// Why the store could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreBenchError {
    /// The development settings cannot be used.
    #[error(transparent)]
    Config(#[from] carillon_hub::config::ConfigError),
    /// It did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] redis::OpenError),
    /// A send was not committed.
    #[error("a send was not committed: {0}")]
    Commit(#[from] CommitError),
    /// A read failed.
    #[error("a read failed: {0}")]
    Read(#[from] StoreError),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(std::io::Error),
    /// A name that the hub does not allow.
    #[error("--tenant or --namespace is not a name that a hub allows")]
    Name,
    /// A thread of the benchmark failed.
    #[error("a reader ended early")]
    Reader,
}

/// The rooms' names, as `bench send` has them.
pub(super) fn room_names(namespace: &str, rooms: usize) -> Vec<String> {
    (0..rooms).map(|room| format!("{namespace}:bench-{room}")).collect()
}

/// A runtime that drives commits on this thread.
pub(super) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().build()
}

/// Stores messages.
pub(super) fn preload(store: &dyn Store, load: &mut Load, messages: u64) -> Result<(), BenchError> {
    let bar = progress(messages, "storing messages");
    let in_flight = PRELOAD_IN_FLIGHT.min(messages as usize);
    let drive = load.drive(store, in_flight, |done| {
        bar.set_position(done);
        done + in_flight as u64 <= messages && check_interrupt().is_ok()
    });
    runtime()?.block_on(drive)?;
    bar.finish_and_clear();
    check_interrupt()
}

/// Opens the store that is asked for.
fn open_one(redis: Option<&str>, data: &Path) -> Result<Arc<dyn Store>, StoreBenchError> {
    Ok(match redis {
        Some(url) => Arc::new(load::open_redis(url, data)?),
        None => Arc::new(open(data)?),
    })
}

/// Runs it.
pub(super) fn run(options: &Options) -> Result<Report, BenchError> {
    let folder = options.scratch.make()?;
    let data = folder.path().join("data");
    let names = room_names("room", options.rooms);
    let store = open_one(options.redis.as_deref(), &data)?;
    let mut load = Load::new(TENANT, &names, options.size)?;
    if options.preload > 0 {
        preload(&*store, &mut load, options.preload)?;
    }
    let runtime = runtime()?;
    let until = |length: Duration| {
        let end = Instant::now() + length;
        move |_: u64| Instant::now() < end && check_interrupt().is_ok()
    };
    runtime.block_on(load.drive(&*store, options.in_flight, until(WARM_UP)))?;
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..options.readers)
        .map(|reader| read_newest(&store, &load, reader, &stop))
        .collect::<std::io::Result<_>>()?;
    let (cpu, start) = (Process::this().cpu()?, Instant::now());
    let length = Duration::from_secs_f64(options.seconds);
    let latency = runtime.block_on(load.drive(&*store, options.in_flight, until(length)))?;
    let (cpu, wall) = (Process::this().cpu()?.saturating_sub(cpu), start.elapsed());
    stop.store(true, Ordering::Relaxed);
    let mut reads = Latency::new();
    for reader in readers {
        reads.add(&reader.join().map_err(|_| StoreBenchError::Reader)??);
    }
    check_interrupt()?;
    runtime.block_on(store.close());
    drop(store);
    // What Redis keeps when it is killed is Redis' own.
    let after_kill = match &options.redis {
        Some(_) => None,
        None => Some(kill::measure(&folder, &data, options)?),
    };

    let acked = latency.count();
    let mut figures = Figures {
        acked_per_s: Some(acked as f64 / wall.as_secs_f64()),
        server_cpu: Some(cpu.as_secs_f64() / wall.as_secs_f64()),
        server_cpu_us_per_send: Some(cpu.as_secs_f64() * 1e6 / acked.max(1) as f64),
        reads_per_s: (options.readers > 0).then(|| reads.count() as f64 / wall.as_secs_f64()),
        read_p99_ms: reads.p99_ms(),
        reopen_after_kill_s: after_kill.as_ref().map(|after| after.reopened.as_secs_f64()),
        ..Figures::default()
    };
    figures.latency(&latency);
    if let Some(after) = after_kill {
        figures.tally(after.tally, after.acked);
    }
    let parameters = [
        ("in_flight", options.in_flight.into()),
        ("rooms", options.rooms.into()),
        ("size", options.size.into()),
        ("seconds", options.seconds.into()),
        ("preload", options.preload.into()),
        ("readers", options.readers.into()),
        ("redis", options.redis.is_some().into()),
        ("memory_backed_data", Scratch::is_memory(folder.path()).into()),
    ];
    Ok(Report::new("store", parameters, figures))
}

/// Reads the newest entries of rooms by chance until told to stop, and checks that none is missing between them.
fn read_newest(
    store: &Arc<dyn Store>,
    load: &Load,
    reader: usize,
    stop: &Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<Result<Latency, StoreBenchError>>> {
    let rooms: Vec<_> = (0..load.rooms()).map(|room| load.room(room)).collect();
    let (store, stop, runtime) = (Arc::clone(store), Arc::clone(stop), runtime()?);
    let read = move || {
        let mut latency = Latency::new();
        for turn in (reader as u64) << 40.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let begun = Instant::now();
            let bound = PageBound { items: NEWEST, bytes: usize::MAX };
            let room = &rooms[choose(turn, rooms.len())];
            let page = runtime.block_on(store.entries(room, EntryRange::Before(Seq(u64::MAX)), bound))?;
            if page.entries.windows(2).any(|pair| pair[0].seq.0.abs_diff(pair[1].seq.0) != 1) {
                return Err(StoreBenchError::Read(StoreError::Engine("a page with a hole".into())));
            }
            latency.record(begun.elapsed().as_nanos() as u64);
        }
        Ok(latency)
    };
    std::thread::Builder::new().name("reader".to_owned()).spawn(read)
}
