//! `[redis]`: where many nodes keep what one keeps in its data folder.

use std::path::PathBuf;
use std::time::Duration;

use carillon_net::is_loopback;

use super::check::{Broken, duration, number, require};
use super::{HiddenText, span};
use crate::domain::limits::{COMES_BACK, NODE_LEASE, REVOCATION_STALE};
use crate::redis::{Durability, Link, Options, options};

/// What plain text to another machine needs.
const ELSEWHERE: &str =
    "rediss:// to another machine, as others hear what is said, or set redis.insecure = true";

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// When Redis has it in memory; its log reaches the disk within a second.
    #[default]
    EverySecond,
    /// When Redis' log has reached the disk.
    Always,
    /// When `replicas` replicas have it in memory too.
    Replicas,
}

/// The settings of Redis. Without servers the embedded store is used.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSection {
    /// URLs: `redis://`, `rediss://` for TLS, `unix:///path`. Of a cluster some of its servers, else one.
    pub servers: Vec<HiddenText>,
    /// Whether they are a cluster's.
    pub cluster: bool,
    /// The ACL user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<HiddenText>,
    /// For `rediss`: a PEM file with the authorities that sign its certificate; those that the system trusts where unset.
    pub ca: Option<PathBuf>,
    /// Whether plain text may go to another machine.
    pub insecure: bool,
    /// What all keys and channels begin with: several hubs may share a server.
    pub prefix: String,
    /// When a commit is acknowledged.
    pub durability: Policy,
    /// For `replicas`: how many.
    pub replicas: u32,
    /// How long a connection may take to come to be.
    #[serde(with = "span")]
    pub connect_timeout: Duration,
    /// How long an answer may take.
    #[serde(with = "span")]
    pub answer_timeout: Duration,
    /// While Redis is away for longer, the hub says that it is not ready.
    #[serde(with = "span")]
    pub unready_after: Duration,
    /// While Redis is away for longer, sessions end: what was revoked meanwhile is not known.
    #[serde(with = "span")]
    pub revocation_stale: Duration,
    /// A node that has not been heard of for so long is taken to be gone, with its sessions; it says that it is there at a
    /// third of that.
    #[serde(with = "span")]
    pub lease: Duration,
}

impl Default for RedisSection {
    fn default() -> Self {
        let options = Options::new("");
        Self {
            servers: Vec::new(),
            cluster: options.cluster,
            user: None,
            password: None,
            ca: None,
            insecure: false,
            prefix: options.prefix,
            durability: Policy::default(),
            replicas: 1,
            connect_timeout: options.connect_timeout,
            answer_timeout: options.answer_timeout,
            unready_after: Duration::from_secs(10),
            revocation_stale: REVOCATION_STALE,
            lease: NODE_LEASE,
        }
    }
}

impl RedisSection {
    /// Whether Redis is used.
    pub fn is_used(&self) -> bool {
        !self.servers.is_empty()
    }

    /// How it is spoken to.
    pub fn options(&self) -> Options {
        let options = Options::new("");
        Options {
            back_off_most: options.back_off_most.min(self.lease / COMES_BACK),
            servers: self.servers.iter().map(|server| server.as_str().to_owned()).collect(),
            cluster: self.cluster,
            user: self.user.clone(),
            password: self.password.as_ref().map(|password| password.as_str().to_owned()),
            ca: self.ca.clone(),
            prefix: self.prefix.clone(),
            connect_timeout: self.connect_timeout,
            answer_timeout: self.answer_timeout,
            ..options
        }
    }

    /// When a commit is acknowledged.
    pub fn durability(&self) -> Durability {
        match self.durability {
            Policy::EverySecond => Durability::EverySecond,
            Policy::Always => Durability::Always,
            Policy::Replicas => Durability::Replicas(self.replicas),
        }
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let is_prefix = (1..=64).contains(&self.prefix.len()) && self.prefix.bytes().all(is_name);
        require(is_prefix, "redis.prefix", "1 to 64 of A-Z a-z 0-9 _ - .")?;
        number("redis.replicas", self.replicas as usize, &(1..=16))?;
        let seconds = Duration::from_secs;
        duration("redis.connect_timeout", self.connect_timeout, &(Duration::from_millis(100)..=seconds(60)))?;
        duration("redis.answer_timeout", self.answer_timeout, &(Duration::from_millis(100)..=seconds(60)))?;
        duration("redis.unready_after", self.unready_after, &(seconds(1)..=seconds(3_600)))?;
        duration("redis.revocation_stale", self.revocation_stale, &(seconds(1)..=seconds(3_600)))?;
        duration("redis.lease", self.lease, &(seconds(1)..=seconds(300)))?;
        if !self.is_used() {
            return Ok(());
        }
        for server in &self.servers {
            let inside = options::is_encrypted(server.as_str())
                || options::host(server.as_str()).is_none_or(is_loopback);
            require(inside || self.insecure, "redis.servers", ELSEWHERE)?;
        }
        Link::new(self.options()).map(drop).map_err(|error| Broken::new("redis.servers", error.to_string()))
    }
}
