//! One hub: its connections, and whether it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint as Address};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{RemoteError, STREAMS};

/// A connection that is not there by then is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before a hub that could not be asked is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// Bytes of one stream that a hub may send before its socket has taken them.
const STREAM_WINDOW: u32 = 64 * 1_024;
/// Of one connection: enough for all of its streams at once.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * (STREAMS as u32 + 28);

/// One hub.
pub(super) struct Endpoint {
    address: Address,
    connections: Mutex<Vec<Arc<Connection>>>,
    serves: AtomicBool,
}

/// One HTTP/2 connection. How many hold it says how many streams it carries.
struct Connection(Channel);

/// The right to one stream of a connection.
pub(super) struct Lease(Arc<Connection>);

impl Lease {
    /// The connection's channel.
    pub(super) fn channel(&self) -> Channel {
        self.0.0.clone()
    }
}

impl Endpoint {
    /// The hub at `url`.
    pub(super) fn new(url: &str) -> Result<Arc<Self>, RemoteError> {
        let wrong = || RemoteError::Address(url.chars().take(200).collect());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") if uri.authority().is_some() => {}
            Some("https") => return Err(RemoteError::Tls(url.chars().take(200).collect())),
            _ => return Err(wrong()),
        }
        let address = Channel::builder(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        Ok(Arc::new(Self { address, connections: Mutex::default(), serves: AtomicBool::new(false) }))
    }

    /// Whether the hub says that it serves.
    pub(super) fn serves(&self) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    /// A place on a connection that has one; where none has, on a new one. Connections that carry nothing go, but for
    /// one.
    pub(super) fn lease(&self) -> Lease {
        let mut connections = self.connections.lock();
        let carried = |connection: &Arc<Connection>| Arc::strong_count(connection) - 1;
        let mut kept = 0;
        connections.retain(|connection| {
            kept += usize::from(carried(connection) == 0);
            carried(connection) > 0 || kept == 1
        });
        if let Some(free) = connections.iter().find(|connection| carried(connection) < STREAMS) {
            return Lease(Arc::clone(free));
        }
        let connection = Arc::new(Connection(self.address.connect_lazy()));
        connections.push(Arc::clone(&connection));
        Lease(connection)
    }

    /// Follows the hub's health until `stop`.
    pub(super) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let following = async {
            let channel = self.address.connect_lazy();
            loop {
                let mut client = HealthClient::new(channel.clone());
                if let Ok(watched) = client.watch(HealthCheckRequest { service: String::new() }).await {
                    let mut told = watched.into_inner();
                    while let Ok(Some(health)) = told.message().await {
                        let serves = health.status() == ServingStatus::Serving;
                        self.serves.store(serves, Ordering::Relaxed);
                    }
                }
                if self.serves.swap(false, Ordering::Relaxed) {
                    tracing::warn!(hub = %self.address.uri(), "a hub cannot be reached");
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        stop.run_until_cancelled(following).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_said() {
        for bad in ["", "hub:7420", "ftp://hub", "http://"] {
            assert!(matches!(Endpoint::new(bad), Err(RemoteError::Address(_))), "{bad}");
        }
        assert!(matches!(Endpoint::new("https://hub:7420"), Err(RemoteError::Tls(_))));
    }

    #[tokio::test]
    async fn a_full_connection_is_followed_by_another_and_empty_ones_go() {
        let endpoint = Endpoint::new("http://127.0.0.1:1").ok().unwrap();
        let mut leases: Vec<_> = (0..=2 * STREAMS).map(|_| endpoint.lease()).collect();
        assert_eq!(endpoint.connections.lock().len(), 3);
        leases.truncate(1);
        let again = endpoint.lease();
        assert!(Arc::ptr_eq(&again.0, &leases[0].0));
        assert!(endpoint.connections.lock().len() <= 2);
    }
}
