//! What can go wrong, for the caller: one enum for opening a client, one for commands.

use std::fmt;
use std::time::Duration;

use carillon_proto::v1;
use tonic_types::StatusExt;

use crate::code::Code;
use crate::token::TokenError;

/// A hub's refusal of a command, a request or a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// A fixed English text for developers.
    pub message: String,
    /// What to quote to the operator; empty where the hub gave none.
    pub request_id: String,
    /// Whether the same command may succeed later.
    pub retryable: bool,
    /// Wait at least this long before a retry.
    pub retry_after: Option<Duration>,
    /// For [`Code::InvalidArgument`]: what was wrong.
    pub violations: Vec<Violation>,
}

/// One field that broke one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path within the command, as `content.text`.
    pub field: String,
    /// The rule that it broke.
    pub rule: String,
}

impl Refusal {
    /// What the hub would say to a frame that it does not take.
    pub(crate) fn too_large() -> Self {
        Self {
            code: Code::MessageTooLarge,
            message: "the message is too large".to_owned(),
            request_id: String::new(),
            retryable: false,
            retry_after: None,
            violations: Vec::new(),
        }
    }

    /// What a gRPC status says. Where it bears no `google.rpc.ErrorInfo` (a proxy's, or the transport's), the code is
    /// the nearest.
    #[must_use]
    pub fn from_status(status: &tonic::Status) -> Self {
        let details = status.get_error_details();
        let code = details.error_info().map_or_else(|| code_of(status.code()), |info| Code::of(&info.reason));
        let violations = details.bad_request().map(|bad| {
            let violations = bad.field_violations.iter();
            violations.map(|v| Violation { field: v.field.clone(), rule: v.description.clone() }).collect()
        });
        Self {
            retryable: code.retryable().unwrap_or_else(|| code_of(status.code()).retryable() == Some(true)),
            code,
            message: status.message().to_owned(),
            request_id: details.request_info().map(|info| info.request_id.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            violations: violations.unwrap_or_default(),
        }
    }
}

fn code_of(code: tonic::Code) -> Code {
    match code {
        tonic::Code::Unauthenticated => Code::InvalidToken,
        tonic::Code::PermissionDenied => Code::PermissionDenied,
        tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition | tonic::Code::OutOfRange => {
            Code::InvalidArgument
        }
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::AlreadyExists | tonic::Code::Aborted => Code::Conflict,
        tonic::Code::ResourceExhausted => Code::RateLimited,
        tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
        // What is not a carillon hub, or one of another version.
        tonic::Code::Unimplemented => Code::ProtocolError,
        tonic::Code::Internal | tonic::Code::DataLoss => Code::Internal,
        tonic::Code::Ok | tonic::Code::Unknown | tonic::Code::Cancelled | tonic::Code::Unavailable => {
            Code::Unavailable
        }
    }
}

impl From<v1::Error> for Refusal {
    fn from(error: v1::Error) -> Self {
        let violations = error.violations.into_iter();
        Self {
            code: Code::of(&error.code),
            message: error.message,
            request_id: error.request_id,
            retryable: error.retryable,
            retry_after: millis(error.retry_after_ms),
            violations: violations.map(|v| Violation { field: v.field, rule: v.rule }).collect(),
        }
    }
}

/// A duration of the protocol, where 0 means none.
pub(crate) fn millis(ms: u32) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(u64::from(ms)))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        for violation in &self.violations {
            write!(f, "; {}: {}", violation.field, violation.rule)?;
        }
        if let Some(after) = self.retry_after {
            write!(f, "; retry after {after:?}")?;
        }
        if !self.request_id.is_empty() {
            write!(f, " (request {})", self.request_id)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// Why a client could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The options are not valid: the text names which.
    #[error("{0}")]
    Options(String),
    /// No hub answered at the address.
    #[error("cannot reach a hub at {address}: {reason}")]
    Unreachable {
        /// The address that was tried last.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// A hub answered, but not in time.
    #[error("the hub did not open the session within {0:?}")]
    TimedOut(Duration),
    /// The hub refused the session.
    #[error("the hub refused the session: {0}")]
    Refused(#[source] Refusal),
    /// The token provider gave no token.
    #[error("no token: {0}")]
    Token(#[from] TokenError),
}

/// Why a command was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The hub refused it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// No answer came in time: the outcome is unknown. A retry with the same idempotency key is safe.
    #[error("no answer within {0:?}: the outcome is unknown")]
    TimedOut(Duration),
    /// The client has ended, and why.
    #[error("the client has ended: {0}")]
    Ended(String),
    /// Unary requests only: no hub answered.
    #[error("cannot reach a hub: {0}")]
    Unreachable(String),
    /// Unary requests only: the token provider gave no token.
    #[error("no token: {0}")]
    Token(#[from] TokenError),
    /// The hub's reply is of another kind than the command's.
    #[error("the hub answered with an unexpected reply")]
    UnexpectedReply,
}

impl CommandError {
    /// The hub's code, where the hub refused.
    #[must_use]
    pub fn code(&self) -> Option<&Code> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn status_keeps_reason_violations_and_retry() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("RATE_LIMITED", "carillon", [])
            .set_retry_info(Some(Duration::from_secs(3)))
            .add_bad_request_violation("room", "required");
        let status =
            tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "too many requests", details);
        let refusal = Refusal::from_status(&status);
        assert_eq!((refusal.code, refusal.retryable), (Code::RateLimited, true));
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(refusal.violations[0].field, "room");
    }

    #[test]
    fn bare_status_gets_the_nearest_code() {
        let refusal = Refusal::from_status(&tonic::Status::unavailable("gone"));
        assert_eq!((refusal.code, refusal.retryable), (Code::Unavailable, true));
    }
}
