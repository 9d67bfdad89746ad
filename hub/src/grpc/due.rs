//! Requests that come to their end in time: what a stranger has begun to send is not kept for longer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

use super::call::RequestId;
use super::errors;
use crate::domain::error::ErrorCode;

/// The same body, which ends with `DEADLINE_EXCEEDED` where it has not come to its end within `limit`.
pub(super) fn within(limit: Duration, body: Body, request_id: RequestId) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(Due { body, deadline: Box::pin(sleep(limit)), request_id })
}

struct Due {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    request_id: RequestId,
}

impl http_body::Body for Due {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            let late = errors::status(&ErrorCode::DeadlineExceeded.into(), &self.request_id);
            return Poll::Ready(Some(Err(late)));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
