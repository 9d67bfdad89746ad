//! `bench send`: durable sends, each acknowledgement checked, and everything that was acknowledged read back.

mod engine;
mod pages;
mod rooms;

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::BenchError;
use super::options::{count, positive};
use super::report::{Figures, Latency, Report};
use super::store;
use super::target::{Target, TargetOptions};
use crate::child::Process;
use engine::{Engine, Until};

/// Sends before the measurement, so that code, caches and queues are warm. They are checked like the others.
const WARM_UP: Duration = Duration::from_secs(1);

/// What to send.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// Sends under way at once, over all connections; at most 64 for each.
    #[arg(long, default_value_t = 256, value_parser = count(1..=65_536))]
    in_flight: usize,
    /// Connections, each with one session. Default: one for each 16 in flight.
    #[arg(long, value_parser = count(1..=10_000))]
    connections: Option<usize>,
    /// Rooms, of which each send takes one at random.
    #[arg(long, default_value_t = 1_000, value_parser = count(1..=1_000_000))]
    rooms: usize,
    /// The rooms' namespace, which must be durable and open to the tenant.
    #[arg(long, default_value = "room")]
    namespace: String,
    /// Bytes of a message's text, 40 to 10,000.
    #[arg(long, default_value_t = 200, value_parser = count(40..=10_000))]
    size: usize,
    /// Seconds.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Messages stored before the measurement, over the same rooms.
    #[arg(long, default_value_t = 0)]
    preload: u64,
}

impl Options {
    /// Sessions, and how many sends each has under way.
    fn split(&self) -> (usize, usize) {
        let connections = self.connections.unwrap_or(self.in_flight.div_ceil(16)).min(self.in_flight);
        (connections, self.in_flight.div_ceil(connections).min(engine::IN_FLIGHT))
    }
}

/// Runs it.
pub(super) fn run(options: &Options) -> Result<Report, BenchError> {
    let names = store::room_names(&options.namespace, options.rooms);
    let preload = options.preload > 0;
    // Into a folder of our own through the store itself, which is faster and leaves the hub's memory as it is.
    let target = Target::open_prepared(&options.target, false, |data| {
        if preload {
            let store = store::open(data)?;
            let mut load = store::Load::new(&options.target.tenant, &names, options.size)?;
            store::preload(&store, &mut load, options.preload)?;
        }
        Ok(())
    })?;
    target.check_two_way()?;
    let (connections, each) = options.split();
    let mut engine = Engine::open(&target, connections, names, options.size)?;
    if preload && !options.target.own {
        engine.run(Until::Acked(options.preload), engine::IN_FLIGHT, "storing messages")?;
    }
    engine.start_afresh()?;
    engine.run(Until::Time(WARM_UP), each, "warming up")?;

    let acked = engine.acked;
    engine.latency = Latency::new();
    let (server, client) = (cpu(target.process.as_ref())?, Process::this().cpu()?);
    let wall = engine.run(Until::Time(Duration::from_secs_f64(options.seconds)), each, "sending")?;
    let server = cpu(target.process.as_ref())?.saturating_sub(server);
    let client = Process::this().cpu()?.saturating_sub(client);
    let acked = engine.acked - acked;

    let mut figures = Figures { acked_per_s: Some(acked as f64 / wall.as_secs_f64()), ..Figures::default() };
    figures.latency(&engine.latency);
    figures.client(client, wall);
    if target.process.is_some() {
        figures.server_cpu = Some(server.as_secs_f64() / wall.as_secs_f64());
        figures.server_cpu_us_per_send = Some(server.as_secs_f64() * 1e6 / acked.max(1) as f64);
    }
    let check = engine.read_back()?;
    figures.tally(check.tally, check.acked);
    let mut report = Report::new("send", parameters(options, &target, connections, each), figures);
    report.faults = check.faults;
    if check.faults > 0 {
        report.notes.push(format!("{} acknowledgements or stored messages were wrong", check.faults));
    }
    Ok(report)
}

/// Zero where the process is not ours.
fn cpu(process: Option<&Process>) -> Result<Duration, BenchError> {
    Ok(process.map(Process::cpu).transpose()?.unwrap_or_default())
}

fn parameters(
    options: &Options,
    target: &Target,
    connections: usize,
    each: usize,
) -> Vec<(&'static str, Value)> {
    let mut parameters = vec![
        ("in_flight", (connections * each).into()),
        ("connections", connections.into()),
        ("rooms", options.rooms.into()),
        ("size", options.size.into()),
        ("seconds", options.seconds.into()),
        ("preload", options.preload.into()),
    ];
    parameters.extend(target.describe());
    parameters
}
