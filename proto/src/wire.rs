//! The tables that say how each error code looks on each transport, and when it comes. `docs/errors.md` is made from them.

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
    /// When it comes and what to do about it, as the reference says.
    pub when: &'static str,
}

/// A close code of a WebSocket that broke the protocol below its frames' content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseRow {
    /// The close code. Source: RFC 6455, 7.4.1.
    pub close: u16,
    /// The code that its session ends with.
    pub code: &'static str,
    /// When it comes, as the reference says.
    pub when: &'static str,
}

macro_rules! table {
    ($($name:literal, $message:literal, $retryable:literal, $reconnect:literal, $grpc:ident, $http:literal, $close:literal,
        $when:literal;)*) => {
        [$(WireRow {
            name: $name,
            message: $message,
            retryable: $retryable,
            reconnect: $reconnect,
            grpc: Code::$grpc,
            http: $http,
            close: $close,
            when: $when,
        }),*]
    };
}

/// All codes.
pub const WIRE_TABLE: [WireRow; 22] = table! {
    "AUTH_REQUIRED", "a token is required", false, false, Unauthenticated, 401, 4500,
        "No token came, neither in the metadata nor in `hello`. Connect with one.";
    "INVALID_TOKEN", "the token is not valid", false, false, Unauthenticated, 401, 4501,
        "The token is malformed, wrongly signed, not for this hub or not valid yet. Get another; if it should be \
         right, compare the `auth` settings with what the issuer writes.";
    "TOKEN_EXPIRED", "the token has expired", false, true, Unauthenticated, 401, 4000,
        "The token's time is over. Get a new one and connect again; with `refresh_token` in time it does not come \
         to this.";
    "TOKEN_REVOKED", "token has been revoked", false, false, Unauthenticated, 401, 4502,
        "The token was revoked. Sign in anew.";
    "SESSION_INVALIDATED", "session invalidated", false, false, Unauthenticated, 401, 4503,
        "All of the user's tokens up to an instant were invalidated. Sign in anew.";
    "SESSION_REPLACED", "a newer session took over", false, false, FailedPrecondition, 409, 4504,
        "A newer session named the same `instance`. Do not reconnect: two would take turns.";
    "ACCESS_DENIED", "access denied", false, false, PermissionDenied, 403, 4505,
        "The caller may not enter or know of this room. A room that does not exist is answered in the same way.";
    "PERMISSION_DENIED", "not permitted", false, false, PermissionDenied, 403, 4506,
        "The caller may see this, but not do that: the role, or the namespace's rules, do not allow it. A service \
         gets it where its token is not for the tenant, or where services need a certificate and it has shown \
         none.";
    "INVALID_ARGUMENT", "a field is not valid", false, false, InvalidArgument, 400, 4507,
        "A field breaks a rule; `violations` name the fields and the rules. Mend the command.";
    // What tonic itself answers to a frame above its limit.
    "MESSAGE_TOO_LARGE", "the message is too large", false, false, OutOfRange, 413, 1009,
        "A frame or a content above the limits that `connected` told, or more than the tenant's storage has room for \
         (`violations` names `room`). A frame that is too large ends the session, a content does not.";
    "RATE_LIMITED", "too many requests", true, true, ResourceExhausted, 429, 4001,
        "Too many commands, too many sessions opened one after the other, or no more idempotency keys can be remembered. \
         Wait for `retry_after_ms`.";
    "CONNECTION_LIMIT_EXCEEDED", "too many sessions", true, true, ResourceExhausted, 429, 4002,
        "The user, or the tenant, has too many sessions. End one, or wait for `retry_after_ms`: those whose clients are gone \
         end by themselves.";
    "TOO_MANY_CONNECTIONS", "too many connections", true, true, ResourceExhausted, 429, 4003,
        "The address has too many connections that have not authenticated, attempts that failed or sessions, the user too \
         many connections, or the node too many of either. Wait for `retry_after_ms`.";
    // Not 429, which makes clients repeat what cannot succeed until a room is left.
    "ROOM_LIMIT_EXCEEDED", "too many rooms", false, false, FailedPrecondition, 409, 4508,
        "The session is joined to as many rooms as it may be. Leave one first.";
    "NOT_FOUND", "not found", false, false, NotFound, 404, 4509,
        "There is no such message, member or notification, or none that the caller may see.";
    "CONFLICT", "the state has changed", false, false, Aborted, 409, 4510,
        "The state is not what the command was decided under (an old version, already there), or the idempotency \
         key was used for another command. Read the state and decide again.";
    "DEADLINE_EXCEEDED", "not done in time", true, true, DeadlineExceeded, 504, 4004,
        "Not done in time, and so the outcome is unknown: send it again with the same idempotency key. As a \
         session's end: the client was silent for too long.";
    "UNAVAILABLE", "not available at the moment", true, true, Unavailable, 503, 1013,
        "Something that the hub needs cannot be reached, or too much waits. Try again, with the same idempotency \
         key.";
    "SLOW_CONSUMER", "the session reads too slowly", true, true, ResourceExhausted, 503, 4005,
        "The session read too slowly for too long. Connect again and resume: nothing durable is lost.";
    "GOING_AWAY", "the node is stopping", true, true, Unavailable, 503, 1001,
        "The node stops. Connect again after `reconnect_after_ms` and resume.";
    "PROTOCOL_ERROR", "the stream broke the protocol", false, false, InvalidArgument, 400, 4511,
        "The stream broke the protocol: an undecodable frame, id 0, an id in flight, a first frame that is no \
         `hello`, or a second one. A fault of the client.";
    "INTERNAL", "internal error", true, true, Internal, 500, 1011,
        "The hub's own fault. Its log says more under the request id.";
};

