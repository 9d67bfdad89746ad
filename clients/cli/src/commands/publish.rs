//! `carillon publish`: an application's event.

use carillon_client::v1::session_request::Command;
use carillon_client::{text, v1};
use clap::Args;
use serde_json::json;

use crate::args::ConnectArgs;
use crate::output::Output;
use crate::render::json;

/// Publish an application's event to a room.
#[derive(Clone, Debug, Args)]
pub(crate) struct PublishArgs {
    /// The room.
    room: String,
    /// What kind of event, at most 100 characters.
    name: String,
    /// What it carries.
    #[arg(default_value = "")]
    payload: String,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Ephemeral events of one key merge: a slow reader gets the latest only.
    #[arg(long, value_name = "KEY", default_value = "")]
    key: String,
}

/// Publishes it.
pub(crate) async fn run(args: PublishArgs, output: Output) -> anyhow::Result<()> {
    let hub = args.connect.executor()?;
    let event = v1::EventPublish {
        room: args.room,
        name: args.name,
        key: args.key,
        payload: (!args.payload.is_empty()).then(|| text(args.payload)),
        exclude_self: false,
    };
    let accepted: Option<v1::EntryAccepted> = hub.call(Command::EventPublish(event)).await?;
    let value = accepted.as_ref().map_or_else(|| json!({"durable": false}), json::accepted);
    output.data(&value, || match accepted.and_then(|accepted| accepted.position) {
        Some(position) => format!("published as #{}", position.seq),
        None => "published".to_owned(),
    })?;
    Ok(())
}
