//! A node's own lease, and whose have ended: without I/O.

use std::time::Duration;

use crate::bus::registry::Leases;
use crate::bus::sessions::Life;
use crate::domain::time::Moment;

/// When to renew, and when to look whether another's has ended. All times of leases are the registry's; here only how long
/// ago something was asked counts, so that clocks may differ.
#[derive(Debug)]
pub(super) struct Lease {
    life: Life,
    time: Duration,
    /// Whether this life has never had a lease.
    is_new: bool,
    /// It is good until then at least: counted from when it was asked for.
    good_until: Moment,
    next: Moment,
    /// Who is there is to be known by a look that has not begun yet.
    looks_again: bool,
    /// Looks so far: each renewal is one.
    looks: u64,
}

/// What a look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Who is there, this node aside or not.
    pub(super) alive: Vec<Life>,
    /// Whose leases have ended.
    pub(super) ended: Vec<Life>,
    /// Its own had ended: what it has told is void, and it tells everything anew in its next life.
    pub(super) is_reborn: bool,
}

impl Lease {
    /// Of a node, with leases of `time`. It is to be renewed at once.
    pub(super) fn new(node: u64, time: Duration) -> Self {
        let life = Life { node, number: 1 };
        Self {
            life,
            time,
            is_new: true,
            good_until: Moment(0),
            next: Moment(0),
            looks_again: false,
            looks: 0,
        }
    }

    /// Which life it is.
    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Whether the others may still take it to be there.
    pub(super) fn is_good(&self, now: Moment) -> bool {
        now < self.good_until
    }

    /// Until when they take it to be there at least.
    pub(super) fn good_until(&self) -> Moment {
        self.good_until
    }

    /// When it is to be renewed, or another's looked at.
    pub(super) fn next_deadline(&self) -> Moment {
        self.next
    }

    /// How many looks have begun.
    pub(super) fn looks(&self) -> u64 {
        self.looks
    }

    /// Who is there is to be known by a look that begins now; where one is under way, by another one right after it.
    pub(super) fn look_now(&mut self) {
        self.looks_again = true;
        self.next = Moment(0);
    }

    /// It is asked for; gives whether it is the life's first.
    pub(super) fn ask(&mut self) -> bool {
        self.looks += 1;
        self.looks_again = false;
        self.is_new
    }

    /// Asking failed.
    pub(super) fn failed(&mut self, now: Moment, retry: Duration) {
        self.next = now.plus(retry.min(self.time / 3));
    }

    /// The answer to what was asked at `asked`.
    pub(super) fn answered(&mut self, leases: &Leases, asked: Moment, now: Moment) -> Found {
        let mut found = Found::default();
        // When the first of the others' ends, if it is not renewed.
        let mut first = self.time / 3;
        for lease in &leases.all {
            match lease.left {
                Some(left) => {
                    found.alive.push(lease.life);
                    if lease.life != self.life {
                        first = first.min(left + Duration::from_millis(1));
                    }
                }
                None => found.ended.push(lease.life),
            }
        }
        if leases.is_renewed {
            self.is_new = false;
            self.good_until = asked.plus(self.time);
            self.next = if self.looks_again { now } else { now.plus(first) };
        } else {
            self.life.number += 1;
            self.is_new = true;
            self.next = now;
            found.is_reborn = true;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::registry::Lease as Kept;

    const TIME: Duration = Duration::from_secs(15);

    fn leases(is_renewed: bool, all: &[(u64, Option<u64>)]) -> Leases {
        let kept = |&(node, left): &(u64, Option<u64>)| Kept {
            life: Life { node, number: 1 },
            left: left.map(Duration::from_millis),
        };
        Leases { is_renewed, all: all.iter().map(kept).collect() }
    }

    #[test]
    fn it_is_renewed_at_a_third_and_good_from_when_it_was_asked_for() {
        let mut lease = Lease::new(7, TIME);
        assert!(lease.next_deadline() <= Moment(1) && !lease.is_good(Moment(1)));
        assert!(lease.ask());
        let found = lease.answered(&leases(true, &[(7, Some(15_000))]), Moment(1_000), Moment(3_000));
        assert_eq!((found.is_reborn, lease.next_deadline()), (false, Moment(8_000)));
        assert!(lease.is_good(Moment(15_999)) && !lease.is_good(Moment(16_000)));
        assert!(!lease.ask(), "it has one");
        lease.failed(Moment(8_000), Duration::from_secs(1));
        assert_eq!(lease.next_deadline(), Moment(9_000));
    }

    #[test]
    fn anothers_is_looked_at_when_it_ends() {
        let mut lease = Lease::new(7, TIME);
        lease.ask();
        let all = [(7, Some(15_000)), (8, Some(2_000)), (9, None)];
        let found = lease.answered(&leases(true, &all), Moment(1), Moment(1));
        assert_eq!(found.alive.len(), 2);
        assert_eq!(found.ended, [Life { node: 9, number: 1 }]);
        assert_eq!(lease.next_deadline(), Moment(2_002));
    }

    #[test]
    fn who_is_to_be_known_during_a_look_is_looked_for_after_it() {
        let mut lease = Lease::new(7, TIME);
        lease.ask();
        lease.look_now();
        lease.answered(&leases(true, &[]), Moment(1), Moment(2));
        assert_eq!(lease.next_deadline(), Moment(2));
        lease.ask();
        lease.answered(&leases(true, &[]), Moment(2), Moment(3));
        assert_eq!(lease.next_deadline(), Moment(3).plus(TIME / 3));
    }

    #[test]
    fn a_lease_that_ended_begins_another_life() {
        let mut lease = Lease::new(7, TIME);
        lease.ask();
        lease.answered(&leases(true, &[]), Moment(1), Moment(1));
        let found = lease.answered(&leases(false, &[]), Moment(20_000), Moment(20_000));
        assert!(found.is_reborn && lease.ask() && !lease.is_good(Moment(20_000)));
        assert_eq!((lease.life().number, lease.next_deadline()), (2, Moment(20_000)));
    }
}
