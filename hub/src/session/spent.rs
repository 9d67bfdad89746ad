//! What ended sessions have left of their commands: their users' next sessions go on with it, so that whoever opens another
//! session has no more than with the one before.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::limits::SPENT_BUCKETS;
use crate::domain::names::UserKey;
use crate::domain::rate::Bucket;
use crate::domain::time::Moment;

/// How often buckets that are full are looked for.
const LOOKS: Duration = Duration::from_secs(30);

/// The buckets of ended sessions that are not full again, by user: no more of each than [`SPENT_BUCKETS`].
#[derive(Default)]
pub(super) struct Spent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    users: FxHashMap<UserKey, Vec<Bucket>>,
    next_look: Moment,
}

impl Spent {
    /// The bucket of a user's new session: of those that were left the one with the least in it, or a full one.
    pub(super) fn take(&self, user: &UserKey) -> Bucket {
        let mut kept = self.0.lock();
        let Some(left) = kept.users.get_mut(user) else { return Bucket::default() };
        let least = place_of(left, Bucket::has_less_than);
        let bucket = least.map(|place| left.swap_remove(place)).unwrap_or_default();
        if left.is_empty() {
            kept.users.remove(user);
        }
        bucket
    }

    /// A session has ended. Of too many the fullest goes.
    pub(super) fn keep(&self, user: &UserKey, bucket: Bucket, now: Moment) {
        if bucket.is_full(now) {
            return;
        }
        let mut kept = self.0.lock();
        let left = kept.users.entry(user.clone()).or_default();
        left.push(bucket);
        if left.len() > SPENT_BUCKETS
            && let Some(fullest) = place_of(left, |one, other| other.has_less_than(one))
        {
            left.swap_remove(fullest);
        }
    }

    /// Fills them all. How many were not full.
    pub(super) fn fill(&self, user: &UserKey, now: Moment) -> u32 {
        let left = self.0.lock().users.remove(user).unwrap_or_default();
        left.iter().filter(|bucket| !bucket.is_full(now)).count() as u32
    }

    /// Forgets those that are full again, once in a while.
    pub(super) fn sweep(&self, now: Moment) {
        let mut kept = self.0.lock();
        if now < kept.next_look {
            return;
        }
        kept.next_look = now.plus(LOOKS);
        kept.users.retain(|_, left| {
            left.retain(|bucket| !bucket.is_full(now));
            !left.is_empty()
        });
        if kept.users.capacity() > 64 && kept.users.len() < kept.users.capacity() / 4 {
            kept.users.shrink_to_fit();
        }
    }
}

/// Where the bucket is that goes before all others.
fn place_of(buckets: &[Bucket], goes_before: impl Fn(&Bucket, &Bucket) -> bool) -> Option<usize> {
    let all = buckets.iter().enumerate();
    all.reduce(|first, other| if goes_before(other.1, first.1) { other } else { first })
        .map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{TenantId, UserId};
    use crate::domain::rate::Rate;

    const RATE: Rate = Rate::new(1_000, Duration::from_secs(1));

    fn user(name: &str) -> UserKey {
        UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse(name).unwrap() }
    }

    /// A bucket of which so many were taken.
    fn without(taken: u32) -> Bucket {
        let mut bucket = Bucket::default();
        (0..taken).for_each(|_| bucket.take(RATE, Moment(1)).unwrap());
        bucket
    }

    #[test]
    fn the_next_session_goes_on_with_the_emptiest_of_its_user() {
        let (spent, alice) = (Spent::default(), user("alice"));
        for taken in [3, 900, 0, 7] {
            spent.keep(&alice, without(taken), Moment(1));
        }
        assert_eq!(spent.take(&user("bob")), Bucket::default());
        let next = || spent.take(&alice);
        assert_eq!([next(), next(), next(), next()], [900, 7, 3, 0].map(without));
        assert!(spent.0.lock().users.is_empty());
    }

    #[test]
    fn so_many_are_kept_and_the_fullest_goes_first() {
        let (spent, alice) = (Spent::default(), user("alice"));
        for taken in 1..=100 {
            spent.keep(&alice, without(taken), Moment(1));
        }
        let kept: Vec<_> = std::iter::repeat_with(|| spent.take(&alice)).take(SPENT_BUCKETS).collect();
        assert_eq!(kept, (37..=100).rev().map(without).collect::<Vec<_>>());
        assert_eq!(spent.take(&alice), Bucket::default());
    }

    #[test]
    fn what_is_full_again_or_was_filled_is_forgotten() {
        let (spent, alice, bob) = (Spent::default(), user("alice"), user("bob"));
        spent.keep(&alice, without(5), Moment(1));
        spent.keep(&bob, without(50), Moment(1));
        spent.sweep(Moment(6_000));
        assert!(spent.0.lock().users.keys().eq([&bob]));
        assert_eq!((spent.fill(&bob, Moment(6_000)), spent.fill(&bob, Moment(6_000))), (1, 0));
    }
}
