//! Answers whose head goes out before the rest is there: so a bridge hears that a call's token was good however long its
//! message is on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use carillon_proto::port;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use super::call::{REQUEST_ID, RequestId};

/// An answer that is on its way.
pub(super) type Answered = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// Whether whoever calls wants to hear of it before the answer is there.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(port::CALLER).is_some_and(|value| value == port::ASKED)
}

/// The head that says that the token was good; the answer follows when it is there, its status as trailers in any case.
pub(super) fn known(answered: Answered, request_id: &RequestId) -> Response<Body> {
    let mut response = Response::new(Body::new(Early::Waiting(answered)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(port::CALLER, HeaderValue::from_static(port::KNOWN));
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// What follows the head.
enum Early {
    Waiting(Answered),
    Answer(Body),
    Ended,
}

impl http_body::Body for Early {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            match &mut *self {
                Self::Waiting(answered) => {
                    let Ok(response) = ready!(answered.as_mut().poll(cx));
                    let (mut parts, body) = response.into_parts();
                    // An answer that is a status and nothing else has it where the head was.
                    if parts.headers.contains_key(Status::GRPC_STATUS) {
                        *self = Self::Ended;
                        parts.headers.remove(header::CONTENT_TYPE);
                        return Poll::Ready(Some(Ok(Frame::trailers(parts.headers))));
                    }
                    *self = Self::Answer(body);
                }
                Self::Answer(body) => return Pin::new(body).poll_frame(cx),
                Self::Ended => return Poll::Ready(None),
            }
        }
    }
}
