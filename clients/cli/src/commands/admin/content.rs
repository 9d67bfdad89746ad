//! What a service itself says in rooms.

use carillon_client::{AdminClient, text, v1};
use clap::Args;
use serde_json::json;

use crate::output::Output;
use crate::render::json;

/// Post a message as the service.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendMessageArgs {
    /// The room.
    room: String,
    /// The message.
    #[arg(required = true)]
    text: Vec<String>,
}

/// Publish an event as the service.
#[derive(Clone, Debug, Args)]
pub(crate) struct PublishArgs {
    /// The room.
    room: String,
    /// What kind of event, at most 100 characters.
    name: String,
    /// What it carries.
    #[arg(default_value = "")]
    payload: String,
    /// Ephemeral events of one key merge: a slow reader gets the latest only.
    #[arg(long, value_name = "KEY", default_value = "")]
    key: String,
}

pub(crate) async fn send_message(
    admin: &AdminClient,
    args: SendMessageArgs,
    output: Output,
) -> anyhow::Result<()> {
    let content = Some(text(args.text.join(" ")));
    let request = v1::SendMessageRequest { room: args.room, content, ..Default::default() };
    let sent = admin.send_message(request).await?;
    let sent = v1::MessageSent {
        position: sent.position,
        number: sent.number,
        time_ms: sent.time_ms,
        duplicate: sent.duplicate,
    };
    output.data(&json::sent(&sent), || format!("sent as #{}", sent.position.unwrap_or_default().seq))?;
    Ok(())
}

pub(crate) async fn publish(admin: &AdminClient, args: PublishArgs, output: Output) -> anyhow::Result<()> {
    let request = v1::PublishEventRequest {
        room: args.room,
        name: args.name,
        key: args.key,
        payload: (!args.payload.is_empty()).then(|| text(args.payload)),
        ..Default::default()
    };
    let entry = admin.publish_event(request).await?.entry;
    let value = entry.as_ref().map_or_else(|| json!({"durable": false}), json::accepted);
    output.data(&value, || match entry.and_then(|entry| entry.position) {
        Some(position) => format!("published as #{}", position.seq),
        None => "published".to_owned(),
    })?;
    Ok(())
}
