//! The connections: opened, watched, opened again.
//!
//! [`Link`] is what everybody holds: a connection to the one server, or to each server of a cluster that has keys. A
//! command goes to its key's server, and one server's commands are answered in the order in which they were given. Who
//! finds a connection broken says so with [`Link::lost`]; [`keep`](super::keep), which runs as a task, opens another one after a
//! random part of a wait that doubles, and learns what has moved. While there is none, callers are answered at once.
//!
//! A connection that brings no answer in time may be dead without anybody having been told, or its server stands still. Who
//! finds that says so with [`Link::failed`]: it stays, and another one takes its place as soon as there can be one, unless it
//! has brought an answer by then. What it brings after it was replaced is too late: commands that were given later may have
//! been carried out before.
//!
//! Where replicas are waited for there are two to each server, which come and go together: `WAIT` holds up all that comes after
//! it on its connection, and speaks of what was written over that one.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
    from_redis_value,
};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::Notify;

use super::error::{LinkError, is_moving, is_replica};
use super::options::Options;
use super::seeds::Seeds;
use super::server::{Server, Way};
use super::slots::{Address, Topology, slot_of};
use super::traffic::{LinkFigures, Traffic};

/// Looks at a connection before others get it.
pub type Check = Box<dyn Fn(Link, Server) -> BoxFuture<'static, Result<(), LinkError>> + Send + Sync>;

#[derive(Default)]
struct State {
    topology: Topology,
    servers: FxHashMap<Address, Server>,
    /// Servers whose connection was lost, and is not there again.
    lost: FxHashSet<Address>,
    reopened: u64,
    /// Connections so far.
    opened: u64,
    closed: bool,
}

struct Inner {
    options: Options,
    /// Whether writes have connections of their own.
    are_apart: bool,
    seeds: Seeds,
    state: Mutex<State>,
    changed: Notify,
    traffic: Traffic,
}

/// The connections that everybody shares. A cheap handle.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

impl Link {
    /// A link that is not connected yet; the settings are checked.
    pub fn new(options: Options) -> Result<Self, LinkError> {
        Self::of(options, false)
    }

    /// A link like that, over which writes have connections of their own.
    pub fn with_writes_apart(options: Options) -> Result<Self, LinkError> {
        Self::of(options, true)
    }

    fn of(options: Options, are_apart: bool) -> Result<Self, LinkError> {
        let seeds = Seeds::new(&options)?;
        let (state, changed, traffic) = (Mutex::default(), Notify::new(), Traffic::default());
        Ok(Self(Arc::new(Inner { options, are_apart, seeds, state, changed, traffic })))
    }

    /// Its settings.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The connection to the server that has a key; `None` where there is none now.
    pub fn server(&self, key: &[u8]) -> Option<Server> {
        let state = self.0.state.lock();
        let address = state.topology.owner(slot_of(key))?;
        state.servers.get(address).cloned()
    }

    /// Whether the server that has a key is connected, and has answered what it was asked last.
    pub fn answers(&self, key: &[u8]) -> bool {
        self.server(key).is_some_and(|server| !server.is_silent())
    }

    /// The connections to all servers.
    pub fn servers(&self) -> Vec<Server> {
        self.0.state.lock().servers.values().cloned().collect()
    }

    /// Where all servers that have keys are, connected or not.
    pub fn addresses(&self) -> Vec<Address> {
        self.0.state.lock().topology.servers()
    }

    /// The connection to the server at an address; `None` where there is none now.
    pub fn server_at(&self, address: &Address) -> Option<Server> {
        self.0.state.lock().servers.get(address).cloned()
    }

    /// Whether a slot's keys are at an address.
    pub fn is_at(&self, address: &Address, slot: u16) -> bool {
        self.0.state.lock().topology.owner(slot) == Some(address)
    }

    /// Whether a server is the one that has a key.
    pub fn is_owner(&self, server: &Server, key: &[u8]) -> bool {
        self.0.state.lock().topology.owner(slot_of(key)) == Some(&server.address)
    }

    /// Where the server is that has a slot; `None` where nobody has it, or there is no connection now.
    pub fn owner(&self, slot: u16) -> Option<Address> {
        let state = self.0.state.lock();
        state.topology.owner(slot).filter(|address| state.servers.contains_key(*address)).cloned()
    }

