//! `carillon config`: what a hub would run with.

use std::path::{Path, PathBuf};

use anyhow::bail;
use carillon_hub::config::Config;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::output::Output;

/// Check or show a configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

/// What to do with it.
#[derive(Clone, Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether a hub would start with it, and if not, why.
    Check(ConfigFile),
    /// Print every setting that a hub would run with, without secrets.
    Show(ConfigFile),
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
struct ConfigFile {
    /// The configuration file. Environment variables go over it.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    config: Option<PathBuf>,
    /// That of `serve --dev`.
    #[arg(long, conflicts_with = "config")]
    dev: bool,
    /// The data folder of `serve --dev`; it is made where it is missing.
    #[arg(long, value_name = "DIR", env = "CARILLON_DATA", default_value = "./carillon-data")]
    data: PathBuf,
}

impl ConfigFile {
    fn read(&self) -> anyhow::Result<Config> {
        match &self.config {
            Some(file) => Ok(Config::load(file)?),
            None if self.dev => Ok(Config::development(&self.data)?),
            None => bail!("which configuration: name a file with --config, or say --dev"),
        }
    }
}

/// Checks or shows it.
pub(crate) fn run(args: &ConfigArgs, output: Output) -> anyhow::Result<()> {
    match &args.command {
        ConfigCommand::Check(file) => {
            file.read()?;
            let name = file.config.as_deref().unwrap_or(Path::new("--dev")).display().to_string();
            output.data(&json!({"valid": true}), || format!("{name}: a hub would start with this"))?;
        }
        ConfigCommand::Show(file) => {
            let config = file.read()?;
            let text = config.to_toml()?;
            output.data(&serde_json::to_value(&config)?, || text.trim_end().to_owned())?;
        }
    }
    Ok(())
}
