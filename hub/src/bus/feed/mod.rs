//! What a hub hears of a store that other nodes write to as well: everything of each topic in order, as if it were alone.
//!
//! Own commits come in from the store ([`CommitSink::committed`](crate::store::CommitSink::committed)), the others' over the bus; both go through the
//! [`Sequencer`], and what comes out is told to a [`Listener`]. A [`Hold`] keeps a topic followed while anybody wants it.
//! [`Service`] does what has to be waited for: it takes what the bus brings, reads what it did not bring, and follows the
//! rooms that connected users are members of.
//!
//! Locks are taken in this order: reached users, interests, a shard; the listener is called under a shard's.

mod asking;
mod committed;
mod incoming;
mod interest;
mod kept;
mod members;
mod reads;
mod service;
mod telling;
mod walks;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::envelope::{self, Control, Head, Live};
use super::port::{Bus, BusError, BusFigures, Topic};
use super::sequence::{Bounds, Counts, Sequencer};
use super::sessions::Batch;
use crate::domain::names::{RoomKey, TenantId, UserKey};
use crate::domain::position::{Epoch, Position};
use crate::store::{Change, Store};

pub use interest::Hold;
use interest::Interests;
pub use members::Reach;
use members::Reached;
pub use service::Service;
use telling::Work;

/// Parts of the sequencer, so that what happens in different topics need not wait for each other.
const SHARDS: usize = 16;

/// Who is told. Called in order for each topic, from several threads, and never twice at once for one topic. It must not
/// wait, nor follow or hold anything; what it lets go of is fine.
pub trait Listener: Send + Sync + 'static {
    /// What was committed, here or elsewhere.
    fn changed(&self, changes: &[Change]);

    /// A room's log has got to `head` without everything before it having been told: the store has it.
    fn moved_on(&self, room: &RoomKey, head: Position);

    /// Notifications have arrived that the store alone has: for a user, or for a tenant's users.
    fn inbox_grew(&self, topic: &Topic);

    /// What was told of a topic is not what its log says now: who follows it must begin anew.
    fn diverged(&self, topic: &Topic);

    /// Something that another node has for who follows a topic.
    fn live(&self, topic: &Topic, live: Live);

    /// What another node says of a user.
    fn control(&self, user: &UserKey, control: &Control);

    /// What another node says of its sessions of a tenant.
    fn sessions(&self, tenant: &TenantId, batch: &Bytes);

    /// What this node answers to a question of another; `None` where it cannot be read.
    fn asked(&self, question: &Bytes) -> Option<Vec<u8>>;

    /// A topic is heard again, and what is in no log may have been missed.
    fn may_have_missed(&self, topic: &Topic);
}

struct Inner {
    bus: Arc<dyn Bus>,
    listener: Arc<dyn Listener>,
    /// This node's random id, by which it knows its own messages.
    node: u64,
    /// Known once it is open. It is told by it, and so must not be kept by it.
    store: OnceLock<Weak<dyn Store>>,
    shards: [Mutex<Sequencer<Topic, Change>>; SHARDS],
    interests: Mutex<Interests>,
    reached: Mutex<Reached>,
    asked: Mutex<asking::Asked>,
    kept: kept::Kept,
    work: Arc<Work>,
}

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

impl Feed {
    /// A feed of `bus`, which tells `listener`; `node` is the id that the store's messages bear.
    pub fn new(bus: Arc<dyn Bus>, listener: Arc<dyn Listener>, node: u64) -> Self {
        let mut bounds = Bounds::default();
        bounds.total /= SHARDS;
        Self(Arc::new(Inner {
            bus,
            listener,
            node,
            store: OnceLock::new(),
            shards: std::array::from_fn(|_| Mutex::new(Sequencer::new(bounds))),
            interests: Mutex::default(),
            reached: Mutex::default(),
            asked: Mutex::default(),
            kept: kept::Kept::default(),
            work: Arc::default(),
        }))
    }

    /// The store is there.
    pub fn name(&self, store: &Arc<dyn Store>) {
        self.0.store.get_or_init(|| Arc::downgrade(store));
    }

    /// Whether there may be other nodes. Where there are none everything is as if there were no feed.
    pub fn has_others(&self) -> bool {
        self.0.bus.has_others()
    }

    /// Whether the bus is there.
    pub fn is_connected(&self) -> bool {
        self.0.bus.is_connected()
    }

    /// Figures of the bus.
    pub fn figures(&self) -> BusFigures {
        self.0.bus.figures()
    }

    /// What became of the logs that are followed.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.0.shards.iter().for_each(|shard| counts += shard.lock().counts());
        counts
    }

    /// Up to where a log was told, where it is followed and open: what comes later will be told.
    pub fn position(&self, topic: &Topic) -> Option<Position> {
        self.0.shard(topic).lock().position(topic)
    }

    /// Hands something to who follows a topic on other nodes. `false` where it cannot be handed over now.
    pub fn send(&self, topic: &Topic, live: &Live) -> bool {
        !self.has_others() || self.0.send(topic, envelope::live(self.0.head(), live)).is_ok()
    }

    /// What tells other nodes of this one's sessions of a tenant, to be published on its topic.
    pub fn message_of_sessions(&self, batch: &Batch) -> Bytes {
        envelope::sessions(self.0.head(), batch)
    }
}

impl Inner {
    fn head(&self) -> Head {
        let store = self.store.get().and_then(Weak::upgrade);
        Head { node: self.node, epoch: store.map_or(Epoch::default(), |store| store.epoch()) }
    }

    fn send(&self, topic: &Topic, message: bytes::Bytes) -> Result<(), BusError> {
        self.bus.send(topic, message)
    }

    fn shard(&self, topic: &Topic) -> &Mutex<Sequencer<Topic, Change>> {
        use std::hash::BuildHasher;
        let hash = rustc_hash::FxBuildHasher.hash_one(topic);
        &self.shards[(hash >> 48) as usize % SHARDS]
    }
}

fn now() -> Instant {
    Instant::now()
}
