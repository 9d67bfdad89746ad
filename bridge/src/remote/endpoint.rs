//! One hub: its connections, and whether it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carillon_net::tls::{ClientTls, Connector};
use carillon_proto::port::{BRIDGE_KEY, UNKNOWN};
use http::Uri;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint as Address};
use tonic::{Request, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{Notices, RemoteError, STREAMS};

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
    /// What dials it; `None` in plain text.
    tls: Option<Connector>,
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
    /// The hub at `url`. Plain text goes to this machine alone, unless `insecure` says otherwise.
    pub(super) fn new(url: &str, tls: &ClientTls, insecure: bool) -> Result<Arc<Self>, RemoteError> {
        let wrong = || RemoteError::Address(url.chars().take(200).collect());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let is_safe = insecure || uri.host().is_some_and(carillon_net::is_loopback);
        let tls = match uri.scheme_str() {
            Some("http" | "https") if uri.authority().is_none() => return Err(wrong()),
            Some("http") if *tls != ClientTls::default() => {
                return Err(RemoteError::PlainText(url.chars().take(200).collect()));
            }
            Some("http") if !is_safe => return Err(RemoteError::Exposed(url.chars().take(200).collect())),
            Some("http") => None,
            Some("https") => Some(Connector::new(tls)?),
            _ => return Err(wrong()),
        };
        let address = Channel::builder(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        Ok(Arc::new(Self { address, tls, connections: Mutex::default(), serves: AtomicBool::new(false) }))
    }

    /// A connection that is opened when it is used.
    fn dial(&self) -> Channel {
        match &self.tls {
            Some(tls) => self.address.connect_with_connector_lazy(tls.clone()),
            None => self.address.connect_lazy(),
        }
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
        let connection = Arc::new(Connection(self.dial()));
        connections.push(Arc::clone(&connection));
        Lease(connection)
    }

    /// Follows the hub's health until `stop`. The key tells the hub that its connection is a bridge's.
    pub(super) async fn watch(
        self: Arc<Self>,
        key: Option<MetadataValue<Ascii>>,
        notices: Notices,
        stop: CancellationToken,
    ) {
        let following = async {
            let channel = self.dial();
            let mut sight = Sight { notices, hub: self.address.uri().to_string(), is_lost: false };
            loop {
                let mut client = HealthClient::new(channel.clone());
                let mut request = Request::new(HealthCheckRequest { service: String::new() });
                if let Some(key) = &key {
                    request.metadata_mut().insert(BRIDGE_KEY, key.clone());
                }
                let ended = match client.watch(request).await {
                    Ok(watched) => {
                        if key.is_some() {
                            let told = watched.metadata().get(BRIDGE_KEY);
                            sight.notices.shown_key(&sight.hub, told.is_some_and(|told| told == UNKNOWN));
                        }
                        self.follow(watched.into_inner(), &mut sight).await
                    }
                    Err(status) => Some(status),
                };
                self.serves.store(false, Ordering::Relaxed);
                sight.is_lost(ended.as_ref());
                tokio::time::sleep(RETRY).await;
            }
        };
        stop.run_until_cancelled(following).await;
    }

    /// Notes what the hub says, to the end, which it gives.
    async fn follow(&self, mut told: Streaming<HealthCheckResponse>, sight: &mut Sight) -> Option<Status> {
        loop {
            match told.message().await {
                Ok(Some(health)) => {
                    sight.is_found();
                    self.serves.store(health.status() == ServingStatus::Serving, Ordering::Relaxed);
                }
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }
}

/// Whether one worker reaches its hub, and who says so.
struct Sight {
    notices: Notices,
    hub: String,
    is_lost: bool,
}

impl Sight {
    fn is_found(&mut self) {
        if std::mem::replace(&mut self.is_lost, false) {
            self.notices.found(&self.hub);
        }
    }

    fn is_lost(&mut self, status: Option<&Status>) {
        if !std::mem::replace(&mut self.is_lost, true) {
            self.notices.lost(&self.hub, &status.map_or_else(String::new, reason));
        }
    }
}

/// What the innermost cause says: a status says only that the transport failed, and not that a certificate is wrong.
fn reason(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_said() {
        let plain = ClientTls::default();
        for bad in ["", "hub:7420", "ftp://hub", "http://", "https://"] {
            assert!(matches!(Endpoint::new(bad, &plain, false), Err(RemoteError::Address(_))), "{bad}");
        }
        let tls = ClientTls { ca: Some("/nowhere/ca.pem".into()), identity: None };
        assert!(matches!(Endpoint::new("https://hub:7420", &tls, false), Err(RemoteError::Tls(_))));
        assert!(matches!(Endpoint::new("http://hub:7420", &tls, true), Err(RemoteError::PlainText(_))));
    }

    #[tokio::test]
    async fn plain_text_goes_to_this_machine_unless_it_is_said_to_be_insecure() {
        let plain = ClientTls::default();
        for inside in ["http://127.0.0.1:7420", "http://[::1]:7420", "http://localhost:7420"] {
            assert!(Endpoint::new(inside, &plain, false).is_ok(), "{inside}");
        }
        for outside in ["http://192.0.2.1:7420", "http://hub:7420", "http://localhost.example", "HTTP://hub"]
        {
            assert!(
                matches!(Endpoint::new(outside, &plain, false), Err(RemoteError::Exposed(_))),
                "{outside}"
            );
            assert!(Endpoint::new(outside, &plain, true).is_ok(), "{outside}");
        }
        assert!(Endpoint::new("https://hub:7420", &plain, false).is_ok());
    }

    #[tokio::test]
    async fn a_full_connection_is_followed_by_another_and_empty_ones_go() {
        let endpoint = Endpoint::new("http://127.0.0.1:1", &ClientTls::default(), false).ok().unwrap();
        let mut leases: Vec<_> = (0..=2 * STREAMS).map(|_| endpoint.lease()).collect();
        assert_eq!(endpoint.connections.lock().len(), 3);
        leases.truncate(1);
        let again = endpoint.lease();
        assert!(Arc::ptr_eq(&again.0, &leases[0].0));
        assert!(endpoint.connections.lock().len() <= 2);
    }
}
