//! `carillon config`: what a hub would run with.

use std::path::PathBuf;

use anyhow::bail;
use carillon_hub::config::Config;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::output::Output;

/// Check or show a configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What to do with it.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a hub would start with it, and if not, why.
    Check(ConfigFile),
    /// Print every setting that a hub would run with, without secrets.
    Show(ConfigFile),
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; without one, the defaults and the environment.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// As `serve --dev` would run.
    #[arg(long)]
    pub(crate) dev: bool,
}

/// Checks or shows it.
pub(crate) fn run(args: &ConfigArgs, output: Output) -> anyhow::Result<()> {
    let (ConfigCommand::Check(file) | ConfigCommand::Show(file)) = &args.command;
    let config = match (&file.config, file.dev) {
        (Some(path), _) => Config::load(path)?,
        (None, true) => Config::development(&PathBuf::from("./carillon-data"))?,
        (None, false) => bail!("give --config FILE, or --dev for the development settings"),
    };
    match &args.command {
        ConfigCommand::Check(_) => {
            output.data(&json!({ "ok": true }), || "a hub would start with it".into())?;
        }
        ConfigCommand::Show(_) => {
            let text = config.to_toml()?;
            output.data(&json!({ "toml": text }), || text.clone())?;
        }
    }
    Ok(())
}
