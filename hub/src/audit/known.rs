//! Lines about somebody known who was refused: they can be refused as often as they ask, and what they do must neither fill the
//! disk nor hide what others do. Plain state.

use rustc_hash::FxHashMap;

use crate::domain::caller::Identity;
use crate::domain::limits::{AUDIT_KNOWN, AUDIT_REFUSED};
use crate::domain::rate::Bucket;
use crate::domain::time::Moment;

/// What is left of lines for each, and how many were left out since the last one.
#[derive(Debug, Default)]
pub(super) struct Known(FxHashMap<Identity, Refused>);

#[derive(Debug, Default)]
struct Refused {
    bucket: Bucket,
    left_out: u64,
}

impl Known {
    /// Whether a line may be written about somebody, with `left_out` others like it: how many were left out in all, or `None`
    /// where this and those are more.
    pub(super) fn admit(&mut self, named: Identity, left_out: u64, now: Moment) -> Option<u64> {
        if self.0.len() >= AUDIT_KNOWN {
            self.0.retain(|_, refused| refused.left_out > 0 || !refused.bucket.is_full(now));
            if self.0.len() >= AUDIT_KNOWN {
                // So many at once: all of them have a fresh bucket.
                self.0.clear();
            }
        }
        let refused = self.0.entry(named).or_default();
        if refused.bucket.take(AUDIT_REFUSED, now).is_err() {
            refused.left_out += left_out + 1;
            return None;
        }
        Some(left_out + std::mem::take(&mut refused.left_out))
    }

    /// Of whom how many were left out, where a line may be written that says so; of all where nothing comes after it.
    pub(super) fn take_left_out(&mut self, now: Moment, all: bool) -> Vec<(Identity, u64)> {
        let due = |refused: &mut Refused| all || refused.bucket.take(AUDIT_REFUSED, now).is_ok();
        self.0
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
        let written = (0..10_000).filter(|_| known.admit(user(1), 0, Moment(1)).is_some()).count();
        assert_eq!(written as u32, AUDIT_REFUSED.burst);
        assert_eq!(known.admit(user(2), 0, Moment(1)), Some(0));
        assert_eq!(known.admit(user(1), 3, Moment(1)), None);
        assert_eq!(known.take_left_out(Moment(1), false), []);
        let left_out = u64::from(10_000 - AUDIT_REFUSED.burst) + 4;
        let later = Moment(1).plus(AUDIT_REFUSED.every);
        assert_eq!(known.take_left_out(later, false), [(user(1), left_out)]);
        assert_eq!(known.admit(user(1), 0, later), None, "that was the one line");
        assert_eq!(known.admit(user(1), 2, later.plus(AUDIT_REFUSED.every)), Some(3));
        assert_eq!(known.admit(user(1), 0, later.plus(AUDIT_REFUSED.every)), None);
        assert_eq!(known.take_left_out(later, true), [(user(1), 1)], "at the end all is said");
        assert_eq!(known.take_left_out(later, true), []);
    }

    #[test]
    fn so_many_are_kept() {
        let mut known = Known::default();
        for n in 0..3 * AUDIT_KNOWN {
            known.admit(user(n), 0, Moment(1));
            assert!(known.0.len() <= AUDIT_KNOWN);
        }
    }
}
