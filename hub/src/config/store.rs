//! `[store]`: the embedded store.

use std::path::PathBuf;
use std::time::Duration;

use super::check::{Broken, number, require};
use super::span;
use crate::domain::limits;

/// The embedded store's settings.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The data folder; made where it is missing.
    pub path: PathBuf,
    /// Threads that read.
    pub readers: usize,
    /// Outcomes that may wait for the writer; past that callers get UNAVAILABLE.
    pub queue: usize,
    /// Idempotency keys that are remembered; about 32 bytes of memory each.
    pub idempotency_keys: usize,
    /// How long notifications that do not expire before are kept.
    #[serde(with = "span")]
    pub notification_retention: Duration,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            path: PathBuf::from("carillon-data"),
            readers: 2,
            queue: 8_192,
            idempotency_keys: limits::IDEMPOTENCY_KEYS,
            notification_retention: limits::NOTIFICATION_RETENTION,
        }
    }
}

impl StoreSection {
    pub(super) fn check(&self) -> Result<(), Broken> {
        require(!self.path.as_os_str().is_empty(), "store.path", "the path of a folder")?;
        number("store.readers", self.readers, &(1..=64))?;
        number("store.queue", self.queue, &(64..=1_000_000))?;
        let retention = self.notification_retention;
        require(retention >= Duration::from_secs(1), "store.notification_retention", "1s at least")?;
        number("store.idempotency_keys", self.idempotency_keys, &(1_000..=1_000_000_000))
    }
}
