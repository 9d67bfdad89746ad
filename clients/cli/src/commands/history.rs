//! `carillon history`: a room's stored entries, oldest first.

use carillon_client::v1::history_get::Bound;
use carillon_client::v1::session_request::Command;
use carillon_client::{Event, Executor, v1};
use clap::Args;

use crate::args::ConnectArgs;
use crate::output::Output;
use crate::render::{json, text};

/// Entries of one page.
const PAGE: u32 = 200;

/// Print a room's stored entries, oldest first: the newest 50 unless told otherwise.
#[derive(Clone, Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The room.
    room: String,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// How many entries at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// The newest before this place.
    #[arg(long, value_name = "SEQ", conflicts_with = "after")]
    before: Option<u64>,
    /// The oldest after this place; 0 begins at the beginning.
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// All entries.
    #[arg(long, conflicts_with_all = ["limit", "before", "after"])]
    all: bool,
}

/// Prints them.
pub(crate) async fn run(args: HistoryArgs, output: Output) -> anyhow::Result<()> {
    let hub = args.connect.executor()?;
    if args.all || args.after.is_some() {
        let limit = if args.all { usize::MAX } else { args.limit };
        return forwards(&hub, &args.room, args.after.unwrap_or(0), limit, output).await;
    }
    for entry in backwards(&hub, &args.room, args.before, args.limit).await? {
        print(entry, output)?;
    }
    Ok(())
}

async fn forwards(
    hub: &Executor,
    room: &str,
    after: u64,
    limit: usize,
    output: Output,
) -> anyhow::Result<()> {
    let (mut after, mut left) = (after, limit);
    while left > 0 {
        let page = page(hub, room, Some(Bound::After(after)), left).await?;
        left = left.saturating_sub(page.entries.len());
        let last = page.entries.last().and_then(seq);
        for entry in page.entries {
            print(entry, output)?;
        }
        match last {
            Some(last) if page.more => after = last,
            _ => break,
        }
    }
    Ok(())
}

/// The newest entries, in ascending order. Held in memory: they come newest page first.
async fn backwards(
    hub: &Executor,
    room: &str,
    before: Option<u64>,
    limit: usize,
) -> anyhow::Result<Vec<v1::HistoryEntry>> {
    let (mut bound, mut left) = (before.map(Bound::Before), limit);
    let mut pages = Vec::new();
    while left > 0 {
        let page = page(hub, room, bound, left).await?;
        left = left.saturating_sub(page.entries.len());
        let first = page.entries.first().and_then(seq);
        pages.push(page.entries);
        match first {
            Some(first) if page.more => bound = Some(Bound::Before(first)),
            _ => break,
        }
    }
    Ok(pages.into_iter().rev().flatten().collect())
}

async fn page(
    hub: &Executor,
    room: &str,
    bound: Option<Bound>,
    left: usize,
) -> anyhow::Result<v1::HistoryPage> {
    let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
    Ok(hub.call(Command::History(v1::HistoryGet { room: room.to_owned(), bound, limit })).await?)
}

fn seq(entry: &v1::HistoryEntry) -> Option<u64> {
    let event = Event::from(entry.entry.clone()?);
    event.entry().map(|(_, header)| header.seq)
}

fn print(entry: v1::HistoryEntry, output: Output) -> anyhow::Result<()> {
    // An entry of a kind that this program does not know is passed over, as the protocol asks.
    let Some(entry) = entry.entry else { return Ok(()) };
    let event = Event::from(entry);
    output.data(&json::event(&event), || text::line(&event).unwrap_or_default())?;
    Ok(())
}
