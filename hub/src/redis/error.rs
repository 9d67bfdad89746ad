//! Why there is no connection, and what a server's refusals mean.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What a server that does not know the user, or not with this password, comes to.
const WRONG_PASSWORD: &str = "the user or the password is wrong, or the user is disabled";
/// What a server that wants to know who asks comes to.
const NO_PASSWORD: &str = "it wants a user or a password, and none is configured";

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
}

impl LinkError {
    pub(super) fn settings(error: &impl ToString) -> Self {
        Self::Settings(error.to_string().into())
    }

    /// What the client says of a server that cannot be reached.
    pub fn unreachable(error: &RedisError) -> Self {
        let said = error.detail().unwrap_or_default();
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
