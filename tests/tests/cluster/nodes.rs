//! Two nodes and the Redis between them.

use carillon_tests::{Keeps, Redis, TestHub, hub};

/// Two nodes, on which a test has its people.
pub(crate) struct Nodes {
    pub(crate) redis: Redis,
    pub(crate) one: TestHub,
    pub(crate) other: TestHub,
}

pub(crate) async fn two() -> Nodes {
    let redis = Redis::start(Keeps::Always);
    let one = hub().without_grace().node_of(&redis).start().await;
    let other = hub().without_grace().node_of(&redis).start().await;
    Nodes { redis, one, other }
}
