//! A server that keeps logs, may lose their ends, and remembers what followed on what.

use rustc_hash::FxHashMap;

use super::super::Page;
use crate::domain::position::{Epoch, Position, Seq, Tag};

pub(super) type Key = usize;

/// What the server ever accepted at one place.
#[derive(Clone, Copy)]
pub(super) struct Accepted {
    pub(super) at: Position,
    pub(super) previous: Tag,
}

#[derive(Default)]
struct Kept {
    /// Of each place from 1, also where retention removed it.
    tags: Vec<Tag>,
    first: u64,
}

#[derive(Default)]
pub(super) struct Server {
    epoch: u64,
    logs: FxHashMap<Key, Kept>,
    /// Everything that was ever accepted, by its tag.
    pub(super) accepted: FxHashMap<Tag, Accepted>,
    /// The last place that retention removed in any log that there was.
    pub(super) trimmed: FxHashMap<Key, u64>,
    tags: u32,
}

impl Server {
    fn log(&mut self, key: Key) -> &mut Kept {
        self.logs.entry(key).or_default()
    }

    pub(super) fn head(&mut self, key: Key) -> Position {
        let epoch = Epoch(self.epoch);
        let log = self.log(key);
        Position { epoch, seq: Seq(log.tags.len() as u64), tag: log.tags.last().copied().unwrap_or_default() }
    }

    /// Whether it has, or had until retention removed it, this entry there.
    pub(super) fn has(&mut self, key: Key, at: Position) -> bool {
        self.epoch == at.epoch.0 && self.log(key).tags.get(at.seq.0 as usize - 1) == Some(&at.tag)
    }

    pub(super) fn append(&mut self, key: Key) -> Accepted {
        let head = self.head(key);
        self.tags += 1;
        let at = Position { seq: head.seq.next(), tag: Tag(self.tags), ..head };
        self.log(key).tags.push(at.tag);
        let accepted = Accepted { at, previous: head.tag };
        self.accepted.insert(at.tag, accepted);
        accepted
    }

    pub(super) fn lose(&mut self, key: Key, entries: usize) {
        let log = self.log(key);
        log.tags.truncate(log.tags.len().saturating_sub(entries));
        log.first = log.first.min(log.tags.len() as u64);
    }

    pub(super) fn lose_everything(&mut self) {
        self.epoch += 1;
        self.logs.clear();
    }

    pub(super) fn trim(&mut self, key: Key, entries: u64) {
        let log = self.log(key);
        log.first = (log.first + entries).min(log.tags.len() as u64);
        let first = log.first;
        let trimmed = self.trimmed.entry(key).or_default();
        *trimmed = first.max(*trimmed);
    }

    pub(super) fn read(&mut self, key: Key, after: Option<Seq>, most: usize) -> Page<Position> {
        let head = self.head(key);
        let log = self.log(key);
        let Some(after) = after else { return Page { head, items: Vec::new(), more: false } };
        let first = after.0.max(log.first) as usize;
        let place = |(index, tag): (usize, &Tag)| {
            let at = Position { epoch: head.epoch, seq: Seq(index as u64 + 1), tag: *tag };
            (at, at)
        };
        let items: Vec<_> = log.tags.iter().enumerate().skip(first).take(most).map(place).collect();
        let more = first + items.len() < log.tags.len();
        Page { head, items, more }
    }
}
