//! A hub's whole life.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::authentication::Authenticator;
use crate::access::authorizer::{Authorizer, Gate};
use crate::access::revocation::Revocations;
use crate::access::storage::StorageLimit;
use crate::access::tickets::Tickets;
use crate::audit::Trail;
use crate::config::{Config, HiddenText};
use crate::delivery::Delivery;
use crate::domain::limits::{SLOW_CONSUMER_FLOOR, STOP_REST};
use crate::domain::namespace::Namespaces;
use crate::grpc::authorizer::RemoteAuthorizer;
use crate::grpc::encode::ProtobufEncoder;
use crate::grpc::health::Health;
use crate::http;
use crate::presence::{self, Presence};
use crate::session::executor::Executor;
use crate::session::{
    Limits, NoticeRouter, Services, SessionLimits, Sessions, Settings, Upkeep, send_unread, tell_counts,
    tell_missed_marks,
};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::telemetry::traces::Tracer;

use super::audit::{Audit, Running};
use super::error::StartError;
use super::facts::HubFacts;
use super::front::Front as BesideFront;
use super::grpc;
use super::keys;
use super::listeners::Listeners;
use super::nodes::{self, Heard, Nodes};
use super::outage::{self, Outage};
use super::ports::Ports;
use super::stopped::Stopped;
use super::stores;
use super::traces;
use super::worker::{self, Beside, Stop};

/// On a stop, clients are asked to come back spread over this time.
const RECONNECT_SPREAD: Duration = Duration::from_secs(2);

/// On a stop, calls that are on their way have this long to come in, and the last answers to go out.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// On a stop, other nodes have this long to be told whose sessions end with it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a stop looks whether all sessions have ended.
const DRAIN_CHECK: Duration = Duration::from_millis(10);

/// A running hub.
pub struct Hub {
    grpc: SocketAddr,
    http: SocketAddr,
    services: Arc<Services>,
    store: Arc<dyn Store>,
    health: Health,
    workers: Vec<JoinHandle<()>>,
    tasks: TaskTracker,
    accept: CancellationToken,
    run: CancellationToken,
    /// Ends when every worker has answered its last call.
    served: mpsc::Receiver<()>,
    /// Calls without a session that are being answered.
    in_flight: TaskTracker,
    /// What serves beside gRPC: each ends when it has answered its last call.
    fronts: TaskTracker,
    audit: Running,
    /// Cancelled when the store has failed for good.
    failed: CancellationToken,
    drain_timeout: Duration,
    /// How long those whose session ends with the hub may come back without having been away.
    grace: Duration,
}

