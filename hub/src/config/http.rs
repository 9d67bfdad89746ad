//! `[http]`: health and metrics over HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The HTTP server's settings.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// Where it listens; port 0 for a free one. It answers anyone who reaches it, in plain text: keep it inside.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
}

impl Default for HttpSection {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7421)) }
    }
}

/// An address that names what is allowed when it is none.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer).unwrap_or_default();
    text.parse().map_err(|_| {
        D::Error::custom("an IP address and a port, such as \"127.0.0.1:7420\" or \"[::]:7420\"")
    })
}
