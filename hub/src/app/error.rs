//! Why a hub did not start.

use std::net::SocketAddr;

use crate::access::authentication::OptionsError;
use crate::audit::AuditError;
use crate::config::ConfigError;
use crate::grpc::authorizer::RemoteAuthorizerError;
use crate::store::StoreError;
use crate::store::{redis, sqlite};

/// Why a hub did not start. Nothing was changed that a later start would trip over.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys that tokens are checked with are wrong.
    #[error(transparent)]
    Authentication(#[from] OptionsError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] sqlite::OpenError),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] redis::OpenError),
    /// The way to other nodes cannot be opened as it is set.
    #[error(transparent)]
    Bus(#[from] crate::redis::LinkError),
    /// There is no embedded store.
    #[error("this hub keeps its state in Redis, which begins a new epoch by itself")]
    NotEmbedded,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Randomness,
    /// What was revoked cannot be read: nobody may get in.
    #[error("the revocations cannot be read: {0}")]
    Revocations(StoreError),
    /// What was noted of the audit log cannot be read.
    #[error("what was noted of the audit log cannot be read: {0}")]
    AuditHeads(StoreError),
    /// The audit log cannot be kept.
    #[error("audit: {0}")]
    Audit(#[from] AuditError),
    /// The authoriser cannot be called.
    #[error("authorizer: {0}")]
    Authorizer(#[from] RemoteAuthorizerError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The address of health and metrics cannot be listened on.
    #[error(transparent)]
    Http(#[from] crate::http::Error),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] carillon_net::tls::TlsError),
    /// A thread or runtime could not be made.
    #[error("a worker could not be started: {0}")]
    Worker(std::io::Error),
}
