//! `carillon hub`: a hub as its configuration says.

use std::path::PathBuf;

use carillon_hub::config::Config;
use clap::Args;

use crate::hub_process;
use crate::output::Output;

/// Run a hub from a configuration file.
#[derive(Clone, Debug, Args)]
pub(crate) struct HubArgs {
    /// The configuration file. Environment variables go over it: see `carillon config show`.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    config: PathBuf,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &HubArgs, output: Output) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    hub_process::run(&config, None, |ready| Ok(ready.say(&config, output)?))
}
