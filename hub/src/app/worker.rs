//! One worker: a thread with a runtime of its own, on which live the sessions of the connections that it accepted.
//! Sharing nothing but the rooms, the workers beat one runtime with as many threads (the prototype `fan` measured 1.8
//! times under backlog).

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use carillon_proto::port::HubPort;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::front::Front as BesideFront;
use crate::grpc::server::Front;
use crate::grpc::session_service::SessionService;
use crate::session::{Services, sweep_runtime};

/// Connections that the system may hold before they are accepted.
const BACKLOG: i32 = 4_096;

/// How a worker is told what to do.
#[derive(Clone)]
pub(super) struct Stop {
    /// No new connections and calls; those that there are go on.
    pub(super) accept: CancellationToken,
    /// End now.
    pub(super) run: CancellationToken,
    /// Dropped when a worker has no call left to answer.
    pub(super) served: mpsc::Sender<()>,
}

/// What serves beside gRPC.
pub(super) struct Beside {
    pub(super) hub: Arc<dyn HubPort>,
    pub(super) fronts: Vec<Arc<dyn BesideFront>>,
    /// Those of all workers that have something to do.
    pub(super) serving: TaskTracker,
}

/// A listener that shares its address with those of the other workers: the system spreads connections over them.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether nobody else listens there. The workers' listeners cannot tell: the system lets any of one user's processes
/// share an address that way, and two hubs would get half of the connections each.
pub(super) fn is_free(address: SocketAddr) -> std::io::Result<()> {
    TcpListener::bind(address).map(drop)
}

/// Starts worker `shard`.
pub(super) fn start(
    shard: usize,
    listener: TcpListener,
    front: Front<SessionService>,
    beside: Beside,
    services: Arc<Services>,
    stop: Stop,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(format!("worker-{shard}")).spawn(move || {
        runtime.block_on(run(shard, listener, front, beside, services, stop));
        // What is left of connections ends with the runtime.
        runtime.shutdown_background();
    })
}

async fn run(
    shard: usize,
    listener: TcpListener,
    front: Front<SessionService>,
    beside: Beside,
    services: Arc<Services>,
    stop: Stop,
) {
    let spread = services.delivery.shards().get(shard).cloned();
    let spreading = spread.map(|inbox| tokio::spawn(inbox.run(stop.run.clone())));
    let sweeping = tokio::spawn(sweep_runtime(Arc::clone(&services), shard, stop.run.clone()));
    for front in &beside.fronts {
        beside.serving.spawn(front.serve(Arc::clone(&beside.hub), stop.accept.clone()));
    }
    // Spawned, so that the server's own loop is a task like its connections and not the runtime's root.
    let serving = tokio::spawn(front.serve(listener, stop.accept.clone().cancelled_owned()));
    tokio::select! {
        served = serving => match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(shard, %error, "a worker stopped serving"),
            Err(error) => tracing::error!(shard, %error, "a worker failed"),
        },
        () = stop.run.cancelled() => {}
    }
    let Stop { run, served, .. } = stop;
    drop(served);
    run.cancelled().await;
    sweeping.abort();
    if let Some(spreading) = spreading {
        spreading.abort();
    }
}
