//! A network that fails as a test says: a proxy in front of a server, on a thread of its own.
//!
//! Bytes go through a bounded queue each way, and in order whatever happens. A connection that has lost some of its bytes
//! brings nothing any more, also when the network is well again: its ends find out by themselves, as after a firewall that
//! forgot it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::server::Server;

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// Chunks that are on their way at most, each way; who sends more has to wait.
const CHUNKS: usize = 256;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// They arrive.
    Open,
    /// They are gone, and nobody is told.
    Cut,
    /// They wait.
    Held,
    /// They arrive so much later.
    Slow(Duration),
}

#[derive(Clone, Copy)]
struct State {
    way: Way,
    /// How often all connections were reset.
    resets: u64,
    /// Of connections before this one answers wait.
    held_before: u64,
}

/// What every connection sees of the network.
#[derive(Clone)]
struct Network {
    /// The connection's number, and whether what goes there are answers.
    number: u64,
    is_back: bool,
    state: watch::Receiver<State>,
    /// Bytes that were dropped.
    lost: Arc<AtomicU64>,
}

impl Network {
    fn way(&self) -> Way {
        self.state.borrow().way
    }

    /// Waits until bytes go on; an error is the proxy's end.
    async fn until_open(&mut self) -> Result<(), watch::error::RecvError> {
        let (number, is_back) = (self.number, self.is_back);
        self.until(|state| state.way != Way::Held && !(is_back && number < state.held_before)).await
    }

    fn loses(&self, bytes: usize, is_lossy: &AtomicBool) {
        is_lossy.store(true, Ordering::Relaxed);
        self.lost.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits for a state; an error is the proxy's end.
    async fn until(&mut self, is_so: impl Fn(&State) -> bool) -> Result<(), watch::error::RecvError> {
        self.state.wait_for(|state| is_so(state)).await.map(drop)
    }
}

/// Where a server is.
#[derive(Clone)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A proxy in front of a server. Dropping it ends what goes through it.
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    lost: Arc<AtomicU64>,
    /// Connections so far.
    served: Arc<AtomicU64>,
}

impl Proxy {
    /// One in front of a server that is not of a cluster.
    pub fn to(server: &Server) -> Self {
        assert!(!server.is_of_cluster(), "servers of a cluster say themselves where they are");
        Self::start(server.target())
    }

    /// One in front of whatever listens there.
    pub fn to_address(address: SocketAddr) -> Self {
        Self::start(Target::Tcp(address))
    }

    fn start(target: Target) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("a socket option");
        let (state, watched) = watch::channel(State { way: Way::Open, resets: 0, held_before: 0 });
        let lost = Arc::<AtomicU64>::default();
        let (lost_there, served) = (Arc::clone(&lost), Arc::<AtomicU64>::default());
        let served_there = Arc::clone(&served);
        let network = Network { number: 0, is_back: false, state: watched, lost: lost_there };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let mut ending = network.clone();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept(listener, target, network, &served_there) => {}
                    // There is no such state: this is the proxy's end.
                    _ = ending.until(|_| false) => {}
                }
            });
        });
        Self { address, state, lost, served }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, for a Redis behind it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on bytes are dropped, both ways, and nobody is told. New connections come to be, and bring nothing.
    pub fn cuts(&self) {
        self.goes(Way::Cut);
    }

    /// From now on bytes wait, both ways.
    pub fn holds(&self) {
        self.goes(Way::Held);
    }

    /// From now on answers wait over all connections that there are. New ones are served.
    pub fn holds_answers(&self) {
        let served = self.served.load(Ordering::SeqCst);
        self.state.send_modify(|state| state.held_before = served);
    }

    /// From now on bytes arrive so much later, both ways.
    pub fn delays(&self, by: Duration) {
        self.goes(Way::Slow(by));
    }

    /// From now on bytes arrive: those that waited first. Connections that lost some stay as they are.
    pub fn heals(&self) {
        self.state.send_modify(|state| state.held_before = 0);
        self.goes(Way::Open);
    }

    /// Ends all connections at once, with a reset and what is on its way lost. New ones are served.
    pub fn resets(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// Bytes that were dropped so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn goes(&self, way: Way) {
        self.state.send_modify(|state| state.way = way);
    }
}

async fn accept(listener: TcpListener, target: Target, network: Network, served: &AtomicU64) {
    while let Ok((near, _)) = listener.accept().await {
        let number = served.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(near, target.clone(), Network { number, ..network.clone() }));
    }
}

/// One connection, until it ends or is reset.
async fn serve(mut near: TcpStream, target: Target, mut network: Network) {
    let resets = network.state.borrow().resets;
    let is_reset = tokio::select! {
        // Where the server cannot be reached, its client sees the end of its connection.
        _ = carry(&mut near, target, network.clone()) => false,
        _ = network.until(|state| state.resets > resets) => true,
    };
    if is_reset {
        near.set_zero_linger().expect("a socket option");
    }
}

async fn carry(near: &mut TcpStream, target: Target, network: Network) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    match target {
        Target::Tcp(address) => {
            let far = TcpStream::connect(address).await?;
            far.set_nodelay(true)?;
            both_ways(near, far, &network).await;
        }
        Target::Unix(path) => both_ways(near, UnixStream::connect(path).await?, &network).await,
    }
    Ok(())
}

async fn both_ways(near: &mut TcpStream, far: impl AsyncRead + AsyncWrite + Unpin, network: &Network) {
    let (from_near, to_near) = near.split();
    let (from_far, to_far) = tokio::io::split(far);
    let is_lossy = AtomicBool::new(false);
    tokio::join!(
        forward(from_near, to_far, network.clone(), &is_lossy),
        forward(from_far, to_near, Network { is_back: true, ..network.clone() }, &is_lossy),
    );
}

/// Forwards until an end. `is_lossy` is for both ways: whether the connection has lost bytes.
async fn forward(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    network: Network,
    is_lossy: &AtomicBool,
) {
    let (queue, chunks) = mpsc::channel(CHUNKS);
    tokio::join!(read(from, queue, network.clone()), write(to, chunks, network, is_lossy));
}

/// A chunk, and when it arrives.
type Chunk = (Instant, Vec<u8>);

async fn read(mut from: impl AsyncRead + Unpin, queue: mpsc::Sender<Chunk>, mut network: Network) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            // The end is not told where nothing is.
            let _ = network.until(|state| state.way != Way::Cut).await;
            return;
        };
        let late = if let Way::Slow(by) = network.way() { by } else { Duration::ZERO };
        if queue.send((Instant::now() + late, buffer[..read].to_vec())).await.is_err() {
            return;
        }
    }
}

async fn write(
    mut to: impl AsyncWrite + Unpin,
    mut chunks: mpsc::Receiver<Chunk>,
    mut network: Network,
    is_lossy: &AtomicBool,
) {
    while let Some((due, bytes)) = chunks.recv().await {
        sleep_until(due).await;
        if network.until_open().await.is_err() {
            return;
        }
        if network.way() == Way::Cut || is_lossy.load(Ordering::Relaxed) {
            network.loses(bytes.len(), is_lossy);
        } else if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // Who reads there may have gone.
    let _ = to.shutdown().await;
}
