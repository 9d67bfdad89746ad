//! Who is present in a room. Nearly all rooms have one or two, and there are as many of them as users: a tree would take ten times as
//! much for each.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use crate::domain::names::UserId;

/// Up to so many are kept in a list.
const FEW: usize = 8;

/// How many places each user has, in order of user ids, which is the order of pages. Shares the ids' text with the board.
#[derive(Debug)]
pub(super) struct Present(Kept);

#[derive(Debug)]
enum Kept {
    /// In order of their ids.
    Few(Vec<(UserId, u32)>),
    Many(BTreeMap<UserId, u32>),
}

impl Default for Present {
    fn default() -> Self {
        Self(Kept::Few(Vec::new()))
    }
}

impl Present {
    /// How many users.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Kept::Few(users) => users.len(),
            Kept::Many(users) => users.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The user's places, if there are any.
    pub(super) fn get_mut(&mut self, user: &UserId) -> Option<&mut u32> {
        match &mut self.0 {
            Kept::Few(users) => {
                users.iter_mut().find(|(present, _)| present == user).map(|(_, places)| places)
            }
            Kept::Many(users) => users.get_mut(user),
        }
    }

    /// Gives the user one more place, and says how many that makes.
    pub(super) fn add(&mut self, user: &UserId) -> u32 {
        if let Some(places) = self.get_mut(user) {
            *places += 1;
            return *places;
        }
        if let Kept::Few(users) = &mut self.0
            && users.len() == FEW
        {
            self.0 = Kept::Many(std::mem::take(users).into_iter().collect());
        }
        match &mut self.0 {
            Kept::Few(users) => {
                let place = users.partition_point(|(present, _)| present < user);
                users.reserve_exact(1);
                users.insert(place, (user.clone(), 1));
            }
            Kept::Many(users) => {
                users.insert(user.clone(), 1);
            }
        }
        1
    }

    /// The user is present no more. A room that was large may fill again: it keeps its tree until it is empty.
    pub(super) fn remove(&mut self, user: &UserId) {
        match &mut self.0 {
            Kept::Few(users) => users.retain(|(present, _)| present != user),
            Kept::Many(users) => drop(users.remove(user)),
        }
    }

    /// Those whose ids come after this one, in their order.
    pub(super) fn after<'a>(&'a self, after: Option<&UserId>) -> Box<dyn Iterator<Item = &'a UserId> + 'a> {
        match &self.0 {
            Kept::Few(users) => {
                let first = after.map_or(0, |after| users.partition_point(|(user, _)| user <= after));
                Box::new(users.iter().skip(first).map(|(user, _)| user))
            }
            Kept::Many(users) => {
                let start = after.map_or(Unbounded, Excluded);
                Box::new(users.range::<UserId, _>((start, Unbounded)).map(|(user, _)| user))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn user(number: u8) -> UserId {
        UserId::parse(&format!("user{number:02}")).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map_however_many_there_are(steps in vec((any::<bool>(), 0u8..20), 0..120)) {
            let (mut present, mut model) = (Present::default(), BTreeMap::new());
            for (comes, number) in steps {
                let user = user(number);
                if comes {
                    let places = model.entry(user.clone()).or_insert(0);
                    *places += 1;
                    prop_assert_eq!(present.add(&user), *places);
                } else {
                    present.remove(&user);
                    model.remove(&user);
                }
                prop_assert_eq!((present.len(), present.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(present.get_mut(&user).copied(), model.get(&user).copied());
                prop_assert!(present.after(None).eq(model.keys()));
                let later = model.keys().filter(|present| **present > user);
                prop_assert!(present.after(Some(&user)).eq(later));
            }
        }
    }
}
