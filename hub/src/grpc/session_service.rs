//! `HubService.Session`: two-way, one per client.
//!
//! Ends with: OK where the client ended it; UNAUTHENTICATED (no token, a bad or expired one);
//! `OUT_OF_RANGE` (a frame too large); `RESOURCE_EXHAUSTED` (a slow consumer); `INVALID_ARGUMENT` (a broken frame);
//! `FAILED_PRECONDITION` (a newer session took over); UNAVAILABLE (the node stops, or the store cannot be reached);
//! `DEADLINE_EXCEEDED` (no hello in time, silent too long). `google.rpc.ErrorInfo.reason` is the hub's own code.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tower::Service;

use crate::access::authentication::Verified;
use crate::audit::event;
use crate::domain::command::Token;
use crate::domain::error::Refusal;
use crate::domain::time::Timestamp;
use crate::session::{Closer, Services, Session};

use super::bodies::Bodies;
use super::call::{self, RequestId};
use super::door::Visitor;
use super::errors;
use super::session_body::SessionBody;
use super::session_inbound::{Inbound, Room};
use super::streams;

/// Opens sessions on one runtime.
#[derive(Clone)]
pub struct SessionService {
    services: Arc<Services>,
    shard: usize,
}

impl SessionService {
    /// For the runtime of shard `shard`.
    pub fn new(services: Arc<Services>, shard: usize) -> Self {
        Self { services, shard }
    }

    /// Room for a `hello` that does not come whole: that of the user whose token came with the call.
    fn room(&self, token: &Result<Option<Token>, Refusal>, bodies: Bodies) -> Room {
        let (services, token) = (Arc::clone(&self.services), token.clone().ok().flatten());
        Box::new(move |bytes| {
            let Some(token) = &token else { return Ok(None) };
            match services.whose(token, Timestamp::now()) {
                Ok(Verified::User(token)) => bodies.reserve(&token.caller().key(), bytes).map(Some),
                _ => Ok(None),
            }
        })
    }

    /// Whether the token that came with a call is good, a service's or that of a user who may have one more connection. A
    /// ticket is not used up.
    fn is_good(
        &self,
        token: &Result<Option<Token>, Refusal>,
        closer: &Closer,
        (visitor, headers): (&Visitor, &HeaderMap),
    ) -> bool {
        let Ok(Some(token)) = token else { return false };
        match self.services.whose(token, Timestamp::now()) {
            Ok(Verified::User(token)) => closer.is_of(&token.caller().key()).is_ok(),
            Ok(Verified::Service(_)) => !visitor.refuses_service(headers),
            Err(_) => false,
        }
    }
}

impl<B> Service<Request<B>> for SessionService
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let closer = streams::closer(&parts.extensions);
        let request_id = RequestId::of(&parts.headers);
        let token = call::bearer(&parts.headers).map(|token| token.map(|token| Token(token.to_owned())));
        let limit = self.services.settings.terms.frame_bytes as usize;
        let visitor = Visitor::of(&parts.extensions);
        let is_good = || self.is_good(&token, &closer, (&visitor, &parts.headers));
        let trial = match visitor.try_call(&parts.headers, is_good) {
            Ok(trial) => trial,
            Err(refusal) => {
                self.services.metrics.attempt_failed(refusal.code);
                visitor.tell_refused(event::SESSION_OPENED, &parts.headers, &refusal);
                return ready(Ok(errors::status(&refusal, &request_id).into_http()));
            }
        };
        let room = self.room(&token, visitor.bodies());
        let session =
            Session::new(Arc::clone(&self.services), self.shard, token, request_id.to_string(), closer)
                .from(visitor.peer(&parts.headers))
                .traced(call::trace(&parts.headers))
                .as_attempt(Box::new(trial));
        let body = SessionBody::new(Inbound::new(body, limit).within(room), session, request_id);
        let mut response = Response::new(tonic::body::Body::new(body));
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        ready(Ok(response))
    }
}
