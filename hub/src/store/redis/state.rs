//! What scripts keep of rooms, members and marks, as domain values.

use crate::domain::entry::Entry;
use crate::domain::marks::Marks;
use crate::domain::member::{Member, Role};
use crate::domain::names::{RoomKey, UserId};
use crate::domain::position::{Epoch, Position, Seq, Tag};
use crate::domain::room::Room;
use crate::redis::{Malformed, Reader, record};
use crate::store::{Current, StoreError};

use super::answer::{Answer, damaged};

/// The end of a room's log, and its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hot {
    pub(super) head: Seq,
    pub(super) tag: Tag,
    pub(super) number: u64,
    pub(super) first: Seq,
}

impl Hot {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let (head, tag, number) = (Seq(from.u64()?), Tag(from.u32()?), from.u64()?);
        let (_time, _last, first) = (from.i64()?, from.u64()?, Seq(from.u64()?));
        Ok(Self { head, tag, number, first })
    }

    pub(super) fn position(self, epoch: Epoch) -> Position {
        Position { epoch, seq: self.head, tag: self.tag }
    }
}

/// A room from what is kept of it; `cold` is empty where nothing but entries was ever written.
pub(super) fn room(
    epoch: Epoch,
    key: &RoomKey,
    hot: &[u8],
    cold: &[u8],
    metadata: &[u8],
) -> Result<Room, Malformed> {
    let hot = Hot::read(hot)?;
    let (mut version, mut created, mut direct, mut members) = (0, false, false, 0);
    if !cold.is_empty() {
        let mut from = Reader::new(cold);
        (version, created, direct, members) = (from.u64()?, from.u8()? != 0, from.u8()? != 0, from.u32()?);
    }
    Ok(Room {
        room: key.room.clone(),
        head: hot.position(epoch),
        head_number: hot.number,
        first: hot.first,
        version: Seq(version),
        created,
        direct,
        metadata: record::decode_pairs(metadata)?,
        members,
    })
}

/// A membership.
pub(super) fn member(user: &UserId, bytes: &[u8]) -> Result<Member, Malformed> {
    let mut from = Reader::new(bytes);
    Ok(Member {
        user: user.clone(),
        role: Role::from_number(from.u8()?).ok_or(Malformed("role"))?,
        version: Seq(from.u64()?),
        joined: Seq(from.u64()?),
        history_from: Seq(from.u64()?),
    })
}

/// Marks; empty bytes are those of who has none.
pub(super) fn marks(bytes: &[u8]) -> Result<Marks, Malformed> {
    if bytes.is_empty() {
        return Ok(Marks::default());
    }
    let mut from = Reader::new(bytes);
    Ok(Marks { delivered: Seq(from.u64()?), read: Seq(from.u64()?), read_number: from.u64()? })
}

/// A user's id.
pub(super) fn user(bytes: &[u8]) -> Result<UserId, StoreError> {
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("user"))?;
    UserId::parse(text).map_err(|_| damaged("user"))
}

/// What a failed condition was checked against.
pub(super) fn current(
    epoch: Epoch,
    key: &RoomKey,
    actor: &UserId,
    mut answer: Answer,
) -> Result<Current, StoreError> {
    let Some(hot) = answer.bytes()? else { return Ok(Current::default()) };
    let room = room(epoch, key, &hot, &answer.some_bytes()?, &answer.some_bytes()?)?;
    let of_actor = answer.bytes()?.map(|bytes| member(actor, &bytes)).transpose()?;
    let named = answer.bytes()?.map(|bytes| user(&bytes)).transpose()?;
    let membership = answer.bytes()?;
    let of_named = named.zip(membership).map(|(named, bytes)| member(&named, &bytes)).transpose()?;
    let seq = Seq(answer.count()?);
    let entry: Option<Entry> = answer.bytes()?.map(|bytes| record::decode(epoch, seq, &bytes)).transpose()?;
    Ok(Current { room: Some(room), actor: of_actor, member: of_named, entry })
}
