//! Whether Redis is there: each server is read and written, again and again, beside all that goes on, so that no length of
//! work looks like a silence. What is read says whether it answers, and what is written whether it takes anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use redis::aio::ConnectionLike;
use redis::{Pipeline, Value, cmd};
use tokio::time::MissedTickBehavior;

use crate::domain::position::Epoch;
use crate::domain::time::Timestamp;
use crate::redis::{Durability, Server, Way, is_moving};

use super::answer::Answer;
use super::barrier::{self, Written};
use super::epochs;
use super::lives;
use super::partitions::time_in;
use super::shared::Shared;

/// What a server says of the time within so long is what it is.
const SOON: Duration = Duration::from_millis(250);

/// When all servers last did what they were asked.
pub(super) struct Beats {
    read: Mutex<(Instant, Timestamp)>,
    /// When the one did that has the hub's identity.
    hubs: Mutex<Instant>,
    written: Mutex<Instant>,
    /// Whether a server refused the last write.
    refused: AtomicBool,
    /// By how many milliseconds this machine's clock is behind the hub's server's; 0 where it is not.
    behind: AtomicU64,
}

impl Beats {
    /// They were just connected, at this time by the clock.
    pub(super) fn new(time: Timestamp) -> Self {
        let now = Instant::now();
        Self {
            read: Mutex::new((now, time)),
            hubs: Mutex::new(now),
            written: Mutex::new(now),
            refused: AtomicBool::new(false),
            behind: AtomicU64::new(0),
        }
    }
}

impl Shared {
    /// Whether every server is connected, and answers: one that stands still keeps its connections.
    pub(super) fn is_there(&self) -> bool {
        self.link.is_whole() && self.is_recent(self.silence())
    }

    /// How long ago they answered.
    fn silence(&self) -> Duration {
        self.beats.read.lock().0.elapsed()
    }

    /// Whether the server that has the hub's identity is connected, and answers.
    pub(super) fn has_hub(&self) -> bool {
        self.link.server(self.names.hub().as_bytes()).is_some() && self.is_recent(self.silence_of_hub())
    }

    /// How long ago that one answered.
    pub(super) fn silence_of_hub(&self) -> Duration {
        self.beats.hubs.lock().elapsed()
    }

    /// How long ago all of them answered and took what was written.
    pub(super) fn silence_of_any(&self) -> Duration {
        self.silence().max(self.beats.written.lock().elapsed())
    }

    /// Since when they are not there: when they answered last.
    pub(super) fn away_since(&self) -> Option<Timestamp> {
        (!self.is_there()).then(|| self.beats.read.lock().1)
    }

    /// Whether every server takes what is written, and enough replicas do where they are waited for.
    pub(super) fn takes_writes(&self) -> bool {
        !self.beats.refused.load(Ordering::Relaxed) && self.is_recent(self.beats.written.lock().elapsed())
    }

    /// By how much this machine's clock is behind that of the server that has the hub's identity.
    pub(super) fn behind(&self) -> Duration {
        Duration::from_millis(self.beats.behind.load(Ordering::Relaxed))
    }

    /// That server says that it is `time`; it was `asked` then. This machine is behind by no less: of an answer that was long on its
    /// way, or not looked at for long, that is all that is known.
    fn note_time(&self, time: Timestamp, asked: Instant) {
        let behind = time.millis().saturating_sub(self.now().millis());
        let (behind, known) = (u64::try_from(behind).unwrap_or(0), &self.beats.behind);
        if asked.elapsed() < SOON {
            known.store(behind, Ordering::Relaxed);
        } else {
            known.fetch_max(behind, Ordering::Relaxed);
        }
    }

    fn is_recent(&self, ago: Duration) -> bool {
        ago < self.options.redis.answer_timeout + 3 * self.options.sweep
    }
}

/// Reads and writes until cancelled. Neither waits for the other.
pub(super) async fn run(shared: Arc<Shared>) {
    let cancel = shared.cancel.clone();
    let beating = async { tokio::join!(reads(&shared), writes(&shared)) };
    tokio::select! {
        _ = beating => {}
        () = cancel.cancelled() => {}
    }
}

/// Learns what time it is, before anybody is let in.
pub(super) async fn learn_time(shared: &Shared) {
    let server = shared.link.server(shared.names.hub().as_bytes());
    let asked = Instant::now();
    // Where it does not say the first beat does.
    if let Some(server) = server
        && let Ok(time) = shared.time_of(&server).await
    {
        shared.note_time(time, asked);
    }
}

