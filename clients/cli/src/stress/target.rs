//! Which hub: one at an address, or one of our own.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use carillon_hub::config::{Config, ConfigError};
use carillon_hub::domain::limits::MAILBOX_BURST;
use tempfile::TempDir;

use crate::child::{Server, ServerError};
use crate::dev_tokens::SECRET_FILE;
use crate::wire::Transport;

use super::options::Options;
use super::world::{Hub, Timing};

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// The address names nothing.
    #[error("{0}: expected HOST:PORT of a hub's gRPC port (--addr) or of its port for browsers (--bridge)")]
    Address(String),
    /// No secret.
    #[error("no secret in {0}: give --secret-file or --data, or take a hub of our own with --self")]
    NoSecret(PathBuf),
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The hub did not start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A file or folder could not be made.
    #[error("cannot prepare a hub: {0}")]
    Prepare(#[from] std::io::Error),
}

/// The hub that is stressed.
pub(super) struct Target {
    /// Where and how.
    pub(super) hub: Hub,
    /// Where its port for browsers is; `None` where it has none.
    pub(super) bridge: Option<SocketAddr>,
    /// Dropped before its folder.
    server: Option<Server>,
    _folder: Option<TempDir>,
}

/// What the hub says when it is ready.
#[derive(serde::Deserialize)]
struct Ready {
    grpc: String,
    bridge: Option<String>,
}

impl Target {
    /// Finds the hub, or starts one.
    pub(super) fn open(options: &Options) -> Result<Self, TargetError> {
        if options.own {
            return Self::start();
        }
        let secret = options.secret_file.clone().unwrap_or_else(|| options.data.join(SECRET_FILE));
        if !secret.exists() {
            return Err(TargetError::NoSecret(secret));
        }
        let mut config = Config::default();
        config.auth.secret_file = Some(secret);
        let hub = hub(resolve(&options.addr)?, &config)?;
        let bridge = match options.transport {
            Transport::Grpc => None,
            _ => Some(resolve(&options.bridge)?),
        };
        Ok(Self { hub, bridge, server: None, _folder: None })
    }

    fn start() -> Result<Self, TargetError> {
        let folder = tempfile::Builder::new().prefix("carillon-stress-").tempdir()?;
        let config = brisk(&folder.path().join("data"))?;
        let file = folder.path().join("carillon.toml");
        std::fs::write(&file, config.to_toml()?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["hub", "--json", "--config"]).arg(&file);
        let (server, ready): (_, Ready) = Server::start(&mut command, &folder.path().join("hub.log"))?;
        let hub = hub(resolve(&ready.grpc)?, &config)?;
        let bridge = ready.bridge.as_deref().map(resolve).transpose()?;
        Ok(Self { hub, bridge, server: Some(server), _folder: Some(folder) })
    }

    /// The memory of a hub of our own, bytes.
    pub(super) fn resident(&self) -> Option<u64> {
        self.server.as_ref()?.process().resident().ok()
    }
}

/// The development settings with deadlines that a test can wait for.
fn brisk(data: &Path) -> Result<Config, TargetError> {
    let mut config = Config::development(data)?;
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.grpc.listen, config.http.listen) = (free, free);
    config.bridge.listen = Some(free);
    config.session.heartbeat_interval = Duration::from_secs(3);
    config.session.heartbeat_timeout = Duration::from_secs(9);
    config.session.hello_timeout = Duration::from_secs(3);
    // A command in a busy debug build may take longer than it should in earnest.
    config.session.command_timeout = Duration::from_secs(15);
    config.session.slow_consumer_after = Duration::from_secs(6);
    config.presence.grace = Duration::from_secs(4);
    config.check()?;
    Ok(config)
}

fn hub(address: SocketAddr, config: &Config) -> Result<Hub, TargetError> {
    let timing = Timing {
        grace: config.presence.grace,
        slow_consumer_after: config.session.slow_consumer_after,
        hello_timeout: config.session.hello_timeout,
        mailbox_bytes: config.session.mailbox_bytes * MAILBOX_BURST,
    };
    Ok(Hub { address, sessions: address, signing: Arc::new(config.authentication()?), timing })
}

fn resolve(address: &str) -> Result<SocketAddr, TargetError> {
    let bare = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let mut found = bare.to_socket_addrs().map_err(|_| TargetError::Address(address.to_owned()))?;
    found.next().ok_or_else(|| TargetError::Address(address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_our_own_hub_can_be_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let config = brisk(folder.path()).unwrap();
        let file = folder.path().join("carillon.toml");
        std::fs::write(&file, config.to_toml().unwrap()).unwrap();
        let read = Config::load_with(&file, []).unwrap();
        assert_eq!(read.session.heartbeat_timeout, config.session.heartbeat_timeout);
        assert_eq!(read.namespaces.len(), config.namespaces.len());
    }
}
