//! The one table that says how each code looks on each transport, and the gRPC status that a refusal becomes.

use std::collections::HashMap;

use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::call::{REQUEST_ID, RequestId};
use crate::domain::error::{ErrorCode, Refusal};

/// Who defines the reasons in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "carillon";

/// How a code looks on each transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireRow {
    /// The code.
    pub code: ErrorCode,
    /// The gRPC status.
    pub grpc: Code,
    /// The HTTP status.
    pub http: u16,
    /// The WebSocket close code of a session that ends with this code. Of our own, 4000-4499 mean that the client
    /// should reconnect and 4500-4999 that it should not; the others are those that RFC 6455 and the IANA registry
    /// have for the purpose.
    pub close: u16,
}

const fn row(code: ErrorCode, grpc: Code, http: u16, close: u16) -> WireRow {
    WireRow { code, grpc, http, close }
}

/// All codes, in the order of [`crate::domain::error::ERROR_TABLE`].
pub const WIRE_TABLE: [WireRow; 22] = [
    row(ErrorCode::AuthRequired, Code::Unauthenticated, 401, 4500),
    row(ErrorCode::InvalidToken, Code::Unauthenticated, 401, 4501),
    row(ErrorCode::TokenExpired, Code::Unauthenticated, 401, 4000),
    row(ErrorCode::TokenRevoked, Code::Unauthenticated, 401, 4502),
    row(ErrorCode::SessionInvalidated, Code::Unauthenticated, 401, 4503),
    row(ErrorCode::SessionReplaced, Code::FailedPrecondition, 409, 4504),
    row(ErrorCode::AccessDenied, Code::PermissionDenied, 403, 4505),
    row(ErrorCode::PermissionDenied, Code::PermissionDenied, 403, 4506),
    row(ErrorCode::InvalidArgument, Code::InvalidArgument, 400, 4507),
    // What tonic itself answers to a frame above its limit.
    row(ErrorCode::MessageTooLarge, Code::OutOfRange, 413, 1009),
    row(ErrorCode::RateLimited, Code::ResourceExhausted, 429, 4001),
    row(ErrorCode::ConnectionLimitExceeded, Code::ResourceExhausted, 429, 4002),
    row(ErrorCode::TooManyConnections, Code::ResourceExhausted, 429, 4003),
    // Not 429, which makes clients repeat what cannot succeed until a room is left.
    row(ErrorCode::RoomLimitExceeded, Code::FailedPrecondition, 409, 4508),
    row(ErrorCode::NotFound, Code::NotFound, 404, 4509),
    row(ErrorCode::Conflict, Code::Aborted, 409, 4510),
    row(ErrorCode::DeadlineExceeded, Code::DeadlineExceeded, 504, 4004),
    row(ErrorCode::Unavailable, Code::Unavailable, 503, 1013),
    row(ErrorCode::SlowConsumer, Code::ResourceExhausted, 503, 4005),
    row(ErrorCode::GoingAway, Code::Unavailable, 503, 1001),
    row(ErrorCode::ProtocolError, Code::InvalidArgument, 400, 4511),
    row(ErrorCode::Internal, Code::Internal, 500, 1011),
];

/// The code's row.
pub fn wire(code: ErrorCode) -> &'static WireRow {
    &WIRE_TABLE[code as usize]
}

/// A refusal as a gRPC status: `google.rpc.ErrorInfo` whose reason is the code, `RequestInfo`, and, where there are
/// any, `BadRequest` with the violations and `RetryInfo`. The request's id is in the metadata too.
pub fn status(refusal: &Refusal, request_id: &RequestId) -> Status {
    let row = refusal.code.row();
    let mut details = ErrorDetails::new();
    details
        .set_error_info(row.name, DOMAIN, HashMap::<String, String>::new())
        .set_request_info(request_id.as_str(), "");
    for violation in &refusal.violations {
        details.add_bad_request_violation(violation.field, violation.rule);
    }
    if refusal.retry_after.is_some() {
        details.set_retry_info(refusal.retry_after);
    }
    let mut metadata = MetadataMap::new();
    metadata.insert(REQUEST_ID, AsciiMetadataValue::from(request_id));
    Status::with_error_details_and_metadata(wire(refusal.code).grpc, row.message, details, metadata)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::domain::error::{ERROR_TABLE, Violation};

    #[test]
    fn every_code_is_at_its_own_row() {
        for (row, domain) in WIRE_TABLE.iter().zip(ERROR_TABLE) {
            assert_eq!(row.code, domain.code);
            assert_eq!(wire(domain.code), row);
        }
    }

    #[test]
    fn close_codes_say_whether_to_reconnect_and_none_stands_twice() {
        let mut seen = HashSet::new();
        for row in WIRE_TABLE {
            let reconnect = row.code.row().reconnect;
            let fits = match row.close {
                4000..=4499 | 1001 | 1011..=1013 => reconnect,
                4500..=4999 | 1009 => !reconnect,
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

    #[test]
    fn a_status_tells_reason_violations_and_delay() {
        let refusal = Refusal {
            violations: vec![Violation { field: "content.text", rule: "at most 10000 characters" }],
            retry_after: Some(Duration::from_secs(6)),
            ..ErrorCode::RateLimited.into()
        };
        let status = status(&refusal, &RequestId::parse("req-1").unwrap());
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too many requests"));
        assert_eq!(status.metadata().get(REQUEST_ID).unwrap(), "req-1");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((&*info.reason, &*info.domain), ("RATE_LIMITED", "carillon"));
        assert_eq!(details.request_info().unwrap().request_id, "req-1");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(6)));
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(
            (&*violation.field, &*violation.description),
            ("content.text", "at most 10000 characters")
        );
    }

    #[test]
    fn a_status_without_violations_and_delay_has_neither() {
        let status = status(&ErrorCode::NotFound.into(), &RequestId::make());
        let details = status.get_error_details();
        assert!(details.bad_request().is_none() && details.retry_info().is_none());
    }
}
