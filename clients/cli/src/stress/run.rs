//! Runs the scenarios side by side, round after round.

use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::json;
use tokio::task::JoinSet;

use crate::output::{self, Output};
use crate::wire::Transport;

use super::fault::{Fault, within};
use super::gateway::Gateway;
use super::options::Options;
use super::random::Random;
use super::report::{Counts, Memory, Report, Skipped, Verdict};
use super::residue;
use super::scenarios::{ALL, Scenario};
use super::target::{Target, TargetError};
use super::world::{Hub, World};

/// A scenario that takes longer hangs.
const SCENARIO_LIMIT: Duration = Duration::from_secs(120);
/// Time for the hub's allocator to give back what it no longer needs.
const SETTLE: Duration = Duration::from_millis(500);

/// Why nothing came of it, or nothing good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StressError {
    /// There is no hub.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No such scenario.
    #[error("no scenario {0:?}: `carillon stress --list` names them")]
    Unknown(String),
    /// Nothing can be said over it.
    #[error("--transport sse: sessions only listen there; `carillon bench fanout` measures it")]
    OneWay,
    /// The hub has no port for browsers.
    #[error("the hub that was started has no bridge")]
    NoBridge,
    /// Something failed, and was printed.
    #[error("the hub did not hold: see above")]
    Failed,
    /// Stopped by the user.
    #[error("interrupted")]
    Interrupted,
    /// The system refused.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

/// Runs what was asked for, and prints what came of it.
pub(crate) fn run(options: &Options, output: Output) -> Result<(), StressError> {
    if options.list {
        for scenario in ALL {
            let value = json!({ "name": scenario.name, "about": scenario.about });
            output.data(&value, || format!("{:<18} {}", scenario.name, scenario.about))?;
        }
        return Ok(());
    }
    let scenarios = chosen(&options.only)?;
    let seed = match options.seed {
        Some(seed) => seed,
        // Short enough to be typed.
        None => getrandom::u64().map_err(std::io::Error::other)? % 1_000_000,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = rounds(options, seed, &scenarios, output) => outcome,
            _ = tokio::signal::ctrl_c() => Err(StressError::Interrupted),
        }
    });
    runtime.shutdown_background();
    outcome
}

fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>, StressError> {
    if only.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        let found = ALL.iter().find(|scenario| scenario.name == name);
        found.ok_or_else(|| StressError::Unknown(name.clone()))
    };
    only.iter().map(find).collect()
}

