//! The settings of a bridge that is a process of its own: those of `[bridge]` in a hub's file, each as an argument.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use carillon_hub::config::{BridgeSection, Config, Mode, SessionSection, TlsSection, parse_duration};
use clap::Args;

/// How browsers are served. What is not given is as in a hub's own process.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Browsers")]
pub(crate) struct BrowserArgs {
    /// Address for browsers; port 0 for a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7422")]
    listen: SocketAddr,
    /// A PEM file with the certificate for browsers; without one the bridge speaks plain text.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// A PEM file with that certificate's key.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Speak plain text to other machines: behind a proxy that terminates TLS.
    #[arg(long)]
    insecure: bool,
    /// A page's origin that may connect, as `https://app.example.org`; several times for several.
    #[arg(long = "origin", value_name = "ORIGIN", env = "CARILLON_ORIGINS", value_delimiter = ',')]
    origins: Vec<String>,
    /// Take tokens out of addresses too (`?token=`), which end up in logs.
    #[arg(long)]
    query_tokens: bool,
    /// A request's head that is not whole by then ends the connection [default: 10s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    handshake_timeout: Option<Duration>,
    /// Connections at once [default: 16000]. Past that those give way that carry nothing of anybody known, and where there
    /// are none whoever comes gets 503.
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Connections of one address at once that nobody known uses; 0 for no limit [default: 10, with --dev 0].
    #[arg(long, value_name = "N")]
    unauthenticated_per_address: Option<usize>,
    /// Attempts of one address within a minute that failed or are pending; 0 for no limit [default: 10, with --dev 0].
    #[arg(long, value_name = "N")]
    attempts_per_address: Option<usize>,
    /// A proxy whose x-forwarded-for is believed; several times for several.
    #[arg(long = "trusted-proxy", value_name = "IP")]
    trusted_proxies: Vec<IpAddr>,
    /// Serve the page with playground and overview, or do not [default: with --dev alone].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    page: Option<bool>,
    /// Bytes of one frame that a client may send: as the hubs' session.frame_bytes [default: 102400].
    #[arg(long, value_name = "N")]
    frame_bytes: Option<usize>,
    /// A comment keeps silent event streams this often: as the hubs' session.heartbeat_interval [default: 25s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    heartbeat_interval: Option<Duration>,
}

impl BrowserArgs {
    /// Where browsers are served.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The settings of a hub that serves browsers so in its own process.
    pub(crate) fn config(&self, mode: Mode) -> Config {
        let (bridge, session) = (BridgeSection::default(), SessionSection::default());
        let per_address = |given: Option<usize>, usual: usize| {
            given.unwrap_or(if mode == Mode::Development { 0 } else { usual })
        };
        let bridge = BridgeSection {
            listen: Some(self.listen),
            insecure: self.insecure,
            tls: TlsSection { certificate: self.tls_certificate.clone(), key: self.tls_key.clone() },
            origins: self.origins.clone(),
            query_tokens: self.query_tokens,
            handshake_timeout: self.handshake_timeout.unwrap_or(bridge.handshake_timeout),
            connections: self.connections.unwrap_or(bridge.connections),
            unauthenticated_per_address: per_address(
                self.unauthenticated_per_address,
                bridge.unauthenticated_per_address,
            ),
            attempts_per_address: per_address(self.attempts_per_address, bridge.attempts_per_address),
            trusted_proxies: self.trusted_proxies.clone(),
            page: self.page,
        };
        let session = SessionSection {
            frame_bytes: self.frame_bytes.unwrap_or(session.frame_bytes),
            heartbeat_interval: self.heartbeat_interval.unwrap_or(session.heartbeat_interval),
            ..session
        };
        Config { mode, bridge, session, ..Config::default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        browsers: BrowserArgs,
    }

    /// The struct's literal above takes every setting from somewhere: this says that it is from an argument.
    #[test]
    fn every_setting_of_the_bridge_can_be_given() {
        let line = "bridge --listen 127.0.0.1:1 --insecure --tls-certificate a --tls-key b --origin https://a.example \
                    --query-tokens --handshake-timeout 3s --connections 5 --unauthenticated-per-address 6 \
                    --attempts-per-address 7 --trusted-proxy 192.0.2.1 --page --frame-bytes 20000 \
                    --heartbeat-interval 9s";
        let given = Line::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string()).unwrap();
        let given = given.browsers.config(Mode::Production);
        let usual = serde_json::to_value(BridgeSection::default()).unwrap();
        for (key, value) in serde_json::to_value(given.bridge).unwrap().as_object().unwrap() {
            assert_ne!(*value, usual[key], "{key}");
        }
        assert_eq!(given.session.frame_bytes, 20_000);
        assert_eq!(given.session.heartbeat_interval, Duration::from_secs(9));
    }

    #[test]
    fn what_is_not_given_is_as_in_a_hubs_own_process() {
        let line = Line::try_parse_from(["bridge", "--listen", "127.0.0.1:1"]).ok().unwrap();
        let mut given = line.browsers.config(Mode::Production).bridge;
        given.listen = None;
        let as_json = |section| serde_json::to_value::<BridgeSection>(section).unwrap();
        assert_eq!(as_json(given), as_json(BridgeSection::default()));
        let development = line.browsers.config(Mode::Development);
        assert_eq!((development.bridge_addresses(), development.page()), (None, true));
    }
}
