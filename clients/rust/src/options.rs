//! How a client connects and behaves.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carillon_net::tls::{ClientTls, Connector};
use tonic::transport::{Channel, Endpoint};

use crate::error::ConnectError;
use crate::positions::Positions;
use crate::reconnect::BackoffRange;
use crate::token::{StaticToken, TokenProvider};

/// Bytes that the hub may send on one stream before the library has read them. HTTP/2's own default is as large;
/// throughput on a local network does not rise above it.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// The same for a connection with one stream: room for a unary request beside it.
const CONNECTION_WINDOW_BYTES: u32 = 4 * STREAM_WINDOW_BYTES;
/// HTTP/2 allows no larger window.
const WINDOW_BYTES_MOST: u32 = (1 << 31) - 1;
/// A connection on which nothing moves is probed this often: below the idle limits of common proxies (60 s).
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a [`crate::Client`] is made of. Every setting but address and token has a default.
#[derive(Clone)]
pub struct ClientOptions {
    pub(crate) addresses: Vec<String>,
    pub(crate) channel: Option<Channel>,
    pub(crate) tls: Tls,
    pub(crate) token: Arc<dyn TokenProvider>,
    pub(crate) name: String,
    pub(crate) instance: String,
    pub(crate) backoff: BackoffRange,
    pub(crate) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) positions: Positions,
    pub(crate) event_capacity: usize,
    pub(crate) discard_events: bool,
    pub(crate) wait_for_hub: bool,
}

impl ClientOptions {
    /// A client of the hub at this address, as `http://127.0.0.1:7420` or `https://hub.example.org:7420`.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            addresses: vec![address.into()],
            channel: None,
            tls: Tls::default(),
            token: Arc::new(StaticToken::new("")),
            name: concat!("carillon-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            instance: String::new(),
            backoff: BackoffRange::default(),
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(30),
            positions: Positions::default(),
            event_capacity: 256,
            discard_events: false,
            wait_for_hub: false,
        }
    }

    /// A client over a connection that several share, as made by [`shared_channel`].
    pub fn over(channel: Channel) -> Self {
        Self { addresses: Vec::new(), channel: Some(channel), ..Self::new("") }
    }

    /// One more address of the same hub: attempts go round.
    #[must_use]
    pub fn or_address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// For `https`: a PEM file with the authorities that sign the hub's certificate. Those that the system trusts by
    /// default; with this, these alone.
    #[must_use]
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls = Tls::new(ClientTls { ca: Some(file.into()), ..self.tls.files });
        self
    }

    /// For `https`: PEM files with the certificate that the client shows, and its key. They are read again for each
    /// connection.
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let identity = Some((certificate.into(), key.into()));
        self.tls = Tls::new(ClientTls { identity, ..self.tls.files });
        self
    }

    /// One token for the client's whole life.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        self.token_provider(StaticToken::new(token))
    }

    /// Where tokens come from.
    #[must_use]
    pub fn token_provider(mut self, provider: impl TokenProvider) -> Self {
        self.token = Arc::new(provider);
        self
    }

    /// Name and version of the program, as `notes/2.1.0`, at most 64 bytes; for the operator's eyes.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Names this process or window: a new session of the same user and instance replaces this one. None by default.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = instance.into();
        self
    }

    /// The bounds of the waits between attempts, 1 s to 5 s by default.
    #[must_use]
    pub fn backoff(mut self, initial: Duration, most: Duration) -> Self {
        self.backoff = BackoffRange { initial, most: most.max(initial) };
        self
    }

    /// How long opening a session may take, the token included; 10 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a command may take, reconnects included; 30 s by default.
    #[must_use]
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// Carry on from here: what [`crate::Client::positions`] gave an earlier process.
    #[must_use]
    pub fn resume(mut self, positions: Positions) -> Self {
        self.positions = positions;
        self
    }

    /// Events that may wait for the caller before the library stops reading from the hub; 256 by default.
    #[must_use]
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events;
        self
    }

    /// Hand over no events at all, for callers that only send commands.
    #[must_use]
    pub fn discard_events(mut self) -> Self {
        self.discard_events = true;
        self
    }

    /// Let [`crate::Client::connect`] try for as long as it takes, instead of once.
    #[must_use]
    pub fn wait_for_hub(mut self) -> Self {
        self.wait_for_hub = true;
        self
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("addresses", &self.addresses)
            .field("name", &self.name)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// A connection for several clients and unary requests, opened when first used and again when it broke. `sessions` is
/// how many it will carry: one that does not read must not stop the others.
pub fn shared_channel(address: &str, sessions: u32) -> Result<Channel, ConnectError> {
    lazy_channel(address, sessions, &Tls::default())
}

/// The same, with certificates.
pub(crate) fn lazy_channel(address: &str, sessions: u32, tls: &Tls) -> Result<Channel, ConnectError> {
    let window = sessions.saturating_add(1).saturating_mul(STREAM_WINDOW_BYTES).min(WINDOW_BYTES_MOST);
    let window = window.max(CONNECTION_WINDOW_BYTES);
    let endpoint = endpoint(address)?.initial_connection_window_size(window);
    Ok(match tls.connector(&endpoint)? {
        Some(connector) => endpoint.connect_with_connector_lazy(connector),
        None => endpoint.connect_lazy(),
    })
}

/// Certificates, read when they are first needed. A clone shares what was read: where files go bad later, as while they
/// are replaced, what was read before goes on.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    files: ClientTls,
    connector: Arc<OnceLock<Connector>>,
}

