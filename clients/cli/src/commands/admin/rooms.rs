//! Rooms.

use anyhow::Context;
use carillon_client::{AdminClient, v1};
use clap::Args;

use crate::commands::pairs;
use crate::output::Output;
use crate::render::{json, text};

/// Rooms of one page.
const PAGE: u32 = 200;

/// Create a room under a name of your choice.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateRoomArgs {
    /// The name, as `conversation:school`; its namespace must be configured.
    room: String,
    /// A member, with another role than member as `alice:owner`; may be given several times.
    #[arg(long, value_name = "USER[:ROLE]", value_parser = pairs::member)]
    member: Vec<v1::Member>,
    /// Metadata; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair)]
    metadata: Vec<(String, String)>,
}

/// Show one room.
#[derive(Clone, Debug, Args)]
pub(crate) struct RoomArgs {
    /// The room.
    room: String,
}

/// List the tenant's rooms.
#[derive(Clone, Debug, Args)]
pub(crate) struct RoomsArgs {
    /// Only names that begin with this.
    #[arg(default_value = "")]
    prefix: String,
}

/// Change a room's metadata.
#[derive(Clone, Debug, Args)]
pub(crate) struct UpdateRoomArgs {
    /// The room.
    room: String,
    /// Set this; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair, required_unless_present = "remove")]
    set: Vec<(String, String)>,
    /// Remove this; may be given several times.
    #[arg(long, value_name = "KEY")]
    remove: Vec<String>,
    /// Only if the metadata has this version.
    #[arg(long, value_name = "SEQ")]
    version: Option<u64>,
}

pub(crate) async fn create(admin: &AdminClient, args: CreateRoomArgs, output: Output) -> anyhow::Result<()> {
    let request = v1::CreateRoomRequest {
        room: args.room,
        members: args.member,
        metadata: pairs::map(args.metadata),
        ..Default::default()
    };
    let created = admin.create_room(request).await?.room.context("the hub did not describe the room")?;
    output.data(&json::room(&created), || format!("created {}", line(&created)))?;
    output.hint(&format!("`carillon chat {} --as NAME` talks in it", created.room));
    Ok(())
}

pub(crate) async fn show(admin: &AdminClient, args: RoomArgs, output: Output) -> anyhow::Result<()> {
    let request = v1::GetRoomRequest { room: args.room, ..Default::default() };
    let room = admin.get_room(request).await?.room.context("the hub did not describe the room")?;
    output.data(&json::room(&room), || line(&room))?;
    Ok(())
}

pub(crate) async fn list(admin: &AdminClient, args: RoomsArgs, output: Output) -> anyhow::Result<()> {
    let mut request = v1::ListRoomsRequest { prefix: args.prefix, limit: PAGE, ..Default::default() };
    loop {
        let page = admin.list_rooms(request.clone()).await?;
        for room in &page.rooms {
            output.data(&json::room(room), || line(room))?;
        }
        if page.next_cursor.is_empty() {
            return Ok(());
        }
        request.cursor = page.next_cursor;
    }
}

pub(crate) async fn update(admin: &AdminClient, args: UpdateRoomArgs, output: Output) -> anyhow::Result<()> {
    let request = v1::UpdateRoomRequest {
        room: args.room,
        metadata: pairs::map(args.set),
        remove_keys: args.remove,
        expected_version: args.version,
        ..Default::default()
    };
    let entry = admin.update_room(request).await?.entry.unwrap_or_default();
    super::members::accepted(&entry, output)
}

fn line(room: &v1::Room) -> String {
    let metadata: Vec<_> =
        room.metadata.iter().map(|(key, value)| format!(" {key}={}", text::clean(value))).collect();
    let (seq, messages) = (room.head.unwrap_or_default().seq, room.head_number);
    format!("{} ({} members, {messages} messages, at #{seq}){}", room.room, room.members, metadata.concat())
}
