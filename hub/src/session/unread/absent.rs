//! Who of a room's members is to be told of its latest message though they do not follow it. Users are looked up so many
//! at a time, so that a message costs a few reads, however many are connected.

use crate::delivery::LatestMessage;
use crate::domain::limits::{MEMBERS_READ, USERS_READ};
use crate::domain::member::{Member, Role};
use crate::domain::names::{RoomKey, UserId};
use crate::store::{Store, StoreError};

/// A member who does not follow the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentMember {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// How many messages they have not read.
    pub unread: u64,
    /// Whether they may read the latest one.
    pub may_read: bool,
}

/// Who has a session here.
pub struct Here<'a> {
    /// How many sessions there are: users are no more.
    pub sessions: usize,
    /// Who they are, where that has to be known.
    pub users: &'a (dyn Fn() -> Vec<UserId> + Sync),
}

/// The members among the users who are `here`, as far as `is_absent` says that they have a session that does not follow
/// the room. Where there are fewer sessions than the room has members, they are looked up, and not all members.
pub async fn absent_members(
    store: &dyn Store,
    room: &RoomKey,
    latest: LatestMessage,
    here: &Here<'_>,
    is_absent: &(dyn Fn(&UserId) -> bool + Sync),
) -> Result<Vec<AbsentMember>, StoreError> {
    let mut found = Vec::new();
    if here.sessions == 0 {
        return Ok(found);
    }
    let members = store.room(room).await?.map_or(0, |room| room.members);
    if (here.sessions as u64) < u64::from(members) {
        let mut absent = (here.users)();
        absent.retain(is_absent);
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
        members.retain(|member| is_absent(&member.user));
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
            role: member.role,
            unread: marks.unread(latest.number),
            may_read: latest.seq >= member.history_from,
        }));
    }
    Ok(())
}
