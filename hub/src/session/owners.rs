//! Whose connections are: a node has so many, and a user so many of them. Services, bridges and trusted proxies are counted
//! aside: they have as many as they like, also on a node that is full. Where it is full, connections on which nobody has shown
//! who they are give way to new ones.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carillon_net::addresses::network;
use carillon_net::strangers::Strangers;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{CONNECTIONS_RETRY_AFTER, CONNECTIONS_WARNING, CONNECTIONS_WARNING_OVER};
use crate::domain::names::UserKey;
use crate::telemetry::ConnectionsFigures;

use super::connection::Closer;

/// How many connections there may be; 0 where there is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionLimits {
    /// Of this node, those of services, bridges and trusted proxies aside.
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
    book: Mutex<Book>,
    warned: AtomicBool,
}

/// A lock of its own is held by whoever changes whose a connection is; it is taken before this one.
#[derive(Default)]
struct Book {
    /// Gives each its number, in the order in which they come.
    came: u64,
    /// Those of users and of strangers, but for those that were one too many when they came.
    counted: usize,
    /// Those that are counted aside.
    aside: usize,
    /// Connections of each user: no more users than connections.
    users: FxHashMap<UserKey, usize>,
    /// What closes those on which nobody has shown who they are.
    strangers: Strangers<Closer>,
    /// How many gave way since the start.
    gave_way: u64,
}

impl Owners {
    /// None yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self(Arc::new(Inner { limits, ..Inner::default() }))
    }

    /// Counts a connection of an address until what this gives is dropped. Where the node is full one on which nobody has
    /// shown who they are is closed for it, if there is any.
    pub fn arrive(&self, address: IpAddr) -> Present {
        let (address, most) = (network(address), self.0.limits.node);
        let mut book = self.0.book.lock();
        let id = book.came;
        book.came += 1;
        let is_full = most > 0 && book.counted >= most;
        let gives_way = if is_full { book.strangers.take_next() } else { None };
        let is_excess = is_full && gives_way.is_none();
        book.gave_way += u64::from(gives_way.is_some());
        book.counted += usize::from(!is_full);
        let owner = Mutex::default();
        let owned = Arc::new(Owned { owners: Arc::clone(&self.0), address, id, is_excess, owner });
        let closer = Closer::of_connection(Arc::clone(&owned));
        if !is_excess {
            book.strangers.add(address, id, closer.clone());
        }
        let counted = book.counted;
        drop(book);
        if let Some(stranger) = gives_way {
            stranger.close();
        }
        self.0.watch(counted);
        Present { owned, closer }
    }

    /// How many there are of which kind.
    pub fn figures(&self) -> ConnectionsFigures {
        let book = self.0.book.lock();
        ConnectionsFigures {
            active: book.counted as u64,
            unknown: book.strangers.len() as u64,
            aside: book.aside as u64,
            limit: self.0.limits.node as u64,
            gave_way: book.gave_way,
        }
    }
}

impl Inner {
    /// Warns of a node that has most of the connections that it may have, once each time that it comes to that.
    fn watch(&self, connections: usize) {
        let most = self.limits.node;
        let has = |share: usize| most > 0 && connections * 100 >= most * share;
        if has(CONNECTIONS_WARNING) && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(connections, most, "the node has most of the connections that it may have");
        } else if !has(CONNECTIONS_WARNING_OVER) {
            self.warned.store(false, Ordering::Relaxed);
        }
    }
}

/// Keeps a connection counted.
pub struct Present {
    owned: Arc<Owned>,
    closer: Closer,
}

impl Present {
    /// What its calls see of it.
    pub fn owned(&self) -> Arc<Owned> {
        Arc::clone(&self.owned)
    }

    /// What closes it from outside.
    pub fn closer(&self) -> Closer {
        self.closer.clone()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut owner = self.owned.owner.lock();
        let mut book = self.owned.owners.book.lock();
        match std::mem::replace(&mut *owner, Owner::Gone) {
            // The place of one that gave way is another's.
            Owner::Nobody => {
                let had_place = book.strangers.remove(self.owned.address, self.owned.id).is_some();
                book.counted -= usize::from(had_place);
            }
            Owner::User(user) => {
                book.counted -= 1;
                if let Some(count) = book.users.get_mut(&user) {
                    *count -= 1;
                    if *count == 0 {
                        book.users.remove(&user);
                    }
                }
            }
            Owner::Aside => book.aside -= 1,
            Owner::Gone => {}
        }
        let counted = book.counted;
        drop(book);
        self.owned.owners.watch(counted);
    }
}

/// One connection, and whose it is: the first's who proves to be somebody on it.
pub struct Owned {
    owners: Arc<Inner>,
    address: IpAddr,
    id: u64,
    /// Whether the node was full of known ones when it came: it is for services and bridges alone.
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
    Aside,
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
        let mut book = self.owners.book.lock();
        let count = book.users.get(user).copied().unwrap_or(0);
        if self.owners.limits.user > 0 && count >= self.owners.limits.user {
            return Err(full());
        }
        // It may have given way at this moment.
        book.strangers.remove(self.address, self.id).ok_or_else(full)?;
        book.users.insert(user.clone(), count + 1);
        *owner = Owner::User(user.clone());
        Ok(())
    }

    /// A service or a bridge has, or it is a proxy's: from now on it is counted aside.
    pub fn is_aside(&self) {
        let mut owner = self.owner.lock();
        if !matches!(*owner, Owner::Nobody) {
            return;
        }
        let mut book = self.owners.book.lock();
        if !self.is_excess {
            // One that has given way is about to end.
            let Some(_) = book.strangers.remove(self.address, self.id) else { return };
            book.counted -= 1;
        }
        book.aside += 1;
        *owner = Owner::Aside;
    }

    /// Whether the node gives it up for want of room: nobody has shown who they are on it, and another has its place, or it never
    /// had one. That it ends is nobody's failure.
    pub fn is_given_up(&self) -> bool {
        let is_nobodys = matches!(*self.owner.lock(), Owner::Nobody);
        is_nobodys && !self.owners.book.lock().strangers.has(self.address, self.id)
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
mod tests;
