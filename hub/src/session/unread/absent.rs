//! Who of a room's members is to be told of its latest message though they do not follow it. Users are looked up so many
//! at a time, so that a message costs a few reads, however many are connected.

use std::collections::HashSet;
use std::hash::BuildHasher;

use crate::delivery::LatestMessage;
use crate::domain::limits::{MEMBERS_READ, USERS_READ};
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, UserId};
use crate::store::{Store, StoreError};

/// A member who does not follow the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentMember {
    /// Who.
    pub user: UserId,
    /// How many messages they have not read.
    pub unread: u64,
    /// Whether they may read the latest one.
    pub may_read: bool,
}

/// The members among the users who are `here`, as far as `is_absent` says that they do not follow the room. Where these are
/// fewer than the room's members, they are looked up, and not all members.
pub async fn absent_members(
    store: &dyn Store,
    room: &RoomKey,
    latest: LatestMessage,
    here: &HashSet<&UserId, impl BuildHasher + Sync>,
    is_absent: &(dyn Fn(&UserId) -> bool + Sync),
) -> Result<Vec<AbsentMember>, StoreError> {
    let mut found = Vec::new();
    if here.is_empty() {
        return Ok(found);
    }
    let members = store.room(room).await?.map_or(0, |room| room.members);
    if (here.len() as u64) < u64::from(members) {
        let absent: Vec<UserId> =
            here.iter().filter(|user| is_absent(user)).map(|user| (*user).clone()).collect();
        for users in absent.chunks(USERS_READ) {
            let members = store.members_among(room, users).await?;
            count(store, room, latest, members, &mut found).await?;
        }
        return Ok(found);
    }
    let mut after = None;
    loop {
        let mut members = store.members(room, after.as_ref(), MEMBERS_READ).await?;
        let is_last = members.len() < MEMBERS_READ as usize;
        after = members.last().map(|last| last.user.clone());
        members.retain(|member| here.contains(&member.user) && is_absent(&member.user));
        count(store, room, latest, members, &mut found).await?;
        if is_last {
            return Ok(found);
        }
    }
}

async fn count(
    store: &dyn Store,
    room: &RoomKey,
    latest: LatestMessage,
    members: Vec<Member>,
    found: &mut Vec<AbsentMember>,
) -> Result<(), StoreError> {
    for members in members.chunks(USERS_READ) {
        let users: Vec<UserId> = members.iter().map(|member| member.user.clone()).collect();
        let marks = store.marks_of(room, &users).await?;
        found.extend(members.iter().zip(users).zip(marks).map(|((member, user), marks)| AbsentMember {
            user,
            unread: marks.unread(latest.number),
            may_read: latest.seq >= member.history_from,
        }));
    }
    Ok(())
}