/// A frame that breaks RFC 6455.
pub const BROKEN_FRAME: CloseRow = CloseRow {
    close: 1002,
    code: "PROTOCOL_ERROR",
    when: "A frame that breaks RFC 6455: not masked, a reserved bit or op-code, an oversized control frame.",
};
/// A frame of the other kind.
pub const WRONG_KIND: CloseRow = CloseRow {
    close: 1003,
    code: "PROTOCOL_ERROR",
    when: "A text frame on `carillon.v1.proto`, a binary one on `carillon.v1.json`.",
};
/// Text that is none.
pub const NOT_UTF8: CloseRow =
    CloseRow { close: 1007, code: "PROTOCOL_ERROR", when: "Text that is no UTF-8." };
/// Too much that only keeps the bridge busy.
pub const TOO_MANY_PINGS: CloseRow = CloseRow {
    close: 1008,
    code: "RATE_LIMITED",
    when: "More than ten pings, pongs and empty fragments of the WebSocket's own a second, for half a minute.",
};

/// What a socket is closed with beside the codes' own: a fault of the client. Whether it should come back the code says, as
/// `disconnected` does: not where it would do the same again.
pub const CLOSE_TABLE: [CloseRow; 4] = [BROKEN_FRAME, WRONG_KIND, NOT_UTF8, TOO_MANY_PINGS];

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
    fn codes_of_broken_sockets_stand_once_and_are_of_codes_that_there_are() {
        let mut seen: HashSet<_> = WIRE_TABLE.iter().map(|row| row.close).collect();
        for row in CLOSE_TABLE {
            assert!(seen.insert(row.close) && (1002..1016).contains(&row.close), "{row:?}");
            assert_eq!(WireRow::of(row.code).name, row.code);
        }
    }

    #[test]
    fn every_row_says_when_it_comes() {
        for when in WIRE_TABLE.map(|row| row.when).into_iter().chain(CLOSE_TABLE.map(|row| row.when)) {
            assert!(when.len() > 15 && when.ends_with('.') && !when.contains(['|', '\n']), "{when}");
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
