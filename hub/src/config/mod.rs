//! Settings: one TOML file, over it the environment (`CARILLON__SECTION__KEY`), and nothing else.
//!
//! [`Config::load`] reads both and checks everything, key files included, so that what a program starts with is what it
//! can run with. Every error names the file or the variable, the key and what is allowed; unknown keys are errors. Each
//! section is passive data in a file of its own; methods of [`Config`] turn them into the domain's types. The sections'
//! defaults are the numbers of [`limits`](crate::domain::limits), and `docs/configuration.md` lists them all.

mod audit;
mod auth;
mod authorizer;
mod bridge;
mod check;
mod development;
mod error;
mod grpc;
mod http;
mod keys;
mod limits;
mod log;
mod namespace;
mod presence;
mod redis;
mod roles;
mod secret_file;
mod session;
mod sources;
mod span;
mod store;
mod tls;
mod traces;

#[cfg(test)]
mod tests;

pub use audit::{AuditSection, AuditTo, OnAuditFailure};
pub use auth::{AuthSection, ClaimsSection, HiddenText};
pub use authorizer::{AuthorizerSection, Unreachable};
pub use bridge::BridgeSection;
pub use error::{ConfigError, Origin};
pub use grpc::GrpcSection;
pub use http::HttpSection;
pub use keys::KeySection;
pub use limits::{LimitsSection, RateSetting, SharedLimit};
pub use log::LogSection;
pub use namespace::{NamespaceRates, NamespaceSection};
pub use presence::PresenceSection;
pub use redis::{Policy, RedisSection};
pub use roles::NamespaceRoles;
pub use session::SessionSection;
pub use span::parse_duration;
pub use store::StoreSection;
pub use tls::{Demand, GrpcTlsSection, TlsSection};
pub use traces::TracesSection;

use std::path::Path;
use std::time::Duration;

use carillon_net::addresses::AddressLimits;
use carillon_net::tls::{Protocol, ServerTls};

use crate::access::authentication::{Authenticator, NamedKey, Options};
use crate::access::authorizer::GateOptions;
use crate::access::bridges::Bridges;
use crate::access::limits::Limiter;
use crate::domain::namespace::Namespaces;
use crate::domain::reply::SessionTerms;
use crate::telemetry::LogFormat;
use crate::telemetry::traces::Collector;

use check::Broken;
use sources::Sources;

/// All settings. Serialises as it is read, but for secrets, which stay hidden.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What unset choices fall back to.
    pub mode: Mode,
    /// The gRPC server.
    pub grpc: GrpcSection,
    /// Health and metrics over HTTP.
    pub http: HttpSection,
    /// Browsers' way in.
    pub bridge: BridgeSection,
    /// The embedded store.
    pub store: StoreSection,
    /// The store that many nodes share.
    pub redis: RedisSection,
    /// How tokens are checked.
    pub auth: AuthSection,
    /// What is written down of who did what.
    pub audit: AuditSection,
    /// Who is asked where a namespace's rules leave it to others.
    pub authorizer: AuthorizerSection,
    /// The rules of every session.
    pub session: SessionSection,
    /// How often and how many.
    pub limits: LimitsSection,
    /// Presence and typing.
    pub presence: PresenceSection,
    /// Logging.
    pub log: LogSection,
    /// Who is told of traces.
    pub traces: TracesSection,
    /// The namespaces of rooms; a room of any other does not exist.
    #[serde(rename = "namespace")]
    pub namespaces: Vec<NamespaceSection>,
}

/// What the hub runs for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Real users: reflection off and JSON logs unless asked otherwise.
    #[default]
    Production,
    /// One machine: reflection on and logs as text unless asked otherwise.
    Development,
}

