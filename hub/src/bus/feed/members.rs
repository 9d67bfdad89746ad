//! Users who are connected here: their inboxes are followed, and the rooms that they are members of, as they are told of
//! unread messages there.

use rustc_hash::FxHashMap;
use std::sync::Arc;

use super::interest::Hold;
use super::telling::{Membership, Work};
use super::{Feed, Inner};
use crate::bus::envelope::Control;
use crate::bus::port::{BusError, Topic};
use crate::domain::limits::FOLLOWED_MEMBERSHIPS;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserKey};
use crate::store::{Store, StoreError};

struct Connected {
    sessions: usize,
    rooms: FxHashMap<RoomName, Hold>,
    /// What was said of the user may not have been heard: rooms that they have got meanwhile are told as they are found.
    missed: bool,
}

/// The users who are connected.
#[derive(Default)]
pub(super) struct Reached(FxHashMap<UserKey, Connected>);

/// Keeps what concerns a user followed, while one of their sessions is open.
pub struct Reach {
    user: UserKey,
    work: Arc<Work>,
    /// Of the user's topic and of the tenant's.
    holds: Option<(Hold, Hold)>,
}

impl Drop for Reach {
    fn drop(&mut self) {
        self.holds = None;
        let user = self.user.clone();
        self.work.add(|waiting| waiting.left.push(user));
    }
}

impl Feed {
    /// Follows what concerns a user, from now until the last of their sessions lets go. Done when everything that is
    /// accepted for their inbox later will be told; their rooms are looked up beside. Where there are no others nothing
    /// need be followed.
    pub async fn reach(&self, user: &UserKey) -> Result<Option<Reach>, BusError> {
        if !self.has_others() {
            return Ok(None);
        }
        let is_first = {
            let mut reached = self.0.reached.lock();
            let connected = reached.0.entry(user.clone());
            let connected = connected.or_insert_with(|| Connected {
                sessions: 0,
                rooms: FxHashMap::default(),
                missed: false,
            });
            connected.sessions += 1;
            connected.sessions == 1
        };
        // From here on whatever happens lets go of the user.
        let mut reach = Reach { user: user.clone(), work: Arc::clone(&self.0.work), holds: None };
        if is_first {
            self.0.work.add(|waiting| waiting.walks.add(user.clone()));
        }
        let own = self.follow(Topic::User(user.clone()));
        let tenant = self.follow(Topic::Tenant(user.tenant.clone()));
        reach.holds = Some(futures::future::try_join(own, tenant).await?);
        Ok(Some(reach))
    }
}

impl Inner {
    /// A session of a user has let go.
    pub(super) fn leave(&self, user: &UserKey) {
        let mut reached = self.reached.lock();
        let Some(connected) = reached.0.get_mut(user) else { return };
        connected.sessions -= 1;
        if connected.sessions == 0 {
            reached.0.remove(user);
        }
    }

    /// Whether a user is a member of a room from now on.
    pub(super) fn note_membership(&self, of: &Membership) {
        let mut reached = self.reached.lock();
        let Some(connected) = reached.0.get_mut(&of.user) else { return };
        if of.is_member {
            self.add_room(connected, &of.user.tenant, &of.room);
        } else {
            connected.rooms.remove(&of.room);
        }
    }

    /// Whether it is a new one.
    fn add_room(&self, connected: &mut Connected, tenant: &TenantId, room: &RoomName) -> bool {
        let is_new = connected.rooms.len() < FOLLOWED_MEMBERSHIPS && !connected.rooms.contains_key(room);
        if is_new {
            let key = RoomKey { tenant: tenant.clone(), room: room.clone() };
            let hold = self.want(Topic::Room(key)).0;
            connected.rooms.insert(room.clone(), hold);
        }
        is_new
    }

    /// What was said of a user may not have been heard: their rooms are looked up again.
    pub(super) fn may_have_missed_rooms(&self, user: &UserKey) {
        if let Some(connected) = self.reached.lock().0.get_mut(user) {
            connected.missed = true;
        }
        self.work.add(|waiting| waiting.walks.add(user.clone()));
    }

    /// Looks up the rooms that a user is a member of, and where something may have been missed tells of those that were not known,
    /// as their node would have. Those that they are no longer stay until they leave: it costs little, and one of which they
    /// became a member meanwhile is not lost.
    pub(super) async fn walk(&self, store: &dyn Store, user: &UserKey) -> Result<(), StoreError> {
        let missed = self.take_missed(user);
        let mut after = None;
        loop {
            let page = store.room_names_of(user, after.as_ref(), FOLLOWED_MEMBERSHIPS as u32).await;
            let page = page.inspect_err(|_| self.set_missed(user, missed))?;
            let (found, is_full) = {
                let mut reached = self.reached.lock();
                let Some(connected) = reached.0.get_mut(user) else { return Ok(()) };
                let mut found = page.rooms;
                found.retain(|room| self.add_room(connected, &user.tenant, room));
                (found, connected.rooms.len() >= FOLLOWED_MEMBERSHIPS)
            };
            for room in found.into_iter().filter(|_| missed) {
                self.listener.control(user, &Control::Member { room, is_member: true });
            }
            match page.next.filter(|_| !is_full) {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Before a walk: what is missed during it is looked up by the next one.
    fn take_missed(&self, user: &UserKey) -> bool {
        let mut reached = self.reached.lock();
        reached.0.get_mut(user).is_some_and(|connected| std::mem::take(&mut connected.missed))
    }

    /// After a walk that failed: the next one tells of the rest.
    fn set_missed(&self, user: &UserKey, missed: bool) {
        if let Some(connected) = self.reached.lock().0.get_mut(user) {
            connected.missed |= missed;
        }
    }
}
