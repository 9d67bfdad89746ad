//! How often each may do what: a token bucket per tenant, user and kind of command, in memory.
//!
//! A bucket that is full again is dropped, so what is kept is bounded by who has been busy within the time that the
//! slowest one takes to fill.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};

use crate::domain::caller::{Caller, Identity};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{RoomName, TenantId, UserId};
use crate::domain::rate::{Bucket, Rate};
use crate::domain::time::Moment;

/// Tables that the buckets are spread over, so that users seldom wait for each other.
const SHARDS: usize = 32;
/// How often buckets that are full are looked for.
const LOOKS: Duration = Duration::from_secs(30);

/// What is limited. Each has a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limited {
    /// Sending messages.
    Send,
    /// Editing messages.
    Edit,
    /// Deleting messages.
    Delete,
    /// Publishing events.
    Publish,
    /// Showing that one is typing.
    Typing,
    /// Joining rooms.
    Join,
    /// Marking what was delivered and read.
    Mark,
    /// Changing one's inbox.
    Inbox,
    /// Commands without a session, of all kinds but marks.
    Execute,
    /// Requests of a service.
    Service,
    /// What all of a tenant send: messages, events and notifications.
    TenantMessages,
    /// Opening sessions, in the place of others or not.
    Open,
    /// Rooms that sessions resume.
    Resume,
}

impl Limited {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::Send,
        Self::Edit,
        Self::Delete,
        Self::Publish,
        Self::Typing,
        Self::Join,
        Self::Mark,
        Self::Inbox,
        Self::Execute,
        Self::Service,
        Self::TenantMessages,
        Self::Open,
        Self::Resume,
    ];

    /// Its name in configuration, metrics and administration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Publish => "publish",
            Self::Typing => "typing",
            Self::Join => "join",
            Self::Mark => "mark",
            Self::Inbox => "inbox",
            Self::Execute => "execute",
            Self::Service => "service",
            Self::TenantMessages => "tenant_messages",
            Self::Open => "open",
            Self::Resume => "resume",
        }
    }
}

/// A rate for each kind; what has none is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates([Option<Rate>; Limited::ALL.len()]);

impl Rates {
    /// The rate of a kind.
    pub fn of(&self, kind: Limited) -> Option<Rate> {
        self.0.get(kind as usize).copied().flatten()
    }

    /// With another rate for a kind.
    #[must_use]
    pub fn with(mut self, kind: Limited, rate: Option<Rate>) -> Self {
        if let Some(place) = self.0.get_mut(kind as usize) {
            *place = rate;
        }
        self
    }
}

/// The rates that a namespace has of its own: `None` where it has no limit, though there is one elsewhere.
pub type OwnRates = FxHashMap<Limited, Option<Rate>>;

/// Whose bucket, and which.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    /// `None` for a service that is for several.
    tenant: Option<TenantId>,
    /// `None` for the tenant's own.
    name: Option<UserId>,
    service: bool,
    kind: Limited,
    /// Where a namespace has a rate of its own, its place in the list of those.
    namespace: Option<u16>,
}

impl Key {
    fn is_of(&self, tenant: Option<&TenantId>, name: &UserId) -> bool {
        self.tenant.as_ref() == tenant && self.name.as_ref() == Some(name)
    }
}

/// Where a kind is limited, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where only in a namespace, which.
    pub namespace: Option<String>,
    /// How often.
    pub rate: Rate,
}

/// How full a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// What is limited.
    pub kind: Limited,
    /// Where only in a namespace, which.
    pub namespace: Option<String>,
    /// How many are left.
    pub left: u32,
    /// Of how many.
    pub burst: u32,
}

#[derive(Default)]
struct Shard {
    buckets: FxHashMap<Key, Bucket>,
    next_look: Moment,
}

impl Shard {
    fn drop_full(&mut self, now: Moment) {
        if now < self.next_look {
            return;
        }
        self.next_look = now.plus(LOOKS);
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
        if self.buckets.capacity() > 64 && self.buckets.len() < self.buckets.capacity() / 4 {
            self.buckets.shrink_to_fit();
        }
    }
}

/// All buckets of a node.
pub struct Limiter {
    rates: Rates,
    namespaces: Vec<(String, OwnRates)>,
    shards: Vec<Mutex<Shard>>,
    refused: Mutex<FxHashMap<TenantId, [u64; Limited::ALL.len()]>>,
}

impl Limiter {
    /// These rates, and where a namespace has one of its own, that instead.
    pub fn new(rates: Rates, namespaces: Vec<(String, OwnRates)>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { rates, namespaces, shards, refused: Mutex::default() }
    }

