//! `carillon rooms`: the rooms that one is a member of.

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use clap::Args;

use crate::args::ConnectArgs;
use crate::output::Output;
use crate::render::{json, text};

/// Rooms of one page.
const PAGE: u32 = 200;

/// List the rooms that one is a member of.
#[derive(Clone, Debug, Args)]
pub(crate) struct RoomsArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Only rooms with unread messages.
    #[arg(long)]
    unread: bool,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
}

/// Lists them.
pub(crate) async fn run(args: RoomsArgs, output: Output) -> anyhow::Result<()> {
    let hub = args.connect.executor()?;
    let mut left = args.limit;
    let mut cursor = String::new();
    let mut shown = 0;
    while left > 0 {
        let page = v1::RoomsGet { cursor, limit: left.min(PAGE), unread_only: args.unread };
        let page: v1::RoomsPage = hub.call(Command::Rooms(page)).await?;
        for room in &page.rooms {
            output.data(&json::room_summary(room), || line(room))?;
        }
        shown += page.rooms.len();
        left = left.saturating_sub(page.rooms.len() as u32);
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    if shown == 0 {
        output.hint("no rooms: `carillon chat --with USER` begins a conversation");
    }
    Ok(())
}

fn line(room: &v1::RoomSummary) -> String {
    let peer = room.peer.as_ref().map(|peer| format!(" with {peer}")).unwrap_or_default();
    let name = room.metadata.get("name").map(|name| format!(" «{}»", text::clean(name))).unwrap_or_default();
    let unread = if room.unread > 0 { format!(", {} unread", room.unread) } else { String::new() };
    let last = room.last_message.as_ref().map(|last| {
        let header = last.header.clone().unwrap_or_default();
        let said = text::content(last.content.as_ref());
        format!("  {} {}: {said}", text::date_and_time(header.time_ms), header.sender)
    });
    let role = text::role(room.role());
    format!("{}{peer}{name} ({role}{unread}){}", room.room, last.unwrap_or_default())
}
