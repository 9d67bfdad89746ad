//! `HubService.Session` on HTTP/2: the response body is the session. It is polled when the client's window is open, so
//! a reader that stops is never written for; dropping it ends the session.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use carillon_proto::port;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use crate::domain::error::{ErrorCode, Refusal};
use crate::session::{Batch, Input, Output, Session};

use super::bodies::Bodies;
use super::call::RequestId;
use super::decode;
use super::errors;
use super::session_inbound::{Inbound, InboundError};

/// The response of one `Session` call.
pub(super) struct SessionBody<B> {
    inbound: Option<Inbound<B>>,
    session: Session,
    request_id: RequestId,
    ended: bool,
}

impl<B: Body<Data = Bytes> + Unpin> SessionBody<B> {
    /// Runs `session` on the request stream.
    pub(super) fn new(inbound: Inbound<B>, session: Session, request_id: RequestId) -> Self {
        Self { inbound: Some(inbound), session, request_id, ended: false }
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        while self.session.wants_input()
            && let Some(inbound) = &mut self.inbound
            && let Poll::Ready(message) = inbound.poll_message(cx)
        {
            let input = match message {
                Some(Ok(message)) => decode::input(message, || self.session.is_held_back()),
                Some(Err(InboundError::TooLarge)) => Input::Broken(ErrorCode::MessageTooLarge.into()),
                Some(Err(InboundError::Full)) => Input::Broken(Bodies::full()),
                Some(Err(InboundError::Malformed)) => Input::Broken(ErrorCode::ProtocolError.into()),
                Some(Err(InboundError::Broken)) => Input::Gone,
                None => Input::Closed,
            };
            if matches!(input, Input::Broken(_) | Input::Closed | Input::Gone) {
                self.inbound = None;
            }
            self.session.input(input);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for SessionBody<B> {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            this.read(cx);
            let wanted_input = this.session.wants_input();
            let mut batch = Batch::default();
            match this.session.poll_output(cx, &mut batch) {
                Poll::Ready(Output::Frames) => return Poll::Ready(Some(Ok(Frame::data(merge(batch))))),
                Poll::Ready(Output::End(refusal)) => {
                    this.ended = true;
                    let mut trailers = trailers(refusal.as_ref(), &this.request_id);
                    // A bridge counts those of whom nobody knows who they are.
                    if refusal.is_some() && this.session.is_known() {
                        trailers.insert(port::CALLER, HeaderValue::from_static(port::KNOWN));
                    }
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                // A command that was answered made room for the next frame: read on.
                Poll::Pending if !wanted_input && this.session.wants_input() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// One frame goes out as it is, shared by all who get it; more are copied into one buffer, which is one write.
fn merge(batch: Batch) -> Bytes {
    let bytes = batch.bytes();
    match batch.into_parts() {
        (Some(only), rest) if rest.is_empty() => only.prefixed().clone(),
        (first, rest) => {
            let mut merged = BytesMut::with_capacity(bytes);
            for frame in first.iter().chain(&rest) {
                merged.put_slice(frame.prefixed());
            }
            merged.freeze()
        }
    }
}

/// The stream's status.
fn trailers(refusal: Option<&Refusal>, request_id: &RequestId) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    match refusal {
        None => {
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
        }
        Some(refusal) => {
            // A status of fixed texts is always a valid header.
            let _ = errors::status(refusal, request_id).add_header(&mut trailers);
        }
    }
    trailers
}
