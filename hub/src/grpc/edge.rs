//! Makes tonic's own refusals of a frame look like ours.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::call::{REQUEST_ID, RequestId};
use super::errors;
use crate::domain::error::ErrorCode;

/// A generated server whose refusals all bear a code of ours. tonic reads a frame before the service sees it, and
/// answers with a bare status to one that is too large or cannot be decoded; its text may say what was in it.
#[derive(Clone, Debug)]
pub struct Edge<S> {
    server: S,
}

impl<S> Edge<S> {
    /// Around `server`.
    pub fn new(server: S) -> Self {
        Self { server }
    }
}

impl<S: NamedService> NamedService for Edge<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.server.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let request_id = RequestId::of(request.headers());
        let answered = self.server.call(request);
        Box::pin(async move { Ok(reworded(answered.await?, &request_id)) })
    }
}

/// The response, or ours in the place of tonic's own. What the services answer bears a request id, so what bears none
/// is tonic's.
fn reworded(response: Response<Body>, request_id: &RequestId) -> Response<Body> {
    if response.headers().contains_key(REQUEST_ID) {
        return response;
    }
    let code = match Status::from_header_map(response.headers()).map(|status| status.code()) {
        Some(Code::OutOfRange | Code::ResourceExhausted) => ErrorCode::MessageTooLarge,
        Some(Code::Internal) => ErrorCode::ProtocolError,
        // Unknown methods and encodings are not of our protocol.
        _ => return response,
    };
    errors::status(&code.into(), request_id).into_http()
}