    /// Whether every key's server is connected.
    pub fn is_whole(&self) -> bool {
        let state = self.0.state.lock();
        state.topology.is_whole()
            && state.topology.servers().iter().all(|address| state.servers.contains_key(address))
    }

    /// Counts what is asked over it.
    pub fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    /// Figures for metrics.
    pub fn figures(&self) -> LinkFigures {
        let state = self.0.state.lock();
        LinkFigures {
            servers: state.topology.servers().len() as u64,
            connected: state.servers.len() as u64,
            reopened: state.reopened,
            ..self.0.traffic.figures()
        }
    }

    /// This connection is broken.
    pub fn lost(&self, server: &Server) {
        let mut state = self.0.state.lock();
        if state.servers.get(&server.address).is_some_and(|known| known.number == server.number) {
            state.servers.remove(&server.address);
            // Where one of two ways is broken, or leads to a replica, answers over the other one may still come.
            server.replaced();
            state.lost.insert(server.address.clone());
            self.0.changed.notify_one();
        }
    }

    /// A server's answer was this: where the connection is broken, or leads to a replica, another one is opened, and where it is
    /// silent one that can take its place; where a key has moved, that is learned.
    pub fn failed(&self, server: &Server, error: &RedisError, way: Way) {
        let is_broken = error.is_unrecoverable_error() || error.is_connection_dropped();
        if is_broken || is_replica(error) {
            self.lost(server);
        } else if error.is_timeout() {
            self.silent(server, way);
        } else {
            server.answered(way);
        }
        if is_moving(error)
            && !matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Ask | ServerErrorKind::TryAgain))
        {
            self.moved();
        }
    }

    /// This connection has not brought an answer in time.
    fn silent(&self, server: &Server, way: Way) {
        if server.silent(way) {
            self.0.changed.notify_one();
        }
    }

    /// Whether every slot has a server.
    pub(super) fn has_all_slots(&self) -> bool {
        self.0.state.lock().topology.is_whole()
    }

    /// Whether there is nothing to be done: [`Self::is_whole`], and every connection answers.
    pub(super) fn is_well(&self) -> bool {
        self.is_whole() && !self.0.state.lock().servers.values().any(Server::is_silent)
    }

    /// A key is not where it was.
    pub fn moved(&self) {
        self.0.changed.notify_one();
    }

    /// Ends all connections: nobody gets one any more.
    pub fn close(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.servers.clear();
    }

    /// Something was lost, is silent or has moved since this was asked before.
    pub(super) async fn has_changed(&self) {
        self.0.changed.notified().await;
    }

    /// Who has which slots, as the servers say now.
    pub(super) async fn learned(&self) -> Result<Topology, LinkError> {
        match self.single() {
            Some(topology) => Ok(topology),
            None => self.look(self.addresses()).await,
        }
    }

    /// These have the slots from now on.
    pub(super) fn follow(&self, topology: Topology) {
        let mut state = self.0.state.lock();
        let known = topology.servers();
        // Another one may have taken over what was there: what one that is no master any more says counts for nothing.
        state.servers.retain(|address, server| {
            let is_there = known.contains(address);
            if !is_there {
                server.replaced();
            }
            is_there
        });
        state.lost.retain(|address| known.contains(address));
        state.topology = topology;
    }

    /// The servers that have slots and are not connected, or do not answer.
    pub(super) fn missing(&self) -> Vec<Address> {
        let state = self.0.state.lock();
        let answers = |address: &Address| state.servers.get(address).is_some_and(|known| !known.is_silent());
        state.topology.servers().into_iter().filter(|address| !answers(address)).collect()
    }

    /// Opens what writes and reads go over to a server; `check` looks at it first.
    pub(super) async fn open(&self, address: &Address, check: &Check) -> Result<(), LinkError> {
        let connect =
            async || self.connection_to(address).await.map_err(|error| LinkError::unreachable(&error));
        let mut connection = connect().await?;
        self.check_takes_writes(&mut connection).await?;
        let writes = if self.0.are_apart { Some(connect().await?) } else { None };
        let number = {
            let mut state = self.0.state.lock();
            state.opened += 1;
            state.opened
        };
        let server = Server::new(address.clone(), number, connection, writes);
        if !self.gives_up(address) {
            return Ok(());
        }
        check(self.clone(), server.clone()).await?;
        let mut state = self.0.state.lock();
        let is_needed = state.servers.get(address).is_none_or(Server::is_silent);
        // Another one may have taken over meanwhile.
        if !state.closed && is_needed && state.topology.servers().contains(address) {
            let before = state.servers.insert(address.clone(), server);
            let was_lost = state.lost.remove(address);
            state.reopened += u64::from(was_lost || before.is_some());
        }
        Ok(())
    }

    /// Another connection can take the place of the one to a server: whether it is to, which it is not where the server has no slots
    /// any more, or has brought an answer in the meantime. What the one before brings from now on counts
    /// for nothing: the check looks for the last that was acknowledged, and what was acknowledged while it does, or after, by a
    /// server that is not the one any more, would be missed by it. (Each answer is taken in one go with the question whether its
    /// connection was replaced, on the thread on which this is done: there is no time between the two.)
    fn gives_up(&self, address: &Address) -> bool {
        let state = self.0.state.lock();
        if !state.topology.servers().contains(address) {
            return false;
        }
        let Some(before) = state.servers.get(address) else { return true };
        // It has brought an answer in the meantime: its server stood still.
        let is_silent = before.is_silent();
        if is_silent {
            before.replaced();
        }
        is_silent
    }

    /// Refuses a replica, which reads are answered by and nothing else: an address may lead to one for a while. Servers of a
    /// cluster say themselves what is theirs.
    async fn check_takes_writes(&self, connection: &mut MultiplexedConnection) -> Result<(), LinkError> {
        if self.0.options.cluster {
            return Ok(());
        }
        let mut nothing = redis::cmd("UNLINK");
        nothing.arg(format!("{}:nothing", self.0.options.prefix));
        match nothing.query_async::<Value>(connection).await {
            Err(error) if is_replica(&error) => Err(LinkError::unreachable(&error)),
            // Whatever else it refuses, it is the one.
            _ => Ok(()),
        }
    }

    /// A client of the server at an address.
    pub fn client_of(&self, address: &Address) -> RedisResult<Client> {
        self.0.seeds.client_of(address)
    }

    async fn connection_to(&self, address: &Address) -> RedisResult<MultiplexedConnection> {
        let options = &self.0.options;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.answer_timeout))
            .set_pipeline_buffer_size(1_024);
        self.client_of(address)?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Where the server is, of those that are no cluster.
    pub fn single(&self) -> Option<Topology> {
        let seed = self.0.seeds.addresses().next().filter(|_| !self.0.options.cluster)?;
        Some(Topology::single(seed))
    }

    /// Asks all servers that are known who has which slots. Those that were cut off say something old: the newest counts.
    pub async fn look(&self, mut known: Vec<Address>) -> Result<Topology, LinkError> {
        known.extend(self.0.seeds.addresses());
        known.sort();
        known.dedup();
        let (mut views, mut answered) =
            (known.iter().map(|address| self.view(address)).collect::<FuturesUnordered<_>>(), 0);
        let mut failed = None;
        let mut newest = None;
        // Where most have answered, one of them knows who took over last: whoever is cut off is not waited for.
        while let Some(view) = views.next().await {
            match view {
                Ok((epoch, topology)) => {
                    answered += 1;
                    if newest.as_ref().is_none_or(|(known, _)| *known <= epoch) {
                        newest = Some((epoch, topology));
                    }
                }
                Err(error) => failed = Some(LinkError::unreachable(&error)),
            }
            if answered > known.len() / 2 {
                break;
            }
        }
        let nobody =
            || failed.unwrap_or_else(|| LinkError::Unreachable("no server says who has which slots".into()));
        newest.map(|(_, topology)| topology).ok_or_else(nobody)
    }

    async fn view(&self, address: &Address) -> RedisResult<(u64, Topology)> {
        let mut connection = self.connection_to(address).await?;
        let mut commands = Pipeline::new();
        commands.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
        let (info, slots): (Value, Value) = commands.query_async(&mut connection).await?;
        let info: String = from_redis_value(info)?;
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let epoch = line("cluster_current_epoch:").and_then(|epoch| epoch.parse().ok());
        let view = epoch.zip(Topology::read(&slots, address));
        view.ok_or_else(|| RedisError::from(std::io::Error::other("it does not say who has which slots")))
    }
}
