//! A gRPC status as the protocol's error.

use std::time::Duration;

use carillon_proto::{WireRow, v1};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::respond::refusal;

/// The row of the code that a status bears. One that is not of a hub says that none was reached.
pub(super) fn row(status: &Status) -> &'static WireRow {
    match status.get_error_details().error_info() {
        Some(info) => WireRow::of(&info.reason),
        None if status.code() == Code::DeadlineExceeded => WireRow::of("DEADLINE_EXCEEDED"),
        None => WireRow::of("UNAVAILABLE"),
    }
}

/// The error that a status tells.
pub(super) fn error(status: &Status, request_id: &str) -> v1::Error {
    let details = status.get_error_details();
    let id = details.request_info().map_or(request_id, |info| &info.request_id);
    let wait = details.retry_info().and_then(|info| info.retry_delay).unwrap_or(Duration::ZERO);
    let violations = details.bad_request().map(|bad| &*bad.field_violations).unwrap_or_default();
    v1::Error {
        retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        violations: violations
            .iter()
            .map(|violation| v1::Violation {
                field: violation.field.clone(),
                rule: violation.description.clone(),
            })
            .collect(),
        ..refusal(row(status).name, id)
    }
}
