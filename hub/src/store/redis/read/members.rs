//! Reads of a room's members and their marks.

use crate::domain::marks::Marks;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, UserId};
use crate::redis::Partition;
use crate::store::StoreError;

use super::super::answer::{Answer, bytes};
use super::super::call::Call;
use super::super::script;
use super::super::shared::Shared;
use super::super::state;
use super::rooms::command;

/// A user's membership.
pub(in super::super) async fn member(
    shared: &Shared,
    key: &RoomKey,
    user: &UserId,
) -> Result<Option<Member>, StoreError> {
    let mut read = command("HGET", &format!("{}/m", shared.names.room(key)));
    read.arg(user.as_str());
    let found = bytes(shared.send(&read).await?)?;
    Ok(found.map(|bytes| state::member(user, &bytes)).transpose()?)
}

/// A room's members in order of their ids.
pub(in super::super) async fn members(
    shared: &Shared,
    key: &RoomKey,
    after: Option<&UserId>,
    limit: u32,
) -> Result<Vec<Member>, StoreError> {
    // In one piece: of those who leave in between fewer would come, as on a last page.
    let mut answer = Call::new(&script::MEMBERS, shared, Partition::of_room(&key.tenant, &key.room))
        .arg(format!("r/{}/{}", key.tenant, key.room))
        .arg(after.map_or_else(|| "-".to_owned(), |after| format!("({after}")))
        .arg(limit)
        .ask(shared)
        .await?;
    let (users, found) = (answer.list()?.all_bytes()?, answer.list()?.all_bytes()?);
    let member = |(user, found): (&Vec<u8>, &Vec<u8>)| Ok(state::member(&state::user(user)?, found)?);
    users.iter().zip(&found).map(member).collect()
}

/// Those of some users who are members.
pub(in super::super) async fn members_among(
    shared: &Shared,
    key: &RoomKey,
    users: &[UserId],
) -> Result<Vec<Member>, StoreError> {
    let found = of_users(shared, key, "m", users).await?;
    let members = users.iter().zip(found).filter_map(|(user, found)| Some(state::member(user, &found?)));
    Ok(members.collect::<Result<_, _>>()?)
}

/// A user's marks.
pub(in super::super) async fn marks(
    shared: &Shared,
    key: &RoomKey,
    user: &UserId,
) -> Result<Marks, StoreError> {
    let mut read = command("HGET", &format!("{}/k", shared.names.room(key)));
    read.arg(user.as_str());
    Ok(state::marks(&bytes(shared.send(&read).await?)?.unwrap_or_default())?)
}

/// Some users' marks.
pub(in super::super) async fn marks_of(
    shared: &Shared,
    key: &RoomKey,
    users: &[UserId],
) -> Result<Vec<Marks>, StoreError> {
    let found = of_users(shared, key, "k", users).await?;
    found.into_iter().map(|found| Ok(state::marks(&found.unwrap_or_default())?)).collect()
}

/// What one of a room's hashes has of some users, each in its place.
async fn of_users(
    shared: &Shared,
    key: &RoomKey,
    hash: &str,
    users: &[UserId],
) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let mut read = command("HMGET", &format!("{}/{hash}", shared.names.room(key)));
    for user in users {
        read.arg(user.as_str());
    }
    let mut found = Answer::new(shared.send(&read).await?);
    users.iter().map(|_| found.bytes()).collect()
}
