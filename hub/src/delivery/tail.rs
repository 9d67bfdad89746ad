//! The last entries of an active room, encoded once for all.

use std::collections::VecDeque;

use carillon_proto::Frame;

use crate::domain::limits::{TAIL_BYTES, TAIL_ENTRIES};
use crate::domain::position::Seq;
use crate::domain::time::Timestamp;

/// A contiguous run of a log that ends at its head. Bounded in entries and bytes.
#[derive(Debug, Default)]
pub struct Tail {
    /// The place before the first kept entry.
    base: Seq,
    frames: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    time: Timestamp,
    /// The message that it is or changes; 0 for neither.
    about: Seq,
    frame: Frame,
}

/// What lies past a cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum Past {
    /// Nothing more: the cursor is at the head (or at its limit).
    Nothing,
    /// More remains; the budget is used up.
    More,
    /// The tail begins later: read the store.
    Behind,
}

impl Tail {
    /// The last place.
    pub fn head(&self) -> Seq {
        Seq(self.base.0 + self.frames.len() as u64)
    }

    /// The last entry's frame, where it is kept.
    pub fn last(&self) -> Option<&Frame> {
        self.frames.back().map(|kept| &kept.frame)
    }

    /// Forgets all; the head is now `head`.
    pub fn reset(&mut self, head: Seq) {
        *self = Self { base: head, ..Self::default() };
    }

    /// Appends the entry at `seq`, which is the message at `about` or changes it; 0 for neither. Where it is not the next,
    /// the tail starts anew with it.
    pub fn push(&mut self, seq: Seq, about: Seq, now: Timestamp, frame: Frame) {
        if seq != self.head().next() {
            self.reset(Seq(seq.0.saturating_sub(1)));
        }
        self.bytes += frame.len();
        self.frames.push_back(Kept { time: now, about, frame });
        self.bound();
    }

    /// Gives what is kept of the message at `target`, and of what changed it, another form: it no longer reads as it was
    /// sent. Where `revise` has none, everything up to it is dropped.
    pub fn revise(&mut self, target: Seq, mut revise: impl FnMut(Seq, &Frame) -> Option<Frame>) {
        let mut seq = self.base;
        let mut unknown = None;
        for kept in &mut self.frames {
            seq = seq.next();
            if kept.about != target {
                continue;
            }
            match revise(seq, &kept.frame) {
                Some(frame) => {
                    self.bytes = self.bytes + frame.len() - kept.frame.len();
                    kept.frame = frame;
                }
                None => unknown = Some(seq),
            }
        }
        if let Some(seq) = unknown {
            self.drop_through(seq);
        }
        self.bound();
    }

    fn bound(&mut self) {
        while self.frames.len() > TAIL_ENTRIES || self.bytes > TAIL_BYTES {
            self.drop_first();
        }
    }

    /// Drops everything up to `seq`.
    fn drop_through(&mut self, seq: Seq) {
        while self.base < seq && !self.frames.is_empty() {
            self.drop_first();
        }
    }

