//! Lines about somebody known who was refused: they can be refused as often as they ask, and what they do must neither fill the
//! disk nor hide what others do. Plain state.

use rustc_hash::FxHashMap;

use crate::domain::caller::Identity;
use crate::domain::limits::{AUDIT_KNOWN, AUDIT_REFUSED};
use crate::domain::rate::{Bucket, Rate};
use crate::domain::time::Moment;

/// What is left of lines for each, and how many were left out since the last one.
#[derive(Debug)]
pub(super) struct Known {
    /// How many lines there are of each.
    rate: Rate,
    each: FxHashMap<Identity, Refused>,
    /// How many were left out of those who are not remembered any more.
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Refused {
    bucket: Bucket,
    left_out: u64,
}

impl Default for Known {
    fn default() -> Self {
        Self::of(AUDIT_REFUSED)
    }
}

impl Known {
    /// So many lines of each.
    pub(super) fn of(rate: Rate) -> Self {
        Self { rate, each: FxHashMap::default(), forgotten: 0 }
    }

    /// Whether a line may be written about somebody: how many were left out since the last one, or `None` where this is one
    /// more.
    pub(super) fn admit(&mut self, named: Identity, now: Moment) -> Option<u64> {
        let rate = self.rate;
        let refused = self.one(named, now);
        if refused.bucket.take(rate, now).is_err() {
            refused.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut refused.left_out))
    }

    /// Counts one about somebody of which no line is written.
    pub(super) fn leave_out(&mut self, named: Identity, now: Moment) {
        self.one(named, now).left_out += 1;
    }

    fn one(&mut self, named: Identity, now: Moment) -> &mut Refused {
        if self.each.len() >= AUDIT_KNOWN {
            self.each.retain(|_, refused| refused.left_out > 0 || !refused.bucket.is_full(now));
            if self.each.len() >= AUDIT_KNOWN {
                // So many at once: all of them have a fresh bucket.
                self.forgotten += self.each.values().map(|refused| refused.left_out).sum::<u64>();
                self.each.clear();
            }
        }
        self.each.entry(named).or_default()
    }

    /// How many were left out of those who are not remembered any more.
    pub(super) fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    /// Of whom how many were left out, where a line may be written that says so; of all where nothing comes after it.
    pub(super) fn take_left_out(&mut self, now: Moment, all: bool) -> Vec<(Identity, u64)> {
        let rate = self.rate;
        let due = |refused: &mut Refused| all || refused.bucket.take(rate, now).is_ok();
        self.each
            .iter_mut()
            .filter(|(_, refused)| refused.left_out > 0)
            .filter_map(|(named, refused)| {
                due(refused).then(|| (named.clone(), std::mem::take(&mut refused.left_out)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::UserId;

    fn user(n: usize) -> Identity {
        Identity { service: false, tenant: None, name: UserId::parse(&format!("user-{n}")).unwrap() }
    }

    #[test]
    fn one_hides_no_other_and_all_are_counted() {
        let mut known = Known::default();
        let written = (0..10_000).filter(|_| known.admit(user(1), Moment(1)).is_some()).count();
        assert_eq!(written as u32, AUDIT_REFUSED.burst);
        assert_eq!(known.admit(user(2), Moment(1)), Some(0));
        known.leave_out(user(1), Moment(1));
        assert_eq!(known.take_left_out(Moment(1), false), []);
        let left_out = u64::from(10_000 - AUDIT_REFUSED.burst) + 1;
        let later = Moment(1).plus(AUDIT_REFUSED.every);
        assert_eq!(known.take_left_out(later, false), [(user(1), left_out)]);
        assert_eq!(known.admit(user(1), later), None, "that was the one line");
        assert_eq!(known.admit(user(1), later.plus(AUDIT_REFUSED.every)), Some(1));
        assert_eq!(known.admit(user(1), later.plus(AUDIT_REFUSED.every)), None);
        assert_eq!(known.take_left_out(later, true), [(user(1), 1)], "at the end all is said");
        assert_eq!(known.take_left_out(later, true), []);
    }

    #[test]
    fn so_many_are_kept_and_what_was_left_out_of_others_is_counted() {
        let mut known = Known::default();
        for n in 0..3 * AUDIT_KNOWN {
            known.leave_out(user(n), Moment(1));
            assert!(known.each.len() <= AUDIT_KNOWN);
        }
        let told: u64 = known.take_left_out(Moment(1), true).iter().map(|(_, count)| count).sum();
        assert_eq!(told + known.take_forgotten(), 3 * AUDIT_KNOWN as u64);
    }
}
