//! How a request for a stream is refused.
//!
//! An `EventSource` takes any status but 200 for the last word, and asks for a stream that ends again by itself, with the same
//! address, after `retry:` (WHATWG HTML, "Server-sent events"). So what may succeed when it is asked again unchanged is told to it
//! in a stream of one event, and all else with the status of its code, which is also how everybody else is told everything.

use std::time::Duration;

use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{self, SessionResponse};
use carillon_proto::{Frame, WireRow};
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::{event, event_stream};
use crate::respond::{self, Body};

/// Who is not told when to ask again, is to wait so long, milliseconds.
const AGAIN_AFTER: u32 = 2_000;

/// Why no stream is given.
pub(crate) enum Refused {
    /// As the error says.
    Told(v1::Error),
    /// The address has too many, and has to wait for so long.
    TooMany(Duration),
}

impl From<v1::Error> for Refused {
    fn from(error: v1::Error) -> Self {
        Self::Told(error)
    }
}

impl From<Duration> for Refused {
    fn from(wait: Duration) -> Self {
        Self::TooMany(wait)
    }
}

/// Whether a request takes nothing but a stream, as an `EventSource` does and says.
pub(crate) fn is_event_source<B>(request: &Request<B>) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// The answer to whom no stream is given.
pub(crate) fn refuse(error: v1::Error, is_event_source: bool) -> Response<Body> {
    if !(is_event_source && error.retryable) {
        return respond::error(&error);
    }
    let mut text = format!("retry: {}\n\n", error.retry_after_ms.max(AGAIN_AFTER)).into_bytes();
    let told = SessionResponse { command_id: 0, kind: Some(Kind::Error(error)) };
    event(&mut text, &Frame::encode(&told), None);
    let mut response = event_stream(respond::full(text));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The status of an error's code, whether or not it is answered with it.
pub(super) fn status(error: &v1::Error) -> StatusCode {
    StatusCode::from_u16(WireRow::of(&error.code).http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
