//! Whose connections are, as far as they are somebody's: a node has so many, and a user so many of them. Services, bridges
//! and trusted proxies have as many as they like, also on a node that is full.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::CONNECTIONS_RETRY_AFTER;
use crate::domain::names::UserKey;

/// How many connections there may be; 0 where there is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionLimits {
    /// Of this node.
    pub node: usize,
    /// Of one user here.
    pub user: usize,
}

/// All connections of a node. A clone shares them.
#[derive(Clone, Default)]
pub struct Owners(Arc<Inner>);

#[derive(Default)]
struct Inner {
    limits: ConnectionLimits,
    all: AtomicUsize,
    /// Connections of each user: no more users than connections.
    users: Mutex<FxHashMap<UserKey, usize>>,
}

impl Owners {
    /// None yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self(Arc::new(Inner { limits, ..Inner::default() }))
    }

    /// Counts a connection until what this gives is dropped.
    pub fn arrive(&self) -> Present {
        let before = self.0.all.fetch_add(1, Ordering::SeqCst);
        let most = self.0.limits.node;
        let is_excess = most > 0 && before >= most;
        Present(Arc::new(Owned { owners: Arc::clone(&self.0), is_excess, owner: Mutex::default() }))
    }

    /// How many there are.
    pub fn connections(&self) -> usize {
        self.0.all.load(Ordering::SeqCst)
    }
}

/// Keeps a connection counted.
pub struct Present(Arc<Owned>);

impl Present {
    /// What its calls see of it.
    pub fn owned(&self) -> Arc<Owned> {
        Arc::clone(&self.0)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.owners.all.fetch_sub(1, Ordering::SeqCst);
        let owner = std::mem::replace(&mut *self.0.owner.lock(), Owner::Gone);
        if let Owner::User(user) = owner {
            let mut users = self.0.owners.users.lock();
            if let Some(count) = users.get_mut(&user) {
                *count -= 1;
                if *count == 0 {
                    users.remove(&user);
                }
            }
        }
    }
}

/// One connection, and whose it is: the first's who proves to be somebody on it.
pub struct Owned {
    owners: Arc<Inner>,
    /// Whether the node was full when it came: it is for services and bridges alone.
    is_excess: bool,
    owner: Mutex<Owner>,
}

#[derive(Default)]
enum Owner {
    /// Nobody's yet.
    #[default]
    Nobody,
    /// A user's.
    User(UserKey),
    /// A service's, a bridge's or a proxy's.
    Exempt,
    /// It has ended.
    Gone,
}

impl Owned {
    /// A user has shown who they are. `TOO_MANY_CONNECTIONS` where they, or the node, have so many already: then it is
    /// nobody's still.
    pub fn is_of(&self, user: &UserKey) -> Result<(), Refusal> {
        let mut owner = self.owner.lock();
        if !matches!(*owner, Owner::Nobody) {
            return Ok(());
        }
        if self.is_excess {
            return Err(full());
        }
        let mut users = self.owners.users.lock();
        let count = users.get(user).copied().unwrap_or(0);
        if self.owners.limits.user > 0 && count >= self.owners.limits.user {
            return Err(full());
        }
        users.insert(user.clone(), count + 1);
        *owner = Owner::User(user.clone());
        Ok(())
    }

    /// A service or a bridge has, or it is a proxy's.
    pub fn is_exempt(&self) {
        let mut owner = self.owner.lock();
        if matches!(*owner, Owner::Nobody) {
            *owner = Owner::Exempt;
        }
    }

    /// Whether it is one too many of the node, and nobody's for whom there is room all the same.
    pub fn is_too_many(&self) -> bool {
        self.is_excess && matches!(*self.owner.lock(), Owner::Nobody)
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned").field("is_excess", &self.is_excess).finish_non_exhaustive()
    }
}

/// Why a connection is one too many.
pub fn full() -> Refusal {
    Refusal { retry_after: Some(CONNECTIONS_RETRY_AFTER), ..ErrorCode::TooManyConnections.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{TenantId, UserId};

    fn user(name: &str) -> UserKey {
        UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse(name).unwrap() }
    }

    fn code(result: Result<(), Refusal>) -> Option<ErrorCode> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_user_has_so_many_until_they_end() {
        let owners = Owners::new(ConnectionLimits { user: 2, node: 0 });
        let (alice, bob) = (user("alice"), user("bob"));
        let mut held: Vec<_> = (0..4).map(|_| owners.arrive()).collect();
        assert_eq!(code(held[0].owned().is_of(&alice)), None);
        assert_eq!(code(held[0].owned().is_of(&alice)), None, "it is theirs already");
        assert_eq!(code(held[1].owned().is_of(&alice)), None);
        assert_eq!(code(held[2].owned().is_of(&alice)), Some(ErrorCode::TooManyConnections));
        assert_eq!(code(held[2].owned().is_of(&bob)), None);
        assert_eq!(code(held[2].owned().is_of(&alice)), None, "behind a proxy it is the first one's");
        drop(held.remove(0));
        assert_eq!(code(held[2].owned().is_of(&alice)), None);
        held.clear();
        assert!(owners.0.users.lock().is_empty() && owners.connections() == 0);
    }

    #[test]
    fn a_full_node_has_room_for_services_alone() {
        let owners = Owners::new(ConnectionLimits { user: 0, node: 1 });
        let (first, second, third) = (owners.arrive(), owners.arrive(), owners.arrive());
        assert_eq!(code(first.owned().is_of(&user("alice"))), None);
        assert_eq!(code(second.owned().is_of(&user("bob"))), Some(ErrorCode::TooManyConnections));
        assert!(second.owned().is_too_many() && third.owned().is_too_many() && !first.owned().is_too_many());
        third.owned().is_exempt();
        assert!(!third.owned().is_too_many());
        drop((first, second, third));
        assert_eq!(code(owners.arrive().owned().is_of(&user("bob"))), None);
    }

    #[test]
    fn what_has_ended_counts_no_more_whoever_still_knows_it() {
        let owners = Owners::new(ConnectionLimits { user: 1, node: 0 });
        let (gone, next) = (owners.arrive(), owners.arrive());
        let late = gone.owned();
        drop(gone);
        assert_eq!(code(late.is_of(&user("alice"))), None);
        assert_eq!(code(next.owned().is_of(&user("alice"))), None, "it is the only one");
    }
}
