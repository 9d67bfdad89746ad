//! Lines about who is unknown and was refused: anybody can be refused as often as they like, and what they do must neither
//! fill the disk nor hide what others do. Plain state.

use std::net::IpAddr;

use carillon_net::addresses::network;
use rustc_hash::FxHashMap;

use crate::domain::limits::{AUDIT_STRANGER, AUDIT_STRANGER_ADDRESSES, AUDIT_STRANGERS};
use crate::domain::rate::Bucket;
use crate::domain::time::Moment;

/// What is left of lines, for each address and for all.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    all: Bucket,
    addresses: FxHashMap<Option<IpAddr>, Bucket>,
    left_out: u64,
}

impl Strangers {
    /// Whether a line may be written about somebody at this address: how many were left out since the last one, or `None`
    /// where this is one more.
    pub(super) fn admit(&mut self, address: Option<IpAddr>, now: Moment) -> Option<u64> {
        if self.addresses.len() >= AUDIT_STRANGER_ADDRESSES {
            self.addresses.retain(|_, bucket| !bucket.is_full(now));
            if self.addresses.len() >= AUDIT_STRANGER_ADDRESSES {
                // So many at once: all of them have a fresh bucket, and the one for all is what holds.
                self.addresses.clear();
            }
        }
        let bucket = self.addresses.entry(address.map(network)).or_default();
        if bucket.take(AUDIT_STRANGER, now).is_err() || self.all.take(AUDIT_STRANGERS, now).is_err() {
            self.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut self.left_out))
    }

    /// Whether a line may be written about somebody of whose address few are: how many were left out since the last one, or
    /// `None` where this is one more.
    pub(super) fn admit_one_of_all(&mut self, now: Moment) -> Option<u64> {
        if self.all.take(AUDIT_STRANGERS, now).is_err() {
            self.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut self.left_out))
    }

    /// Counts so many of which no line is written.
    pub(super) fn leave_out(&mut self, count: u64) {
        self.left_out += count;
    }

    /// How many were left out, where a line may be written that says so, or nothing comes after it; 0 where that is not now.
    pub(super) fn take_left_out(&mut self, now: Moment, all: bool) -> u64 {
        let is_due = self.left_out > 0 && (all || self.all.take(AUDIT_STRANGERS, now).is_ok());
        if is_due { std::mem::take(&mut self.left_out) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn one_address_hides_no_other() {
        let mut strangers = Strangers::default();
        let written = (0..10_000).filter(|_| strangers.admit(Some(address(1)), Moment(1)).is_some()).count();
        assert_eq!(written as u32, AUDIT_STRANGER.burst);
        let left_out = u64::from(10_000 - AUDIT_STRANGER.burst);
        assert_eq!(strangers.admit(Some(address(2)), Moment(1)), Some(left_out));
    }

    #[test]
    fn those_of_whose_address_few_are_have_the_limit_for_all() {
        let mut strangers = Strangers::default();
        for _ in 0..AUDIT_STRANGERS.burst {
            assert_eq!(strangers.admit_one_of_all(Moment(1)), Some(0));
        }
        assert_eq!(strangers.admit_one_of_all(Moment(1)), None);
        assert_eq!(strangers.admit(Some(address(1)), Moment(1)), None);
        strangers.leave_out(3);
        assert_eq!(strangers.take_left_out(Moment(1), false), 0, "there is no line left for it");
        assert_eq!(strangers.admit_one_of_all(Moment(201)), Some(5));
        strangers.leave_out(1);
        assert_eq!(strangers.take_left_out(Moment(401), false), 1);
        strangers.leave_out(2);
        assert_eq!(
            [true, true].map(|all| strangers.take_left_out(Moment(401), all)),
            [2, 0],
            "at the end all is said"
        );
    }

    #[test]
    fn many_addresses_have_a_limit_for_all_and_are_not_kept() {
        let mut strangers = Strangers::default();
        let all = 3 * AUDIT_STRANGER_ADDRESSES as u32;
        let written = (0..all).filter(|n| strangers.admit(Some(address(*n)), Moment(1)).is_some()).count();
        assert_eq!(written as u32, AUDIT_STRANGERS.burst);
        assert!(strangers.addresses.len() <= AUDIT_STRANGER_ADDRESSES);
    }
}
