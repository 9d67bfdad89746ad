//! The bus on Redis: a connection to each server that has channels, over which is subscribed, published and heard.
//!
//! [`state`] knows what is wanted and orders everything; [`lane`] is one connection's life; [`cluster`] finds out whose
//! which slot is. Where a connection ends, whatever the reason, its topics are lost, it is opened again after a random
//! part of a wait that doubles, and everything is subscribed to anew.

mod cluster;
mod connection;
mod lane;
mod options;
mod state;

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::events::{Events, queue};
use super::port::{Bus, BusError, BusFigures, Calling, Topic};
use crate::domain::limits::BUS_INCOMING_BYTES;
use crate::redis::{Link, LinkError, Names};

pub use options::Options;
use state::{Channel, Outgoing, State, Waiter};

struct Shared {
    options: Options,
    names: Names,
    /// Says where the servers are; the connections are the bus' own.
    link: Link,
    state: Mutex<State>,
    /// The cluster is no more as it was.
    moved: Notify,
}

impl Shared {
    fn channel(&self, topic: &Topic) -> Channel {
        let name = match topic {
            Topic::Room(room) => self.names.room_channel(room),
            Topic::User(user) => self.names.user_channel(user),
            Topic::Tenant(tenant) => self.names.tenant_channel(tenant),
            Topic::Hub => self.names.hub_channel(),
        };
        name.into_bytes().into()
    }

    /// Calls `begin` with what is told how it went, and waits for that.
    fn call(&self, begin: impl FnOnce(&mut State, Waiter)) -> Calling {
        let (done, result) = oneshot::channel();
        begin(&mut self.state.lock(), done);
        let limit = self.options.limit;
        async move {
            match timeout(limit, result).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) | Err(_) => Err(BusError::Unavailable),
            }
        }
        .boxed()
    }
}

/// The bus on Redis. A cheap handle.
#[derive(Clone)]
pub struct RedisBus(Arc<Shared>);

/// What keeps its connections.
pub struct Service(Arc<Shared>);

impl RedisBus {
    /// A bus that is not connected yet; the settings are checked. `incoming` bytes of messages may wait.
    pub fn new(options: Options) -> Result<(Self, Events, Service), LinkError> {
        Self::with_room(options, BUS_INCOMING_BYTES)
    }

    /// As [`Self::new`], for so many bytes of messages that wait to be taken.
    pub fn with_room(options: Options, incoming: usize) -> Result<(Self, Events, Service), LinkError> {
        let (into, events) = queue(incoming);
        let shared = Arc::new(Shared {
            names: Names::new(&options.redis.prefix),
            link: Link::new(options.redis.clone())?,
            state: Mutex::new(State::new(into, options.outgoing)),
            moved: Notify::new(),
            options,
        });
        Ok((Self(Arc::clone(&shared)), events, Service(shared)))
    }
}

impl Service {
    /// Keeps the connections until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        tokio::select! {
            () = cluster::keep(&self.0) => {}
            () = cancel.cancelled() => {}
        }
    }
}

impl Bus for RedisBus {
    fn subscribe(&self, topic: Topic) -> Calling {
        let channel = self.0.channel(&topic);
        self.0.call(|state, waiter| state.want(&channel, topic, waiter))
    }

    fn release(&self, topic: &Topic) {
        let channel = self.0.channel(topic);
        self.0.state.lock().release(&channel);
    }

    fn publish(&self, topic: &Topic, message: Bytes) -> Calling {
        let channel = self.0.channel(topic);
        self.0.call(|state, done| {
            // Whoever waits no longer does not matter.
            if let Err((error, Some(done))) = state.publish(Outgoing { channel, message, done: Some(done) }) {
                let _ = done.send(Err(error));
            }
        })
    }

    fn send(&self, topic: &Topic, message: Bytes) -> Result<(), BusError> {
        let channel = self.0.channel(topic);
        self.0.state.lock().publish(Outgoing { channel, message, done: None }).map_err(|(error, _)| error)
    }

    fn is_connected(&self) -> bool {
        self.0.state.lock().is_connected()
    }

    fn has_others(&self) -> bool {
        true
    }

    fn figures(&self) -> BusFigures {
        let counted = self.0.link.traffic().figures();
        self.0.state.lock().figures(counted)
    }
}
