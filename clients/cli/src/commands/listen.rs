//! `carillon listen`: prints what happens.

use std::path::PathBuf;

use anyhow::bail;
use carillon_client::{Client, Event, Events, v1};
use clap::Args;
use futures::FutureExt;

use crate::advice::Interrupted;
use crate::args::ConnectArgs;
use crate::output::{Output, line};
use crate::positions_file::Kept;
use crate::render::{json, text};

/// Events after which positions are stored even while more are coming.
const STORE_EVERY: u32 = 256;

/// Print what happens in rooms, and one's notifications.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListenArgs {
    /// The rooms to join.
    rooms: Vec<String>,
    /// Keep positions in this file: a later run prints what this one had not, of the rooms that it names.
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
    let kept = args.since_file.as_deref().map(Kept::read).transpose()?.unwrap_or_default();
    let stored = kept.resume(&args.rooms, args.presence);
    let known: Vec<_> = stored.rooms.keys().cloned().collect();
    let (file, named) = (args.since_file.clone(), args.rooms.clone());
    let mut printed = Printed { file, named, kept, unstored: 0 };
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
        if let Event::Left(left) = &event
            && left.reason() == v1::LeaveReason::Denied
            && args.rooms.contains(&left.room)
        {
            return Err(denied(&left.room, &client.user()));
        }
        counted +=
            u64::from(event.entry().is_some() || matches!(event, Event::Event(_) | Event::Notification(_)));
        if args.count.is_some_and(|count| counted >= count) {
            return Ok(());
        }
    }
}

/// As when a room is not there for one that the file does not have.
fn denied(room: &str, user: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "ACCESS_DENIED: {room} does not exist, or {user} may not follow it\n\
         ask for it: `carillon admin add-member {room} {user}` makes one a member"
    )
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
    /// The rooms that were asked for.
    named: Vec<String>,
    kept: Kept,
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
                let to = v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag };
                self.kept.moves(room, to, &self.named);
            }
            (Event::Left(left), None) => self.kept.left(&left.room, &self.named),
            // What these change is the client's to know.
            (
                Event::Connected(_) | Event::Joined(_) | Event::Truncated { .. } | Event::Notification(_),
                None,
            ) => self.kept.take_over(&client.positions(), &self.named),
            _ => {}
        }
    }

    fn store(&mut self) -> anyhow::Result<()> {
        match &self.file {
            Some(file) if self.unstored > 0 => self.kept.write(file)?,
            _ => {}
        }
        self.unstored = 0;
        Ok(())
    }
}
