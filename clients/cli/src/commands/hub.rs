//! `carillon hub`: a hub as its configuration says.

use std::path::PathBuf;

use carillon_hub::config::Config;
use clap::Args;
use serde_json::json;

use crate::output::Output;
use crate::serving;

/// Run a hub from a configuration file.
#[derive(Clone, Debug, Args)]
pub(crate) struct HubArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    pub(crate) config: PathBuf,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &HubArgs, output: Output) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    serving::run(&config, |hub| {
        let ready = json!({
            "grpc": format!("http://{}", hub.grpc_address()),
            "http": format!("http://{}", hub.http_address()),
        });
        output.data(&ready, || format!("carillon serves at {}", hub.grpc_address()))?;
        Ok(())
    })
}
