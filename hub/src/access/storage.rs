//! How much a tenant's rooms may hold. What is to be written is set aside before it is, so that what is written at the same
//! time is counted together; what was read of the store counts for a moment, and what was written since.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::entry::EntryBody;
use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::limits::STORED_OVERHEAD;
use crate::domain::names::TenantId;
use crate::domain::time::Moment;
use crate::store::{CommitError, Committed, Outcome, Store, Write, refuse};

/// What was read counts for so long. Other nodes write meanwhile, and what was removed makes room: each by what fits into
/// this.
const READ_FOR: Duration = Duration::from_secs(1);
/// Tenants of which it is known; past that all are read anew of whom nothing is being written.
const TENANTS: usize = 10_000;
/// Why something is refused.
const FULL: Violation = Violation { field: "room", rule: "of a tenant whose storage has room for it" };

/// A limit of bytes for each tenant.
#[derive(Default)]
pub struct StorageLimit {
    most: u64,
    known: Mutex<FxHashMap<TenantId, Known>>,
}

/// What is known of a tenant.
#[derive(Default)]
struct Known {
    /// What the store said, and what was written since.
    bytes: u64,
    /// What is set aside for what is being written.
    pending: u64,
    /// What was ever written: how much of it came while the store was being asked.
    written: u64,
    /// When the store was asked last.
    read: Option<Moment>,
}

impl Known {
    fn is_fresh(&self, now: Moment) -> bool {
        self.read.is_some_and(|read| now.since(read) < READ_FOR)
    }
}

/// What was set aside for an outcome. Dropped before it is known what became of that, it counts as written.
#[must_use = "what was not written is given back"]
pub struct Reserved<'a> {
    limit: &'a StorageLimit,
    tenant: TenantId,
    bytes: u64,
    is_written: bool,
}

impl StorageLimit {
    /// So many bytes; 0 for no limit.
    pub fn new(most: u64) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// So many bytes; 0 for no limit.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Sets aside what an outcome adds; `None` for what is done in a full tenant too: what adds nothing, takes away, or
    /// ends a membership. `MESSAGE_TOO_LARGE` where there is no room for it; the store is asked once a second.
    pub async fn reserve(
        &self,
        store: &dyn Store,
        outcome: &Outcome,
    ) -> Result<Option<Reserved<'_>>, Refusal> {
        let bytes: u64 = outcome.writes.iter().map(adds).sum();
        if self.most == 0 || bytes == 0 {
            return Ok(None);
        }
        let tenant = &outcome.tenant;
        let (is_fresh, before) = self.look(tenant, Moment::now());
        if !is_fresh {
            let held = store.stored_bytes(tenant).await.map_err(refuse)?;
            self.learn(tenant, held, before, Moment::now());
        }
        self.take(tenant, bytes).map(Some)
    }

    /// Whether what is known of a tenant is fresh, and what was ever written before this moment.
    fn look(&self, tenant: &TenantId, now: Moment) -> (bool, u64) {
        let known = self.known.lock();
        let Some(known) = known.get(tenant) else { return (false, 0) };
        (known.is_fresh(now), known.written)
    }

    /// The store was asked after so much had been written. What was since may be in what it said: it counts twice then,
    /// until it is asked again, rather than not at all. Of several who asked at the same time the first is heard.
    fn learn(&self, tenant: &TenantId, held: u64, before: u64, now: Moment) {
        let mut all = self.known.lock();
        if all.len() >= TENANTS && !all.contains_key(tenant) {
            all.retain(|_, known| known.pending > 0);
        }
        let known = all.entry(tenant.clone()).or_default();
        if !known.is_fresh(now) {
            known.bytes = held.saturating_add(known.written.saturating_sub(before));
            known.read = Some(now);
        }
    }

    fn take(&self, tenant: &TenantId, bytes: u64) -> Result<Reserved<'_>, Refusal> {
        let mut all = self.known.lock();
        let known = all.entry(tenant.clone()).or_default();
        if known.bytes.saturating_add(known.pending).saturating_add(bytes) > self.most {
            return Err(Refusal { violations: vec![FULL], ..ErrorCode::MessageTooLarge.into() });
        }
        known.pending += bytes;
        Ok(Reserved { limit: self, tenant: tenant.clone(), bytes, is_written: true })
    }
}

