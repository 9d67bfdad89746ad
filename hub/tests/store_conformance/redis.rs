//! The store on Redis under the suite: a server of its own for each test.

use std::time::Duration;

use carillon_hub::redis;
use carillon_hub::store::redis::{Options, RedisStore};

use crate::harness::{Fixture, Setup};
use carillon_test_redis::{Keeps, Server};

impl Fixture for Server {
    type Store = RedisStore;

    fn new() -> Self {
        Self::start(Keeps::EverySecond)
    }

    fn open(&self, setup: &Setup) -> RedisStore {
        let options = Options {
            clock: setup.clock.source(),
            idempotency_keys: setup.idempotency_keys,
            sweep: Duration::from_millis(20),
            queue: 65_536,
            ..Options::new(redis::Options::new(self.url()), setup.namespaces.clone(), setup.sink.clone())
        };
        RedisStore::open(options).unwrap()
    }
}

crate::conformance!(carillon_test_redis::Server);
