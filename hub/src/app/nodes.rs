//! Other nodes, where the store is one that they share: the bus between them, the feed that tells what they commit, and who of
//! a tenant is on which of them.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::StartError;
use super::listeners::Listeners;
use crate::bus::feed::{Feed, Service};
use crate::bus::redis::{self, Options, RedisBus};
use crate::bus::registry::limits::SharedLimits;
use crate::bus::registry::redis::RedisRegistry;
use crate::bus::registry::tickets::SharedTickets;
use crate::bus::{Bus, Events};
use crate::config::Config;
use crate::presence::{Presence, nodes};
use crate::store::{CommitSink, Store};

/// How long a start waits until this node is one among the others, and how often it looks.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
const JOIN_CHECK: Duration = Duration::from_millis(10);

/// The way to other nodes, not begun yet.
pub(super) struct Nodes {
    node: u64,
    feed: Feed,
    events: Events,
    bus: redis::Service,
    registry: RedisRegistry,
    /// How nodes find out that one is no more.
    options: nodes::Options,
}

/// Who is told of commits, and by which number this node knows its own messages.
pub(super) struct Heard {
    pub(super) sink: Arc<dyn CommitSink>,
    pub(super) node: u64,
    pub(super) nodes: Option<Nodes>,
}

/// Makes the way to other nodes, where there may be any.
pub(super) fn open(config: &Config, listeners: &Arc<Listeners>) -> Result<Heard, StartError> {
    if !config.redis.is_used() {
        return Ok(Heard { sink: Arc::clone(listeners) as _, node: 0, nodes: None });
    }
    let mut node = [0; 8];
    getrandom::fill(&mut node).map_err(|_| StartError::Randomness)?;
    let node = u64::from_le_bytes(node);
    let (bus, events, service) = RedisBus::new(Options::new(config.redis.options()))?;
    let bus: Arc<dyn Bus> = Arc::new(bus);
    let feed = Feed::new(bus, Arc::clone(listeners) as _, node);
    let sink = Arc::new(feed.clone());
    let registry = RedisRegistry::new(config.redis.options(), node, config.redis.lease)?;
    let options = nodes::Options { lease: config.redis.lease, grace: config.presence.grace };
    let nodes = Nodes { node, feed, events, bus: service, registry, options };
    Ok(Heard { sink, node, nodes: Some(nodes) })
}

impl Nodes {
    /// What tells of other nodes.
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What is counted with them.
    pub(super) fn limits(&self) -> Arc<dyn SharedLimits> {
        Arc::new(self.registry.clone())
    }

    /// Tickets that are good on all of them.
    pub(super) fn tickets(&self) -> Arc<dyn SharedTickets> {
        Arc::new(self.registry.clone())
    }

    /// Done when this node, once started, is one among the others: before that nobody can be let in. After a while it goes on
    /// without, and who comes is told to come again.
    pub(super) fn joined(&self) -> impl Future<Output = ()> + use<> {
        let (limits, node) = (self.limits(), self.node);
        async move {
            let joined = async {
                while !limits.nodes().await.is_ok_and(|nodes| nodes.contains(&node)) {
                    tokio::time::sleep(JOIN_CHECK).await;
                }
            };
            if tokio::time::timeout(JOIN_LIMIT, joined).await.is_err() {
                tracing::warn!("this node is not known to others yet: sessions are refused until it is");
            }
        }
    }

    /// Where nodes keep their leases and sessions.
    pub(super) fn registry(&self) -> &RedisRegistry {
        &self.registry
    }

    /// Hears other nodes until cancelled, on a thread of its own: whatever the others do, no worker waits for it.
    /// Revocations up to `revocations_after` are known.
    pub(super) fn start(
        self,
        store: Arc<dyn Store>,
        presence: &Presence,
        revocations_after: u64,
        cancel: CancellationToken,
    ) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let registry = Arc::new(self.registry.clone());
        let presence = nodes::Service::new(presence.clone(), registry, self.feed.clone(), self.options);
        std::thread::Builder::new().name("bus".to_owned()).spawn(move || {
            let feed = Service::new(self.feed, self.events, store, revocations_after);
            let told = CancellationToken::new();
            runtime.block_on(async {
                let presence = async {
                    if let Some(presence) = presence {
                        presence.run(cancel.clone()).await;
                    }
                    told.cancel();
                };
                let registry = self.registry.keep(told.clone());
                tokio::join!(self.bus.run(cancel.clone()), feed.run(cancel.clone()), presence, registry);
            });
            runtime.shutdown_background();
        })
    }
}