impl Tls {
    fn new(files: ClientTls) -> Self {
        Self { files, connector: Arc::default() }
    }

    /// What dials this endpoint; `None` where it is plain text.
    pub(crate) fn connector(&self, endpoint: &Endpoint) -> Result<Option<Connector>, ConnectError> {
        if endpoint.uri().scheme_str() != Some("https") {
            let unused = self.files == ClientTls::default();
            let wrong = || {
                ConnectError::Options("certificates are for addresses that begin with https://".to_owned())
            };
            return if unused { Ok(None) } else { Err(wrong()) };
        }
        if let Some(connector) = self.connector.get() {
            return Ok(Some(connector.clone()));
        }
        let made = Connector::new(&self.files).map_err(|error| ConnectError::Options(error.to_string()))?;
        Ok(Some(self.connector.get_or_init(|| made).clone()))
    }
}

/// The connection's settings.
pub(crate) fn endpoint(address: &str) -> Result<Endpoint, ConnectError> {
    let endpoint = Endpoint::from_shared(address.to_owned()).ok();
    let endpoint = endpoint
        .filter(|e| matches!(e.uri().scheme_str(), Some("http" | "https")) && e.uri().host().is_some());
    let endpoint = endpoint.ok_or_else(|| {
        ConnectError::Options(format!(
            "{address:?} is no address: give one as http://127.0.0.1:7420 or https://hub.example.org:7420"
        ))
    })?;
    Ok(endpoint
        .tcp_nodelay(true)
        .http2_adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// The transport's reason: a tonic error says only «transport error», its innermost source says what happened.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_scheme_that_is_built_in() {
        assert!(endpoint("http://127.0.0.1:7420").is_ok() && endpoint("https://hub").is_ok());
        for bad in ["", "127.0.0.1:7420", "ftp://hub", "http://", "https://", "not an address"] {
            assert!(endpoint(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn certificates_are_asked_for_with_https_alone() {
        let with_ca = ClientOptions::new("http://hub:7420").ca("/nowhere/ca.pem");
        let channel =
            |address: &str| lazy_channel(address, 1, &with_ca.tls).map(drop).unwrap_err().to_string();
        assert!(channel("http://hub:7420").contains("begin with https://"));
        assert!(channel("https://hub:7420").contains("/nowhere/ca.pem: cannot be read"));
    }

    #[test]
    fn debug_shows_no_token() {
        let options = ClientOptions::new("http://h:1").token("secret");
        assert!(!format!("{options:?}").contains("secret"));
    }
}
