//! Live sessions, by user.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::domain::names::{TenantId, UserKey};

use super::mailbox::Mailbox;

/// Who is connected to this node.
#[derive(Default)]
pub struct Registry {
    users: RwLock<FxHashMap<UserKey, Vec<Arc<Mailbox>>>>,
}

impl Registry {
    /// Adds a session, and gives the user's sessions before it: of two that come at once, one is the first.
    pub fn insert(&self, mailbox: Arc<Mailbox>) -> Vec<Arc<Mailbox>> {
        let mut users = self.users.write();
        let sessions = users.entry(mailbox.user().clone()).or_default();
        let before = sessions.clone();
        sessions.push(mailbox);
        before
    }

    /// Removes a session; harmless where it is gone already.
    pub fn remove(&self, mailbox: &Arc<Mailbox>) {
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
        let users = self.users.read();
        users.iter().filter(|(user, _)| user.tenant == *tenant).flat_map(|(_, s)| s.iter().cloned()).collect()
    }

    /// Users with a session.
    pub fn users(&self) -> usize {
        self.users.read().len()
    }
}
