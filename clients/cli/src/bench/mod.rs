//! `carillon bench`: what a hub does and what it costs, every delivery counted and checked.
//!
//! Each benchmark is a file: [`send`], [`fanout`], [`idle`], [`connect`], [`store`], [`store::inbox`], [`hostile`].
//! They talk through [`crate::wire`], a client made to cost little; [`target`] says which hub, and starts one of its own for
//! `--self`; [`crate::child`] is that process, and reads what it used. [`report`] prints a table, or one JSON object.
//!
//! The load generator is one thread. Where it was the bottleneck, the report says so and its figures are lower bounds.

mod affinity;
mod choice;
mod clock;
mod connect;
mod credentials;
mod fanout;
mod gathering;
mod hostile;
mod idle;
mod keys;
mod ledger;
mod options;
mod payload;
mod report;
mod revocations;
mod send;
mod store;
mod target;
#[cfg(test)]
mod tests;
mod tickets;

use clap::Subcommand;

use crate::child::{ServerError, UsageError};
use crate::wire::WireError;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Durable sends, each acknowledged, counted, and read back at the end.
    Send(send::Options),
    /// One message to many receivers: deliveries, their latency, and what each costs.
    Fanout(fanout::Options),
    /// Sessions that do nothing: memory and processor time of each.
    Idle(idle::Options),
    /// Authenticated sessions opened per second.
    Connect(connect::Options),
    /// The embedded store alone, with no hub around it.
    Store(store::Options),
    /// A store alone: what it takes to read all of an inbox, where little is unread and where much is.
    Inbox(store::inbox::Options),
    /// What strangers can do to others: floods and slow ones, who is ended, and what others feel of it.
    Hostile(hostile::Options),
    /// The process that `store` kills.
    #[command(hide = true)]
    StoreVictim(store::Victim),
}

/// Why a benchmark gave no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The client or the hub failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The hub to measure could not be found or started.
    #[error(transparent)]
    Target(#[from] target::TargetError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::StoreBenchError),
    /// Processors could not be set.
    #[error("cannot bind to processors: {0}; name others with --server-cpus and --client-cpus")]
    Affinity(std::io::Error),
    /// What a process used is not known.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// A server to measure did not start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Nothing came for too long.
    #[error("{what} within {seconds} s; the hub's log may say why")]
    Silence {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The figures were printed, and they are bad.
    #[error("something was lost, duplicated, out of order, wrong or refused: see the report")]
    Faults,
    /// Stopped by the user.
    #[error("interrupted")]
    Interrupted,
    /// The report could not be written.
    #[error("cannot write the report: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs a benchmark and prints its report: a table, or with `json` one object.
pub(crate) fn run(command: &Command, json: bool) -> Result<(), BenchError> {
    clock::watch_interrupts()?;
    let report = match command {
        Command::Send(options) => send::run(options)?,
        Command::Fanout(options) => fanout::run(options)?,
        Command::Idle(options) => idle::run(options)?,
        Command::Connect(options) => connect::run(options)?,
        Command::Store(options) => store::run(options)?,
        Command::Inbox(options) => store::inbox::run(options)?,
        Command::Hostile(options) => return hostile::run(options, json),
        Command::StoreVictim(victim) => return store::run_victim(victim),
    };
    let clean = report.is_clean();
    report.print(json)?;
    if clean { Ok(()) } else { Err(BenchError::Faults) }
}
