//! `carillon hub`: a hub as its configuration says.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::output::Output;

/// Run a hub from a configuration file.
#[derive(Clone, Debug, Args)]
pub(crate) struct HubArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    pub(crate) config: PathBuf,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &HubArgs, _output: Output) -> anyhow::Result<()> {
    bail!("this build has no hub to run with {}", args.config.display())
}