async fn rounds(
    options: &Options,
    seed: u64,
    scenarios: &[&'static Scenario],
    output: Output,
) -> Result<(), StressError> {
    let begun = Instant::now();
    let target = Target::open(options)?;
    let (hub, _gateway) = through(options.transport, &target).await?;
    let (scenarios, skipped) = fitting(options.transport, scenarios);
    for scenario in skipped.iter().filter(|_| !output.is_json()) {
        output::line(&scenario.line())?;
    }
    // Another run with the same seed against the same hub must find its rooms empty.
    let run = getrandom::u64().map_err(std::io::Error::other)?;
    let (mut verdicts, mut levels) = (Vec::new(), Vec::new());
    let replay = replay(options);
    for round in 0..options.repeat {
        let seed = seed.wrapping_add(u64::from(round));
        let mut running = JoinSet::new();
        for scenario in &scenarios {
            let tenant = format!("stress-{run:016x}-{round}-{}", scenario.name);
            running.spawn(play(scenario, hub.clone(), tenant, seed, replay.clone()));
        }
        while let Some(verdict) = running.join_next().await {
            let verdict = verdict.map_err(std::io::Error::other)?;
            if !output.is_json() {
                output::line(&verdict.line())?;
            }
            verdicts.push(verdict);
        }
        tokio::time::sleep(SETTLE).await;
        levels.extend(target.resident());
    }
    let report = Report::new(seed, begun.elapsed(), verdicts, Memory::of(&levels), skipped);
    let value = serde_json::to_value(&report).map_err(std::io::Error::other)?;
    output.data(&value, || report.summary())?;
    if report.passed { Ok(()) } else { Err(StressError::Failed) }
}

/// The hub as sessions reach it on this transport, and what takes them there.
async fn through(transport: Transport, target: &Target) -> Result<(Hub, Option<Gateway>), StressError> {
    if transport == Transport::Sse {
        return Err(StressError::OneWay);
    }
    let Some(form) = transport.form() else { return Ok((target.hub.clone(), None)) };
    let bridge = target.bridge.ok_or(StressError::NoBridge)?;
    let gateway = Gateway::open(bridge, form).await.map_err(std::io::Error::other)?;
    Ok((Hub { sessions: gateway.address, ..target.hub.clone() }, Some(gateway)))
}

/// The scenarios that make sense on this transport, and the others.
fn fitting(transport: Transport, scenarios: &[&'static Scenario]) -> (Vec<&'static Scenario>, Vec<Skipped>) {
    let (mut fitting, mut skipped) = (Vec::new(), Vec::new());
    for scenario in scenarios {
        match scenario.over.refuses(transport) {
            None => fitting.push(*scenario),
            Some(why) => skipped.push(Skipped { scenario: scenario.name, why }),
        }
    }
    (fitting, skipped)
}

/// The command that takes the same hub again.
fn replay(options: &Options) -> String {
    let hub = match (&options.secret_file, options.own) {
        (_, true) => "--self".to_owned(),
        (Some(file), _) => format!("--addr {} --secret-file {}", options.addr, file.display()),
        (None, _) => format!("--addr {} --data {}", options.addr, options.data.display()),
    };
    let over = match options.transport {
        Transport::Grpc => String::new(),
        transport => format!(" --transport {}", transport.name()),
    };
    let bridge = match (options.transport, options.own) {
        (Transport::Grpc, _) | (_, true) => String::new(),
        _ => format!(" --bridge {}", options.bridge),
    };
    format!("carillon stress {hub}{bridge}{over}")
}

/// Plays one scenario in a tenant of its own, and looks for what it left behind.
async fn play(scenario: &'static Scenario, hub: Hub, tenant: String, seed: u64, replay: String) -> Verdict {
    let begun = Instant::now();
    let playing = async {
        let world = World::new(hub, &tenant)?;
        let counts = (scenario.play)(world.clone(), Random::new(seed, scenario.name)).await?;
        residue::none(&world).await?;
        Ok::<Counts, Fault>(counts)
    };
    let outcome = within(SCENARIO_LIMIT, "the scenario ends", playing.boxed()).await;
    let (passed, counts, fault) = match outcome {
        Ok(counts) => (true, counts, None),
        Err(fault) => (false, Counts::default(), Some(fault.to_string())),
    };
    let replay = (!passed).then(|| format!("{replay} --seed {seed} --only {}", scenario.name));
    let seconds = begun.elapsed().as_secs_f64();
    Verdict { scenario: scenario.name, seed, passed, seconds, counts, fault, replay }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_chosen_by_name_and_names_are_told_apart() {
        assert_eq!(chosen(&[]).unwrap().len(), ALL.len());
        let two = chosen(&["fanout".to_owned(), "random_mix".to_owned()]).unwrap();
        assert_eq!(two.iter().map(|s| s.name).collect::<Vec<_>>(), ["fanout", "random_mix"]);
        assert!(matches!(chosen(&["nothing".to_owned()]), Err(StressError::Unknown(_))));
        let all = chosen(&[]).unwrap();
        for (transport, skips) in [(Transport::Grpc, &[][..]), (Transport::Ws, &["malformed", "slow_reader"])]
        {
            let (fits, skipped) = fitting(transport, &all);
            assert_eq!(skipped.iter().map(|skipped| skipped.scenario).collect::<Vec<_>>(), skips);
            assert_eq!(fits.len() + skips.len(), all.len());
        }
        let mut names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
