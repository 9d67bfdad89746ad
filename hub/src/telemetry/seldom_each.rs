//! Lines that anybody can cause, for each who causes them.

use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::seldom::{INTERVAL, Seldom};
use crate::domain::time::Moment;

/// Most of whom it is known when a line was written: past that all begin anew.
const KNOWN: usize = 10_000;

/// A [`Seldom`] for each.
#[derive(Debug)]
pub struct SeldomEach<K>(Mutex<FxHashMap<K, Seldom>>);

impl<K> Default for SeldomEach<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> SeldomEach<K> {
    /// Whether a line may be written of `key` at `now`; see [`Seldom::admit`].
    pub fn admit(&self, key: K, now: Moment) -> Option<u64> {
        self.admit_every(INTERVAL, key, now)
    }

    /// The same; see [`Seldom::admit_every`].
    pub fn admit_every(&self, interval: Duration, key: K, now: Moment) -> Option<u64> {
        let mut each = self.0.lock();
        if each.len() >= KNOWN && !each.contains_key(&key) {
            each.clear();
        }
        each.entry(key).or_default().admit_every(interval, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_line_a_second_and_few_are_known() {
        let each = SeldomEach::default();
        assert_eq!([1, 1, 2, 1].map(|key| each.admit(key, Moment(1))), [Some(0), None, Some(0), None]);
        assert_eq!(each.admit(1, Moment(1_001)), Some(2));
        let minute = Duration::from_mins(1);
        let at = [1, 60_000, 60_001].map(|now| each.admit_every(minute, 3, Moment(now)));
        assert_eq!(at, [Some(0), None, Some(1)]);
        for key in 0..3 * KNOWN as u32 {
            each.admit(key, Moment(1));
        }
        assert!(each.0.lock().len() <= KNOWN);
    }
}
