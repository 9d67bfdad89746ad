//! `bench idle`: what sessions cost that do nothing.

use std::time::{Duration, Instant};

use clap::Args;

use super::BenchError;
use super::clock::check_interrupt;
use super::gathering::{Gathering, Opening};
use super::options::{count, positive};
use super::report::{Figures, Report, progress};
use super::target::{Target, TargetOptions};
use crate::child::Process;
use crate::wire::{Event, Fleet, WireError};

/// What to hold.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// Sessions.
    #[arg(long, default_value_t = 5_000, value_parser = count(1..=1_000_000))]
    sessions: usize,
    /// Sessions that share a connection.
    #[arg(long, default_value_t = 1, value_parser = count(1..=10_000))]
    per_connection: usize,
    /// A room that every session joins, as room:idle; with {} in it, where the session's number stands, one for each. Without it:
    /// none but those that are joined automatically.
    #[arg(long)]
    room: Option<String>,
    /// Seconds after the last session was opened before memory is read, so that what opening took is given back.
    #[arg(long, default_value_t = 3.0, value_parser = positive)]
    settle: f64,
    /// Seconds for which the idle processor time is measured then.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    seconds: f64,
}

/// Runs it.
pub(super) fn run(options: &Options) -> Result<Report, BenchError> {
    let target = Target::open(&options.target, false)?;
    target.check_two_way()?;
    target.check_shared(options.per_connection)?;
    let mut fleet = Fleet::new()?;
    let room = |index: usize| options.room.as_ref().map(|room| room.replace("{}", &index.to_string()));
    let opening = |index| Ok(Opening::Session { token: target.credentials.token(index), room: room(index) });
    let gathering = |sessions, per_connection, title| Gathering {
        address: target.address,
        speech: target.speech,
        sessions,
        per_connection,
        title,
    };
    // The first session also pays for what the hub makes once.
    gathering(1, 1, "opening a first session").open(&mut fleet, opening)?;
    hold(&mut fleet, Duration::from_secs(1), "settling")?;
    let before = resident(target.process.as_ref())?;
    let start = Instant::now();
    gathering(options.sessions, options.per_connection, "opening sessions")
        .open(&mut fleet, |index| opening(index + 1))?;
    let opened = start.elapsed();
    hold(&mut fleet, Duration::from_secs_f64(options.settle), "settling")?;
    let after = resident(target.process.as_ref())?;

    let cpu = |process: &Process| process.cpu();
    let server = target.process.as_ref().map(cpu).transpose()?;
    let start = Instant::now();
    hold(&mut fleet, Duration::from_secs_f64(options.seconds), "idling")?;
    let wall = start.elapsed();
    let server = server.zip(target.process.as_ref().map(cpu).transpose()?);

    let sessions = options.sessions as f64;
    let figures = Figures {
        sessions_per_s: Some(sessions / opened.as_secs_f64()),
        rss_bytes_per_session: before
            .zip(after)
            .map(|(before, after)| after.saturating_sub(before) as f64 / sessions),
        server_cpu: server
            .map(|(before, after)| after.saturating_sub(before).as_secs_f64() / wall.as_secs_f64()),
        ..Figures::default()
    };
    let mut parameters = vec![
        ("sessions", options.sessions.into()),
        ("per_connection", options.per_connection.into()),
        ("room", options.room.clone().into()),
        ("rss_before", before.into()),
        ("rss_after", after.into()),
    ];
    parameters.extend(target.describe());
    Ok(Report::new("idle", parameters, figures))
}

/// Nothing where the process is not ours.
fn resident(process: Option<&Process>) -> Result<Option<u64>, BenchError> {
    Ok(process.map(Process::resident).transpose()?)
}

/// Answers pings and takes pushes for this long. A session that ends is a failure.
fn hold(fleet: &mut Fleet, length: Duration, title: &'static str) -> Result<(), BenchError> {
    let start = Instant::now();
    let bar = progress(length.as_secs(), title);
    while let Some(left) = length.checked_sub(start.elapsed()) {
        check_interrupt()?;
        fleet.turn(left.min(Duration::from_millis(100)), |_, event| match event {
            Event::Response(_) => Ok::<(), WireError>(()),
            end => Err(end.unexpected()),
        })?;
        bar.set_position(start.elapsed().as_secs());
    }
    bar.finish_and_clear();
    Ok(())
}
