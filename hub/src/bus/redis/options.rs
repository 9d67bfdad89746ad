//! How the bus speaks to Redis.

use std::time::Duration;

use crate::domain::limits;
use crate::redis;

/// How the bus speaks to Redis.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub redis: redis::Options,
    /// Whether channels are those of a partition's server (`SSUBSCRIBE`, Redis 7 and later) and not of all servers. It must
    /// be what publishers use.
    pub sharded: bool,
    /// A connection that has had nothing to do for so long is asked whether it is still there.
    pub heartbeat: Duration,
    /// How long a subscription may take, and a publication.
    pub limit: Duration,
    /// Bytes of messages that may wait to be published, for each server.
    pub outgoing: usize,
}

impl Options {
    /// Defaults for all but where it is.
    pub fn new(redis: redis::Options) -> Self {
        Self {
            sharded: redis.cluster,
            redis,
            heartbeat: limits::BUS_HEARTBEAT,
            limit: limits::BUS_LIMIT,
            outgoing: limits::BUS_OUTGOING_BYTES,
        }
    }
}
