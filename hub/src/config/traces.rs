//! `[traces]`: who is told of the steps of traces.

use std::path::PathBuf;
use std::sync::Arc;

use carillon_net::is_loopback;

use super::check::{Broken, require};
use super::keys::roots;
use crate::telemetry::traces::Collector;

/// What `traces.url` may be.
const ADDRESSES: &str = "an address as https://collector.internal:4318/v1/traces";

/// What it may be on another machine.
const ELSEWHERE: &str = "https:// to another machine, or set traces.insecure = true";

/// The settings of traces.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSection {
    /// Where a collector takes OTLP over HTTP, as JSON; nothing is told where unset.
    pub url: Option<String>,
    /// For `https`: a PEM file with the authorities that sign its certificate; public ones where unset.
    pub ca_file: Option<PathBuf>,
    /// Whether plain text may go to another machine.
    pub insecure: bool,
}

impl TracesSection {
    /// The collector, where there is one.
    pub(super) fn collector(&self) -> Result<Option<Collector>, Broken> {
        let Some(url) = &self.url else {
            require(self.ca_file.is_none(), "traces.ca_file", "only with traces.url")?;
            return Ok(None);
        };
        let url: http::Uri = url.parse().map_err(|_| Broken::new("traces.url", ADDRESSES))?;
        let host = url.host().filter(|host| !host.is_empty());
        let bare = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let scheme = url.scheme_str();
        let fits = host.is_some() && bare && matches!(scheme, Some("http" | "https"));
        require(fits, "traces.url", ADDRESSES)?;
        let is_safe = scheme == Some("https") || host.is_some_and(is_loopback) || self.insecure;
        require(is_safe, "traces.url", ELSEWHERE)?;
        let roots = self.ca_file.as_deref().map(|path| roots("traces.ca_file", path)).transpose()?;
        Ok(Some(Collector { url, roots: roots.map(Arc::new) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(url: &str, insecure: bool) -> TracesSection {
        TracesSection { url: Some(url.to_owned()), ca_file: None, insecure }
    }

    #[test]
    fn spans_go_to_this_machine_or_over_tls() {
        for (url, insecure) in [
            ("http://127.0.0.1:4318/v1/traces", false),
            ("http://[::1]:4318/v1/traces", false),
            ("https://collector.internal/v1/traces", false),
            ("http://collector.internal:4318/v1/traces", true),
        ] {
            assert!(section(url, insecure).collector().unwrap().is_some(), "{url}");
        }
        for url in [
            "",
            "collector",
            "/v1/traces",
            "ftp://127.0.0.1/v1/traces",
            "https://name:word@collector.internal/v1/traces",
            "http://collector.internal:4318/v1/traces",
        ] {
            assert!(section(url, false).collector().is_err(), "{url}");
        }
        assert!(TracesSection::default().collector().unwrap().is_none());
        let alone = TracesSection { ca_file: Some("ca.pem".into()), ..TracesSection::default() };
        assert!(alone.collector().is_err(), "without an address there is nothing to believe");
    }
}
