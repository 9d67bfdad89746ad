//! Answers over HTTP: JSON, errors, and the headers that every answer has.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use carillon_proto::{WireRow, v1};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

/// The body of any answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body that holds `what` until it is written, or given up.
pub(crate) fn held(body: Body, what: impl Send + 'static) -> Body {
    UnsyncBoxBody::new(Held { body, _what: Box::new(what) })
}

struct Held {
    body: Body,
    _what: Box<dyn Send>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The header that carries a request's id, both ways.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// A body that is there as a whole.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// An answer of this type.
pub(crate) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A message of the protocol as its canonical JSON.
pub(crate) fn json(message: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(message) {
        Ok(text) => with_type(StatusCode::OK, "application/json", text),
        Err(_) => error(&refusal("INTERNAL", "")),
    }
}

/// An error, with the status that its code has.
pub(crate) fn error(error: &v1::Error) -> Response<Body> {
    let row = WireRow::of(&error.code);
    let status = StatusCode::from_u16(row.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_type(status, "application/json", serde_json::to_vec(error).unwrap_or_default());
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if error.retry_after_ms > 0 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(error.retry_after_ms.div_ceil(1_000)));
    }
    if let Ok(id) = HeaderValue::from_str(&error.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// An error of this code, of now.
pub(crate) fn refusal(code: &str, request_id: &str) -> v1::Error {
    let row = WireRow::of(code);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    v1::Error {
        code: row.name.to_owned(),
        message: row.message.to_owned(),
        time_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        request_id: request_id.to_owned(),
        retryable: row.retryable,
        retry_after_ms: 0,
        violations: Vec::new(),
    }
}

/// An answer that is no error of the protocol: nothing here, or not in this way.
pub(crate) fn plain(status: StatusCode) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", status.canonical_reason().unwrap_or_default())
}

/// Lets the page that asked read the answer. To be called only for origins that were allowed.
pub(crate) fn allow_origin(response: &mut Response<Body>, request: &HeaderMap) {
    if let Some(origin) = request.get(header::ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(REQUEST_ID));
    }
}

/// The answer to what a browser asks before it asks (CORS).
pub(crate) fn preflight(request: &HeaderMap) -> Response<Body> {
    let mut response = with_type(StatusCode::NO_CONTENT, "text/plain", Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    // What tracing in a page adds to each of its requests would otherwise make the browser hold all of them back.
    let allowed = "authorization, content-type, last-event-id, traceparent, tracestate, x-request-id";
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    allow_origin(&mut response, request);
    response
}
