//! Who watches whom, whatever rooms they are in.

use std::collections::HashMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::spare::give_back;
use crate::domain::names::{SessionId, UserId};

/// Sessions by watched user, and watched users by session. A watched user need not be known to the board.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    sessions: HashMap<UserId, FxHashSet<SessionId>>,
    users: FxHashMap<SessionId, Box<[UserId]>>,
}

impl Watchers {
    /// The session watches these users, each once, instead of those before.
    pub(super) fn replace(&mut self, session: SessionId, users: &[UserId]) {
        self.remove(session);
        if users.is_empty() {
            return;
        }
        for user in users {
            self.sessions.entry(user.clone()).or_default().insert(session);
        }
        self.users.insert(session, users.into());
    }

    /// The session watches nobody any more.
    pub(super) fn remove(&mut self, session: SessionId) {
        let Some(users) = self.users.remove(&session) else { return };
        give_back(&mut self.users);
        for user in users {
            if let Some(sessions) = self.sessions.get_mut(&user) {
                sessions.remove(&session);
                if sessions.is_empty() {
                    self.sessions.remove(&user);
                    give_back(&mut self.sessions);
                }
            }
        }
    }

    /// Who watches the user; empty where nobody does.
    pub(super) fn of(&self, user: &UserId) -> Vec<SessionId> {
        self.sessions.get(user).map(|sessions| sessions.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.users.is_empty()
    }
}
