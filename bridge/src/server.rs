//! The server: accepting, bounding and ending connections.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carillon_proto::port::HubPort;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::addresses::Addresses;
use crate::options::Options;
use crate::patient::Patient;
use crate::routes::{self, Connection, Counted, Shared};

/// Connections that the system may hold before they are accepted.
const BACKLOG: i32 = 4_096;
/// Bytes of a request's head at most: an address of an event stream, its `last-event-id`, a token, and room for the rest.
const HEAD_BYTES: usize = 40 * 1_024;
/// Headers of a request at most.
const HEADERS: usize = 64;
/// What a connection is told that is one too many.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n";

/// Why the bridge could not begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for browsers on {address}: {cause}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub cause: std::io::Error,
}

/// The bridge, bound to its address. Each worker serves on a listener of its own.
pub struct Bridge {
    options: Arc<Options>,
    address: SocketAddr,
    listeners: Mutex<Vec<TcpListener>>,
    addresses: Addresses,
    open: Arc<AtomicUsize>,
}

impl Bridge {
    /// Binds the address for this many workers: the system spreads connections over them.
    pub fn bind(options: Options, workers: usize) -> Result<Self, BindError> {
        let fail = |cause| BindError { address: options.listen, cause };
        // Whoever else has the address must be heard of: shared ports are for this process alone.
        if options.listen.port() != 0 {
            drop(listen(options.listen, false).map_err(fail)?);
        }
        let first = listen(options.listen, true).map_err(fail)?;
        let address = first.local_addr().map_err(fail)?;
        let mut listeners = vec![first];
        for _ in 1..workers.max(1) {
            listeners.push(listen(address, true).map_err(fail)?);
        }
        Ok(Self {
            addresses: Addresses::new(options.addresses),
            options: Arc::new(options),
            address,
            listeners: Mutex::new(listeners),
            open: Arc::default(),
        })
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections open now, sockets among them.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Serves one worker's listener on the runtime that this is called on, in front of `hub`, until `stop`: then no more
    /// connections are taken, those that wait for a request end, and calls that were posted are answered, which this waits
    /// for. Sockets end when their sessions do.
    pub async fn serve(self: Arc<Self>, hub: Arc<dyn HubPort>, stop: CancellationToken) {
        let Some(listener) = self.listeners.lock().pop() else { return };
        let listener =
            listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the bridge cannot listen"),
        };
        let calls = TaskTracker::new();
        let shared = Arc::new(Shared {
            options: Arc::clone(&self.options),
            addresses: self.addresses.clone(),
            hub,
            calls: calls.clone(),
        });
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer.ip(), &shared, &stop),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // The system is short of something, such as descriptors: trying at once would spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        calls.close();
        calls.wait().await;
    }

    fn take(&self, stream: TcpStream, peer: IpAddr, shared: &Arc<Shared>, stop: &CancellationToken) {
        let _ = stream.set_nodelay(true);
        let counted = Arc::new(Counted(Arc::clone(&self.open)));
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.options.connections {
            tokio::spawn(turn_away(stream, counted));
            return;
        }
        // Behind a trusted proxy the address is not known yet.
        let silent = if self.options.trusted_proxies.contains(&peer.to_canonical()) {
            None
        } else {
            match self.addresses.attempt(peer, Instant::now()) {
                Some(attempt) => Some(attempt),
                None => {
                    tokio::spawn(turn_away(stream, counted));
                    return;
                }
            }
        };
        let (shared, stop) = (Arc::clone(shared), stop.clone());
        tokio::spawn(async move {
            serve(stream, Connection { peer, _counted: counted }, shared, stop, silent).await;
        });
    }
}

fn listen(address: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn turn_away(mut stream: TcpStream, counted: Arc<Counted>) {
    let said = tokio::time::timeout(Duration::from_secs(1), stream.write_all(TOO_MANY));
    let _ = said.await;
    drop(counted);
}

/// Serves one connection. A request's head must come whole within the handshake's time, the first and each that follows.
async fn serve(
    stream: TcpStream,
    connection: Connection,
    shared: Arc<Shared>,
    stop: CancellationToken,
    silent: Option<crate::addresses::Attempt>,
) {
    // What is asked of the hub is counted by itself from then on. Whoever asks for what anyone may have is nobody known,
    // and counts on.
    let silent = Mutex::new(silent);
    let asked = AtomicBool::new(false);
    let limit = shared.options.handshake_timeout;
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        asked.store(true, Ordering::Relaxed);
        if request.uri().path().starts_with("/v1/")
            && let Some(attempt) = silent.lock().take()
        {
            attempt.succeeded();
        }
        let answer = routes::answer(Arc::clone(&shared), connection.clone(), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limit)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(Patient::new(stream, shared.options.stalled_after)), service)
            .with_upgrades()
    );
    let served = match stop.run_until_cancelled(serving.as_mut()).await {
        Some(served) => served,
        None => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of a browser broke");
    }
    // To have asked for a page is no failure.
    if asked.load(Ordering::Relaxed)
        && let Some(attempt) = silent.lock().take()
    {
        attempt.succeeded();
    }
}
