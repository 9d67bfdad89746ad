//! The gRPC status that a refusal becomes.

use std::collections::HashMap;

use carillon_proto::WireRow;
use tonic::Status;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

use super::call::{REQUEST_ID, RequestId};
use crate::domain::error::{ErrorCode, Refusal};

/// Who defines the reasons in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "carillon";

/// The code's row. The table is the protocol's; the hub's own says the same in the same order, which a test holds.
pub fn wire(code: ErrorCode) -> &'static WireRow {
    WireRow::of(code.name())
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
    use std::time::Duration;

    use carillon_proto::wire::WIRE_TABLE;
    use tonic::Code;

    use super::*;
    use crate::domain::error::{ERROR_TABLE, Violation};

    #[test]
    fn the_protocols_table_says_what_the_domains_says() {
        assert_eq!(WIRE_TABLE.len(), ERROR_TABLE.len());
        for (wire, domain) in WIRE_TABLE.iter().zip(ERROR_TABLE) {
            assert_eq!((wire.name, wire.message), (domain.name, domain.message));
            assert_eq!((wire.retryable, wire.reconnect), (domain.retryable, domain.reconnect));
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
