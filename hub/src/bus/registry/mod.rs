//! What nodes keep beside their channels, so that others can read it who come later: that they are there, their sessions
//! of each tenant, what they count together, and tickets.

pub mod limits;
pub mod redis;
pub mod tickets;

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::port::BusError;
use super::sessions::Life;
use crate::domain::names::{SessionId, TenantId};

/// What a call gives, later.
pub type Asking<T> = BoxFuture<'static, Result<T, BusError>>;

/// A lease, as the registry's own clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose.
    pub life: Life,
    /// What is left of it; `None` where it has ended.
    pub left: Option<Duration>,
}

/// All leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// Whether the one that was to be renewed was: one that has ended never is.
    pub is_renewed: bool,
    /// All that there are, those that have ended too until they are [removed](Registry::remove).
    pub all: Vec<Lease>,
}

/// A node's sessions of a tenant, as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The number of the last batch that is in it; 0 where nothing is kept.
    pub counter: u64,
    /// The byte forms of the sessions' records.
    pub records: Vec<(SessionId, Vec<u8>)>,
}

/// What is to be kept of a batch, and published in the same step: whoever has read a counter misses nothing that is
/// published with a greater one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writing {
    /// The tenant.
    pub tenant: TenantId,
    /// Whose sessions.
    pub life: Life,
    /// The batch's number.
    pub counter: u64,
    /// The number of the batch before it, which must be what is kept; `None` where nothing of before stays.
    pub follows: Option<u64>,
    /// Whether nothing stays after it.
    pub is_last: bool,
    /// Records to be kept.
    pub set: Vec<(SessionId, Vec<u8>)>,
    /// Sessions that are no more.
    pub gone: Vec<SessionId>,
    /// What the tenant's topic is told.
    pub message: Bytes,
}

/// What nodes keep beside their channels. Every call has a limit of time; one that failed may have been done.
pub trait Registry: Send + Sync + 'static {
    /// Renews a lease, or begins one where it `is_new`.
    fn renew(&self, life: Life, lease: Duration, is_new: bool) -> Asking<Leases>;

    /// A node has stopped: its lease goes on for `grace`, as those whom it leaves behind may come back to another node, but
    /// nobody need ask it anything.
    fn leave(&self, life: Life, grace: Duration) -> Asking<()>;

    /// Keeps a batch and publishes it: both or neither. Fails too where what it follows is not what was kept: then something
    /// was lost, and all is to be told; so it is where the server refuses to publish what it kept. One that failed may still come late, but not over one of a greater number.
    fn write(&self, writing: Writing) -> Asking<()>;

    /// Reads what a node keeps of a tenant.
    fn read(&self, tenant: &TenantId, life: Life) -> Asking<Kept>;

    /// Removes all that is kept of a life whose lease has ended, and last the lease. Harmless where it is done twice.
    fn remove(&self, life: Life) -> Asking<()>;
}
