//! `[grpc]`: the gRPC server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::check::{Broken, duration, number};
use super::{http, span};
use crate::domain::limits;

/// The gRPC server's settings.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcSection {
    /// Where it listens; port 0 for a free one.
    #[serde(deserialize_with = "http::address")]
    pub listen: SocketAddr,
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
        number("grpc.header_bytes", self.header_bytes, &(12 * 1024..=1024 * 1024))
    }
}
