//! Why there is no connection, and what a server's refusals mean.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What a server that does not know the user, or not with this password, comes to.
const WRONG_PASSWORD: &str = "the user or the password is wrong, or the user is disabled";
/// What a server that wants to know who asks comes to.
const NO_PASSWORD: &str = "it wants a user or a password, and none is configured";

/// What a server of a cluster comes to where none is configured.
const IS_CLUSTER: &str = "it is a server of a cluster: set redis.cluster";
/// What one that is none comes to where one is.
const NO_CLUSTER: &str = "it is no server of a cluster: leave out redis.cluster";
/// What a cluster that cannot be used comes to.
const CLUSTER_DOWN: &str = "the cluster is down, or nobody has some of its slots";

/// Why there is no connection. Its text has no password, and no address but a name that a
/// certificate is not for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The settings cannot be used.
    #[error("redis: {0}")]
    Settings(Arc<str>),
    /// The server cannot be reached or refuses.
    #[error("redis cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// It is there, and does not do what it is asked.
    #[error("redis refuses what it is asked: {0}")]
    Refused(Arc<str>),
}

impl LinkError {
    pub(super) fn settings(error: &impl ToString) -> Self {
        Self::Settings(error.to_string().into())
    }

    /// What the client says of a server that cannot be reached.
    pub fn unreachable(error: &RedisError) -> Self {
        let said = error.detail().unwrap_or_default();
        if let Some(text) = refused(error, said) {
            return Self::Refused(text);
        }
        let text = match error.code() {
            Some("WRONGPASS") => WRONG_PASSWORD.into(),
            Some("NOAUTH") => NO_PASSWORD.into(),
            _ if said.contains("username-password") => WRONG_PASSWORD.into(),
            _ if said.contains("HELLO AUTH") => NO_PASSWORD.into(),
            // Why, as of a certificate: the category alone would not say.
            _ if error.is_io_error() => error.to_string().into(),
            _ if said.is_empty() => error.category().into(),
            _ => said.into(),
        };
        Self::Unreachable(text)
    }
}

/// What a server that is there says to what it does not do.
fn refused(error: &RedisError, said: &str) -> Option<Arc<str>> {
    Some(match error.code() {
        Some("NOPERM") => format!("its user lacks rights: {said}").into(),
        Some("MOVED") => IS_CLUSTER.into(),
        Some("CLUSTERDOWN") => CLUSTER_DOWN.into(),
        // Of commands in one piece the text has what each came to.
        _ if error.to_string().contains("cluster support disabled") => NO_CLUSTER.into(),
        _ => return None,
    })
}

/// Whether a server that only reads says so: it is a replica.
pub(super) fn is_replica(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly))
}

/// Whether what was asked is of a slot that is on its way to another server of a cluster, or there already: it was not carried
/// out. Of a transaction that is said of its commands.
pub fn is_moving(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    let is_so = |kind| matches!(kind, Some(Moved | Ask | TryAgain));
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ExecAbort) => {
            let inner = RedisError::clone(error).into_server_errors();
            inner.is_some_and(|errors| errors.iter().any(|(_, error)| is_so(error.kind())))
        }
        ErrorKind::Server(kind) => is_so(Some(kind)),
        _ => false,
    }
}
