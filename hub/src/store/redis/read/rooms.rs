//! Reads of rooms and their logs.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use redis::Cmd;

use crate::domain::entry::{Entry, ReactionKey};
use crate::domain::limits::{LISTED_MESSAGE_BYTES, MEMBERSHIPS_LOOKED_AT};
use crate::domain::names::{RoomKey, RoomName, UserId, UserKey};
use crate::domain::position::Seq;
use crate::domain::room::{Room, RoomSummary};
use crate::redis::{Partition, Reader, record};
use crate::store::filling::Filling;
use crate::store::{EntryPage, EntryRange, Log, PageBound, RoomPage, RoomsQuery, StoreError, reactions};

use super::super::answer::{Answer, damaged};
use super::super::call::Call;
use super::super::script;
use super::super::shared::Shared;
use super::super::state::{self, Hot};

pub(super) fn command(name: &str, key: &str) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key);
    command
}

/// A room.
pub(in super::super) async fn room(shared: &Shared, key: &RoomKey) -> Result<Option<Room>, StoreError> {
    let mut read = command("HMGET", &shared.names.room(key));
    read.arg(&["h", "c", "m"]);
    let mut answer = Answer::new(shared.send(&read).await?);
    let Some(hot) = answer.bytes()? else { return Ok(None) };
    let (cold, metadata) = (answer.bytes()?.unwrap_or_default(), answer.bytes()?.unwrap_or_default());
    Ok(Some(state::room(shared.epoch(), key, &hot, &cold, &metadata)?))
}

/// A page of a room's log.
pub(in super::super) async fn entries(
    shared: &Shared,
    key: &RoomKey,
    range: EntryRange,
    bound: PageBound,
) -> Result<EntryPage, StoreError> {
    let (direction, from) = match range {
        EntryRange::After(seq) => ("A", seq),
        EntryRange::Before(seq) => ("B", seq.min(Seq(1 << 53))),
    };
    let call = Call::new(&script::PAGE, shared, Partition::of_room(&key.tenant, &key.room))
        .arg(key.tenant.as_str())
        .arg(key.room.as_str())
        .arg(direction)
        .arg(from.0)
        .arg(bound.items.max(1))
        .arg(bound.bytes.min(1 << 40));
    let (mut answer, server) = call.ask_at(shared).await?;
    if answer.len() == 0 {
        return Ok(EntryPage::empty(shared.epoch()));
    }
    let (hot, ends_early) = (Hot::read(&answer.some_bytes()?)?, answer.count()? == 1);
    shared.may_show(&server, Log::Room(key.clone()), hot.head).await?;
    let mut page = Filling::new(bound);
    while answer.len() > 0 {
        let (seq, bytes, reacted) = (Seq(answer.count()?), answer.some_bytes()?, answer.list()?);
        let mut entry = record::decode(shared.epoch(), seq, &bytes)?;
        add_reactions(&mut entry, reacted)?;
        if !page.take_entry(entry) {
            break;
        }
    }
    Ok(EntryPage {
        entries: page.items,
        head: hot.position(shared.epoch()),
        head_number: hot.number,
        first: hot.first,
        more: page.full || ends_early,
    })
}

/// Adds what scripts keep of reactions: the key, a zero byte, the user.
fn add_reactions(entry: &mut Entry, reacted: Answer) -> Result<(), StoreError> {
    if reacted.len() == 0 {
        return Ok(());
    }
    let mut keys: BTreeMap<ReactionKey, Vec<UserId>> = BTreeMap::new();
    for bytes in reacted.all_bytes()? {
        let text = String::from_utf8(bytes).map_err(|_| damaged("reaction"))?;
        let (key, user) = text.split_once('\0').ok_or_else(|| damaged("reaction"))?;
        let key = ReactionKey::parse(key).map_err(|_| damaged("reaction"))?;
        keys.entry(key).or_default().push(UserId::parse(user).map_err(|_| damaged("user"))?);
    }
    reactions::show(entry, keys);
    Ok(())
}

/// One entry.
pub(in super::super) async fn entry(
    shared: &Shared,
    key: &RoomKey,
    seq: Seq,
) -> Result<Option<Entry>, StoreError> {
    let Some(before) = seq.0.checked_sub(1) else { return Ok(None) };
    let bound = PageBound { items: 1, bytes: usize::MAX };
    let page = entries(shared, key, EntryRange::After(Seq(before)), bound).await?;
    Ok(page.entries.into_iter().next().filter(|entry| entry.seq == seq))
}

