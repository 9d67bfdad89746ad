//! One file per command.

use std::future::Future;

use anyhow::Context;

use crate::advice::Interrupted;
use crate::args::{Cli, Command};
#[cfg(target_os = "linux")]
use crate::bench::BenchError;
use crate::output::Output;
#[cfg(target_os = "linux")]
use crate::stress::StressError;

pub(crate) mod admin;
pub(crate) mod bridge;
pub(crate) mod chat;
pub(crate) mod config;
pub(crate) mod history;
pub(crate) mod hub;
pub(crate) mod listen;
pub(crate) mod notify;
pub(crate) mod pairs;
pub(crate) mod publish;
pub(crate) mod rooms;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod token;

/// Does what was typed.
pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    let output = Output::new(cli.json);
    match cli.command {
        Command::Serve(args) => serve::run(&args, output),
        Command::Hub(args) => hub::run(&args, output),
        Command::Bridge(args) => bridge::run(&args, output),
        Command::Token(args) => token::run(&args, output),
        Command::Config(args) => config::run(&args, output),
        Command::Store(args) => store::run(&args, output),
        #[cfg(target_os = "linux")]
        Command::Bench(command) => match crate::bench::run(&command, cli.json) {
            Err(BenchError::Interrupted) => Err(Interrupted.into()),
            outcome => Ok(outcome?),
        },
        #[cfg(target_os = "linux")]
        Command::Stress(options) => match crate::stress::run(&options, output) {
            Err(StressError::Interrupted) => Err(Interrupted.into()),
            outcome => Ok(outcome?),
        },
        // These two take Ctrl-C themselves: they have something to put in order.
        Command::Chat(args) => block_on(chat::run(args, output)),
        Command::Listen(args) => block_on(listen::run(args, output)),
        Command::Send(args) => block_on(or_interrupted(send::run(args, output))),
        Command::Publish(args) => block_on(or_interrupted(publish::run(args, output))),
        Command::Notify(args) => block_on(or_interrupted(notify::run(args, output))),
        Command::Rooms(args) => block_on(or_interrupted(rooms::run(args, output))),
        Command::History(args) => block_on(or_interrupted(history::run(args, output))),
        Command::Admin(args) => block_on(or_interrupted(admin::run(args, output))),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let outcome = runtime.block_on(command);
    // A thread may be blocked in reading standard input.
    runtime.shutdown_background();
    outcome
}

async fn or_interrupted(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        outcome = command => outcome,
        _ = tokio::signal::ctrl_c() => Err(Interrupted.into()),
    }
}