impl Reserved<'_> {
    /// It was not begun to be written.
    pub fn give_back(mut self) {
        self.is_written = false;
    }

    /// What became of it.
    pub fn settle(mut self, committed: &Result<Committed, CommitError>) {
        self.is_written = match committed {
            Ok(committed) => !committed.duplicate,
            // That may be, or come to be.
            Err(CommitError::Store(_)) => true,
            Err(_) => false,
        };
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut all = self.limit.known.lock();
        let Some(known) = all.get_mut(&self.tenant) else { return };
        known.pending = known.pending.saturating_sub(self.bytes);
        if self.is_written {
            known.bytes = known.bytes.saturating_add(self.bytes);
            known.written = known.written.wrapping_add(self.bytes);
        }
    }
}

/// Whether something is refused as its tenant's storage has no room for it.
pub fn is_full(refusal: &Refusal) -> bool {
    refusal.violations.contains(&FULL)
}

/// How many bytes a write adds at most. What takes away or ends something leaves its line in the log, of something that was
/// counted when it began: nobody fills a tenant with those.
fn adds(write: &Write) -> u64 {
    let Write::Append(body) = write else { return 0 };
    match body {
        EntryBody::Deletion { .. } | EntryBody::Reaction { add: false, .. } => 0,
        EntryBody::Membership { change, .. } if change.ends() => 0,
        // In the entry, and in the message, whose own was perhaps as short as can be.
        EntryBody::Edit { .. } => 2 * body.stored_bytes() - STORED_OVERHEAD,
        body => body.stored_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn end(reserved: Reserved<'_>, is_written: bool) {
        let mut reserved = reserved;
        reserved.is_written = is_written;
    }

    #[test]
    fn what_was_read_counts_for_a_second_with_what_was_written() {
        let (limit, acme) = (StorageLimit::new(1_000), tenant("acme"));
        assert_eq!(limit.look(&acme, Moment(1)), (false, 0));
        limit.learn(&acme, 900, 0, Moment(1));
        end(limit.take(&acme, 60).unwrap(), true);
        assert!(limit.take(&acme, 41).is_err());
        assert_eq!(limit.look(&acme, Moment(1_000)), (true, 60));
        assert_eq!(limit.look(&acme, Moment(1_001)), (false, 60));
        limit.learn(&acme, 100, 60, Moment(1_001));
        assert!(limit.take(&acme, 900).is_ok());
    }

    #[test]
    fn what_is_being_written_counts_until_it_is_known_that_it_was_not() {
        let (limit, acme) = (StorageLimit::new(1_000), tenant("acme"));
        limit.learn(&acme, 800, 0, Moment(1));
        let first = limit.take(&acme, 100).unwrap();
        let second = limit.take(&acme, 100).unwrap();
        assert!(limit.take(&acme, 1).is_err());
        // Also where the store is asked meanwhile.
        limit.learn(&acme, 800, 0, Moment(2_000));
        assert!(limit.take(&acme, 1).is_err());
        end(first, false);
        limit.take(&acme, 100).unwrap().give_back();
        end(limit.take(&acme, 100).unwrap(), false);
        drop(second);
        assert!(limit.take(&acme, 101).is_err(), "what was dropped counts as written");
        assert!(limit.take(&acme, 100).is_ok());
    }

    #[test]
    fn what_is_written_while_the_store_is_asked_counts() {
        let (limit, acme) = (StorageLimit::new(1_000), tenant("acme"));
        limit.learn(&acme, 0, 0, Moment(1));
        let (_, before) = limit.look(&acme, Moment(2_000));
        end(limit.take(&acme, 700).unwrap(), true);
        limit.learn(&acme, 0, before, Moment(2_001));
        limit.learn(&acme, 700, before, Moment(2_002));
        assert!(limit.take(&acme, 301).is_err() && limit.take(&acme, 300).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_told_apart_from_what_is_too_long() {
        let limit = StorageLimit::new(1_000);
        limit.learn(&tenant("acme"), 1_000, 0, Moment(1));
        let Err(refused) = limit.take(&tenant("acme"), 1) else { panic!("it is full") };
        assert_eq!((refused.code, is_full(&refused)), (ErrorCode::MessageTooLarge, true));
        assert!(!is_full(&ErrorCode::MessageTooLarge.into()));
        assert!(limit.take(&tenant("acme"), u64::MAX).is_err(), "however much it is");
        assert!(limit.take(&tenant("other"), 1_000).is_ok());
    }

    #[test]
    fn few_tenants_are_known_and_all_for_whom_something_is_written() {
        let limit = StorageLimit::new(10);
        let kept = limit.take(&tenant("kept"), 10).unwrap();
        for number in 0..=2 * TENANTS {
            limit.learn(&tenant(&format!("t{number}")), 1, 0, Moment(1));
        }
        assert!(limit.known.lock().len() <= TENANTS && limit.take(&tenant("kept"), 1).is_err());
        drop(kept);
    }
}
