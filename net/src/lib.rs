//! What all that listens or dials shares, below hub, bridge and clients: TLS with certificates that are read again when
//! they change ([`tls`]), the [`Stream`] that is plain or encrypted, what one address may do before it has shown who it is
//! ([`addresses`]), who gives way where there is no room ([`strangers`]), and where a request comes from that proxies
//! passed on ([`forwarded`]). It knows nothing of the protocol.

pub mod addresses;
pub mod forwarded;
pub mod strangers;
mod stream;
pub mod tls;

use std::net::{IpAddr, SocketAddr};

pub use stream::Stream;

/// Whether what listens here is reached from this machine alone.
pub fn is_inside(listen: SocketAddr) -> bool {
    listen.ip().to_canonical().is_loopback()
}

/// Whether a host, as it stands in an address, is this machine: `localhost`, or a loopback address.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
