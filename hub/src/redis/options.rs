//! Where Redis is and how it is spoken to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What all keys and channels begin with where nothing else is said.
pub const PREFIX: &str = "carillon";

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
