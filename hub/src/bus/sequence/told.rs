//! What was told last of a log, and how something else stands to it.

use std::collections::VecDeque;

use crate::domain::position::{Epoch, Position, Seq, Tag};

/// The place that was told last, with the tags of those before it.
#[derive(Debug)]
pub(super) struct Told {
    epoch: Epoch,
    last: Seq,
    /// Of the last places without a hole, up to `last`; never empty.
    tags: VecDeque<Tag>,
}

/// How something stands to what was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It was told, or counts as if it had been.
    Told,
    /// It is so old that its tag is not remembered.
    Forgotten,
    /// It is the next; `proven` where it names the tag of the last one.
    Next { proven: bool },
    /// Something is missing before it.
    Later,
    /// It belongs to another log.
    Elsewhere,
}

impl Told {
    /// Nothing before `place` is remembered.
    pub(super) fn at(place: Position) -> Self {
        Self { epoch: place.epoch, last: place.seq, tags: VecDeque::from([place.tag]) }
    }

    pub(super) fn last(&self) -> Seq {
        self.last
    }

    pub(super) fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.last, tag: self.tags.back().copied().unwrap_or_default() }
    }

    pub(super) fn tag_at(&self, seq: Seq) -> Option<Tag> {
        let back = self.last.0.checked_sub(seq.0)?;
        let index = (self.tags.len() as u64).checked_sub(back + 1)?;
        self.tags.get(index as usize).copied()
    }

    /// Whether `tag` may be the one at `seq`.
    pub(super) fn may_have(&self, seq: Seq, tag: Tag) -> bool {
        self.tag_at(seq).is_none_or(|known| known == tag)
    }

    /// The next place, or one after a hole. So many tags are remembered.
    pub(super) fn advance(&mut self, to: Position, tags: usize) {
        if to.seq != self.last.next() {
            *self = Self::at(to);
            return;
        }
        self.last = to.seq;
        self.tags.push_back(to.tag);
        if self.tags.len() > tags {
            self.tags.pop_front();
        }
    }

    pub(super) fn judge(&self, at: Position, previous: Option<Tag>) -> Stands {
        if at.epoch != self.epoch {
            return Stands::Elsewhere;
        }
        if at.seq > self.last.next() {
            return Stands::Later;
        }
        let before = Seq(at.seq.0.saturating_sub(1));
        if previous.is_some_and(|previous| !self.may_have(before, previous)) {
            return Stands::Elsewhere;
        }
        if at.seq == self.last.next() {
            return Stands::Next { proven: previous.is_some() };
        }
        match self.tag_at(at.seq) {
            Some(tag) if tag == at.tag => Stands::Told,
            Some(_) => Stands::Elsewhere,
            None => Stands::Forgotten,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64, tag: u32) -> Position {
        Position { epoch: Epoch(1), seq: Seq(seq), tag: Tag(tag) }
    }

    #[test]
    fn a_place_is_judged_by_its_own_tag_and_the_one_before() {
        let mut told = Told::at(at(5, 50));
        told.advance(at(6, 60), 8);
        let judge = |seq, tag, previous: Option<u32>| told.judge(at(seq, tag), previous.map(Tag));
        assert_eq!(judge(7, 70, Some(60)), Stands::Next { proven: true });
        assert_eq!(judge(7, 70, None), Stands::Next { proven: false });
        assert_eq!(judge(7, 70, Some(61)), Stands::Elsewhere, "it follows on another one");
        assert_eq!(judge(8, 80, Some(1)), Stands::Later);
        assert_eq!(judge(6, 60, Some(50)), Stands::Told);
        assert_eq!(judge(6, 61, Some(50)), Stands::Elsewhere, "another one is there");
        assert_eq!(judge(6, 60, Some(51)), Stands::Elsewhere, "the same place, after another one");
        assert_eq!(judge(4, 40, None), Stands::Forgotten);
        let elsewhere = Position { epoch: Epoch(2), ..at(7, 70) };
        assert_eq!(told.judge(elsewhere, Some(Tag(60))), Stands::Elsewhere);
    }

    #[test]
    fn so_many_tags_are_remembered_and_none_across_a_hole() {
        let mut told = Told::at(at(0, 0));
        for seq in 1..=1_000 {
            told.advance(at(seq, seq as u32), 8);
        }
        let oldest = 1_001 - 8;
        assert_eq!(told.tag_at(Seq(oldest)), Some(Tag(oldest as u32)));
        assert_eq!((told.tag_at(Seq(oldest - 1)), told.tag_at(Seq(1_001))), (None, None));
        told.advance(at(1_002, 7), 8);
        assert_eq!((told.tag_at(Seq(1_000)), told.position()), (None, at(1_002, 7)));
    }
}
