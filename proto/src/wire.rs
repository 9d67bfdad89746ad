//! The one table that says how each error code looks on each transport.

use tonic::Code;

/// How a code looks on each transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireRow {
    /// The code's name, as in `Error.code`.
    pub name: &'static str,
    /// The text that goes with it: fixed, for developers.
    pub message: &'static str,
    /// Whether the same command may succeed when sent again unchanged.
    pub retryable: bool,
    /// Whether a client whose session ended with this code should reconnect.
    pub reconnect: bool,
    /// The gRPC status.
    pub grpc: Code,
    /// The HTTP status.
    pub http: u16,
    /// The WebSocket close code of a session that ends with this code. Of our own, 4000-4499 mean that the client
    /// should reconnect and 4500-4999 that it should not; the others are those that RFC 6455 and the IANA registry
    /// have for the purpose.
    pub close: u16,
}

macro_rules! table {
    ($($name:literal, $message:literal, $retryable:literal, $reconnect:literal, $grpc:ident, $http:literal, $close:literal;)*) => {
        [$(WireRow {
            name: $name,
            message: $message,
            retryable: $retryable,
            reconnect: $reconnect,
            grpc: Code::$grpc,
            http: $http,
            close: $close,
        }),*]
    };
}

/// All codes. `docs/errors.md` says when each comes.
pub const WIRE_TABLE: [WireRow; 22] = table! {
    "AUTH_REQUIRED", "a token is required", false, false, Unauthenticated, 401, 4500;
    "INVALID_TOKEN", "the token is not valid", false, false, Unauthenticated, 401, 4501;
    "TOKEN_EXPIRED", "the token has expired", false, true, Unauthenticated, 401, 4000;
    "TOKEN_REVOKED", "token has been revoked", false, false, Unauthenticated, 401, 4502;
    "SESSION_INVALIDATED", "session invalidated", false, false, Unauthenticated, 401, 4503;
    "SESSION_REPLACED", "a newer session took over", false, false, FailedPrecondition, 409, 4504;
    "ACCESS_DENIED", "access denied", false, false, PermissionDenied, 403, 4505;
    "PERMISSION_DENIED", "not permitted", false, false, PermissionDenied, 403, 4506;
    "INVALID_ARGUMENT", "a field is not valid", false, false, InvalidArgument, 400, 4507;
    // What tonic itself answers to a frame above its limit.
    "MESSAGE_TOO_LARGE", "the message is too large", false, false, OutOfRange, 413, 1009;
    "RATE_LIMITED", "too many requests", true, true, ResourceExhausted, 429, 4001;
    "CONNECTION_LIMIT_EXCEEDED", "too many sessions", true, true, ResourceExhausted, 429, 4002;
    "TOO_MANY_CONNECTIONS", "too many connections", true, true, ResourceExhausted, 429, 4003;
    // Not 429, which makes clients repeat what cannot succeed until a room is left.
    "ROOM_LIMIT_EXCEEDED", "too many rooms", false, false, FailedPrecondition, 409, 4508;
    "NOT_FOUND", "not found", false, false, NotFound, 404, 4509;
    "CONFLICT", "the state has changed", false, false, Aborted, 409, 4510;
    "DEADLINE_EXCEEDED", "not done in time", true, true, DeadlineExceeded, 504, 4004;
    "UNAVAILABLE", "not available at the moment", true, true, Unavailable, 503, 1013;
    "SLOW_CONSUMER", "the session reads too slowly", true, true, ResourceExhausted, 503, 4005;
    "GOING_AWAY", "the node is stopping", true, true, Unavailable, 503, 1001;
    "PROTOCOL_ERROR", "the stream broke the protocol", false, false, InvalidArgument, 400, 4511;
    "INTERNAL", "internal error", true, true, Internal, 500, 1011;
};

impl WireRow {
    /// The row of the code of this name; that of INTERNAL for one that is in no table.
    pub fn of(name: &str) -> &'static Self {
        static ROWS: [WireRow; 22] = WIRE_TABLE;
        let [.., internal] = &ROWS;
        ROWS.iter().find(|row| row.name == name).unwrap_or(internal)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_found_by_name_and_stand_once() {
        let names: HashSet<_> = WIRE_TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), WIRE_TABLE.len());
        for row in WIRE_TABLE {
            assert_eq!(*WireRow::of(row.name), row);
            assert!(row.message.len() <= 200);
        }
        assert_eq!(WireRow::of("SOMETHING_NEWER").name, "INTERNAL");
    }

    #[test]
    fn close_codes_say_whether_to_reconnect_and_none_stands_twice() {
        let mut seen = HashSet::new();
        for row in WIRE_TABLE {
            let fits = match row.close {
                4000..=4499 | 1001 | 1011..=1013 => row.reconnect,
                4500..=4999 | 1009 => !row.reconnect,
                _ => false,
            };
            assert!(fits && seen.insert(row.close), "{row:?}");
        }
    }

    #[test]
    fn http_statuses_are_errors_and_agree_with_grpc() {
        for row in WIRE_TABLE {
            assert!((400..600).contains(&row.http), "{row:?}");
            assert_eq!(row.http == 401, row.grpc == Code::Unauthenticated, "{row:?}");
            assert_ne!(row.grpc, Code::Unknown, "{row:?}");
        }
    }
}
