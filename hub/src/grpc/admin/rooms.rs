//! Rooms.

use std::mem::take;

use carillon_proto::v1;

use super::super::{decode, encode};
use super::AdminApi;
use crate::administration::commands::{CreateRoom, ListRooms, RoomPrefix};
use crate::domain::caller::Caller;
use crate::domain::content::{METADATA, Pairs};
use crate::domain::error::Refusal;
use crate::domain::names::RoomName;
use crate::domain::room::Room;

/// `CONFLICT` where the room is there already, or the idempotency key was used for another request; `NOT_FOUND` where
/// its namespace is not configured; `INVALID_ARGUMENT` where nothing of it is kept.
pub(super) async fn create(
    api: AdminApi,
    caller: Caller,
    mut request: v1::CreateRoomRequest,
) -> Result<v1::CreateRoomResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let create = CreateRoom {
        room: RoomName::parse(&request.room)?,
        members: decode::members(request.members)?,
        metadata: Pairs::parse(request.metadata, METADATA)?,
        idempotency,
    };
    let created = api.administer.create_room(&caller, create).await?;
    Ok(v1::CreateRoomResponse { room: Some(room(&created.room)), duplicate: created.duplicate })
}

/// `NOT_FOUND` where there is none.
pub(super) async fn get(
    api: AdminApi,
    caller: Caller,
    request: v1::GetRoomRequest,
) -> Result<v1::GetRoomResponse, Refusal> {
    let found = api.administer.get_room(&caller, RoomName::parse(&request.room)?).await?;
    Ok(v1::GetRoomResponse { room: Some(room(&found)) })
}

/// Nothing but what any call answers.
pub(super) async fn list(
    api: AdminApi,
    caller: Caller,
    request: v1::ListRoomsRequest,
) -> Result<v1::ListRoomsResponse, Refusal> {
    let list = ListRooms {
        prefix: RoomPrefix::parse(request.prefix)?,
        cursor: decode::cursor(request.cursor)?,
        limit: decode::page(request.limit)?,
    };
    let listed = api.administer.list_rooms(&caller, list).await?;
    Ok(v1::ListRoomsResponse { rooms: listed.rooms.iter().map(room).collect(), next_cursor: listed.next.0 })
}

/// `NOT_FOUND` where there is no such room; `CONFLICT` where it has another version than expected, or the idempotency
/// key was used for another request.
pub(super) async fn update(
    api: AdminApi,
    caller: Caller,
    mut request: v1::UpdateRoomRequest,
) -> Result<v1::UpdateRoomResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let update = v1::ConversationUpdate {
        room: request.room,
        metadata: request.metadata,
        remove_keys: request.remove_keys,
        expected_version: request.expected_version,
    };
    let entry = api.entry(&caller, idempotency, update.try_into()?).await?;
    Ok(v1::UpdateRoomResponse { entry: Some(entry) })
}

fn room(room: &Room) -> v1::Room {
    v1::Room {
        room: room.room.as_str().to_owned(),
        head: (room.head.seq.0 > 0).then(|| encode::position(room.head)),
        head_number: room.head_number,
        members: room.members,
        metadata: room.metadata.as_map().clone(),
        version: room.version.0,
    }
}
