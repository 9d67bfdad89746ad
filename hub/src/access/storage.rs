//! How much a tenant's rooms may hold: what is known of it between two looks at the store.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::names::TenantId;
use crate::domain::time::Moment;

/// What was read counts for so long. Other nodes write meanwhile, and what was removed makes room: each by what fits into
/// this.
const READ_FOR: Duration = Duration::from_secs(1);
/// Tenants of which it is known; past that all are read anew.
const TENANTS: usize = 10_000;

/// A limit of bytes for each tenant.
#[derive(Default)]
pub struct StorageLimit {
    most: u64,
    known: Mutex<FxHashMap<TenantId, Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    /// What the store said, and what was added since.
    bytes: u64,
    read: Moment,
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

    /// What a tenant's rooms hold, where that was read a moment ago.
    pub fn known(&self, tenant: &TenantId, now: Moment) -> Option<u64> {
        let known = self.known.lock().get(tenant).copied()?;
        (now.since(known.read) < READ_FOR).then_some(known.bytes)
    }

    /// It was read.
    pub fn learn(&self, tenant: &TenantId, bytes: u64, now: Moment) {
        let mut known = self.known.lock();
        if known.len() >= TENANTS && !known.contains_key(tenant) {
            known.clear();
        }
        known.insert(tenant.clone(), Known { bytes, read: now });
    }

    /// So much was written.
    pub fn add(&self, tenant: &TenantId, bytes: u64) {
        if let Some(known) = self.known.lock().get_mut(tenant) {
            known.bytes = known.bytes.saturating_add(bytes);
        }
    }

    /// Refuses what is more than is left beside `held`.
    pub fn check(&self, held: u64, adds: u64) -> Result<(), Refusal> {
        if held.saturating_add(adds) <= self.most {
            return Ok(());
        }
        let violation = Violation { field: "room", rule: "of a tenant whose storage has room for it" };
        Err(Refusal { violations: vec![violation], ..ErrorCode::MessageTooLarge.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_counts_for_a_second_with_what_was_added() {
        let limit = StorageLimit::new(1_000);
        let [acme, other] = ["acme", "other"].map(|tenant| TenantId::parse(tenant).unwrap());
        assert_eq!(limit.known(&acme, Moment(1)), None);
        limit.add(&acme, 5);
        limit.learn(&acme, 900, Moment(1));
        limit.add(&acme, 60);
        assert_eq!((limit.known(&acme, Moment(1_000)), limit.known(&other, Moment(1))), (Some(960), None));
        assert_eq!(limit.known(&acme, Moment(1_001)), None);
        limit.learn(&acme, 100, Moment(1_001));
        assert_eq!(limit.known(&acme, Moment(1_002)), Some(100));
    }

    #[test]
    fn what_fits_is_written_to_the_last_byte() {
        let limit = StorageLimit::new(1_000);
        assert!(limit.check(900, 100).is_ok() && limit.check(0, 1_000).is_ok());
        let refused = limit.check(900, 101).unwrap_err();
        assert_eq!((refused.code, refused.violations.len()), (ErrorCode::MessageTooLarge, 1));
        assert!(limit.check(5_000, 0).is_err() && limit.check(u64::MAX, 1).is_err());
    }

    #[test]
    fn few_tenants_are_known() {
        let limit = StorageLimit::new(1);
        for number in 0..=TENANTS {
            limit.learn(&TenantId::parse(&format!("t{number}")).unwrap(), 1, Moment(1));
        }
        assert!(limit.known.lock().len() <= TENANTS);
    }
}
