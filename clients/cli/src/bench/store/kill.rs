//! How long the store takes to open after its process was killed in mid-send, and whether all that it had
//! acknowledged is there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use carillon_hub::store::Store;
use clap::Args;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{Load, Options, StoreBenchError, TENANT, open, room_names, runtime};
use crate::bench::BenchError;
use crate::bench::clock::check_interrupt;
use crate::bench::ledger::Tally;
use crate::bench::server::Server;

/// For how long the process sends before it is killed.
const LIFE: Duration = Duration::from_secs(2);
/// It says this often how much was acknowledged.
const WORD: Duration = Duration::from_millis(5);

/// The process that is killed: opens the store, sends without end, and says how much was acknowledged.
#[derive(Args, Clone, Debug)]
pub(crate) struct Victim {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    in_flight: usize,
    #[arg(long)]
    rooms: usize,
    #[arg(long)]
    size: usize,
}

/// What the killed process says, a line each.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Word {
    /// Messages that were there when it opened the store.
    before: u64,
    /// Messages acknowledged since.
    acked: u64,
}

/// What was found afterwards.
pub(super) struct AfterKill {
    pub(super) reopened: Duration,
    /// Messages acknowledged, to the process's last word.
    pub(super) acked: u64,
    pub(super) tally: Tally,
}

/// Starts a process that sends, kills it, and opens its store.
pub(super) fn measure(folder: &TempDir, data: &Path, options: &Options) -> Result<AfterKill, BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "store-victim", "--data"]).arg(data);
    for (name, value) in
        [("--in-flight", options.in_flight), ("--rooms", options.rooms), ("--size", options.size)]
    {
        command.arg(name).arg(value.to_string());
    }
    let (victim, first): (_, Word) =
        Server::start(&mut command, &folder.path().join("victim.log")).map_err(BenchError::Target)?;
    let end = Instant::now() + LIFE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        check_interrupt()?;
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    let last = victim.kill().and_then(|line| serde_json::from_str(&line).ok()).unwrap_or(first);

    let start = Instant::now();
    let store = open(data)?;
    let reopened = start.elapsed();
    let load = Load::new(TENANT, &room_names("room", options.rooms), options.size)?;
    let stored = stored(&store, &load)?;
    runtime()?.block_on(store.close());
    let expected = last.before + last.acked;
    let tally =
        Tally { delivered: stored.min(expected), lost: expected.saturating_sub(stored), ..Tally::default() };
    Ok(AfterKill { reopened, acked: expected, tally })
}

/// Messages of all rooms.
fn stored(store: &impl Store, load: &Load) -> Result<u64, BenchError> {
    let runtime = runtime()?;
    let mut messages = 0;
    for room in 0..load.rooms() {
        let room = runtime.block_on(store.room(&load.room(room))).map_err(StoreBenchError::Read)?;
        messages += room.map_or(0, |room| room.head_number);
    }
    Ok(messages)
}

/// Runs until it is killed.
pub(in crate::bench) fn run_victim(victim: &Victim) -> Result<(), BenchError> {
    let store = open(&victim.data)?;
    let mut load = Load::new(TENANT, &room_names("room", victim.rooms), victim.size)?;
    let mut word = Word { before: stored(&store, &load)?, acked: 0 };
    say(word)?;
    let mut last = Instant::now();
    let drive = load.drive(&store, victim.in_flight, |acked| {
        word.acked = acked;
        if last.elapsed() > WORD {
            last = Instant::now();
            // Nobody listens any more where this fails: then there is nothing to send for either.
            return say(word).is_ok();
        }
        true
    });
    runtime()?.block_on(drive)?;
    Ok(())
}

fn say(word: Word) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &word)?;
    writeln!(out)?;
    out.flush()
}
