//! The embedded store under the suite: with few unsettled entries, so that reads meet both journal and log.

use std::time::Duration;

use carillon_hub::store::sqlite::{Options, SqliteStore};

use crate::harness::{Fixture, Setup};

/// A data folder.
pub(crate) struct Sqlite(tempfile::TempDir);

impl Fixture for Sqlite {
    type Store = SqliteStore;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self, setup: &Setup) -> SqliteStore {
        let options = Options {
            unsettled: setup.deferred,
            idle: Duration::from_millis(20),
            sweep: Duration::from_millis(20),
            clock: setup.clock.source(),
            idempotency_keys: setup.idempotency_keys,
            revoked_for: setup.revoked_for,
            ..Options::new(self.0.path(), setup.namespaces.clone(), setup.sink.clone())
        };
        SqliteStore::open(&options).unwrap()
    }
}

crate::conformance!(super::Sqlite);
