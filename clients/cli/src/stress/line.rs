//! A connection to the hub that can be cut: a relay on this machine, for clients that must lose their connection without
//! a word.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::fault::{Fault, Outcome};

/// A relay. Dropping it cuts all that goes through it, and closes its port.
pub(super) struct Line {
    address: SocketAddr,
    cuts: watch::Sender<u64>,
    _relay: JoinSet<()>,
}

impl Line {
    /// Relays connections to the hub.
    pub(super) async fn open(hub: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Fault::wire("open a relay"))?;
        let address = listener.local_addr().map_err(Fault::wire("open a relay"))?;
        let (cuts, cut) = watch::channel(0);
        let mut relay = JoinSet::new();
        relay.spawn(accept(listener, hub, cut));
        Ok(Self { address, cuts, _relay: relay })
    }

    /// What clients connect to.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks every connection that goes through it now. New ones may be made at once.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, hub: SocketAddr, cut: watch::Receiver<u64>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                let mut cut = cut.clone();
                cut.mark_unchanged();
                connections.spawn(relay(client, hub, cut));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(mut client: TcpStream, hub: SocketAddr, mut cut: watch::Receiver<u64>) {
    let through = async {
        let mut hub = TcpStream::connect(hub).await?;
        hub.set_nodelay(true)?;
        client.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut client, &mut hub).await
    };
    // How it ends is for both ends to find out.
    tokio::select! {
        _ = through => {}
        _ = cut.changed() => {}
    }
}
