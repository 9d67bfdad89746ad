//! `[grpc]`: the gRPC server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::auth::HiddenText;
use super::check::{Broken, duration, number, require};
use super::keys::read;
use super::tls::GrpcTlsSection;
use super::{http, span};
use crate::access::bridges::Bridges;
use crate::domain::limits;

/// The gRPC server's settings.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcSection {
    /// Where it listens; port 0 for a free one.
    #[serde(deserialize_with = "http::address")]
    pub listen: SocketAddr,
    /// Whether it may speak plain text to other machines.
    pub insecure: bool,
    /// Its certificate.
    pub tls: GrpcTlsSection,
    /// The key by which bridges prove that they are some, 32 bytes at least.
    pub bridge_key: Option<HiddenText>,
    /// A file that holds the key. Space around it is left out.
    pub bridge_key_file: Option<PathBuf>,
    /// Names of verified certificates by which they prove it.
    pub bridge_certificates: Vec<String>,
    /// Connections at once, those of services and bridges aside; 0 for no limit.
    pub connections: usize,
    /// Connections of one user at once; 0 for no limit.
    pub connections_per_user: usize,
    /// Connections of one address at once on which nobody known has called; 0 for no limit.
    pub unauthenticated_per_address: usize,
    /// Attempts of one address within a minute that failed or are pending; 0 for no limit.
    pub attempts_per_address: usize,
    /// Proxies whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Runtimes, each with a thread of its own; 0 for one per core.
    pub workers: usize,
    /// Whether reflection is offered; by mode where unset.
    pub reflection: Option<bool>,
    /// HTTP/2 pings to a silent connection this often.
    #[serde(with = "span")]
    pub keepalive_interval: Duration,
    /// A connection that does not answer one for this long is closed.
    #[serde(with = "span")]
    pub keepalive_timeout: Duration,
    /// Streams that one connection may hold.
    pub streams_per_connection: usize,
    /// What a client may send on one stream before the hub has read it, bytes.
    pub stream_window_bytes: usize,
    /// What a client may send on one connection before the hub has read it, bytes.
    pub connection_window_bytes: usize,
    /// All headers of a request, bytes. The token is one of them.
    pub header_bytes: usize,
}

impl Default for GrpcSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7420)),
            insecure: false,
            tls: GrpcTlsSection::default(),
            bridge_key: None,
            bridge_key_file: None,
            bridge_certificates: Vec::new(),
            connections: limits::CONNECTIONS,
            connections_per_user: limits::CONNECTIONS_PER_USER,
            unauthenticated_per_address: limits::UNAUTHENTICATED_PER_ADDRESS,
            attempts_per_address: limits::ATTEMPTS_PER_ADDRESS,
            trusted_proxies: Vec::new(),
            workers: 0,
            reflection: None,
            keepalive_interval: limits::HTTP2_KEEPALIVE_INTERVAL,
            keepalive_timeout: limits::HTTP2_KEEPALIVE_TIMEOUT,
            streams_per_connection: limits::HTTP2_STREAMS as usize,
            stream_window_bytes: limits::HTTP2_STREAM_WINDOW as usize,
            connection_window_bytes: limits::HTTP2_CONNECTION_WINDOW as usize,
            header_bytes: limits::HTTP2_HEADER_BYTES as usize,
        }
    }
}

impl GrpcSection {
    pub(super) fn check(&self) -> Result<(), Broken> {
        let pause = Duration::from_secs(1)..=Duration::from_hours(1);
        number("grpc.workers", self.workers, &(0..=256))?;
        duration("grpc.keepalive_interval", self.keepalive_interval, &pause)?;
        duration("grpc.keepalive_timeout", self.keepalive_timeout, &pause)?;
        number("grpc.streams_per_connection", self.streams_per_connection, &(1..=100_000))?;
        // Windows: at most what HTTP/2's 31 bits hold (RFC 9113, 6.9); a connection's at least what it begins with.
        number("grpc.stream_window_bytes", self.stream_window_bytes, &(16 * 1024..=(1 << 31) - 1))?;
        number("grpc.connection_window_bytes", self.connection_window_bytes, &(65_535..=(1 << 31) - 1))?;
        number("grpc.header_bytes", self.header_bytes, &(12 * 1024..=1024 * 1024))?;
        number("grpc.connections", self.connections, &(0..=1_000_000))?;
        number("grpc.connections_per_user", self.connections_per_user, &(0..=1_000_000))?;
        number("grpc.unauthenticated_per_address", self.unauthenticated_per_address, &(0..=1_000_000))?;
        number("grpc.attempts_per_address", self.attempts_per_address, &(0..=1_000_000))?;
        require(
            self.bridge_certificates.is_empty() || self.tls.client_ca.is_some(),
            "grpc.bridge_certificates",
            "with grpc.tls.client_ca alone, which says whose certificates are good",
        )?;
        self.bridges().map(drop)
    }

    /// Which bridges are believed.
    pub(super) fn bridges(&self) -> Result<Bridges, Broken> {
        let key = match (&self.bridge_key, &self.bridge_key_file) {
            (None, None) => return Ok(Bridges::new(None, self.bridge_certificates.clone())),
            (Some(key), None) => ("grpc.bridge_key", key.as_str().as_bytes().to_vec()),
            (None, Some(path)) => ("grpc.bridge_key_file", read("grpc.bridge_key_file", path)?),
            (Some(_), Some(_)) => {
                let rule = "at most one of grpc.bridge_key and grpc.bridge_key_file";
                return Err(Broken::new("grpc.bridge_key", rule));
            }
        };
        let (name, key) = (key.0, key.1.trim_ascii());
        let rule = format!("at least {} bytes, visible ASCII characters alone", limits::SECRET_BYTES);
        let fits = key.len() >= limits::SECRET_BYTES && key.iter().all(u8::is_ascii_graphic);
        require(fits, name, &rule)?;
        Ok(Bridges::new(Some(key), self.bridge_certificates.clone()))
    }
}