    /// Takes one of the caller's bucket of this kind. `RATE_LIMITED` where there is none, with when there will be.
    pub fn check(
        &self,
        caller: &Caller,
        kind: Limited,
        room: Option<&RoomName>,
        now: Moment,
    ) -> Result<(), Refusal> {
        self.try_take(caller, kind, room, now).map_err(|after| self.refuse(&caller.tenant, kind, after))
    }

    /// The same for who waits until there is one, and is not refused: after how long that will be.
    pub fn try_take(
        &self,
        caller: &Caller,
        kind: Limited,
        room: Option<&RoomName>,
        now: Moment,
    ) -> Result<(), Duration> {
        let own = room.and_then(|room| self.own_rate(kind, room));
        let Some(rate) = own.map_or_else(|| self.rates.of(kind), |(_, rate)| rate) else { return Ok(()) };
        let key = Key {
            tenant: Some(caller.tenant.clone()),
            name: Some(caller.user.clone()),
            service: caller.service,
            kind,
            namespace: own.map(|(place, _)| place),
        };
        self.take(key, rate, now)
    }

    /// Takes one of a service's requests, or of a user's commands without a session. A service for several tenants has one bucket,
    /// whichever it names.
    pub fn check_request(&self, who: &Identity, now: Moment) -> Result<(), Refusal> {
        let kind = if who.service { Limited::Service } else { Limited::Execute };
        let Some(rate) = self.rates.of(kind) else { return Ok(()) };
        let (tenant, name) = (who.tenant.clone(), Some(who.name.clone()));
        let key = Key { tenant, name, service: who.service, kind, namespace: None };
        self.take(key, rate, now).map_err(|after| match &who.tenant {
            Some(tenant) => self.refuse(tenant, kind, after),
            // In none's figures: it may name any number of them.
            None => too_often(after),
        })
    }

    /// Takes one of the bucket of all that a tenant sends.
    pub fn check_tenant(&self, tenant: &TenantId, now: Moment) -> Result<(), Refusal> {
        let kind = Limited::TenantMessages;
        let Some(rate) = self.rates.of(kind) else { return Ok(()) };
        self.take(tenants(tenant), rate, now).map_err(|after| self.refuse(tenant, kind, after))
    }

    /// Gives back what was taken for something that was not sent after all.
    pub fn give_back(&self, tenant: &TenantId) {
        let Some(rate) = self.rates.of(Limited::TenantMessages) else { return };
        let key = tenants(tenant);
        let Some(shard) = self.shards.get(shard_of(Some(tenant), None)) else { return };
        if let Some(bucket) = shard.lock().buckets.get_mut(&key) {
            bucket.give_back(rate);
        }
    }

    /// How full the bucket of all that a tenant sends is; `None` where there is no such limit.
    pub fn tenant_level(&self, tenant: &TenantId, now: Moment) -> Option<Level> {
        self.rates.of(Limited::TenantMessages)?;
        let key = tenants(tenant);
        let bucket = self.shards.get(shard_of(Some(tenant), None))?.lock().buckets.get(&key).copied();
        self.level(&key, bucket.unwrap_or_default(), now)
    }

    fn take(&self, key: Key, rate: Rate, now: Moment) -> Result<(), Duration> {
        let Some(shard) = self.shards.get(shard_of(key.tenant.as_ref(), key.name.as_ref())) else {
            return Ok(());
        };
        let mut shard = shard.lock();
        shard.drop_full(now);
        shard.buckets.entry(key).or_default().take(rate, now)
    }

    fn refuse(&self, tenant: &TenantId, kind: Limited, after: Duration) -> Refusal {
        self.count(tenant, kind);
        too_often(after)
    }

    /// Counts a refusal by a limit that is kept elsewhere.
    pub fn count(&self, tenant: &TenantId, kind: Limited) {
        let mut refused = self.refused.lock();
        if let Some(count) = refused.entry(tenant.clone()).or_default().get_mut(kind as usize) {
            *count += 1;
        }
    }

    /// Where a kind is limited that is done in `room`; `None` where it is not.
    pub fn place(&self, kind: Limited, room: Option<&RoomName>) -> Option<Place> {
        match room.and_then(|room| self.own_rate(kind, room)) {
            Some((place, rate)) => {
                let namespace = self.namespaces.get(usize::from(place)).map(|(name, _)| name.clone());
                Some(Place { namespace, rate: rate? })
            }
            None => Some(Place { namespace: None, rate: self.rates.of(kind)? }),
        }
    }

