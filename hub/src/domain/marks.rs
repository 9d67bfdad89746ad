//! Receipts: how far a user has got in a room.

use super::position::Seq;

/// A user's delivered and read positions in a room. They only grow, and read implies delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The last entry that reached a device of the user.
    pub delivered: Seq,
    /// The last entry that the user has read.
    pub read: Seq,
    /// The number (count of messages) at `read`, so that unread is a subtraction; where the user became a member later
    /// than that, the number when they did: what was written before is history to them.
    pub read_number: u64,
}

impl Marks {
    /// These marks raised to `delivered` and `read`; what is lower changes nothing. `read_number` is the number at
    /// `read`.
    #[must_use]
    pub fn raised(self, delivered: Seq, read: Seq, read_number: u64) -> Self {
        let read_number = if read > self.read { self.read_number.max(read_number) } else { self.read_number };
        let read = self.read.max(read);
        Self { delivered: self.delivered.max(delivered).max(read), read, read_number }
    }

    /// These marks of who becomes a member when the room has `number` messages: none of those is unread. Nothing says
    /// that they were delivered or read, as they were not.
    #[must_use]
    pub fn joined(self, number: u64) -> Self {
        Self { read_number: self.read_number.max(number), ..self }
    }

    /// Messages after the read mark, or since joining: head number less the number there. Deleted messages count until
    /// passed.
    pub fn unread(self, head_number: u64) -> u64 {
        head_number.saturating_sub(self.read_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_before_joining_is_not_unread() {
        let joined = Marks::default().joined(7);
        assert_eq!((joined.unread(7), joined.unread(9), joined.read), (0, 2, Seq(0)));
        // Reading up the history makes none of it unread.
        let reading = joined.raised(Seq(0), Seq(3), 3);
        assert_eq!((reading.unread(9), reading.read), (2, Seq(3)));
        assert_eq!(reading.raised(Seq(0), Seq(12), 8).unread(9), 1);
        assert_eq!(Marks { read_number: 9, ..joined }.joined(7).unread(9), 0);
    }

    proptest! {
        #[test]
        fn marks_only_grow_and_read_implies_delivered(steps in prop::collection::vec((0u64..50, 0u64..50), 0..40)) {
            let mut marks = Marks::default();
            for (delivered, read) in steps {
                let next = marks.raised(Seq(delivered), Seq(read), read / 2);
                prop_assert!(next.delivered >= marks.delivered && next.read >= marks.read);
                prop_assert!(next.read_number >= marks.read_number && next.delivered >= next.read);
                prop_assert_eq!(next.raised(Seq(delivered), Seq(read), read / 2), next);
                prop_assert!(next.unread(30) <= marks.unread(30));
                marks = next;
            }
        }
    }
}
