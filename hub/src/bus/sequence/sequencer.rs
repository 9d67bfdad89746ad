//! All logs that are followed, and the time.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::domain::position::{Position, Seq, Tag};

use super::log::Log;
use super::{Bounds, Context, Counts, Item, Page, Step};

/// Logs by their keys. Bounded by the logs that are open, and in what it holds by [`Bounds`].
pub struct Sequencer<K, T> {
    logs: FxHashMap<K, Entry<T>>,
    bounds: Bounds,
    held_bytes: usize,
    reads: u64,
    counts: Counts,
    deadlines: BTreeMap<(Instant, u64), K>,
    /// Numbers the logs: two deadlines may be the same.
    opened: u64,
}

struct Entry<T> {
    log: Log<T>,
    number: u64,
    /// Where it stands in the deadlines.
    deadline: Option<Instant>,
}

impl<K: Clone + Eq + Hash, T> Sequencer<K, T> {
    /// No logs yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            logs: FxHashMap::default(),
            bounds,
            held_bytes: 0,
            reads: 0,
            counts: Counts::default(),
            deadlines: BTreeMap::new(),
            opened: 0,
        }
    }

    /// A log is followed from now on. What comes is held until its head is known, which is asked for once it is
    /// [back](Self::back). Harmless where it is followed already.
    pub fn open(&mut self, key: &K) {
        if !self.logs.contains_key(key) {
            self.opened += 1;
            let entry = Entry { log: Log::new(), number: self.opened, deadline: None };
            self.logs.insert(key.clone(), entry);
        }
    }

    /// A log is followed no more.
    pub fn close(&mut self, key: &K) {
        let Some(entry) = self.logs.remove(key) else { return };
        self.held_bytes -= entry.log.held_bytes();
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, entry.number));
        }
        if self.logs.capacity() > 64 && self.logs.len() < self.logs.capacity() / 4 {
            self.logs.shrink_to_fit();
        }
    }

    /// What was told of any log is of an epoch that has ended: all begin anew. Whoever follows them knows that already.
    pub fn begin_anew(&mut self, now: Instant, out: &mut dyn FnMut(&K, Step<T>)) {
        let keys: Vec<K> = self.logs.keys().cloned().collect();
        for key in keys {
            self.with(&key, now, &mut |step| out(&key, step), Log::begin_anew);
        }
    }

    /// Up to where a log was told, where its head is known.
    pub fn position(&self, key: &K) -> Option<Position> {
        self.logs.get(key).and_then(|entry| entry.log.position())
    }

    /// Logs that are followed.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// What became of all logs so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of what is held.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Something has come, over the bus or from this node's own commits. `None` where the log is not followed: it is
    /// handed back.
    pub fn offer(
        &mut self,
        key: &K,
        item: Item<T>,
        now: Instant,
        out: &mut dyn FnMut(Step<T>),
    ) -> Option<Item<T>> {
        let mut item = Some(item);
        self.with(key, now, out, |log, cx| {
            if let Some(item) = item.take() {
                log.offer(item, cx);
            }
        });
        item
    }

    /// The bus has brought back what this node committed itself.
    pub fn echo(
        &mut self,
        key: &K,
        seq: Seq,
        previous: Option<Tag>,
        now: Instant,
        out: &mut dyn FnMut(Step<T>),
    ) {
        self.with(key, now, out, |log, cx| log.echo(seq, previous, cx));
    }

    /// Something came that cannot be read: the log is compared with the store's.
    pub fn verify(&mut self, key: &K, now: Instant, out: &mut dyn FnMut(Step<T>)) {
        self.with(key, now, out, Log::verify);
    }

    /// The bus brings a log no more.
    pub fn lost(&mut self, key: &K) {
        if let Some(entry) = self.logs.get_mut(key) {
            entry.log.lost();
        }
    }

    /// The bus brings a log again, or for the first time.
    pub fn back(&mut self, key: &K, now: Instant, out: &mut dyn FnMut(Step<T>)) {
        self.with(key, now, out, Log::back);
    }

    /// A read was answered. Harmless where nobody waits for it any more.
    pub fn page(&mut self, key: &K, id: u64, page: Page<T>, now: Instant, out: &mut dyn FnMut(Step<T>)) {
        self.with(key, now, out, |log, cx| log.page(id, page, cx));
    }

    /// A read failed: it is asked for again after a while.
    pub fn failed(&mut self, key: &K, id: u64, now: Instant) {
        self.with(key, now, &mut |_| {}, |log, cx| log.failed(id, cx));
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Acts on the deadlines that have passed. Each step comes with its log.
    pub fn tick(&mut self, now: Instant, out: &mut dyn FnMut(&K, Step<T>)) {
        while let Some(entry) = self.deadlines.first_entry()
            && entry.key().0 <= now
        {
            let key = entry.get().clone();
            self.with(&key, now, &mut |step| out(&key, step), Log::due);
        }
    }

    fn with(
        &mut self,
        key: &K,
        now: Instant,
        out: &mut dyn FnMut(Step<T>),
        act: impl FnOnce(&mut Log<T>, &mut Context<'_, T>),
    ) {
        let Some(entry) = self.logs.get_mut(key) else { return };
        let left = self.bounds.total.saturating_sub(self.held_bytes);
        let held = entry.log.held_bytes();
        let (reads, counts) = (&mut self.reads, &mut self.counts);
        let mut cx = Context { now, bounds: &self.bounds, left, reads, counts, out };
        act(&mut entry.log, &mut cx);
        self.held_bytes = self.held_bytes - held + entry.log.held_bytes();
        let deadline = entry.log.deadline();
        if deadline != entry.deadline {
            if let Some(old) = entry.deadline {
                self.deadlines.remove(&(old, entry.number));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, entry.number), key.clone());
            }
            entry.deadline = deadline;
        }
    }
}