/// The last event of each key, in order of seq.
pub(in super::super) async fn latest_events(
    shared: &Shared,
    key: &RoomKey,
    bound: PageBound,
) -> Result<Vec<Entry>, StoreError> {
    let read = command("HVALS", &format!("{}/l", shared.names.room(key)));
    let mut entries: Vec<Entry> = Vec::new();
    let (answer, server) = shared.send_at(&read).await?;
    for bytes in Answer::new(answer).all_bytes()? {
        let mut from = Reader::new(&bytes);
        let (seq, _size) = (Seq(from.u64()?), from.u32()?);
        entries.push(record::decode(shared.epoch(), seq, from.rest())?);
    }
    entries.sort_unstable_by_key(|entry| entry.seq);
    let last = entries.last().map_or(Seq(0), |entry| entry.seq);
    shared.may_show(&server, Log::Room(key.clone()), last).await?;
    let mut page = Filling::new(bound);
    for entry in entries {
        if !page.take_entry(entry) {
            break;
        }
    }
    Ok(page.items)
}

/// The names of a user's rooms, in order.
pub(in super::super) async fn room_names_of(
    shared: &Shared,
    user: &UserKey,
    after: Option<&RoomName>,
    most: u32,
) -> Result<RoomPage<RoomName>, StoreError> {
    let most = most.max(1);
    let mut read = command("ZRANGEBYLEX", &format!("{}/r", shared.names.user(user)));
    read.arg(after.map_or_else(|| "-".to_owned(), |after| format!("({after}"))).arg("+");
    read.arg("LIMIT").arg(0).arg(u64::from(most) + 1);
    let mut rooms = Vec::new();
    for name in Answer::new(shared.send(&read).await?).all_bytes()? {
        rooms.push(RoomName::parse(&String::from_utf8_lossy(&name)).map_err(|_| damaged("room"))?);
    }
    let more = rooms.len() > most as usize;
    rooms.truncate(most as usize);
    let next = rooms.last().filter(|_| more).cloned();
    Ok(RoomPage { rooms, next })
}

/// A page of a user's rooms, in order of their names. Each is of a snapshot of its own.
pub(in super::super) async fn rooms_of(
    shared: &Shared,
    user: &UserKey,
    query: &RoomsQuery,
) -> Result<RoomPage<RoomSummary>, StoreError> {
    let most = if query.unread_only { MEMBERSHIPS_LOOKED_AT } else { query.bound.items.max(1) };
    let RoomPage { rooms: names, next: last } =
        room_names_of(shared, user, query.after.as_ref(), most).await?;
    let key = |room| RoomKey { tenant: user.tenant.clone(), room };
    let names: Vec<_> = names.into_iter().map(key).collect();
    let mut page = Filling::new(query.bound);
    'pages: for some in names.chunks(64) {
        let summaries = some.iter().map(|key| summary(shared, key, user, query.unread_only));
        for summary in try_join_all(summaries).await?.into_iter().flatten() {
            let size = summary.size();
            if !page.take(summary, size) {
                break 'pages;
            }
        }
    }
    let end = page.items.last().map(|summary| summary.room.room.clone());
    Ok(RoomPage { rooms: page.items, next: if page.full { end } else { last } })
}

async fn summary(
    shared: &Shared,
    key: &RoomKey,
    user: &UserKey,
    unread_only: bool,
) -> Result<Option<RoomSummary>, StoreError> {
    let call = Call::new(&script::SUMMARY, shared, Partition::of_room(&key.tenant, &key.room))
        .arg(key.tenant.as_str())
        .arg(key.room.as_str())
        .arg(user.user.as_str())
        .arg(u8::from(unread_only));
    let (mut answer, server) = call.ask_at(shared).await?;
    if answer.len() == 0 {
        return Ok(None);
    }
    let (hot, cold, metadata) = (answer.some_bytes()?, answer.some_bytes()?, answer.some_bytes()?);
    let member = state::member(&user.user, &answer.some_bytes()?)?;
    let marks = state::marks(&answer.some_bytes()?)?;
    let (last, reacted, peer) = (answer.bytes()?, answer.list()?, answer.bytes()?);
    let room = state::room(shared.epoch(), key, &hot, &cold, &metadata)?;
    let mut last_message = None;
    // A list is given nevertheless: sessions begin with one.
    if let Some(bytes) = last
        && shared.may_show(&server, Log::Room(key.clone()), room.head.seq).await.is_ok()
    {
        let mut from = Reader::new(&hot);
        from.take(28)?;
        let mut entry = record::decode(shared.epoch(), Seq(from.u64()?), &bytes)?;
        add_reactions(&mut entry, reacted)?;
        last_message = Some(entry).filter(|entry| entry.size() <= LISTED_MESSAGE_BYTES);
    }
    let peer = peer.map(|bytes| state::user(&bytes)).transpose()?;
    Ok(Some(RoomSummary { room, role: member.role, marks, last_message, peer }))
}
