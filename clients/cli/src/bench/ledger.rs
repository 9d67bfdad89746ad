//! Counts what one receiver got of one sequence, exactly: lost, duplicated, out of order.

use std::collections::BTreeSet;
use std::ops::AddAssign;

/// What is wrong in a set of deliveries. All zero: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Distinct messages that arrived.
    pub(super) delivered: u64,
    /// Messages that never arrived.
    pub(super) lost: u64,
    /// Deliveries of a message that had arrived before.
    pub(super) duplicated: u64,
    /// Messages that arrived after a later one.
    pub(super) out_of_order: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
    }
}

/// What a delivery was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It had not arrived before.
    New,
    /// It had.
    Duplicate,
}

/// The deliveries of a sequence 0, 1, 2, … to one receiver.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// One more than the highest number that arrived.
    next: u64,
    /// Numbers below `next` that have not arrived. Empty while all is well.
    missing: BTreeSet<u64>,
    /// The highest place that arrived.
    place: u64,
    duplicated: u64,
    out_of_order: u64,
}

impl Ledger {
    /// Counts a delivery. `place`, from 1, is what order is judged by: the seq of an entry, for that is the order that
    /// a hub promises.
    pub(super) fn record(&mut self, number: u64, place: u64) -> Verdict {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
        } else if !self.missing.remove(&number) {
            self.duplicated += 1;
            return Verdict::Duplicate;
        }
        if place <= self.place {
            self.out_of_order += 1;
        }
        self.place = self.place.max(place);
        Verdict::New
    }

    /// What is wrong if `sent` messages, 0 to `sent - 1`, were for this receiver.
    pub(super) fn tally(&self, sent: u64) -> Tally {
        let delivered = self.next - self.missing.len() as u64;
        Tally {
            delivered,
            lost: sent.saturating_sub(delivered),
            duplicated: self.duplicated,
            out_of_order: self.out_of_order,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(numbers: &[u64], sent: u64) -> Tally {
        let mut ledger = Ledger::default();
        for number in numbers {
            ledger.record(*number, *number + 1);
        }
        ledger.tally(sent)
    }

    #[test]
    fn each_fault_is_counted_as_what_it_is() {
        let clean = Tally { delivered: 4, ..Tally::default() };
        assert_eq!(tally(&[0, 1, 2, 3], 4), clean);
        assert_eq!(tally(&[0, 1, 3], 4), Tally { delivered: 3, lost: 1, ..clean });
        assert_eq!(tally(&[0, 1], 4), Tally { delivered: 2, lost: 2, ..clean });
        assert_eq!(tally(&[0, 1, 1, 2, 3], 4), Tally { duplicated: 1, ..clean });
        assert_eq!(tally(&[0, 2, 1, 3, 1], 4), Tally { duplicated: 1, out_of_order: 1, ..clean });
        assert_eq!(tally(&[3, 0, 1, 2], 4), Tally { out_of_order: 3, ..clean });
    }

    #[test]
    fn order_is_that_of_the_places() {
        let mut ledger = Ledger::default();
        for (number, place) in [(0, 5), (2, 6), (1, 7)] {
            assert_eq!(ledger.record(number, place), Verdict::New);
        }
        assert_eq!(ledger.tally(3), Tally { delivered: 3, ..Tally::default() });
        assert_eq!(ledger.record(3, 7), Verdict::New);
        assert_eq!(ledger.tally(4).out_of_order, 1);
    }
}
