//! Which store a hub has: the embedded one, or Redis.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Mode};
use crate::domain::namespace::Namespaces;
use crate::domain::position::Epoch;
use crate::store::{Change, CommitSink, Store, redis, sqlite};

use super::error::StartError;

/// Opens it. `sink` is told of commits; `node` is this node's number.
pub(super) fn open(
    config: &Config,
    namespaces: &Arc<Namespaces>,
    sink: Arc<dyn CommitSink>,
    node: u64,
) -> Result<Arc<dyn Store>, StartError> {
    if config.redis.is_used() {
        return open_redis(config, namespaces, sink, node);
    }
    let mut options = sqlite::Options::new(&config.store.path, Arc::clone(namespaces), sink);
    options.idempotency_keys = config.store.idempotency_keys;
    options.readers = config.store.readers;
    options.queue = config.store.queue;
    options.notification_retention = config.store.notification_retention;
    options.revoked_for = config.revoked_for();
    Ok(Arc::new(sqlite::SqliteStore::open(&options)?))
}

/// Gives the embedded store of a hub that does not run a new epoch, and gives that: clients then take nothing that they
/// hold for current.
pub fn renew_epoch(config: &Config) -> Result<Epoch, StartError> {
    if config.redis.is_used() {
        return Err(StartError::NotEmbedded);
    }
    let namespaces = Arc::new(Namespaces::new(Vec::new()));
    let options = sqlite::Options::new(&config.store.path, namespaces, Arc::new(Nobody));
    Ok(sqlite::SqliteStore::renew_epoch(&options)?)
}

/// Is told of nothing: nothing is committed.
struct Nobody;

impl CommitSink for Nobody {
    fn committed(&self, _: &[Change]) {}
}

fn open_redis(
    config: &Config,
    namespaces: &Arc<Namespaces>,
    sink: Arc<dyn CommitSink>,
    node: u64,
) -> Result<Arc<dyn Store>, StartError> {
    let options = redis::Options {
        node,
        durability: config.redis.durability(),
        strict: config.mode == Mode::Production,
        idempotency_keys: config.store.idempotency_keys,
        queue: config.store.queue,
        notification_retention: config.store.notification_retention,
        revoked_for: config.revoked_for(),
        ..redis::Options::new(config.redis.options(), Arc::clone(namespaces), sink)
    };
    Ok(Arc::new(redis::RedisStore::open(options)?))
}

/// How long a store may be away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before the hub says that it is not ready.
    pub(super) unready: Duration,
    /// Before sessions end; `None` for a store that nobody else can write revocations to.
    pub(super) stale: Option<Duration>,
}

/// How long it may be away. The embedded one does not come back.
pub(super) fn patience(config: &Config) -> Patience {
    let redis = &config.redis;
    if redis.is_used() {
        Patience { unready: redis.unready_after, stale: Some(redis.revocation_stale) }
    } else {
        Patience { unready: Duration::ZERO, stale: None }
    }
}
