//! The codes that every refusal carries, and what a caller may do about each. Texts are fixed: no input, no internals.

use std::fmt;
use std::time::Duration;

use super::caller::Whose;

/// Why a command, a session or a connection was refused. The wire name is [`ErrorCode::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No token came.
    AuthRequired,
    /// The token is malformed, wrongly signed or not for this hub.
    InvalidToken,
    /// The token's time is over.
    TokenExpired,
    /// The token was revoked.
    TokenRevoked,
    /// All of the user's tokens up to an instant were invalidated.
    SessionInvalidated,
    /// A new session of the same user and instance took over.
    SessionReplaced,
    /// The caller may not enter or see this.
    AccessDenied,
    /// The caller may see this but not do that.
    PermissionDenied,
    /// A field breaks a rule; `violations` say which.
    InvalidArgument,
    /// The frame or content is larger than allowed.
    MessageTooLarge,
    /// Too many commands; `retry_after_ms` says when again.
    RateLimited,
    /// The user has too many sessions.
    ConnectionLimitExceeded,
    /// The address or the node has too many connections.
    TooManyConnections,
    /// The session is joined to too many rooms.
    RoomLimitExceeded,
    /// No such thing, or none that the caller may know of.
    NotFound,
    /// The state is not what the command was decided under, or the idempotency key was used for other content.
    Conflict,
    /// Not done in time: the outcome is unknown, retry with the same idempotency key.
    DeadlineExceeded,
    /// Something that the hub needs cannot be reached.
    Unavailable,
    /// The session read too slowly for too long: reconnect and resume.
    SlowConsumer,
    /// The node is stopping: reconnect elsewhere and resume.
    GoingAway,
    /// The stream broke the protocol.
    ProtocolError,
    /// The hub's own fault.
    Internal,
}

/// A code's row of the table that transports read.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRow {
    /// The code.
    pub code: ErrorCode,
    /// Its name on the wire.
    pub name: &'static str,
    /// The text that users see. Never more than this.
    pub message: &'static str,
    /// Whether the same command may succeed when sent again unchanged.
    pub retryable: bool,
    /// Whether a client whose session ended with this code should reconnect.
    pub reconnect: bool,
}

const fn row(
    code: ErrorCode,
    name: &'static str,
    message: &'static str,
    retryable: bool,
    reconnect: bool,
) -> ErrorRow {
    ErrorRow { code, name, message, retryable, reconnect }
}

/// All codes, in the order of DESIGN's list.
pub const ERROR_TABLE: [ErrorRow; 22] = [
    row(ErrorCode::AuthRequired, "AUTH_REQUIRED", "a token is required", false, false),
    row(ErrorCode::InvalidToken, "INVALID_TOKEN", "the token is not valid", false, false),
    row(ErrorCode::TokenExpired, "TOKEN_EXPIRED", "the token has expired", false, true),
    row(ErrorCode::TokenRevoked, "TOKEN_REVOKED", "token has been revoked", false, false),
    row(ErrorCode::SessionInvalidated, "SESSION_INVALIDATED", "session invalidated", false, false),
    row(ErrorCode::SessionReplaced, "SESSION_REPLACED", "a newer session took over", false, false),
    row(ErrorCode::AccessDenied, "ACCESS_DENIED", "access denied", false, false),
    row(ErrorCode::PermissionDenied, "PERMISSION_DENIED", "not permitted", false, false),
    row(ErrorCode::InvalidArgument, "INVALID_ARGUMENT", "a field is not valid", false, false),
    row(ErrorCode::MessageTooLarge, "MESSAGE_TOO_LARGE", "the message is too large", false, false),
    row(ErrorCode::RateLimited, "RATE_LIMITED", "too many requests", true, true),
    row(ErrorCode::ConnectionLimitExceeded, "CONNECTION_LIMIT_EXCEEDED", "too many sessions", true, true),
    row(ErrorCode::TooManyConnections, "TOO_MANY_CONNECTIONS", "too many connections", true, true),
    row(ErrorCode::RoomLimitExceeded, "ROOM_LIMIT_EXCEEDED", "too many rooms", false, false),
    row(ErrorCode::NotFound, "NOT_FOUND", "not found", false, false),
    row(ErrorCode::Conflict, "CONFLICT", "the state has changed", false, false),
    row(ErrorCode::DeadlineExceeded, "DEADLINE_EXCEEDED", "not done in time", true, true),
    row(ErrorCode::Unavailable, "UNAVAILABLE", "not available at the moment", true, true),
    row(ErrorCode::SlowConsumer, "SLOW_CONSUMER", "the session reads too slowly", true, true),
    row(ErrorCode::GoingAway, "GOING_AWAY", "the node is stopping", true, true),
    row(ErrorCode::ProtocolError, "PROTOCOL_ERROR", "the stream broke the protocol", false, false),
    row(ErrorCode::Internal, "INTERNAL", "internal error", true, true),
];

impl ErrorCode {
    /// The code's row.
    pub fn row(self) -> &'static ErrorRow {
        &ERROR_TABLE[self as usize]
    }

    /// The code's name on the wire, as `RATE_LIMITED`.
    pub fn name(self) -> &'static str {
        self.row().name
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A field and the rule that it breaks. Both are fixed texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path as the protocol names it, as `content.text`.
    pub field: &'static str,
    /// The rule, as `at most 10000 characters`.
    pub rule: &'static str,
}

/// A refusal: what a command or a session is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: ErrorCode,
    /// Which fields broke which rules; empty but for INVALID_ARGUMENT and MESSAGE_TOO_LARGE.
    pub violations: Vec<Violation>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// Whose token was refused, where it was authentic: for the audit log, and never for who is answered.
    pub whose: Option<Box<Whose>>,
}

impl Refusal {
    /// INVALID_ARGUMENT for one field.
    pub fn invalid(field: &'static str, rule: &'static str) -> Self {
        Self { violations: vec![Violation { field, rule }], ..ErrorCode::InvalidArgument.into() }
    }

    /// This refusal of somebody whose token was authentic.
    #[must_use]
    pub fn of(self, whose: Whose) -> Self {
        Self { whose: Some(Box::new(whose)), ..self }
    }

    /// This refusal under the field that holds the refused one.
    #[must_use]
    pub fn at(mut self, field: &'static str) -> Self {
        if let Some(violation) = self.violations.first_mut() {
            violation.field = field;
        }
        self
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, violations: Vec::new(), retry_after: None, whose: None }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.rule)
    }
}

impl std::error::Error for Violation {}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::invalid(violation.field, violation.rule)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.row().message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_at_its_own_row() {
        for (index, row) in ERROR_TABLE.iter().enumerate() {
            assert_eq!(row.code as usize, index, "{}", row.name);
        }
    }
}
