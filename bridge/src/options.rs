//! What configuration says of the bridge.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_net::addresses::AddressLimits;
use carillon_net::tls::ServerTls;

use crate::origins::Origins;

/// What configuration says of the bridge.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 for a free one.
    pub listen: SocketAddr,
    /// Its certificate; `None` for plain text.
    pub tls: Option<ServerTls>,
    /// Whether it may speak plain text to other machines, as behind a proxy that terminates TLS.
    pub insecure: bool,
    /// Which pages may connect.
    pub origins: Origins,
    /// Whether a token may stand in the address as `?token=`. Addresses end up in logs.
    pub query_tokens: bool,
    /// A request that is not whole by then is dropped (row F2).
    pub handshake_timeout: Duration,
    /// Bytes of one frame or body that a client may send (row H7).
    pub frame_bytes: usize,
    /// Connections at once; past that 503.
    pub connections: usize,
    /// What one address may do; `None` for no limit.
    pub addresses: Option<AddressLimits>,
    /// Proxies whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// A socket or stream that takes nothing of what waits for it for this long is dropped. Longer than a hub's own limit for slow
    /// readers, which says goodbye first; it is for those that do not take that either.
    pub stalled_after: Duration,
    /// An event stream gets a comment this often, so that proxies keep it.
    pub event_heartbeat: Duration,
    /// The page with playground and overview; `None` where it is not served.
    pub page: Option<Page>,
}

/// What the page is served with.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In development: the tenant, and tokens by name, for signing in by a click.
    pub tokens: Option<(String, BTreeMap<String, String>)>,
}

impl Options {
    /// The defaults over an address and its origins.
    pub fn new(listen: SocketAddr, origins: Origins) -> Self {
        Self {
            listen,
            tls: None,
            insecure: false,
            origins,
            query_tokens: false,
            handshake_timeout: Duration::from_secs(10),
            frame_bytes: 100 * 1024,
            connections: 16_000,
            addresses: Some(AddressLimits::default()),
            trusted_proxies: Vec::new(),
            stalled_after: Duration::from_secs(60),
            event_heartbeat: Duration::from_secs(25),
            page: None,
        }
    }
}