impl Hub {
    /// Starts a hub as `config` says. To be called on a runtime, which carries the tasks that belong to no worker.
    /// `fronts` serve beside gRPC.
    pub async fn start(config: &Config, fronts: &[Arc<dyn BesideFront>]) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        let audit = Audit::prepare(config, &metrics)?;
        let door = grpc::door(config, audit.trail(), metrics.clone())?;
        let (services, store, nodes) = build(config, settings(config), metrics, audit.trail())?;
        let revocations_after =
            outage::learn_revocations(&services, 0).await.map_err(StartError::Revocations)?;
        let audit = audit.start(&services.store).await?;
        let health = Health::starting().await;
        let ports = Arc::new(Ports::new(&services));
        let (serving, served) = mpsc::channel(1);
        let (accept, run) = (CancellationToken::new(), CancellationToken::new());
        let stop = Stop { accept: accept.clone(), run: run.clone(), served: serving };
        let mut listeners = grpc::listeners(config.grpc.listen, services.delivery.shards().len())?;
        let address = listeners.first().map_or(config.grpc.listen, |(address, _)| *address);
        let (in_flight, serving_fronts) = (TaskTracker::new(), TaskTracker::new());
        let mut workers = Vec::new();
        for (shard, (_, listener)) in listeners.drain(..).enumerate() {
            let front = grpc::front(config, &door, (&services, &ports), (&health, &in_flight), shard);
            let local = Arc::new(grpc::local(&door, (&services, &ports), shard));
            let beside = Beside { hub: local, fronts: fronts.to_vec(), serving: serving_fronts.clone() };
            let started = worker::start(shard, listener, front, beside, Arc::clone(&services), stop.clone());
            workers.push(started.map_err(StartError::Worker)?);
        }
        let registry = nodes.as_ref().map(|nodes| nodes.registry().clone());
        let facts = HubFacts { services: Arc::clone(&services), owners: door.owners.clone(), registry };
        if let Some(nodes) = nodes {
            let joined = nodes.joined();
            let started = nodes.start(Arc::clone(&store), &services.presence, revocations_after, run.clone());
            workers.push(started.map_err(StartError::Worker)?);
            joined.await;
        }
        let tasks = TaskTracker::new();
        if let Some(tls) = door.tls {
            tasks.spawn(tls.follow(run.clone()));
        }
        let (http, failed) = begin_tasks(config, facts, &health, revocations_after, (&tasks, &run)).await?;
        drop(stop);
        health.serving().await;
        audit.started();
        Ok(Self {
            grpc: address,
            http,
            services,
            store,
            health,
            workers,
            tasks,
            accept,
            run,
            served,
            in_flight,
            fronts: serving_fronts,
            audit,
            failed,
            drain_timeout: config.session.drain_timeout,
            grace: config.presence.grace,
        })
    }

    /// How many workers a hub of this configuration has.
    pub fn workers(config: &Config) -> usize {
        worker_count(config.grpc.workers)
    }

    /// Where gRPC is served.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Where health and metrics are served.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Calls without a session that are being answered, those without end aside.
    pub fn calls_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Waits until the store has failed for good, as the embedded one does when it cannot write: nothing goes on until a hub
    /// is started anew.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// What all sessions share.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Stops: no new sessions, `going_away` to all, commands in flight finish, the store writes everything home. What
    /// is not done by the drain timeout is cut off, and what follows has [`STOP_REST`], twice.
    pub async fn stop(mut self) -> Stopped {
        let deadline = Instant::now() + self.drain_timeout;
        self.health.not_serving().await;
        // Before they are told: they may be back on another node at once.
        self.services.presence.take_leave(self.grace + self.drain_timeout, LAST_WORDS).await;
        self.services.drain_sessions(RECONNECT_SPREAD);
        self.accept.cancel();
        let drained = timeout_at(deadline, async {
            while !self.services.sessions.is_empty() {
                tokio::time::sleep(DRAIN_CHECK).await;
            }
        });
        let drained = drained.await.is_ok();
        if !drained {
            tracing::warn!(sessions = self.services.sessions.len(), "sessions were cut off");
        }
        let answered = timeout_at(deadline, self.last_calls()).await.is_ok()
            || self.in_flight.is_empty() && self.fronts.is_empty();
        if !answered {
            tracing::warn!(calls = self.in_flight.len(), fronts = self.fronts.len(), "calls were cut off");
        }
        self.run.cancel();
        if timeout(STOP_REST, self.ended()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "tasks were cut off");
        }
        let audited = self.audit.close(STOP_REST).await;
        if !audited {
            tracing::warn!("the audit log was not closed in time");
        }
        let closed = timeout(STOP_REST, self.store.close()).await.is_ok();
        if !closed {
            tracing::warn!("the store was not closed in time");
        }
        Stopped::of(drained && answered, audited, closed && !self.store.has_failed())
    }

    /// Ends when calls without a session are answered. Streams that have no end, as a watch of health, keep a worker
    /// from being done; they are not waited for.
    async fn last_calls(&mut self) {
        self.fronts.close();
        self.in_flight.close();
        let in_flight = &self.in_flight;
        let quiet = async {
            loop {
                in_flight.wait().await;
                tokio::time::sleep(LAST_CALLS).await;
                if in_flight.is_empty() {
                    return;
                }
            }
        };
        tokio::select! {
            _ = self.served.recv() => {}
            () = quiet => {}
        }
        self.fronts.wait().await;
    }

    /// Ends when the tasks and the workers have, which were told to.
    async fn ended(&mut self) {
        self.tasks.close();
        for worker in self.workers.drain(..) {
            // To join one that goes on would hold up this thread, and with it every limit.
            while !worker.is_finished() {
                tokio::time::sleep(DRAIN_CHECK).await;
            }
            if worker.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
        self.tasks.wait().await;
    }
}

/// Begins what belongs to no worker. Gives the address of health and metrics, and what is cancelled when the store has failed
/// for good.
async fn begin_tasks(
    config: &Config,
    facts: HubFacts,
    health: &Health,
    revocations_after: u64,
    (tasks, run): (&TaskTracker, &CancellationToken),
) -> Result<(SocketAddr, CancellationToken), StartError> {
    let services = &Arc::clone(&facts.services);
    tasks.spawn(send_unread(Arc::clone(services), run.clone()));
    tasks.spawn(tell_missed_marks(Arc::clone(services), run.clone()));
    tasks.spawn(tell_counts(Arc::clone(services), run.clone()));
    let options = http::Options::new(config.http.listen);
    let (web, handle) = http::Service::bind(options, Arc::new(facts)).await?;
    tasks.spawn(web.run(run.clone()));
    let failed = CancellationToken::new();
    let outage = Outage::new(services, health, stores::patience(config), revocations_after, failed.clone());
    tasks.spawn(outage.watch(run.clone()));
    keys::start(config, &services.authenticator, &services.metrics, tasks, run);
    traces::start(config.collector()?, &services.traces, tasks, run);
    Ok((handle.address(), failed))
}

