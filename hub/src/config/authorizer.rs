//! `[authorizer]`: who is asked where a namespace's rules leave it to others.

use std::time::Duration;

use super::check::{Broken, duration, number, require};
use super::{HiddenText, span};
use crate::access::authorizer::GateOptions;
use crate::access::breaker::BreakerOptions;
use crate::domain::limits;

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
    /// Where it is, `http://HOST:PORT`; there is none where unset.
    pub url: Option<String>,
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
    /// After so many failures in a row it is left alone.
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

    /// `asks`: whether a namespace needs one.
    pub(super) fn check(&self, asks: bool) -> Result<(), Broken> {
        let rule = "required where a namespace's join or send is \"authorizer\"";
        require(!asks || self.url.is_some(), "authorizer.url", rule)?;
        if let Some(url) = &self.url {
            let parsed = url.parse::<http::Uri>().ok();
            let is_address =
                parsed.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some());
            require(is_address, "authorizer.url", "http://HOST:PORT")?;
        }
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