impl Config {
    /// Reads the file, lays the environment's variables over it and checks everything.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        // Variables that are not UTF-8 cannot be ours: every name of ours is ASCII, and a broken value is refused.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self::load_with(path, variables)
    }

    /// [`Config::load`] with the environment given.
    pub fn load_with(
        path: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let sources = Sources::read(path, variables)?;
        let config: Self = sources.extract()?;
        config.find_broken().map_err(|broken| sources.blame(broken))?;
        Ok(config)
    }

    /// Checks settings that a program changed after loading.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.find_broken().map_err(|broken| broken.at(Origin::Program))
    }

    /// Checks what a bridge that is a process of its own has of these settings: `bridge`, and of `session` what is for it.
    /// Its files and its address are its own to check.
    pub fn check_bridge(&self) -> Result<(), ConfigError> {
        let checked = self.bridge.check(self.mode == Mode::Development);
        checked.and_then(|()| self.session.check_edge()).map_err(|broken| broken.at(Origin::Program))
    }

    /// The rules of all namespaces.
    pub fn namespaces(&self) -> Namespaces {
        Namespaces::new(self.namespaces.iter().map(NamespaceSection::rules).collect())
    }

    /// How often each may do what.
    pub fn limiter(&self) -> Limiter {
        let own = self.namespaces.iter().map(|namespace| (namespace.name.clone(), namespace.rates.own()));
        Limiter::new(self.limits.rates(), own.filter(|(_, rates)| !rates.is_empty()).collect())
    }

    /// Who is told of traces, where there is somebody. Reads the file with authorities.
    pub fn collector(&self) -> Result<Option<Collector>, ConfigError> {
        self.traces.collector().map_err(|broken| broken.at(Origin::Program))
    }

    /// How the authoriser is asked.
    pub fn gate_options(&self) -> GateOptions {
        self.authorizer.options()
    }

    /// What the tokens that can be made here are checked with: the first issuer that has a secret, or else the first.
    /// Reads the files with keys.
    pub fn authentication(&self) -> Result<Options, ConfigError> {
        let mut issuers = self.issuers()?;
        let own = issuers.iter().position(|options| options.secret().is_some()).unwrap_or_default();
        if issuers.is_empty() {
            return Err(Broken::new("auth", "one issuer at least").at(Origin::Program));
        }
        Ok(issuers.swap_remove(own))
    }

    /// What each issuer's tokens are checked with, one at least. Reads the files with keys.
    pub fn issuers(&self) -> Result<Vec<Options>, ConfigError> {
        self.auth.options().map_err(|broken| broken.at(Origin::Program))
    }

    /// For how long what is revoked before an instant is kept after it; for ever where `None`.
    pub fn revoked_for(&self) -> Option<Duration> {
        self.auth.revoked_for()
    }

    /// Each issuer's configured keys as they are in their files now, in the order of [`Config::issuers`].
    pub fn issuers_keys(&self) -> Vec<Result<Vec<NamedKey>, ConfigError>> {
        let keys = |(name, section): (String, &AuthSection)| {
            section.keys(&name).map_err(|broken| broken.at(Origin::Program))
        };
        self.auth.sections().into_iter().map(keys).collect()
    }

    /// Whether any of them are in files, which may change.
    pub fn has_key_files(&self) -> bool {
        self.auth.has_key_files()
    }

    /// What gRPC's listener needs for TLS; `None` for plain text.
    pub fn grpc_tls(&self) -> Result<Option<ServerTls>, ConfigError> {
        self.grpc.tls.server().map_err(|broken| broken.at(Origin::Program))
    }

    /// The same of the bridge's listener.
    pub fn bridge_tls(&self) -> Result<Option<ServerTls>, ConfigError> {
        self.bridge.tls.server("bridge.tls", Protocol::Http1).map_err(|broken| broken.at(Origin::Program))
    }

    /// Which bridges are believed. Reads the key's file where one is named.
    pub fn bridges(&self) -> Result<Bridges, ConfigError> {
        self.grpc.bridges().map_err(|broken| broken.at(Origin::Program))
    }

    /// What one address may do at gRPC's listener; `None` for no limit.
    pub fn grpc_addresses(&self) -> Option<AddressLimits> {
        AddressLimits::of(self.grpc.unauthenticated_per_address, self.grpc.attempts_per_address)
    }

    /// The same at the bridge's.
    pub fn bridge_addresses(&self) -> Option<AddressLimits> {
        AddressLimits::of(self.bridge.unauthenticated_per_address, self.bridge.attempts_per_address)
    }

    /// Refuses listeners that speak plain text to other machines, unless they are said to be insecure.
    pub fn check_exposure(&self) -> Result<(), ConfigError> {
        self.find_exposed().map_err(|broken| broken.at(Origin::Program))
    }

    fn find_exposed(&self) -> Result<(), Broken> {
        let Self { grpc, bridge, .. } = self;
        tls::check_exposure("grpc", grpc.listen, grpc.tls.certificate.is_some(), grpc.insecure)?;
        match bridge.listen {
            Some(listen) => {
                tls::check_exposure("bridge", listen, bridge.tls.certificate.is_some(), bridge.insecure)
            }
            None => Ok(()),
        }
    }

    /// How the audit log is kept; `None` where it is not. Makes its key where none is named and there is none yet.
    pub fn audit(&self) -> Result<Option<crate::audit::Options>, ConfigError> {
        let to = self.audit.to.unwrap_or(match self.mode {
            Mode::Production => AuditTo::File,
            Mode::Development => AuditTo::Off,
        });
        self.audit.options(to, &self.store.path).map_err(|broken| broken.at(Origin::Program))
    }

    /// What `connected` tells a client of the rules that it is under.
    pub fn session_terms(&self) -> SessionTerms {
        self.session.terms()
    }

    /// Whether gRPC reflection is offered.
    pub fn reflection(&self) -> bool {
        self.grpc.reflection.unwrap_or(self.mode == Mode::Development)
    }

    /// Whether the bridge serves its page.
    pub fn page(&self) -> bool {
        self.bridge.page.unwrap_or(self.mode == Mode::Development)
    }

    /// How log lines are written.
    pub fn log_format(&self) -> LogFormat {
        self.log.format.unwrap_or(match self.mode {
            Mode::Production => LogFormat::Json,
            Mode::Development => LogFormat::Text,
        })
    }

    /// The settings as TOML, secrets hidden: what `config show` prints.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Show(error.to_string()))
    }

    fn find_broken(&self) -> Result<(), Broken> {
        self.grpc.check()?;
        self.bridge.check(self.mode == Mode::Development)?;
        self.store.check()?;
        self.redis.check()?;
        self.session.check()?;
        self.presence.check()?;
        self.limits.check()?;
        self.log.check()?;
        self.traces.collector()?;
        self.audit.check()?;
        namespace::check_all(&self.namespaces)?;
        self.find_exposed()?;
        tls::check_files("grpc.tls", self.grpc.tls.server()?.as_ref())?;
        tls::check_files("bridge.tls", self.bridge.tls.server("bridge.tls", Protocol::Http1)?.as_ref())?;
        self.authorizer.check(self.namespaces.iter().any(NamespaceSection::asks_authorizer))?;
        Authenticator::of(self.auth.options()?).map_err(|error| Broken::new(error.key, error.rule))?;
        Ok(())
    }
}