/// The services, their store, and the way to other nodes where there may be any.
pub(super) type Built = (Arc<Services>, Arc<dyn Store>, Option<Nodes>);

/// Opens the store and puts the services together.
pub(super) fn build(
    config: &Config,
    settings: Settings,
    metrics: Metrics,
    audit: Trail,
) -> Result<Built, StartError> {
    let namespaces: Arc<Namespaces> = Arc::new(config.namespaces());
    let authenticator = Authenticator::of(config.issuers()?)?;
    let workers = worker_count(config.grpc.workers);
    let encoder = Arc::new(ProtobufEncoder::default());
    let delivery =
        Arc::new(Delivery::new(workers, Arc::clone(&namespaces), encoder, config.presence.large_room));
    let listeners = Arc::new(Listeners::new(Arc::clone(&delivery)));
    let Heard { sink, node, nodes } = nodes::open(config, &listeners)?;
    let store = stores::open(config, &namespaces, sink, node)?;
    delivery.set_epoch(store.epoch());
    if let Some(nodes) = &nodes {
        nodes.feed().name(&store);
        delivery.join(nodes.feed().clone());
    }
    let sessions = Arc::new(Sessions::new(workers));
    let router = NoticeRouter { delivery: Arc::clone(&delivery), sessions: Arc::clone(&sessions) };
    let storage = Arc::new(StorageLimit::new(config.limits.bytes_per_tenant));
    let services = Arc::new(Services {
        executor: Executor::new(
            Arc::clone(&store),
            Arc::clone(&namespaces),
            gate(config)?,
            Arc::clone(&storage),
        ),
        presence: match &nodes {
            Some(_) => Presence::shared(presence(config), Arc::new(router), node),
            None => Presence::new(presence(config), Arc::new(router)),
        },
        settings,
        store: Arc::clone(&store),
        namespaces,
        delivery,
        authenticator,
        limits: Limits::new(
            config.limiter(),
            (config.limits.commands.0, config.limits.open_per_address.0),
            session_limits(config),
            storage,
            config.limits.shared_kinds(),
        ),
        shared: nodes.as_ref().map(Nodes::limits),
        revocations: Revocations::kept_for(config.revoked_for()),
        tickets: Tickets::default(),
        shared_tickets: nodes.as_ref().map(Nodes::tickets),
        sessions,
        audit,
        metrics,
        traces: if config.traces.url.is_some() { Tracer::new() } else { Tracer::default() },
        upkeep: Upkeep::new(workers),
    });
    listeners.name(&services);
    Ok((services, store, nodes))
}

fn presence(config: &Config) -> presence::Options {
    let section = &config.presence;
    presence::Options {
        grace: section.grace,
        large_room: section.large_room,
        huge_room: section.huge_room,
        occupancy_interval: section.occupancy_interval,
        occupancy_interval_huge: section.occupancy_interval_huge,
        typing_expiry: section.typing_expiry,
        shared: false,
    }
}

pub(super) fn settings(config: &Config) -> Settings {
    let session = &config.session;
    Settings {
        terms: config.session_terms(),
        hello_timeout: session.hello_timeout,
        command_timeout: session.command_timeout,
        token_notice: session.token_expiring_notice,
        slow_consumer_after: session.slow_consumer_after,
        slow_consumer_floor: SLOW_CONSUMER_FLOOR,
        mailbox_bytes: session.mailbox_bytes,
    }
}

/// What leads to the organisation's authoriser, where there is one.
fn gate(config: &Config) -> Result<Gate, StartError> {
    let section = &config.authorizer;
    let remote = section.url.as_deref().map(|url| {
        let token = section.token.as_ref().map(HiddenText::as_str);
        RemoteAuthorizer::new(url, section.ca.as_deref(), token, section.timeout)
    });
    let authorizer: Option<Arc<dyn Authorizer>> = match remote.transpose()? {
        Some(remote) => Some(Arc::new(remote)),
        None => None,
    };
    Ok(Gate::new(authorizer, config.gate_options()))
}

fn session_limits(config: &Config) -> SessionLimits {
    let limits = &config.limits;
    SessionLimits {
        user: limits.sessions_per_user,
        tenant: limits.sessions_per_tenant,
        address: limits.sessions_per_address,
        node: limits.sessions_per_node,
    }
}

/// One worker per core where configuration does not say.
fn worker_count(configured: usize) -> usize {
    if configured > 0 { configured } else { std::thread::available_parallelism().map_or(1, usize::from) }
}
