//! `bench connect`: authenticated sessions opened, and ended, per second.

use std::collections::HashMap;
use std::time::Duration;

use carillon_proto::v1::Goodbye;
use carillon_proto::v1::session_request::Command;
use clap::Args;

use super::BenchError;
use super::clock::{Clock, Watchdog};
use super::gathering::{HELLO_ID, hello};
use super::options::{count, positive};
use super::report::{Figures, Latency, Report, progress};
use super::revocations;
use super::target::{Target, TargetOptions};
use crate::child::Process;
use crate::wire::scan::kind;
use crate::wire::{Event, Fleet, Session, WireError};

const GOODBYE_ID: u32 = 2;

/// What to open.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// Connections being opened at once.
    #[arg(long, default_value_t = 32, value_parser = count(1..=10_000))]
    in_flight: usize,
    /// Seconds.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    seconds: f64,
    /// Different users, taken in turn; each has at most a session or two at a time.
    #[arg(long, default_value_t = 1_000, value_parser = count(1..=1_000_000))]
    users: usize,
    /// With --self: revoke so many tokens that nobody bears before, so that each session is compared with them.
    #[arg(long, default_value_t = 0, requires = "own", value_parser = count(0..=200_000))]
    revocations: usize,
}

/// Sessions on their way, and what became of the others.
struct Churn {
    clock: Clock,
    /// Where each session under way stands.
    under_way: HashMap<Session, Stage>,
    opened: Vec<Session>,
    ended: Vec<Session>,
    connected: u64,
    failed: u64,
    /// The first failure, for the report.
    failure: Option<String>,
    latency: Latency,
}

/// Where a session stands.
#[derive(Clone, Copy)]
enum Stage {
    /// Begun at this time by the clock.
    Opening(u64),
    /// It has said goodbye.
    Leaving,
}

/// Runs it.
pub(super) fn run(options: &Options) -> Result<Report, BenchError> {
    let target = Target::open(&options.target, false)?;
    target.check_two_way()?;
    if options.revocations > 0 {
        revocations::revoke(&target, options.revocations)?;
    }
    let tokens: Vec<String> = (0..options.users).map(|user| target.credentials.token(user)).collect();
    let mut fleet = Fleet::new()?;
    let mut churn = Churn::new();
    let server = target.process.as_ref().map(Process::cpu).transpose()?;
    let client = Process::this().cpu()?;
    let length = Duration::from_secs_f64(options.seconds);
    let bar = progress(length.as_secs(), "connecting");
    let mut watchdog = Watchdog::new("the hub opened no further session");
    let mut count = 0;
    loop {
        let elapsed = Duration::from_nanos(churn.clock.nanoseconds());
        while elapsed < length && churn.under_way.len() < options.in_flight {
            let session = fleet.open(target.address, target.speech, 1)?;
            fleet.command(session, HELLO_ID, hello(tokens[count % tokens.len()].clone()));
            churn.under_way.insert(session, Stage::Opening(churn.clock.nanoseconds()));
            count += 1;
        }
        if churn.under_way.is_empty() {
            break;
        }
        fleet.turn(Duration::from_millis(100), |session, event| churn.take(session, &event))?;
        for session in churn.opened.drain(..) {
            fleet.command(session, GOODBYE_ID, Command::Goodbye(Goodbye::default()));
        }
        churn.ended.drain(..).for_each(|session| fleet.close(session));
        bar.set_position(elapsed.as_secs());
        watchdog.check(churn.connected + churn.failed)?;
    }
    bar.finish_and_clear();
    let wall = Duration::from_nanos(churn.clock.nanoseconds());
    let server_now = target.process.as_ref().map(Process::cpu).transpose()?;
    let server = server.zip(server_now).map(|(before, now)| now.saturating_sub(before));
    Ok(churn.report(options, &target, wall, server, Process::this().cpu()?.saturating_sub(client)))
}

impl Churn {
    fn new() -> Self {
        Self {
            clock: Clock::start(),
            under_way: HashMap::new(),
            opened: Vec::new(),
            ended: Vec::new(),
            connected: 0,
            failed: 0,
            failure: None,
            latency: Latency::new(),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a fleet's turn expects")]
    fn take(&mut self, session: Session, event: &Event<'_>) -> Result<(), WireError> {
        let Some(stage) = self.under_way.get(&session).copied() else { return Ok(()) };
        match (event, stage) {
            (Event::Response(response), Stage::Opening(begun)) => match response.kind {
                kind::CONNECTED => {
                    self.latency.record(self.clock.nanoseconds() - begun);
                    self.connected += 1;
                    self.under_way.insert(session, Stage::Leaving);
                    self.opened.push(session);
                }
                kind::ERROR => self.fail(session, &response.refusal()),
                _ => {}
            },
            // Automatic rooms may still say something.
            (Event::Response(_), Stage::Leaving) => {}
            (end, Stage::Opening(_)) => self.fail(session, &end.unexpected()),
            (_, Stage::Leaving) => self.end(session),
        }
        Ok(())
    }

    fn fail(&mut self, session: Session, failure: &WireError) {
        self.failed += 1;
        self.failure.get_or_insert_with(|| failure.to_string());
        self.end(session);
    }

    fn end(&mut self, session: Session) {
        self.under_way.remove(&session);
        self.ended.push(session);
    }

    fn report(
        self,
        options: &Options,
        target: &Target,
        wall: Duration,
        server: Option<Duration>,
        client: Duration,
    ) -> Report {
        let mut figures = Figures {
            sessions_per_s: Some(self.connected as f64 / wall.as_secs_f64()),
            failed: Some(self.failed),
            server_cpu: server.map(|server| server.as_secs_f64() / wall.as_secs_f64()),
            server_cpu_us_per_session: server
                .map(|server| server.as_secs_f64() * 1e6 / self.connected.max(1) as f64),
            ..Figures::default()
        };
        figures.latency(&self.latency);
        figures.client(client, wall);
        let mut parameters = vec![
            ("in_flight", options.in_flight.into()),
            ("revocations", options.revocations.into()),
            ("users", options.users.into()),
            ("seconds", options.seconds.into()),
        ];
        parameters.extend(target.describe());
        let mut report = Report::new("connect", parameters, figures);
        report.notes.extend(self.failure.map(|failure| format!("the first failure: {failure}")));
        report
    }
}
