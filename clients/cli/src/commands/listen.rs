//! `carillon listen`: prints what happens.

use std::path::PathBuf;

use anyhow::bail;
use carillon_client::{Client, Event, Events, Positions, v1};
use clap::Args;
use futures::FutureExt;

use crate::advice::Interrupted;
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
    let mut printed = Printed { file: args.since_file.clone(), positions: stored.clone(), unstored: 0 };
    let set =
        |options: carillon_client::ClientOptions| options.resume(stored).instance(args.instance.clone());
    let (client, mut events) = args.connect.client(set).await?;
    let joins = join_all(&client, &args, &known);
    let outcome = {
        let printing = print_all(&client, &mut events, &args, &mut printed, output);
        tokio::pin!(joins, printing);
        let mut joined = false;
        loop {
            tokio::select! {
                outcome = &mut joins, if !joined => match outcome {
                    Ok(()) => joined = true,
                    Err(error) => break Err(error),
                },
                outcome = &mut printing => break outcome,
                _ = tokio::signal::ctrl_c() => break Err(Interrupted.into()),
            }
        }
    };
    printed.store()?;
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
    printed: &mut Printed,
    output: Output,
) -> anyhow::Result<()> {
    let mut counted = 0;
    loop {
        // When nothing more waits, this is the time to store.
        let next = if let Some(next) = events.next().now_or_never() {
            next
        } else {
            printed.store()?;
            events.next().await
        };
        let Some(event) = next else { bail!("the session has ended") };
        print(&event, output)?;
        printed.note(&event, client);
        if printed.unstored >= STORE_EVERY {
            printed.store()?;
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

/// Where what was printed ends. The client's own positions are an event ahead while that is being printed.
struct Printed {
    file: Option<PathBuf>,
    positions: Positions,
    /// Events since the last time.
    unstored: u32,
}

impl Printed {
    /// This event was printed.
    fn note(&mut self, event: &Event, client: &Client) {
        if self.file.is_none() {
            return;
        }
        self.unstored += 1;
        match (event, event.entry()) {
            (_, Some((room, header))) => {
                if let Some(place) = self.positions.rooms.get_mut(room) {
                    place.position =
                        Some(v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag });
                }
            }
            // What these change is the client's to know.
            (
                Event::Connected(_)
                | Event::Joined(_)
                | Event::Left(_)
                | Event::Truncated { .. }
                | Event::Notification(_),
                None,
            ) => self.positions = client.positions(),
            _ => {}
        }
    }

    fn store(&mut self) -> anyhow::Result<()> {
        match &self.file {
            Some(file) if self.unstored > 0 => positions_file::write(file, &self.positions)?,
            _ => {}
        }
        self.unstored = 0;
        Ok(())
    }
}