    /// Everywhere that a kind is limited.
    pub fn places(&self, kind: Limited) -> impl Iterator<Item = Place> {
        let everywhere = self.rates.of(kind).map(|rate| Place { namespace: None, rate });
        let own = self.namespaces.iter().filter_map(move |(name, rates)| {
            let rate = (*rates.get(&kind)?)?;
            Some(Place { namespace: Some(name.clone()), rate })
        });
        everywhere.into_iter().chain(own)
    }

    fn own_rate(&self, kind: Limited, room: &RoomName) -> Option<(u16, Option<Rate>)> {
        let place = self.namespaces.iter().position(|(name, _)| name == room.namespace())?;
        let rate = self.namespaces.get(place)?.1.get(&kind)?;
        Some((u16::try_from(place).ok()?, *rate))
    }

    /// How full the buckets are that a user, or a service of that name, has taken from; without a tenant those of a service
    /// for several.
    pub fn levels(&self, tenant: Option<&TenantId>, name: &UserId, now: Moment) -> Vec<Level> {
        let Some(shard) = self.shards.get(shard_of(tenant, Some(name))) else { return Vec::new() };
        let shard = shard.lock();
        let own = shard.buckets.iter().filter(|(key, _)| key.is_of(tenant, name));
        let mut levels: Vec<_> = own.filter_map(|(key, bucket)| self.level(key, *bucket, now)).collect();
        levels.sort_by(|a, b| (a.kind as usize, &a.namespace).cmp(&(b.kind as usize, &b.namespace)));
        levels
    }

    fn level(&self, key: &Key, bucket: Bucket, now: Moment) -> Option<Level> {
        let own = key.namespace.and_then(|place| self.namespaces.get(usize::from(place)));
        let rate = match own {
            Some((_, rates)) => *rates.get(&key.kind)?,
            None => self.rates.of(key.kind),
        }?;
        Some(Level {
            kind: key.kind,
            namespace: own.map(|(name, _)| name.clone()),
            left: bucket.level(rate, now),
            burst: rate.burst,
        })
    }

    /// Fills all buckets of a user, or a service of that name, without a tenant those of a service for several; how many were
    /// not full.
    pub fn reset(&self, tenant: Option<&TenantId>, name: &UserId, now: Moment) -> u32 {
        let Some(shard) = self.shards.get(shard_of(tenant, Some(name))) else { return 0 };
        let mut shard = shard.lock();
        let mut reset = 0;
        shard.buckets.retain(|key, bucket| {
            let theirs = key.is_of(tenant, name);
            reset += u32::from(theirs && !bucket.is_full(now));
            !theirs
        });
        reset
    }

    /// Fills the bucket of all that a tenant sends; how many were not full.
    pub fn reset_tenant(&self, tenant: &TenantId, now: Moment) -> u32 {
        let Some(shard) = self.shards.get(shard_of(Some(tenant), None)) else { return 0 };
        let bucket = shard.lock().buckets.remove(&tenants(tenant));
        u32::from(bucket.is_some_and(|bucket| !bucket.is_full(now)))
    }

    /// How often each kind was refused in a tenant since the node's start.
    pub fn refused(&self, tenant: &TenantId) -> Vec<(Limited, u64)> {
        let refused = self.refused.lock().get(tenant).copied().unwrap_or_default();
        Limited::ALL.into_iter().zip(refused).filter(|(_, count)| *count > 0).collect()
    }

    /// How many buckets of a tenant are not full.
    pub fn buckets(&self, tenant: &TenantId, now: Moment) -> u64 {
        let of = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            let theirs =
                |(key, bucket): &(&Key, &Bucket)| key.tenant.as_ref() == Some(tenant) && !bucket.is_full(now);
            shard.buckets.iter().filter(theirs).count() as u64
        };
        self.shards.iter().map(of).sum()
    }
}

/// The bucket of all that a tenant sends.
fn tenants(tenant: &TenantId) -> Key {
    let (tenant, kind) = (Some(tenant.clone()), Limited::TenantMessages);
    Key { tenant, name: None, service: false, kind, namespace: None }
}

fn too_often(after: Duration) -> Refusal {
    Refusal { retry_after: Some(after), ..ErrorCode::RateLimited.into() }
}

fn shard_of(tenant: Option<&TenantId>, name: Option<&UserId>) -> usize {
    let hash = BuildHasherDefault::<FxHasher>::default().hash_one((tenant, name));
    // The low bits of this hash are weak.
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests;
