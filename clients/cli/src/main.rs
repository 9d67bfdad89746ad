//! The `carillon` command.

use clap::Parser;

#[cfg(target_os = "linux")]
mod bench;

/// Run a hub, talk through it, administer and measure it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Print data as one JSON object per line.
    #[arg(long, global = true)]
    json: bool,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Measure a hub: sends, fan-out, idle sessions, connections.
    #[cfg(target_os = "linux")]
    #[command(subcommand)]
    Bench(bench::Command),
}

fn main() -> anyhow::Result<()> {
    let Arguments { json, command } = Arguments::parse();
    match command {
        #[cfg(target_os = "linux")]
        Command::Bench(command) => Ok(bench::run(&command, json)?),
    }
}