    /// Drops what is older than `moment`.
    pub fn drop_older_than(&mut self, moment: Timestamp) {
        while self.frames.front().is_some_and(|kept| kept.time < moment) {
            self.drop_first();
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    fn drop_first(&mut self) {
        if let Some(kept) = self.frames.pop_front() {
            self.bytes -= kept.frame.len();
            self.base = self.base.next();
        }
    }

    /// Hands the entries past `cursor`, not past `until`, to `take` while it wants more, and moves the cursor.
    pub fn pull(&self, cursor: &mut Seq, until: Seq, mut take: impl FnMut(&Frame) -> bool) -> Past {
        let last = self.head().min(until);
        if *cursor >= last {
            return Past::Nothing;
        }
        if *cursor < self.base {
            return Past::Behind;
        }
        let skip = (cursor.0 - self.base.0) as usize;
        for Kept { frame, .. } in self.frames.range(skip..) {
            if *cursor >= last {
                return Past::Nothing;
            }
            *cursor = cursor.next();
            if !take(frame) {
                return if *cursor >= last { Past::Nothing } else { Past::More };
            }
        }
        Past::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_proto::v1::SessionResponse;
    use proptest::prelude::*;

    fn frame(seq: u64) -> Frame {
        Frame::encode(&SessionResponse { command_id: seq as u32, ..SessionResponse::default() })
    }

    #[test]
    fn a_cursor_before_the_tail_is_behind() {
        let mut tail = Tail::default();
        tail.reset(Seq(7));
        tail.push(Seq(8), Seq(8), Timestamp(0), frame(8));
        assert_eq!(tail.pull(&mut Seq(6), Seq(u64::MAX), |_| true), Past::Behind);
        assert_eq!(tail.pull(&mut Seq(8), Seq(u64::MAX), |_| true), Past::Nothing);
        tail.drop_through(Seq(8));
        assert_eq!((tail.head(), tail.pull(&mut Seq(7), Seq(u64::MAX), |_| true)), (Seq(8), Past::Behind));
    }

    #[test]
    fn what_is_about_a_message_takes_another_form_in_its_place() {
        let mut tail = Tail::default();
        for (seq, about) in [(1, 1), (2, 2), (3, 1), (4, 0), (5, 1)] {
            tail.push(Seq(seq), Seq(about), Timestamp(0), frame(seq));
        }
        let mut asked = Vec::new();
        tail.revise(Seq(1), |seq, kept| {
            assert_eq!(kept.prefixed(), frame(seq.0).prefixed());
            asked.push(seq.0);
            Some(frame(1_000 * seq.0))
        });
        assert_eq!(asked, [1, 3, 5]);
        let mut got = Vec::new();
        assert_eq!(
            tail.pull(&mut Seq(0), Seq(u64::MAX), |f| {
                got.push(f.clone());
                true
            }),
            Past::Nothing
        );
        let expected = [1_000, 2, 3_000, 4, 5_000].map(frame);
        assert_eq!(
            got.iter().map(Frame::prefixed).collect::<Vec<_>>(),
            expected.iter().map(Frame::prefixed).collect::<Vec<_>>()
        );
        assert_eq!(tail.bytes, expected.iter().map(Frame::len).sum::<usize>());
        tail.revise(Seq(1), |seq, kept| (seq != Seq(3)).then(|| kept.clone()));
        assert_eq!(tail.pull(&mut Seq(2), Seq(u64::MAX), |_| true), Past::Behind, "it has no other form");
        assert_eq!(tail.pull(&mut Seq(3), Seq(u64::MAX), |_| true), Past::Nothing);
    }

    proptest! {
        /// Whatever the budget and whenever it is dropped: each reader sees each entry once and in order, or is told
        /// to read the store.
        #[test]
        fn pulls_are_complete_and_in_order(steps in prop::collection::vec((0u8..4, 1usize..5), 1..200)) {
            let mut tail = Tail::default();
            let (mut head, mut cursor, mut seen) = (0u64, Seq(0), 0u64);
            for (step, count) in steps {
                match step {
                    0 => for _ in 0..count {
                        head += 1;
                        tail.push(Seq(head), Seq(0), Timestamp(head as i64), frame(head));
                    },
                    1 => tail.drop_through(Seq(head.saturating_sub(count as u64))),
                    _ => {
                        let mut left = count;
                        let mut got = Vec::new();
                        let past = tail.pull(&mut cursor, Seq(u64::MAX), |f| {
                            got.push(f.clone());
                            left -= 1;
                            left > 0
                        });
                        for f in got {
                            seen += 1;
                            let sent = frame(seen);
                            prop_assert_eq!(f.prefixed(), sent.prefixed());
                        }
                        if past == Past::Behind {
                            seen = head;
                            cursor = Seq(head);
                        }
                        prop_assert_eq!(cursor, Seq(seen));
                        prop_assert_eq!(past == Past::Nothing || past == Past::Behind, seen == head);
                    }
                }
                prop_assert_eq!(tail.head(), Seq(head));
            }
        }
    }
}
