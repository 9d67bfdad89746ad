//! Receipts: how far a user has got in a room.

use super::position::Seq;

/// A user's delivered and read positions in a room. They only grow, and read implies delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The last entry that reached a device of the user.
    pub delivered: Seq,
    /// The last entry that the user has read.
    pub read: Seq,
    /// The number (count of messages) at `read`, so that unread is a subtraction.
    pub read_number: u64,
}

impl Marks {
    /// These marks raised to `delivered` and `read`; what is lower changes nothing. `read_number` is the number at
    /// `read`.
    #[must_use]
    pub fn raised(self, delivered: Seq, read: Seq, read_number: u64) -> Self {
        let (read, read_number) =
            if read > self.read { (read, read_number) } else { (self.read, self.read_number) };
        Self { delivered: self.delivered.max(delivered).max(read), read, read_number }
    }

    /// Messages after the read mark: head number less the number at the mark. Deleted messages count until passed.
    pub fn unread(self, head_number: u64) -> u64 {
        head_number.saturating_sub(self.read_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
