//! Live sessions, by user and by tenant.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::domain::names::{SessionId, TenantId, UserKey};

use super::mailbox::Mailbox;

/// A runtime's sessions by tenant. They are changed by that runtime alone; it spreads notifications over them while it
/// reads, and so holds up nobody else who does.
type Tenants = RwLock<FxHashMap<TenantId, FxHashMap<SessionId, Arc<Mailbox>>>>;

/// Who is connected to this node.
pub struct Registry {
    users: RwLock<FxHashMap<UserKey, Vec<Arc<Mailbox>>>>,
    tenants: Vec<Tenants>,
}

impl Registry {
    /// Nobody yet, for this many runtimes.
    pub fn new(shards: usize) -> Self {
        Self { users: RwLock::default(), tenants: (0..shards).map(|_| Tenants::default()).collect() }
    }

    /// Adds a session, and gives the user's sessions before it: of two that come at once, one is the first.
    pub fn insert(&self, mailbox: Arc<Mailbox>) -> Vec<Arc<Mailbox>> {
        if let Some(tenants) = self.tenants.get(mailbox.shard()) {
            let mut tenants = tenants.write();
            let sessions = tenants.entry(mailbox.user().tenant.clone()).or_default();
            sessions.insert(mailbox.session(), Arc::clone(&mailbox));
        }
        let mut users = self.users.write();
        let sessions = users.entry(mailbox.user().clone()).or_default();
        let before = sessions.clone();
        sessions.push(mailbox);
        before
    }

    /// Removes a session; harmless where it is gone already.
    pub fn remove(&self, mailbox: &Arc<Mailbox>) {
        self.remove_of_tenant(mailbox);
        let mut users = self.users.write();
        if let Some(sessions) = users.get_mut(mailbox.user()) {
            sessions.retain(|other| !Arc::ptr_eq(other, mailbox));
            if sessions.is_empty() {
                users.remove(mailbox.user());
            }
        }
        if users.capacity() > 64 && users.len() < users.capacity() / 4 {
            users.shrink_to_fit();
        }
    }

    fn remove_of_tenant(&self, mailbox: &Mailbox) {
        let Some(tenants) = self.tenants.get(mailbox.shard()) else { return };
        let mut tenants = tenants.write();
        let Some(sessions) = tenants.get_mut(&mailbox.user().tenant) else { return };
        sessions.remove(&mailbox.session());
        if sessions.is_empty() {
            tenants.remove(&mailbox.user().tenant);
        } else if sessions.capacity() > 64 && sessions.len() < sessions.capacity() / 4 {
            sessions.shrink_to_fit();
        }
    }

    /// A user's sessions.
    pub fn sessions_of(&self, user: &UserKey) -> Vec<Arc<Mailbox>> {
        self.users.read().get(user).cloned().unwrap_or_default()
    }

    /// Whether a user has a session.
    pub fn is_online(&self, user: &UserKey) -> bool {
        self.users.read().contains_key(user)
    }

    /// All sessions of a tenant.
    pub fn sessions_in(&self, tenant: &TenantId) -> Vec<Arc<Mailbox>> {
        let mut all = Vec::new();
        for shard in 0..self.tenants.len() {
            self.for_each_in(shard, tenant, |mailbox| all.push(Arc::clone(mailbox)));
        }
        all
    }

    /// How many sessions a tenant has.
    pub fn sessions_in_count(&self, tenant: &TenantId) -> usize {
        (0..self.tenants.len()).map(|shard| self.count_in(shard, tenant)).sum()
    }

    /// All sessions.
    pub fn all(&self) -> Vec<Arc<Mailbox>> {
        self.users.read().values().flatten().cloned().collect()
    }

    /// How many sessions of a tenant a runtime has.
    pub fn count_in(&self, shard: usize, tenant: &TenantId) -> usize {
        let count = |tenants: &Tenants| tenants.read().get(tenant).map_or(0, FxHashMap::len);
        self.tenants.get(shard).map_or(0, count)
    }

    /// Calls `each` for a runtime's sessions of a tenant. It must not wait.
    pub fn for_each_in(&self, shard: usize, tenant: &TenantId, each: impl FnMut(&Arc<Mailbox>)) {
        if let Some(tenants) = self.tenants.get(shard)
            && let Some(sessions) = tenants.read().get(tenant)
        {
            sessions.values().for_each(each);
        }
    }

    /// Users with a session.
    pub fn users(&self) -> usize {
        self.users.read().len()
    }
}
