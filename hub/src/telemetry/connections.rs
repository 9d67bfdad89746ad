//! What is shown of connections on the gRPC port.

use super::exposition::Exposition;
use super::names;

/// Connections on the gRPC port, by whose they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionsFigures {
    /// Those of users, and those on which nobody known has called.
    pub active: u64,
    /// The latter.
    pub unknown: u64,
    /// Those of services, bridges and trusted proxies, which are not among the first.
    pub aside: u64,
    /// How many of the first there may be; 0 without a limit.
    pub limit: u64,
    /// Those on which nobody known had called and which were closed for others, since the start.
    pub gave_way: u64,
}

impl ConnectionsFigures {
    pub(super) fn write(&self, text: &mut Exposition) {
        text.single(names::CONNECTIONS_ACTIVE, self.active);
        text.single(names::CONNECTIONS_UNKNOWN, self.unknown);
        text.single(names::CONNECTIONS_ASIDE, self.aside);
        text.single(names::CONNECTIONS_LIMIT, self.limit);
        text.single(names::CONNECTIONS_GAVE_WAY, self.gave_way);
    }
}
