//! The codes that a hub refuses with, and what each means for a client.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, retryable: $retryable:literal, reconnect: $reconnect:literal;)*) => {
        /// Why a hub refused a command or ended a session. [`Code::name`] is its name on the wire.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
            /// A code that this library does not know; a newer hub's.
            Other(String),
        }

        impl Code {
            /// All codes that this library knows.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),*];

            /// The code of this name.
            #[must_use]
            pub fn of(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }

            /// The name on the wire, as `RATE_LIMITED`.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }

            /// Whether the same command may succeed when sent again unchanged. `None`: not known here.
            #[must_use]
            pub fn retryable(&self) -> Option<bool> {
                match self {
                    $(Self::$variant => Some($retryable),)*
                    Self::Other(_) => None,
                }
            }

            /// Whether a new session makes sense after one that ended with this. `None`: not known here.
            #[must_use]
            pub fn reconnect(&self) -> Option<bool> {
                match self {
                    $(Self::$variant => Some($reconnect),)*
                    Self::Other(_) => None,
                }
            }
        }
    };
}

// The hub's own table is in its `domain/error.rs`.
codes! {
    /// No token came.
    AuthRequired = "AUTH_REQUIRED", retryable: false, reconnect: false;
    /// The token is malformed, wrongly signed or not for this hub.
    InvalidToken = "INVALID_TOKEN", retryable: false, reconnect: false;
    /// The token's time is over. A new session needs a new token.
    TokenExpired = "TOKEN_EXPIRED", retryable: false, reconnect: true;
    /// The token was revoked.
    TokenRevoked = "TOKEN_REVOKED", retryable: false, reconnect: false;
    /// All of the user's tokens up to an instant were invalidated.
    SessionInvalidated = "SESSION_INVALIDATED", retryable: false, reconnect: false;
    /// A new session of the same user and instance took over.
    SessionReplaced = "SESSION_REPLACED", retryable: false, reconnect: false;
    /// The caller may not enter or see this.
    AccessDenied = "ACCESS_DENIED", retryable: false, reconnect: false;
    /// The caller may see this but not do that.
    PermissionDenied = "PERMISSION_DENIED", retryable: false, reconnect: false;
    /// A field breaks a rule; the violations say which.
    InvalidArgument = "INVALID_ARGUMENT", retryable: false, reconnect: false;
    /// The frame or content is larger than allowed.
    MessageTooLarge = "MESSAGE_TOO_LARGE", retryable: false, reconnect: false;
    /// Too many commands; `retry_after` says when again.
    RateLimited = "RATE_LIMITED", retryable: true, reconnect: true;
    /// The user has too many sessions.
    ConnectionLimitExceeded = "CONNECTION_LIMIT_EXCEEDED", retryable: true, reconnect: true;
    /// The address or the node has too many connections.
    TooManyConnections = "TOO_MANY_CONNECTIONS", retryable: true, reconnect: true;
    /// The session is joined to too many rooms.
    RoomLimitExceeded = "ROOM_LIMIT_EXCEEDED", retryable: false, reconnect: false;
    /// No such thing, or none that the caller may know of.
    NotFound = "NOT_FOUND", retryable: false, reconnect: false;
    /// The state is not what the command was based on, or the idempotency key was used for other content.
    Conflict = "CONFLICT", retryable: false, reconnect: false;
    /// Not done in time: the outcome is unknown, retry with the same idempotency key.
    DeadlineExceeded = "DEADLINE_EXCEEDED", retryable: true, reconnect: true;
    /// Something that the hub needs cannot be reached.
    Unavailable = "UNAVAILABLE", retryable: true, reconnect: true;
    /// The session read too slowly for too long.
    SlowConsumer = "SLOW_CONSUMER", retryable: true, reconnect: true;
    /// The node is stopping.
    GoingAway = "GOING_AWAY", retryable: true, reconnect: true;
    /// The stream broke the protocol.
    ProtocolError = "PROTOCOL_ERROR", retryable: false, reconnect: false;
    /// The hub's own fault.
    Internal = "INTERNAL", retryable: true, reconnect: true;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_codes() {
        assert_eq!(Code::KNOWN.len(), 22);
        for code in Code::KNOWN {
            assert_eq!(Code::of(code.name()), *code);
        }
        assert_eq!(Code::of("LATER").name(), "LATER");
    }
}
