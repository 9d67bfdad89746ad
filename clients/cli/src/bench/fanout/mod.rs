//! `bench fanout`: one message to many receivers, every delivery counted and checked.

mod books;
mod lane;
mod peer;
mod summary;

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::BenchError;
use super::options::{count, positive};
use super::report::Report;
use super::target::{Target, TargetOptions};
use lane::Lane;

/// Deliveries under way when messages are sent as fast as it goes: this many messages to everyone. Fewer than a room's
/// tail keeps, so that no receiver falls back on the store.
const FLOOD_MESSAGES: u64 = 64;
/// What is sent before the measurement, so that code, caches and queues are warm.
const WARM_UP: Duration = Duration::from_millis(500);

/// What to send to whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// Receivers, spread evenly over the rooms.
    #[arg(long, default_value_t = 1_000, value_parser = count(1..=1_000_000))]
    receivers: usize,
    /// Rooms.
    #[arg(long, default_value_t = 1, value_parser = count(1..=60_000))]
    rooms: usize,
    /// Receivers that share a connection.
    #[arg(long, default_value_t = 1, value_parser = count(1..=10_000))]
    per_connection: usize,
    /// Messages per second, over all rooms. Without this and --burst: as fast as it goes, with 64 messages under way.
    #[arg(long, conflicts_with = "burst", value_parser = positive)]
    rate: Option<f64>,
    /// Send this many at once, and the next when all have arrived; at most 64.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    burst: Option<u64>,
    /// Durable messages, or events as the namespace has them.
    #[arg(long, value_enum, default_value_t = What::Message)]
    kind: What,
    /// The rooms' namespace, which must be open to the tenant.
    #[arg(long, default_value = "room")]
    namespace: String,
    /// Bytes of a message's text, 40 to 10,000.
    #[arg(long, default_value_t = 200, value_parser = count(40..=10_000))]
    size: usize,
    /// Seconds of each round.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Seconds without any delivery after which what is missing counts as lost.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    drain: f64,
    /// Rounds; the median of their costs is reported. With --peer the two take turns.
    #[arg(long, default_value_t = 1, value_parser = count(1..=1_000))]
    rounds: usize,
    /// Measure this beside the hub, in the same run.
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// The peer's program. Default: beside this one.
    #[arg(long, value_name = "FILE")]
    peer_binary: Option<std::path::PathBuf>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// `message_send`.
    Message,
    /// `event_publish`.
    Event,
}

/// What the hub is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// The bare tokio writer: a task and a bounded queue per connection, one send per message.
    Raw,
}

/// When messages are sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// Messages per second.
    Rate(f64),
    /// This many at once.
    Burst(u64),
    /// While fewer deliveries than this are under way.
    Flood(u64),
}

impl Options {
    fn pace(&self) -> Pace {
        match (self.rate, self.burst) {
            (Some(rate), _) => Pace::Rate(rate),
            (None, Some(burst)) => Pace::Burst(burst),
            (None, None) => Pace::Flood((FLOOD_MESSAGES * self.receivers as u64 / self.rooms as u64).max(1)),
        }
    }
}

/// Runs it.
pub(super) fn run(options: &Options) -> Result<Report, BenchError> {
    let target = Target::open(&options.target, true)?;
    target.check_shared(options.per_connection)?;
    let peer =
        options.peer.map(|Peer::Raw| peer::start(&target, options.peer_binary.as_deref())).transpose()?;
    let mut hub = Lane::hub(&target, options)?;
    let mut bare = match &peer {
        Some((server, address)) => Some(Lane::bare(*address, server.process(), options)?),
        None => None,
    };
    let (pace, length) = (options.pace(), Duration::from_secs_f64(options.seconds));
    hub.window(pace, WARM_UP)?;
    if let Some(bare) = &mut bare {
        bare.window(pace, WARM_UP)?;
    }
    let (mut hub_windows, mut bare_windows) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        hub_windows.push(hub.window(pace, length)?);
        if let Some(bare) = &mut bare {
            bare_windows.push(bare.window(pace, length)?);
        }
    }
    let bare = bare.as_ref().map(|bare| (&bare.books, &bare_windows[..]));
    Ok(summary::report(options, &target, (&hub.books, &hub_windows), bare))
}
