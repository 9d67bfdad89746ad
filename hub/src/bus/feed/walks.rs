//! Users whose rooms are to be looked up: each once, in the order in which they came.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use crate::domain::names::UserKey;

/// Whose rooms are to be looked up. Bounded by the users who are connected.
#[derive(Default)]
pub(super) struct Walks {
    order: VecDeque<UserKey>,
    waiting: FxHashSet<UserKey>,
}

impl Walks {
    /// Adds a user at the end, unless they wait already.
    pub(super) fn add(&mut self, user: UserKey) {
        if self.waiting.insert(user.clone()) {
            self.order.push_back(user);
        }
    }

    /// The first.
    pub(super) fn take(&mut self) -> Option<UserKey> {
        let user = self.order.pop_front()?;
        self.waiting.remove(&user);
        if self.order.is_empty() {
            *self = Self::default();
        }
        Some(user)
    }
}

impl Extend<UserKey> for Walks {
    fn extend<T: IntoIterator<Item = UserKey>>(&mut self, users: T) {
        users.into_iter().for_each(|user| self.add(user));
    }
}

impl IntoIterator for Walks {
    type Item = UserKey;
    type IntoIter = std::collections::vec_deque::IntoIter<UserKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.order.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{TenantId, UserId};

    #[test]
    fn each_waits_once_and_they_come_in_order() {
        let user = |n: usize| {
            let (tenant, user) = (TenantId::parse("acme").unwrap(), UserId::parse(&n.to_string()).unwrap());
            UserKey { tenant, user }
        };
        let mut walks = Walks::default();
        for _ in 0..3 {
            (0..1_000).for_each(|n| walks.add(user(n)));
        }
        assert_eq!(walks.take(), Some(user(0)));
        // Who failed goes to the end, and holds up nobody.
        walks.add(user(0));
        let mut all = Walks::default();
        all.extend(walks);
        for n in (1..1_000).chain([0]) {
            assert_eq!(all.take(), Some(user(n)));
        }
        assert_eq!(all.take(), None);
    }
}
