//! What nodes count together: sessions, by whose they are, and rates that all nodes share.

use std::net::IpAddr;
use std::time::Duration;

use super::Asking;
use crate::domain::names::{TenantId, UserId, UserKey};
use crate::domain::rate::Rate;

/// Whose sessions are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// A user's.
    User(UserKey),
    /// All of a tenant's users'.
    Tenant(TenantId),
    /// Those of an address.
    Address(IpAddr),
}

/// What one node has of them now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// How many.
    pub sessions: u32,
    /// The tabs or processes of a user's.
    pub instances: Vec<Present>,
}

/// One that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Which.
    pub instance: Instance,
    /// Since when, as [`Entered::at`] says.
    pub since: u64,
}

/// A tab or process, by what nodes know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its mark.
    pub mark: u64,
    /// The mark of it where it is opened from.
    pub from: u64,
}

/// Sessions that are to be let in, on top of what the node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrants {
    /// How many, 1 at least.
    pub many: u32,
    /// How many there may be with them, 1 at least.
    pub most: u32,
    /// The tab or process of one that names it. Where it takes over from a session on another node it is none more.
    pub instance: Option<Instance>,
    /// Whether they are let in where there is room for them here: from then on others may take over from them.
    pub is_all: bool,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    /// How many were let in.
    pub many: u32,
    /// Whether that is in the place of another.
    pub takes_over: TakesOver,
    /// When that was, by the registry's clock, in microseconds: of two sessions of an instance the later one stays.
    pub at: u64,
    /// The marks of this node's instances that another node has let in later, and when.
    pub later: Vec<(u64, u64)>,
}

/// Whose place a session takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakesOver {
    /// Nobody's.
    #[default]
    Nobody,
    /// That of a session of its instance.
    Instance,
    /// That of one which was opened from the same address.
    FromThere,
}

/// A bucket that all nodes take from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedBucket {
    /// Whose.
    pub tenant: TenantId,
    /// Of which user or service; `None` for the tenant's own.
    pub name: Option<UserId>,
    /// Whether that is a service.
    pub service: bool,
    /// Of what.
    pub kind: &'static str,
    /// In which namespace, where only there.
    pub namespace: Option<String>,
}

/// Counts that nodes share. Every call has a limit of time; one that failed may have been done.
///
/// What a node says of its sessions holds for a while, and no longer than the node's lease: it says it again now and then, and
/// what it could not say rights itself.
pub trait SharedLimits: Send + Sync + 'static {
    /// Says what this node has of somebody's sessions, and lets in as many more as all nodes' leave room for.
    fn count(&self, whose: Whose, own: Own, entrants: Option<Entrants>) -> Asking<Entered>;

    /// Takes one; where there is none, after how long there will be.
    fn take(&self, bucket: SharedBucket, rate: Rate) -> Asking<Option<Duration>>;

    /// Gives back one that was taken.
    fn give_back(&self, bucket: SharedBucket, rate: Rate) -> Asking<()>;

    /// After how long each would be full. All are of one user, or of one tenant.
    fn levels(&self, buckets: Vec<SharedBucket>) -> Asking<Vec<Duration>>;

    /// Fills them. How many were not full. All are of one user, or of one tenant.
    fn reset(&self, buckets: Vec<SharedBucket>) -> Asking<u32>;

    /// The nodes whose leases have not ended and that have not stopped, by their ids.
    fn nodes(&self) -> Asking<Vec<u64>>;
}
