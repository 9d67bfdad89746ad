//! `carillon config`: what a hub would run with.

use std::path::PathBuf;

use anyhow::Context;
use carillon_hub::config::Config;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::environment;
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
pub(crate) struct ConfigFile {
    /// The configuration file [default: without --dev, $CARILLON_CONFIG]. Environment variables go over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// That of `serve --dev`.
    #[arg(long, conflicts_with = "config")]
    dev: bool,
    /// The data folder of `serve --dev`; it is made where it is missing [default: $CARILLON_DATA or ./carillon-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl ConfigFile {
    /// The file; `None` for the settings of `serve --dev`.
    fn file(&self) -> anyhow::Result<Option<PathBuf>> {
        if self.dev {
            return Ok(None);
        }
        let file = self.config.clone().or_else(|| environment::path(environment::CONFIG));
        Ok(Some(file.context("which configuration: name a file with --config, or say --dev")?))
    }

    /// What it says.
    pub(crate) fn read(&self) -> anyhow::Result<Config> {
        match self.file()? {
            Some(file) => Ok(Config::load(&file)?),
            None => Ok(Config::development(&environment::data(self.data.as_ref()))?),
        }
    }
}

/// Checks or shows it.
pub(crate) fn run(args: &ConfigArgs, output: Output) -> anyhow::Result<()> {
    match &args.command {
        ConfigCommand::Check(file) => {
            file.read()?;
            let name = file.file()?.map_or_else(|| "--dev".to_owned(), |file| file.display().to_string());
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
