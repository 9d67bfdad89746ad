//! `[bridge]`: WebSocket and server-sent events for browsers, in the hub's own process.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::check::{Broken, duration, number, require};
use super::tls::TlsSection;
use super::{http, span};
use crate::domain::limits;

/// The bridge's settings.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BridgeSection {
    /// Where it listens, port 0 for a free one; unset: there is no bridge.
    #[serde(deserialize_with = "optional_address")]
    pub listen: Option<SocketAddr>,
    /// Whether it may speak plain text to other machines.
    pub insecure: bool,
    /// Its certificate.
    pub tls: TlsSection,
    /// The pages that may connect, as `https://app.example.org`. Needed in production; in development those of this
    /// machine may too.
    pub origins: Vec<String>,
    /// Whether a token may stand in the address. Addresses end up in logs.
    pub query_tokens: bool,
    /// A request's head that is not whole by then ends the connection.
    #[serde(with = "span")]
    pub handshake_timeout: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections of one address at once that have not authenticated; 0 for no limit.
    pub unauthenticated_per_address: usize,
    /// Attempts of one address within a minute that failed or are pending; 0 for no limit.
    pub attempts_per_address: usize,
    /// Proxies whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Whether the page with playground and overview is served; by mode where unset.
    pub page: Option<bool>,
}

impl Default for BridgeSection {
    fn default() -> Self {
        Self {
            listen: None,
            insecure: false,
            tls: TlsSection::default(),
            origins: Vec::new(),
            query_tokens: false,
            handshake_timeout: Duration::from_secs(10),
            connections: 16_000,
            unauthenticated_per_address: limits::UNAUTHENTICATED_PER_ADDRESS,
            attempts_per_address: limits::ATTEMPTS_PER_ADDRESS,
            trusted_proxies: Vec::new(),
            page: None,
        }
    }
}

impl BridgeSection {
    pub(super) fn check(&self, development: bool) -> Result<(), Broken> {
        let timeouts = Duration::from_secs(1)..=Duration::from_secs(60);
        duration("bridge.handshake_timeout", self.handshake_timeout, &timeouts)?;
        number("bridge.connections", self.connections, &(1..=1_000_000))?;
        number("bridge.unauthenticated_per_address", self.unauthenticated_per_address, &(0..=1_000_000))?;
        number("bridge.attempts_per_address", self.attempts_per_address, &(0..=1_000_000))?;
        let named = self.listen.is_none() || development || !self.origins.is_empty();
        require(named, "bridge.origins", "at least one origin, such as \"https://app.example.org\"")?;
        for origin in &self.origins {
            let fits = origin.contains("://") && !origin.contains('*') && !origin.ends_with('/');
            require(
                fits,
                "bridge.origins",
                "origins such as \"https://app.example.org\", none of them \"*\" or \"null\"",
            )?;
        }
        Ok(())
    }
}

fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| http::address(serde::de::value::StringDeserializer::new(text))).transpose()
}
