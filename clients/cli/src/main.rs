//! The `carillon` command: run a hub, talk through it, administer and measure it.
//!
//! `args` says what can be typed, `commands` holds one file per command, `connect` finds the hub and the token,
//! `render` makes text and JSON of what comes. Client commands know the hub through the client library alone.

use std::process::ExitCode;

use clap::Parser;

mod advice;
mod args;
#[cfg(target_os = "linux")]
mod bench;
mod browsers;
#[cfg(target_os = "linux")]
mod child;
mod commands;
mod connect;
mod dev_tokens;
mod environment;
mod hub_process;
mod output;
mod positions_file;
mod render;
mod stdin;
mod stop_signals;
#[cfg(target_os = "linux")]
mod stress;
#[cfg(target_os = "linux")]
mod wire;

/// Connections make and free many small buffers: jemalloc keeps them smaller than the system's allocator (the prototype
/// `fan` measured it).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit codes stand in `args`, for `--help`.
fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let kind = cli.command.kind();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => advice::report(&error, kind),
    }
}
