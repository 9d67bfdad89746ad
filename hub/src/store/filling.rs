//! A page that is being filled, within its bound.

use crate::domain::entry::Entry;
use crate::store::PageBound;

/// A page that is being filled.
pub(super) struct Filling<T> {
    pub(super) bound: PageBound,
    bytes: usize,
    pub(super) items: Vec<T>,
    /// Whether something was not taken.
    pub(super) full: bool,
}

impl<T> Filling<T> {
    pub(super) fn new(bound: PageBound) -> Self {
        Self { bound, bytes: 0, items: Vec::new(), full: false }
    }

    /// Takes an item of `size` bytes; false where the page is full before it. The first one always fits.
    pub(super) fn take(&mut self, item: T, size: usize) -> bool {
        let fits = self.items.len() < self.bound.items.max(1) as usize
            && (self.items.is_empty() || self.bytes + size <= self.bound.bytes);
        if fits {
            self.bytes += size;
            self.items.push(item);
        } else {
            self.full = true;
        }
        fits
    }
}

impl Filling<Entry> {
    pub(super) fn take_entry(&mut self, entry: Entry) -> bool {
        let size = entry.size();
        self.take(entry, size)
    }

    /// Gives the entry at `index` what it was taken without. Where that is too much, the page ends before it; false then.
    pub(super) fn complete(&mut self, index: usize, complete: impl FnOnce(&mut Entry)) -> bool {
        let Some(entry) = self.items.get_mut(index) else { return false };
        let before = entry.size();
        complete(entry);
        self.bytes += entry.size() - before;
        while self.bytes > self.bound.bytes && self.items.len() > index.max(1) {
            self.bytes -= self.items.pop().map_or(0, |entry| entry.size());
            self.full = true;
        }
        index < self.items.len()
    }
}
