//! `bench hostile`: what strangers can do to others. While attackers do their worst, pairs write to each other; what they
//! feel of it is compared with a quiet time before, and whether the attackers' connections were ended is said.

mod attacks;
mod http2;
mod victims;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::BenchError;
use super::options::{count, positive};
use super::target::{Target, TargetError, TargetOptions};
use attacks::{ATTACKS, Attack, Port};
use victims::{Pair, Seen, talk};

/// What to suffer.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// Only these attacks; several, with commas.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Attackers at a time, each with a connection.
    #[arg(long, default_value_t = 4, value_parser = count(1..=64))]
    attackers: usize,
    /// Pairs of people who write to each other.
    #[arg(long, default_value_t = 8, value_parser = count(1..=256))]
    pairs: usize,
    /// Seconds of each attack. It goes on until the first are ended, at most a minute.
    #[arg(long, default_value_t = 3.0, value_parser = positive)]
    seconds: f64,
}

/// What one attack did.
struct Outcome {
    name: &'static str,
    attacked: Tally,
    seen: Seen,
}

/// What attackers did, and what became of them.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Connections that they opened.
    connections: u64,
    /// Those that the other side ended.
    ended: u64,
    /// Bytes that they sent.
    bytes: u64,
}

/// An attack that is not ended by then never is.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs it, and prints a line for each attack.
pub(super) fn run(options: &Options, json: bool) -> Result<(), BenchError> {
    let target = Target::open(&options.target, false)?;
    let bridge = target.bridge.ok_or(TargetError::NoBridge)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let url = format!("http://{}", target.grpc);
    let entering = async {
        let mut pairs = Vec::new();
        for number in 0..options.pairs {
            let tokens = [0, 1].map(|side| target.credentials.token(2 * number + side));
            pairs.push(Pair::enter(&url, number, tokens).await?);
        }
        anyhow::Ok(pairs)
    };
    let mut pairs = runtime.block_on(entering).map_err(std::io::Error::other)?;
    let tokens: Vec<_> =
        (0..options.attackers).map(|n| target.credentials.token(2 * options.pairs + n)).collect();
    let length = Duration::from_secs_f64(options.seconds);
    let mut is_clean = true;
    let chosen =
        ATTACKS.iter().filter(|a| options.only.is_empty() || options.only.iter().any(|n| n == a.name));
    for attack in [None].into_iter().chain(chosen.map(Some)) {
        super::clock::check_interrupt()?;
        let address = match attack.map(|attack| attack.port) {
            Some(Port::Bridge) => bridge,
            _ => target.grpc,
        };
        let outcome = suffer(&runtime, (attack, address, &tokens), length, &mut pairs)?;
        is_clean &= outcome.is_clean();
        outcome.print(json)?;
    }
    if is_clean { Ok(()) } else { Err(BenchError::Faults) }
}

/// Lets the pairs talk while an attack goes on, or nothing.
fn suffer(
    runtime: &tokio::runtime::Runtime,
    (attack, address, tokens): (Option<&'static Attack>, SocketAddr, &[String]),
    length: Duration,
    pairs: &mut [Pair],
) -> Result<Outcome, BenchError> {
    let over = AtomicBool::new(false);
    let (attacked, seen) = std::thread::scope(|scope| {
        let attacking = scope.spawn(|| {
            let tally = attack.map(|attack| attack_all(attack, address, tokens, length));
            if tally.is_none() {
                std::thread::sleep(length);
            }
            over.store(true, Ordering::Relaxed);
            tally.unwrap_or_default()
        });
        let seen = runtime.block_on(talk(pairs, &over));
        (attacking.join().unwrap_or_default(), seen)
    });
    let seen = seen.map_err(std::io::Error::other)?;
    Ok(Outcome { name: attack.map_or("none", |attack| attack.name), attacked, seen })
}

/// So many attackers at once, until all are done.
fn attack_all(attack: &Attack, address: SocketAddr, tokens: &[String], length: Duration) -> Tally {
    let until = Instant::now() + length;
    std::thread::scope(|scope| {
        let attackers: Vec<_> =
            tokens.iter().map(|token| scope.spawn(move || attacks(attack, address, token, until))).collect();
        let tallies = attackers.into_iter().map(|attacker| attacker.join().unwrap_or_default());
        tallies.fold(Tally::default(), |a, b| Tally {
            connections: a.connections + b.connections,
            ended: a.ended + b.ended,
            bytes: a.bytes + b.bytes,
        })
    })
}

/// One attacker: connections one after the other, the first until it is ended; of a slow attack one.
fn attacks(attack: &Attack, address: SocketAddr, token: &str, until: Instant) -> Tally {
    let mut tally = Tally::default();
    let patience = Instant::now() + PATIENCE;
    while tally.connections == 0 || Instant::now() < until {
        let limit = if tally.connections == 0 { patience } else { until };
        let Ok(became) = attack.run(address, token, limit) else { break };
        tally.connections += 1;
        tally.ended += u64::from(became.is_ended);
        tally.bytes += became.bytes as u64;
        if attack.is_slow {
            break;
        }
    }
    tally
}

impl Outcome {
    /// Whether all that was acknowledged was heard, and attackers were ended.
    fn is_clean(&self) -> bool {
        self.seen.sent == self.seen.heard && self.seen.sent > 0 && self.is_ended()
    }

    /// Whether attackers were ended.
    fn is_ended(&self) -> bool {
        self.attacked.connections == 0 || self.attacked.ended > 0
    }

    fn print(&self, json: bool) -> Result<(), BenchError> {
        let Self { name, attacked: Tally { connections, ended, bytes }, seen } = self;
        let [p50, p99] =
            seen.latency.as_ref().map_or([0.0; 2], |latency| [0.5, 0.99].map(|q| latency.quantile_ms(q)));
        if json {
            let value = json!({
                "attack": name, "connections": connections, "ended": ended, "bytes": bytes,
                "sent": seen.sent, "heard": seen.heard, "p50_ms": p50, "p99_ms": p99,
            });
            crate::output::line(&value.to_string())?;
        } else {
            crate::output::line(&format!(
                "{name:<18} others' p50 {p50:7.2} ms, p99 {p99:7.2} ms, {} of {} heard; \
                 {ended} of {connections} connections ended after {:.1} MB",
                seen.heard,
                seen.sent,
                *bytes as f64 / 1e6,
            ))?;
        }
        Ok(())
    }
}
