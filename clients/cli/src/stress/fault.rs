//! What a scenario can end with but success.

use std::fmt;
use std::time::Duration;

use carillon_client::{CommandError, ConnectError};

/// The first thing that was not as it must be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// An invariant does not hold.
    #[error("{0}")]
    Broken(String),
    /// Something did not happen.
    #[error("not within {after:?}: {what}")]
    Late {
        /// What.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// A command that must succeed was refused.
    #[error("a command failed: {0}")]
    Command(#[from] CommandError),
    /// A session that must open did not.
    #[error("no session: {0}")]
    Connect(#[from] ConnectError),
    /// The connection below a session failed, which only the scenario may make happen.
    #[error("{action}: {reason}")]
    Wire {
        /// What was tried.
        action: &'static str,
        /// What came of it.
        reason: String,
    },
}

/// What a step of a scenario gives.
pub(super) type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// An invariant does not hold.
    pub(super) fn broken(what: impl fmt::Display) -> Self {
        Self::Broken(what.to_string())
    }

    /// For `map_err` on what the transport answers.
    pub(super) fn wire<E: fmt::Display>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Wire { action, reason: error.to_string() }
    }
}

/// Fails unless `found` is what is expected. `what` names it.
#[expect(clippy::needless_pass_by_value, reason = "both sides are mostly made for the comparison")]
pub(super) fn same<T: PartialEq + fmt::Debug>(what: impl fmt::Display, found: T, expected: T) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Broken(format!("{what}: expected {expected:?}, found {found:?}")))
}

/// Fails unless it holds. `what` says what must.
pub(super) fn holds(what: impl fmt::Display, holds: bool) -> Outcome<()> {
    if holds { Ok(()) } else { Err(Fault::Broken(format!("does not hold: {what}"))) }
}

/// Fails unless the hub refused with this code.
pub(super) fn refused<T: fmt::Debug>(
    what: impl fmt::Display,
    answer: Result<T, CommandError>,
    code: &carillon_client::Code,
) -> Outcome<()> {
    match answer {
        Err(error) if error.code() == Some(code) => Ok(()),
        other => Err(Fault::Broken(format!("{what}: expected {code}, found {other:?}"))),
    }
}

/// Fails when it takes longer than this.
pub(super) async fn within<T>(
    limit: Duration,
    what: impl fmt::Display,
    step: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    match tokio::time::timeout(limit, step).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Fault::Late { what: what.to_string(), after: limit }),
    }
}
