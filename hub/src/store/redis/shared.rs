//! What all parts of the store share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::domain::names::{RoomName, TenantId};
use crate::domain::namespace::NamespaceRules;
use crate::domain::position::{Epoch, Tag};
use crate::domain::time::Timestamp;
use crate::redis::message::{self, Head};
use crate::redis::{Durability, Link, Names, Partition};
use crate::store::{Change, Home, StoreError};

use super::barrier::Barriers;
use super::broadcasts::Cache;
use super::durable::Durable;
use super::heartbeat::Beats;
use super::idempotency::Keys;
use super::identity::Identity;
use super::lives::Life;
use super::options::Options;
use super::stored::Stored;
use super::survival::Acknowledged;
use super::trim::PutOff;

/// Figures since the store was opened.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) committed: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) queued: AtomicU64,
    pub(super) queued_bytes: AtomicU64,
    /// How long upkeep's last question was answered after, in microseconds.
    round_trip: AtomicU64,
}

impl Counters {
    pub(super) fn note_round_trip(&self, took: Duration) {
        self.round_trip.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn round_trip(&self) -> Duration {
        Duration::from_micros(self.round_trip.load(Ordering::Relaxed))
    }
}

/// What all parts share.
pub(super) struct Shared {
    pub(super) options: Options,
    /// The store's thread.
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) link: Link,
    pub(super) names: Names,
    epoch: AtomicU64,
    pub(super) secret: [u8; 16],
    pub(super) keys: Keys,
    pub(super) acknowledged: Acknowledged,
    pub(super) life: Life,
    pub(super) broadcasts: Cache,
    pub(super) stored: Stored,
    pub(super) counters: Counters,
    pub(super) beats: Beats,
    pub(super) barriers: Barriers,
    pub(super) durable: Durable,
    pub(super) put_off: PutOff,
    /// What was said last of servers' settings.
    pub(super) warned: Mutex<String>,
    /// Set when it is closing: nothing new begins.
    pub(super) closing: AtomicBool,
    /// Ends what goes on by itself.
    pub(super) cancel: CancellationToken,
}

impl Shared {
    /// Of a store that was just connected.
    pub(super) fn new(options: Options, link: Link, names: Names, identity: Identity, life: Life) -> Self {
        Self {
            beats: Beats::new((options.clock)()),
            keys: Keys::new(options.idempotency_keys),
            options,
            runtime: tokio::runtime::Handle::current(),
            link,
            names,
            epoch: AtomicU64::new(identity.epoch.0),
            secret: identity.secret,
            acknowledged: Acknowledged::default(),
            life,
            broadcasts: Cache::default(),
            stored: Stored::default(),
            counters: Counters::default(),
            barriers: Barriers::default(),
            durable: Durable::default(),
            put_off: PutOff::default(),
            warned: Mutex::default(),
            closing: AtomicBool::new(false),
            cancel: CancellationToken::new(),
        }
    }

    /// The epoch of all logs.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Sets it where it is still the one `before`; whether it was.
    pub(super) fn replace_epoch(&self, before: Epoch, epoch: Epoch) -> bool {
        self.epoch.compare_exchange(before.0, epoch.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// What messages to other nodes begin with.
    pub(super) fn head(&self) -> Head {
        Head { node: self.options.node, epoch: self.epoch() }
    }

    /// What messages begin with that this node is to hear as well.
    pub(super) fn head_of_nobody(&self) -> Head {
        Head { node: message::NOBODY, ..self.head() }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    pub(super) fn rules(&self, room: &RoomName) -> Option<&NamespaceRules> {
        self.options.namespaces.rules(room)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether it takes anything on.
    pub(super) fn check_open(&self) -> Result<(), StoreError> {
        if self.is_closing() { Err(StoreError::Unavailable) } else { Ok(()) }
    }

    /// Tells the sink. On the store's thread.
    pub(super) fn tell(&self, changes: &[Change]) {
        if !changes.is_empty() {
            self.options.sink.committed(changes);
        }
    }

    /// Tells the sink what follows on the entry with the tag `previous`. On the store's thread.
    pub(super) fn tell_after(&self, changes: &[Change], previous: Tag) {
        if !changes.is_empty() {
            self.options.sink.committed_after(changes, previous);
        }
    }

    /// The command that scripts publish with; empty where it is not theirs to publish.
    pub(super) fn scripts_publish_with(&self) -> &'static str {
        match self.options.durability {
            Durability::Replicas(_) => "",
            Durability::EverySecond | Durability::Always => self.publishes_with(),
        }
    }

    /// The command that publishes: in a cluster to who is subscribed at the channel's own server.
    pub(super) fn publishes_with(&self) -> &'static str {
        if self.options.redis.cluster { "SPUBLISH" } else { "PUBLISH" }
    }
}

/// A home's partition.
pub(super) fn partition_of(tenant: &TenantId, home: &Home) -> Partition {
    match home {
        Home::Room(room) => Partition::of_room(tenant, room),
        Home::Inbox(user) => Partition::of_user(tenant, user),
        Home::Tenant => Partition::of_tenant(tenant),
    }
}
