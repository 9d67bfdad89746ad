//! What every call has: a request id, perhaps a token, an answer in time.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Response, Status};

use super::errors;
use crate::access::tickets::Tickets;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits;
use crate::domain::names;
use crate::telemetry::traces::TraceContext;

/// The metadata that carries a request's id, both ways.
pub const REQUEST_ID: &str = "x-request-id";
/// Longest request id, bytes.
const REQUEST_ID_BYTES: usize = 64;

/// The metadata of a trace that a call is a part of (W3C Trace Context).
const TRACE_PARENT: &str = "traceparent";

/// The trace that a call is a part of; two of them say nothing.
pub(super) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACE_PARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none())?;
    TraceContext::parse(parent.to_str().ok()?)
}

/// What a caller quotes to the operator; the log has the same. 1 to 64 bytes of the room alphabet: it goes into log
/// lines and response headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The caller's own id, where it is well formed, else a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        given.and_then(Self::parse).unwrap_or_else(Self::make)
    }

    /// Gives a call the id that all that is said of it bears: its caller's own, or a new one.
    pub(super) fn settle(headers: &mut HeaderMap) {
        let id = Self::of(headers);
        if let Ok(id) = http::HeaderValue::from_str(id.as_str()) {
            headers.insert(REQUEST_ID, id);
        }
    }

    /// The id that a front made or passed on, where it is well formed, else a new one.
    pub fn of_text(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(Self::make)
    }

    /// Checks length and alphabet.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed =
            (1..=REQUEST_ID_BYTES).contains(&text.len()) && text.bytes().all(names::is_name_byte);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// A new one: 16 random hexadecimal digits.
    pub fn make() -> Self {
        // Without random numbers requests are still answered; they are merely harder to find in the log.
        Self(format!("{:016x}", getrandom::u64().unwrap_or_default()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&RequestId> for AsciiMetadataValue {
    fn from(id: &RequestId) -> Self {
        Self::try_from(id.as_str()).unwrap_or_else(|_| Self::from_static("-"))
    }
}

/// The token in `authorization: Bearer ...`; `None` where the call bears none. `INVALID_TOKEN` where it is longer than
/// any token or no text.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| ErrorCode::InvalidToken)?;
    let Some((scheme, token)) = value.split_once(' ') else { return Ok(None) };
    let token = token.trim_ascii();
    // RFC 9110 makes schemes case-insensitive.
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Ok(None);
    }
    if token.len() > limits::TOKEN_BYTES {
        return Err(ErrorCode::InvalidToken.into());
    }
    Ok(Some(token))
}

/// Whether a call shows a ticket in the place of a token.
pub(super) fn bears_ticket(headers: &HeaderMap) -> bool {
    bearer(headers).is_ok_and(|shown| shown.is_some_and(Tickets::is_ticket))
}

/// The token of a call that needs one: `AUTH_REQUIRED` without.
pub(super) fn required_bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    bearer(headers)?.ok_or_else(|| ErrorCode::AuthRequired.into())
}

/// Answers a unary call within `limit`: after that it is `DEADLINE_EXCEEDED`, whose outcome is unknown. The response
/// bears the request's id either way.
pub(super) async fn answer<T>(
    request_id: RequestId,
    limit: Duration,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<Response<T>, Status> {
    let done = tokio::time::timeout(limit, work).await;
    match done.unwrap_or_else(|_| Err(ErrorCode::DeadlineExceeded.into())) {
        Ok(answer) => {
            let mut response = Response::new(answer);
            response.metadata_mut().insert(REQUEST_ID, AsciiMetadataValue::from(&request_id));
            Ok(response)
        }
        Err(refusal) => {
            tracing::debug!(%request_id, code = refusal.code.name(), "call refused");
            Err(errors::status(&refusal, &request_id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value)])
    }

    #[test]
    fn a_bearer_token_is_taken() {
        for value in ["Bearer abc.def", "bearer abc.def", "BEARER  abc.def "] {
            assert_eq!(bearer(&headers("authorization", value)), Ok(Some("abc.def")), "{value}");
        }
    }

    #[test]
    fn whatever_is_no_bearer_token_is_none() {
        assert_eq!(bearer(&HeaderMap::new()), Ok(None));
        for value in ["", "Bearer", "Bearer ", "Basic abc", "abc.def"] {
            assert_eq!(bearer(&headers("authorization", value)), Ok(None), "{value}");
        }
        assert_eq!(required_bearer(&HeaderMap::new()), Err(ErrorCode::AuthRequired.into()));
    }

    #[test]
    fn a_token_that_can_be_none_is_invalid() {
        for value in ["Bearer é", &format!("Bearer {}", "x".repeat(8_193))] {
            assert_eq!(bearer(&headers("authorization", value)), Err(ErrorCode::InvalidToken.into()));
        }
    }

    #[test]
    fn a_well_formed_request_id_is_kept() {
        assert_eq!(RequestId::of(&headers(REQUEST_ID, "trace-1")).as_str(), "trace-1");
        for bad in ["", "a b", "é", &"x".repeat(65)] {
            let made = RequestId::of(&headers(REQUEST_ID, bad));
            assert!(made.as_str().len() == 16 && made.as_str() != bad, "{bad:?}");
        }
        assert_ne!(RequestId::make(), RequestId::make());
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_answered() {
        let limit = Duration::from_secs(5);
        let status =
            answer::<()>(RequestId::make(), limit, std::future::pending()).await.expect_err("it never ends");
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }
}
