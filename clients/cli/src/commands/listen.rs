//! `carillon listen`: prints what happens.

use std::path::PathBuf;

use anyhow::bail;
use carillon_client::{Client, Event, Events, v1};
use clap::Args;
use futures::FutureExt;

use crate::args::ConnectArgs;
use crate::output::{Output, line};
use crate::positions_file;
use crate::render::{json, text};

/// Events after which positions are stored even while more are coming.
const STORE_EVERY: u32 = 256;

/// Print what happens in rooms, and one's notifications.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListenArgs {
    /// The rooms to join.
    rooms: Vec<String>,
    /// Keep positions in this file: a later run prints what this one had not.
    #[arg(long, value_name = "FILE")]
    since_file: Option<PathBuf>,
    /// Print this many earlier entries of each room first; not of rooms in the file.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1000))]
    rewind: u32,
    /// Also print who is present.
    #[arg(long)]
    presence: bool,
    /// Leave after this many entries and notifications.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Names this process: another `listen` with the same name replaces it.
    #[arg(long, value_name = "NAME", default_value = "")]
    instance: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Prints until Ctrl-C, or the session ends for good.
pub(crate) async fn run(args: ListenArgs, output: Output) -> anyhow::Result<()> {
    let stored = args.since_file.as_deref().map(positions_file::read).transpose()?.unwrap_or_default();
    let known: Vec<_> = stored.rooms.keys().cloned().collect();
    let set =
        |options: carillon_client::ClientOptions| options.resume(stored).instance(args.instance.clone());
    let (client, mut events) = args.connect.client(set).await?;
    let joins = join_all(&client, &args, &known);
    let outcome = {
        let printing = print_all(&client, &mut events, &args, output);
        tokio::pin!(joins, printing);
        let mut joined = false;
        loop {
            tokio::select! {
                outcome = &mut joins, if !joined => match outcome {
                    Ok(()) => joined = true,
                    Err(error) => break Err(error),
                },
                outcome = &mut printing => break outcome,
                _ = tokio::signal::ctrl_c() => break Ok(()),
            }
        }
    };
    store(&client, &args)?;
    drop(events);
    client.close().await;
    outcome
}

/// Joins the rooms that the file did not bring.
async fn join_all(client: &Client, args: &ListenArgs, known: &[String]) -> anyhow::Result<()> {
    for room in args.rooms.iter().filter(|room| !known.contains(room)) {
        let join = v1::Join { room: room.clone(), since: None, rewind: args.rewind, presence: args.presence };
        client.join_with(join).await?;
    }
    Ok(())
}

/// Prints and then stores: what a crash leaves unstored is printed again, never left out.
async fn print_all(
    client: &Client,
    events: &mut Events,
    args: &ListenArgs,
    output: Output,
) -> anyhow::Result<()> {
    let mut counted = 0;
    let mut unstored = 0;
    loop {
        // When nothing more waits, this is the time to store.
        let next = if let Some(next) = events.next().now_or_never() {
            next
        } else {
            if unstored > 0 {
                store(client, args)?;
                unstored = 0;
            }
            events.next().await
        };
        let Some(event) = next else { bail!("the session has ended") };
        print(&event, output)?;
        unstored += 1;
        if unstored >= STORE_EVERY {
            store(client, args)?;
            unstored = 0;
        }
        if let Event::Disconnected(how) = &event
            && !how.will_reconnect()
        {
            bail!("the session has ended: {}", how.reason);
        }
        counted +=
            u64::from(event.entry().is_some() || matches!(event, Event::Event(_) | Event::Notification(_)));
        if args.count.is_some_and(|count| counted >= count) {
            return Ok(());
        }
    }
}

fn print(event: &Event, output: Output) -> anyhow::Result<()> {
    if output.is_json() {
        line(&json::event(event).to_string())?;
    } else if let Some(text) = text::line(event) {
        line(&text)?;
    }
    Ok(())
}

fn store(client: &Client, args: &ListenArgs) -> anyhow::Result<()> {
    match &args.since_file {
        Some(file) => positions_file::write(file, &client.positions()),
        None => Ok(()),
    }
}
