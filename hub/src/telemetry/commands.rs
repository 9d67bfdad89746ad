//! Commands by name and status, with their latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::histogram::{Histogram, LATENCY};
use crate::domain::error::{ERROR_TABLE, ErrorCode};

/// Commands by name and status. Names are the program's own, so there are few.
#[derive(Debug, Default)]
pub struct Commands(RwLock<FxHashMap<&'static str, Arc<OfCommand>>>);

/// What is counted of one command.
#[derive(Debug)]
pub(super) struct OfCommand {
    succeeded: AtomicU64,
    failed: [AtomicU64; ERROR_TABLE.len()],
    pub(super) latency: Histogram,
}

impl Commands {
    /// Records an answer.
    pub fn record(&self, name: &'static str, status: Result<(), ErrorCode>, took: Duration) {
        let known = self.0.read().get(name).cloned();
        let of =
            known.unwrap_or_else(|| Arc::clone(self.0.write().entry(name).or_insert_with(OfCommand::new)));
        let count = match status {
            Ok(()) => &of.succeeded,
            Err(code) => &of.failed[code as usize],
        };
        count.fetch_add(1, Ordering::Relaxed);
        of.latency.record(took);
    }

    /// All, by name.
    pub(super) fn all(&self) -> Vec<(&'static str, Arc<OfCommand>)> {
        let mut all: Vec<_> = self.0.read().iter().map(|(name, of)| (*name, Arc::clone(of))).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}

impl OfCommand {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            succeeded: AtomicU64::new(0),
            failed: std::array::from_fn(|_| AtomicU64::new(0)),
            latency: Histogram::new(LATENCY),
        })
    }

    /// The counts that are not zero, by status.
    pub(super) fn statuses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let failed = ERROR_TABLE.iter().zip(&self.failed).map(|(row, count)| (row.name, count));
        [("ok", &self.succeeded)]
            .into_iter()
            .chain(failed)
            .map(|(status, count)| (status, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }
}
