//! `[authorizer]`: who is asked where a namespace's rules leave it to others.

use std::path::PathBuf;
use std::time::Duration;

use carillon_net::is_loopback;
use carillon_net::tls::{ClientTls, Connector};

use super::check::{Broken, duration, number, require};
use super::{HiddenText, span};
use crate::access::authorizer::GateOptions;
use crate::access::breaker::BreakerOptions;
use crate::domain::limits;

/// What `authorizer.url` may be.
const ADDRESSES: &str = "http://HOST:PORT or https://HOST:PORT";

/// What it may be on another machine.
const ELSEWHERE: &str = "https:// to another machine, as others hear what is asked and can answer it, \
                         or set authorizer.insecure = true";

/// What becomes of a command while the authoriser cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreachable {
    /// It is refused with `UNAVAILABLE`.
    #[default]
    Refuse,
    /// It is allowed.
    Allow,
}

/// The settings of the authoriser.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizerSection {
    /// Where it is, `http://HOST:PORT` or `https://HOST:PORT`; there is none where unset.
    pub url: Option<String>,
    /// For `https`: a PEM file with the authorities that sign its certificate; those that the system trusts where unset.
    pub ca: Option<PathBuf>,
    /// Whether plain text may go to another machine.
    pub insecure: bool,
    /// What the hub says to it to prove who it is.
    pub token: Option<HiddenText>,
    /// An answer that does not come by then is a failure.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// Answers are remembered for so long at most.
    #[serde(with = "span")]
    pub cache: Duration,
    /// How many are.
    pub cache_entries: usize,
    /// After failures of so many users in a row it is left alone.
    pub breaker_failures: u32,
    /// For so long.
    #[serde(with = "span")]
    pub breaker_open: Duration,
    /// What becomes of a command while it cannot be asked.
    pub unreachable: Unreachable,
}

impl Default for AuthorizerSection {
    fn default() -> Self {
        Self {
            url: None,
            ca: None,
            insecure: false,
            token: None,
            timeout: limits::AUTHORIZER_TIMEOUT,
            cache: limits::AUTHORIZER_CACHE,
            cache_entries: limits::AUTHORIZER_CACHE_ENTRIES,
            breaker_failures: limits::BREAKER_FAILURES,
            breaker_open: limits::BREAKER_OPEN,
            unreachable: Unreachable::Refuse,
        }
    }
}

impl AuthorizerSection {
    /// How it is asked.
    pub(super) fn options(&self) -> GateOptions {
        GateOptions {
            timeout: self.timeout,
            cache: self.cache,
            entries: self.cache_entries,
            breaker: BreakerOptions { failures: self.breaker_failures, open_for: self.breaker_open },
            allow_unreachable: self.unreachable == Unreachable::Allow,
        }
    }

    fn check_address(&self) -> Result<(), Broken> {
        let url = self.url.as_ref().map(|url| url.parse::<http::Uri>());
        let uri = url.transpose().map_err(|_| Broken::new("authorizer.url", ADDRESSES))?;
        let scheme = uri.as_ref().filter(|uri| uri.authority().is_some()).and_then(http::Uri::scheme_str);
        require(uri.is_none() || matches!(scheme, Some("http" | "https")), "authorizer.url", ADDRESSES)?;
        let inside = uri.as_ref().and_then(http::Uri::host).is_none_or(is_loopback);
        require(inside || self.insecure || scheme == Some("https"), "authorizer.url", ELSEWHERE)?;
        require(
            self.ca.is_none() || scheme == Some("https"),
            "authorizer.ca",
            "with an https:// address alone",
        )?;
        if scheme == Some("https") {
            let tls = ClientTls { ca: self.ca.clone(), identity: None };
            Connector::new(&tls).map_err(|error| Broken::new("authorizer.ca", error.to_string()))?;
        }
        Ok(())
    }

    /// `asks`: whether a namespace needs one.
    pub(super) fn check(&self, asks: bool) -> Result<(), Broken> {
        let rule = "required where a namespace's join or send is \"authorizer\"";
        require(!asks || self.url.is_some(), "authorizer.url", rule)?;
        self.check_address()?;
        let visible = |token: &HiddenText| token.as_str().bytes().all(|byte| byte.is_ascii_graphic());
        require(self.token.as_ref().is_none_or(visible), "authorizer.token", "visible characters")?;
        let millis = Duration::from_millis;
        duration("authorizer.timeout", self.timeout, &(millis(10)..=Duration::from_secs(30)))?;
        duration("authorizer.cache", self.cache, &(Duration::ZERO..=Duration::from_hours(1)))?;
        number("authorizer.cache_entries", self.cache_entries, &(2..=10_000_000))?;
        number("authorizer.breaker_failures", self.breaker_failures as usize, &(1..=1_000))?;
        duration("authorizer.breaker_open", self.breaker_open, &(millis(100)..=Duration::from_hours(1)))
    }
}