fn ticks(shared: &Shared) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(shared.options.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn reads(shared: &Arc<Shared>) {
    let mut ticks = ticks(shared);
    loop {
        ticks.tick().await;
        let servers = shared.link.servers();
        let are_there = join_all(servers.iter().map(|server| read(shared, server.clone()))).await;
        if shared.link.is_whole() && are_there.into_iter().all(|is_there| is_there) {
            *shared.beats.read.lock() = (Instant::now(), shared.now());
        }
    }
}

/// Whether a server answers. What the one says that has the hub's identity counts.
async fn read(shared: &Arc<Shared>, mut server: Server) -> bool {
    let hub = shared.names.hub();
    let is_hubs = shared.link.is_owner(&server, hub.as_bytes());
    let mut questions = Pipeline::new();
    if is_hubs {
        questions.cmd("HMGET").arg(hub).arg("epoch").arg("secret").cmd("TIME");
    } else {
        let beats = barrier::beats(&shared.link, &shared.names, &server);
        questions.cmd("GET").arg(beats.first().map_or("", String::as_str));
    }
    let (asked, many) = (Instant::now(), questions.len());
    let asking = async {
        let answers = server.connection.req_packed_commands(&questions, 0, many).await?;
        answers.into_iter().map(Value::extract_error).collect::<redis::RedisResult<Vec<_>>>()
    };
    match shared.link.traffic().count(asking).await {
        Ok(answers) => {
            server.answered(Way::Reads);
            shared.counters.note_round_trip(asked.elapsed());
            let is_there = !is_hubs || take_identity(shared, server, answers, asked);
            if is_hubs && is_there {
                *shared.beats.hubs.lock() = Instant::now();
            }
            is_there
        }
        Err(error) => {
            shared.link.failed(&server, &error, Way::Reads);
            // One of which that slot is on its way to another one is there.
            is_moving(&error)
        }
    }
}

/// Takes what a server says of epoch, secret and time. Another epoch: another node has found that something was lost. None: all of
/// it is, while the connection stayed; another one is opened, and looks what is there. What a connection brings after it was
/// replaced may be of a server that is not the one any more.
fn take_identity(shared: &Arc<Shared>, server: Server, answers: Vec<Value>, asked: Instant) -> bool {
    if server.is_replaced() {
        return false;
    }
    let mut answers = answers.into_iter();
    let (Some(answer), Some(time)) = (answers.next(), answers.next()) else { return true };
    if let Ok(time) = time_in(time) {
        shared.note_time(time, asked);
    }
    let mut answer = Answer::new(answer);
    let (Ok(epoch), Ok(secret)) = (answer.count(), answer.bytes()) else { return true };
    if epoch == 0 || secret.is_none() {
        shared.link.lost(&server);
        return false;
    }
    if Epoch(epoch) != shared.epoch() {
        let shared_there = Arc::clone(shared);
        // Beside the beat: replicas may have to be waited for.
        shared.runtime.spawn(async move { epochs::adopt(&shared_there, &server, Epoch(epoch)).await });
    }
    true
}

/// What came of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Taken,
    /// There was no answer, or too few replicas have it.
    Unknown,
    Refused,
}

async fn writes(shared: &Arc<Shared>) {
    let mut ticks = ticks(shared);
    loop {
        ticks.tick().await;
        let servers = shared.link.servers();
        let written = join_all(servers.iter().map(|server| write(shared, server.clone()))).await;
        let is_refused = written.contains(&Write::Refused);
        if shared.beats.refused.swap(is_refused, Ordering::Relaxed) && !is_refused {
            tracing::info!("redis takes what is written again");
        }
        if shared.link.is_whole() && written.iter().all(|write| *write == Write::Taken) {
            *shared.beats.written.lock() = Instant::now();
        }
    }
}

async fn write(shared: &Arc<Shared>, mut server: Server) -> Write {
    match write_there(shared, &mut server).await {
        Write::Taken => {}
        other => return other,
    }
    if shared.link.is_owner(&server, shared.names.hub().as_bytes())
        && let Err(error) = lives::beat(shared, &mut server).await
    {
        shared.link.failed(&server, &error, Way::Reads);
        // The other server will hear it.
        return if is_moving(&error) { Write::Taken } else { Write::Unknown };
    }
    if !matches!(shared.options.durability, Durability::Replicas(_)) {
        return Write::Taken;
    }
    match shared.make_durable(&Written(server)).await {
        Ok(()) => Write::Taken,
        Err(_) => Write::Unknown,
    }
}

/// Where a slot is on its way to another server the write goes to another slot.
async fn write_there(shared: &Shared, server: &mut Server) -> Write {
    for key in barrier::beats(&shared.link, &shared.names, server) {
        let mut set = cmd("SET");
        set.arg(key).arg(1);
        let asking = async { server.connection.req_packed_command(&set).await?.extract_error() };
        let Err(error) = shared.link.traffic().count(asking).await else { return Write::Taken };
        shared.link.failed(server, &error, Way::Reads);
        if is_moving(&error) {
            continue;
        }
        let Some(code) = error.code() else { return Write::Unknown };
        if !shared.beats.refused.load(Ordering::Relaxed) {
            tracing::error!(code, "redis refuses what is written: nothing is committed");
        }
        return Write::Refused;
    }
    Write::Unknown
}
