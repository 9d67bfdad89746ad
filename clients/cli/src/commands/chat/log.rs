//! What was seen of a room's log, and what was done to it from here. Another log begins without any of it. Plain data.

use carillon_client::v1;

/// One log, as far as it was shown.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Where it ended when the room was joined: what was done to messages before shows on them already.
    end: v1::Position,
    /// The last entry shown.
    shown: v1::Position,
    /// The last message shown, anyone's.
    last_message: Option<v1::Position>,
    /// One's own last message that was shown.
    last_own: Option<v1::Position>,
    /// The last message that was written from here. It may not have been shown yet.
    said: Option<v1::Position>,
    /// Whether a message after that was not written, or nobody knows: then none is known to be the last.
    lost: bool,
    /// The last entry that was written from here and is to be shown.
    wrote: Option<v1::Position>,
    /// The read mark that the hub has.
    marked: u64,
    /// Of each other user, the marks that were told.
    marks: Vec<v1::Marks>,
}

impl Log {
    /// Nothing of it is shown yet, and this is its end.
    pub(super) fn from(end: v1::Position) -> Self {
        Self { end, ..Self::default() }
    }

    /// From here on it is another one, or the same with a hole before its end. What was written to it from here may be
    /// known before this is.
    pub(super) fn is_replaced(&mut self, end: v1::Position) {
        let said = self.said.filter(|said| said.epoch == end.epoch);
        let wrote = self.wrote.filter(|wrote| wrote.epoch == end.epoch && wrote.seq > end.seq);
        *self = Self { said, wrote, lost: self.lost, ..Self::from(end) };
    }

    /// An entry is shown. False: what it does shows on its message already, for replay brings the current content.
    pub(super) fn shows(&mut self, header: &v1::EntryHeader, what: What, mine: bool) -> bool {
        if header.seq == 0 {
            // It is in no log.
            return true;
        }
        let place = v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag };
        self.shown = later(Some(self.shown), Some(place)).unwrap_or_default();
        if what == What::Message {
            self.last_message = Some(place);
            if mine {
                self.last_own = Some(place);
                self.lost = false;
            }
        }
        what != What::Change || header.seq > self.end.seq
    }

    /// An entry was written from here; a message, or another.
    pub(super) fn wrote(&mut self, place: v1::Position, is_message: bool) {
        self.wrote = later(self.wrote, Some(place));
        if is_message {
            self.said = later(self.said, Some(place));
            self.lost = false;
        }
    }

    /// A message was not written, or nobody knows.
    pub(super) fn is_lost(&mut self) {
        self.lost = true;
    }

    /// Whether all that was written from here is shown.
    pub(super) fn is_caught_up(&self) -> bool {
        self.wrote.is_none_or(|wrote| wrote.epoch == self.shown.epoch && wrote.seq <= self.shown.seq)
    }

    /// The last message, anyone's.
    pub(super) fn last_message(&self) -> Option<u64> {
        later(self.last_message, self.said).filter(|_| !self.lost).map(|place| place.seq)
    }

    /// One's own last message.
    pub(super) fn last_own(&self) -> Option<u64> {
        later(self.last_own, self.said).filter(|_| !self.lost).map(|place| place.seq)
    }

    /// The place to mark as read that the hub does not have.
    pub(super) fn to_mark(&self) -> Option<v1::Position> {
        (self.shown.seq > self.marked).then_some(self.shown)
    }

    /// The hub has this mark.
    pub(super) fn is_marked(&mut self, place: v1::Position) {
        if place.epoch == self.shown.epoch {
            self.marked = self.marked.max(place.seq);
        }
    }

    /// The step that another user's marks took over one's last message.
    pub(super) fn step(&mut self, marks: &v1::Marks) -> Option<Step> {
        let before = self.marks.iter().position(|known| known.user == marks.user);
        let before = before.map(|index| self.marks.swap_remove(index)).unwrap_or_default();
        self.marks.push(marks.clone());
        let own = self.last_own?.seq;
        let passed = |from: u64, to: u64| from < own && to >= own;
        if passed(before.read, marks.read) {
            return Some(Step::Read(own));
        }
        passed(before.delivered, marks.delivered).then_some(Step::Delivered(own))
    }
}

/// What an entry is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Message,
    /// Something was done to a message.
    Change,
    Other,
}

/// A message came so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Delivered(u64),
    Read(u64),
}

/// The later of two places. Of two logs the second's is: it is the one that was heard of later.
fn later(one: Option<v1::Position>, other: Option<v1::Position>) -> Option<v1::Position> {
    match (one, other) {
        (Some(one), Some(other)) if one.epoch == other.epoch && one.seq > other.seq => Some(one),
        (one, other) => other.or(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> v1::Position {
        v1::Position { epoch, seq, tag: 0 }
    }

    fn header(epoch: u64, seq: u64) -> v1::EntryHeader {
        v1::EntryHeader { epoch, seq, ..Default::default() }
    }

    #[test]
    fn the_last_message_is_known_before_it_is_shown() {
        let mut log = Log::from(at(1, 0));
        assert!(log.is_caught_up() && log.last_own().is_none());
        log.shows(&header(1, 1), What::Message, true);
        log.wrote(at(1, 2), true);
        assert_eq!((log.last_own(), log.last_message(), log.is_caught_up()), (Some(2), Some(2), false));
        log.wrote(at(1, 3), false);
        log.shows(&header(1, 2), What::Message, true);
        assert_eq!((log.last_own(), log.is_caught_up()), (Some(2), false));
        log.shows(&header(1, 3), What::Change, true);
        // Another device's is later than what was written from here.
        log.shows(&header(1, 4), What::Message, true);
        log.shows(&header(1, 5), What::Message, false);
        assert_eq!((log.last_own(), log.last_message(), log.is_caught_up()), (Some(4), Some(5), true));
        log.is_lost();
        assert_eq!((log.last_own(), log.last_message()), (None, None));
        log.wrote(at(1, 6), true);
        assert_eq!((log.last_own(), log.last_message()), (Some(6), Some(6)));
    }

    #[test]
    fn another_log_takes_nothing_over_but_what_was_written_to_it() {
        let mut log = Log::from(at(1, 5));
        log.shows(&header(1, 9), What::Message, true);
        log.wrote(at(1, 9), true);
        log.is_marked(at(1, 9));
        log.is_replaced(at(2, 0));
        assert_eq!((log.last_own(), log.last_message(), log.to_mark()), (None, None, None));
        assert!(log.is_caught_up());
        log.is_marked(at(1, 9));
        assert!(log.shows(&header(2, 1), What::Change, false));
        assert_eq!(log.to_mark(), Some(at(2, 1)));

        // An answer overtakes the news of the other log.
        log.wrote(at(3, 1), true);
        log.is_replaced(at(3, 0));
        assert_eq!((log.last_own(), log.is_caught_up()), (Some(1), false));
        // What lies before a hole is not shown any more.
        log.is_replaced(at(3, 4));
        assert_eq!((log.last_own(), log.is_caught_up()), (Some(1), true));
    }
}
