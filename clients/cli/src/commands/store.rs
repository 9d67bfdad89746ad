//! `carillon store`: what is done to a store while no hub has it open.

use carillon_hub::app;
use clap::{Args, Subcommand};
use serde_json::json;

use super::config::ConfigFile;
use crate::output::Output;

/// Look after the embedded store of a hub that is stopped.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

/// What to do to it.
#[derive(Clone, Debug, Subcommand)]
enum StoreCommand {
    /// After a whole disk was put back from a snapshot: begin a new epoch, so that clients drop their copies of rooms and
    /// read afresh. A hub sees by itself that files were restored or copied.
    RenewEpoch(ConfigFile),
}

/// Does it.
pub(crate) fn run(args: &StoreArgs, output: Output) -> anyhow::Result<()> {
    match &args.command {
        StoreCommand::RenewEpoch(file) => {
            let epoch = app::renew_epoch(&file.read()?)?.0;
            output.data(&json!({"epoch": epoch}), || format!("the store begins epoch {epoch}"))?;
        }
    }
    Ok(())
}
