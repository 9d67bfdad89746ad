//! Where Redis is and how it is spoken to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What all keys and channels begin with where nothing else is said.
pub const PREFIX: &str = "carillon";

/// When a commit is acknowledged, and told to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the server has it in memory; its log reaches the disk within a second.
    EverySecond,
    /// When the server's log has reached the disk: it answers no earlier.
    Always,
    /// When so many replicas have it in memory too.
    Replicas(u32),
}

/// Whether a server's URL says that it speaks TLS, or is on this machine by its kind.
pub fn is_encrypted(server: &str) -> bool {
    server.starts_with("rediss://") || server.starts_with("unix:") || server.starts_with("redis+unix:")
}

/// The host that a server's URL names; `None` where it names none.
pub fn host(server: &str) -> Option<&str> {
    let (_, rest) = server.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    }
    .filter(|host| !host.is_empty())
}

/// Where Redis is and how it is spoken to.
#[derive(Clone)]
pub struct Options {
    /// Servers as URLs: `redis://host:port`, `rediss://` for TLS, `unix:///path`; user and password may stand in it. Of a
    /// cluster some of its servers, else one.
    pub servers: Vec<String>,
    /// Whether these are servers of a cluster.
    pub cluster: bool,
    /// The ACL user where the URL has none.
    pub user: Option<String>,
    /// The password where the URL has none.
    pub password: Option<String>,
    /// A file of certificates that signed the servers'; the system's where there is none.
    pub ca: Option<PathBuf>,
    /// What all keys and channels begin with.
    pub prefix: String,
    /// How long a connection may take to come to be.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// The first wait after a lost connection, at most; each is twice the one before.
    pub back_off: Duration,
    /// The longest wait between two attempts to connect (row W9).
    pub back_off_most: Duration,
}

impl Options {
    /// One server, and defaults for all else.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            servers: vec![server.into()],
            cluster: false,
            user: None,
            password: None,
            ca: None,
            prefix: PREFIX.to_owned(),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            back_off: Duration::from_millis(100),
            back_off_most: Duration::from_secs(30),
        }
    }
}

/// Without addresses and passwords.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.servers.len();
        f.debug_struct("Options")
            .field("servers", &servers)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_urls() {
        for (url, found) in [
            ("redis://localhost", Some("localhost")),
            ("redis://user:p@ss@10.0.0.1:6379/0", Some("10.0.0.1")),
            ("rediss://[::1]:6379", Some("::1")),
            ("unix:///run/redis.sock", None),
            ("nonsense", None),
        ] {
            assert_eq!(host(url), found, "{url}");
        }
        assert!(is_encrypted("rediss://a") && is_encrypted("unix:///a") && !is_encrypted("redis://a"));
    }
}
