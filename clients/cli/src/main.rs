//! The `carillon` command.

use std::process::ExitCode;

use clap::Parser;

#[cfg(target_os = "linux")]
mod bench;

/// Run a hub, talk through it, administer and measure it.
#[derive(Parser)]
#[command(version)]
enum Arguments {
    /// Measure a hub: sends, fan-out, idle sessions, connections.
    #[cfg(target_os = "linux")]
    #[command(subcommand)]
    Bench(bench::Command),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse() {
        #[cfg(target_os = "linux")]
        Arguments::Bench(command) => Ok(bench::run(&command)?),
    }
}
