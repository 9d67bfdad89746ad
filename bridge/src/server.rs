//! The server: accepting, bounding and ending connections.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carillon_net::Stream;
use carillon_net::addresses::Addresses;
use carillon_net::tls::{Acceptor, TlsError};
use carillon_proto::port::{HubPort, Peer, TurnedAway};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::heard::Hearings;
use crate::options::Options;
use crate::patient::Patient;
use crate::place::Place;
use crate::room::Room;
use crate::routes::{self, Connection, Counted, Shared};
use crate::told::{Refusal, Told};

/// Connections that the system may hold before they are accepted.
const BACKLOG: i32 = 4_096;
/// Bytes of a request's head at most: an address of an event stream, its `last-event-id`, a token, and room for the rest.
const HEAD_BYTES: usize = 40 * 1_024;
/// Headers of a request at most.
const HEADERS: usize = 64;
/// Who finds too many connections of all may try again after this long: nobody knows when one ends.
const FULL_WAIT: Duration = Duration::from_secs(5);

/// Why the bridge could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen for browsers on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It would speak plain text to other machines.
    #[error(
        "{0} is reached from other machines, and tokens would travel in plain text: give it a certificate and a key, or \
         listen on 127.0.0.1; where a proxy in front terminates TLS, say that it is insecure"
    )]
    Exposed(SocketAddr),
}

/// The bridge, bound to its address. Each worker serves on a listener of its own.
pub struct Bridge {
    options: Arc<Options>,
    address: SocketAddr,
    tls: Option<Acceptor>,
    listeners: Mutex<Vec<TcpListener>>,
    /// Whether a worker follows the certificate's files.
    followed: AtomicBool,
    addresses: Addresses,
    open: Arc<AtomicUsize>,
    /// The places that they have.
    room: Room,
    /// Who is being told that there are too many.
    told: Told,
    /// Whoever is heard though their address has too many.
    hearings: Hearings,
}

impl Bridge {
    /// Binds the address for this many workers: the system spreads connections over them.
    pub fn bind(options: Options, workers: usize) -> Result<Self, BindError> {
        let fail = |cause| BindError::Listen { address: options.listen, cause };
        let tls = options.tls.as_ref().map(Acceptor::new).transpose()?;
        if tls.is_none() && !options.insecure && !carillon_net::is_inside(options.listen) {
            return Err(BindError::Exposed(options.listen));
        }
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
            room: Room::new(options.connections),
            options: Arc::new(options),
            address,
            tls,
            listeners: Mutex::new(listeners),
            followed: AtomicBool::new(false),
            open: Arc::default(),
            told: Told::default(),
            hearings: Hearings::default(),
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
        if let Some(tls) = self.tls.clone()
            && !self.followed.swap(true, Ordering::Relaxed)
        {
            tokio::spawn(tls.follow(stop.clone()));
        }
        let calls = TaskTracker::new();
        let shared = Arc::new(Shared {
            options: Arc::clone(&self.options),
            addresses: self.addresses.clone(),
            hearings: self.hearings.clone(),
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
        let too_many = || {
            let peer = Peer { address: Some(peer), ..Peer::default() };
            shared.hub.turned_away(&peer, TurnedAway::TooMany);
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        // Behind a trusted proxy the address is not known yet.
        let is_proxy = self.options.trusted_proxies.contains(&peer.to_canonical());
        let place = if is_proxy {
            Place::new(None)
        } else {
            match self.addresses.attempt(peer, Instant::now()) {
                Ok(attempt) => Place::new(Some(attempt)),
                Err(wait) => match self.hearings.hear(peer, wait) {
                    Some(heard) => Place::heard(heard),
                    None => {
                        too_many();
                        return self.turn_away(stream, counted, Refusal::Crowded(wait));
                    }
                },
            }
        };
        // Last: who is turned away takes nobody's place.
        let Some(seat) = self.room.take((!is_proxy).then_some(peer)) else {
            place.asks();
            too_many();
            return self.turn_away(stream, counted, Refusal::Full(FULL_WAIT));
        };
        let (shared, stop, tls) = (Arc::clone(shared), stop.clone(), self.tls.clone());
        let place = Arc::new(place.seated(seat));
        let connection = Connection { peer, place: Arc::clone(&place), _counted: counted };
        tokio::spawn(async move {
            tokio::select! {
                () = carry(stream, tls, connection, shared, stop) => {}
                () = place.overstays() => {}
                () = place.gives_way() => {}
            }
        });
    }

    /// Says that there are too many. Within TLS nothing is said: a handshake costs more than all else that a connection
    /// asks, and who is one too many gets none.
    fn turn_away(&self, stream: TcpStream, counted: Arc<Counted>, refusal: Refusal) {
        drop(counted);
        if self.tls.is_none() {
            self.told.tell(stream, refusal);
        }
    }
}

/// A connection's life.
async fn carry(
    stream: TcpStream,
    tls: Option<Acceptor>,
    connection: Connection,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    // A silent one counts as such through its handshake, whose end without success is its failure.
    let limit = shared.options.handshake_timeout;
    let entered = tokio::time::timeout(limit, stop.run_until_cancelled(enter(stream, tls)));
    let Ok(Some(Some(stream))) = Box::pin(entered).await else { return };
    serve(stream, connection, shared, stop).await;
}

/// Does the handshake where there is one; `None` where it fails.
async fn enter(socket: TcpStream, tls: Option<Acceptor>) -> Option<Stream> {
    let Some(tls) = tls else { return Some(Stream::Plain(socket)) };
    let accepted = tls.accept(socket).await;
    accepted.inspect_err(|error| tracing::debug!(%error, "a browser's handshake failed")).ok()
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

/// Serves one connection. A request's head must come whole within the handshake's time, the first and each that follows.
async fn serve(stream: Stream, connection: Connection, shared: Arc<Shared>, stop: CancellationToken) {
    let limit = shared.options.handshake_timeout;
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        connection.place.asks();
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
}
