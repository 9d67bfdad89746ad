//! Calls that bear tickets. What can be read at all is read first where a call says so, for a ticket is good once.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use carillon_proto::port;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use tonic::body::Body;
use tower::Service;

use super::{Admit, Answered, Edge};
use crate::audit::Source;
use crate::domain::caller::Whose;
use crate::domain::error::{ErrorCode, Refusal};
use crate::grpc::bodies::Bodies;
use crate::grpc::call::RequestId;
use crate::grpc::door::{Admitted, Visitor};
use crate::grpc::errors;
use crate::grpc::ports::Answer;
use crate::grpc::session_inbound::{Inbound, InboundError};

/// Whose what these headers bear is, where it is a ticket that is good, and stays so.
type Look = Arc<dyn Fn(&HeaderMap) -> Option<Answer<Whose>> + Send + Sync>;

/// What whoever sent a message with which something is wrong is told.
type Unread = Arc<dyn Fn(&Whose, &Source, Refusal) -> Refusal + Send + Sync>;

/// A call whose message is read and looked at before the ticket that it bears is used: none is used up by what cannot be
/// carried out.
#[derive(Clone)]
pub(in crate::grpc) struct ReadsFirst {
    /// Its path.
    pub(in crate::grpc) path: &'static str,
    /// Whether its ticket is good: nothing is read for others.
    pub(in crate::grpc) look: Look,
    /// What is wrong with a message.
    pub(in crate::grpc) check: fn(Bytes) -> Result<(), Refusal>,
    /// What is said of that.
    pub(in crate::grpc) unread: Unread,
    /// Largest message, bytes.
    pub(in crate::grpc) limit: usize,
}

/// Asks who a call is of that bears a ticket which others keep. Its address is asked first: to look for a ticket that was made
/// up costs those others something. From then on the call bears the token.
pub(super) async fn admit(
    visitor: &Arc<Visitor>,
    headers: &mut HeaderMap,
    exchange: Answer<String>,
    admit: &Admit,
) -> Result<Admitted, Refusal> {
    let source = visitor.source(headers);
    let mut trial = visitor.try_call(headers, || false)?;
    trial.asks_others()?;
    let admitted = match exchange.await {
        Ok(token) => show(headers, &token).and_then(|()| admit(headers)),
        Err(refusal) => Err(refusal),
    };
    let admitted = visitor.judge(trial, headers, admitted)?;
    visitor.tell_ticket(&source, &admitted);
    Ok(admitted)
}

fn show(headers: &mut HeaderMap, token: &str) -> Result<(), Refusal> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ErrorCode::InvalidToken)?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    Ok(())
}

impl<S> Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    /// Serves a call whose ticket is used once its message was read.
    pub(super) fn read_first(
        mut self,
        request: Request<Body>,
        reads: ReadsFirst,
        (look, exchange, admit): (Answer<Whose>, Option<Answer<String>>, Admit),
    ) -> Answered {
        let request_id = RequestId::of(request.headers());
        let limit = (self.terms.limit)(reads.path).begins;
        Box::pin(async move {
            let visitor = Visitor::of(request.extensions());
            let (mut parts, body) = request.into_parts();
            let source = visitor.source(&parts.headers);
            let headers = parts.headers.clone();
            let begun = async {
                let mut trial = visitor.try_call(&headers, || false)?;
                trial.asks_others()?;
                Ok((look.await, trial))
            };
            let (looked, trial) = match begun.await {
                Ok((Ok(whose), trial)) => {
                    let read = read(body, &reads, limit).await;
                    (Ok(read.map_err(|refusal| (reads.unread)(&whose, &source, refusal))), trial)
                }
                Ok((Err(refusal), trial)) => (Err(refusal), trial),
                Err(refusal) => {
                    return self.answer(Request::from_parts(parts, Body::empty()), Err(refusal)).await;
                }
            };
            let (admitted, message) = match looked {
                Ok(Err(refusal)) => {
                    trial.succeeded();
                    return Ok(known(&refusal, &request_id));
                }
                Ok(Ok(message)) => (exchanged(&mut parts.headers, exchange, &admit).await, message),
                Err(refusal) => (Err(refusal), Bytes::new()),
            };
            let admitted = visitor.judge(trial, &headers, admitted);
            if let Ok(admitted) = &admitted {
                visitor.tell_ticket(&source, admitted);
            }
            let request = Request::from_parts(parts, Body::new(Full::new(framed(&message))));
            self.answer(request, admitted).await
        })
    }
}

/// Who bears a ticket, from now on with the token that it speaks for.
async fn exchanged(
    headers: &mut HeaderMap,
    exchange: Option<Answer<String>>,
    admit: &Admit,
) -> Result<Admitted, Refusal> {
    if let Some(exchange) = exchange {
        let token = exchange.await?;
        show(headers, &token)?;
    }
    admit(headers)
}

/// The message of a call, if it is one.
async fn read(body: Body, reads: &ReadsFirst, limit: std::time::Duration) -> Result<Bytes, Refusal> {
    let mut inbound = pin!(Inbound::new(body, reads.limit));
    let message = poll_fn(|cx| inbound.as_mut().get_mut().poll_message(cx));
    let message = match tokio::time::timeout(limit, message).await {
        Err(_) => return Err(ErrorCode::DeadlineExceeded.into()),
        Ok(Some(Ok(message))) => message,
        Ok(Some(Err(InboundError::TooLarge))) => return Err(ErrorCode::MessageTooLarge.into()),
        Ok(Some(Err(InboundError::Full))) => return Err(Bodies::full()),
        Ok(Some(Err(InboundError::Malformed | InboundError::Broken)) | None) => {
            return Err(ErrorCode::ProtocolError.into());
        }
    };
    (reads.check)(message.clone())?;
    Ok(message)
}

/// A message as gRPC frames it.
fn framed(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// What somebody known is refused: a bridge counts the others.
fn known(refusal: &Refusal, request_id: &RequestId) -> Response<Body> {
    let mut response = errors::status(refusal, request_id).into_http();
    response.headers_mut().insert(port::CALLER, HeaderValue::from_static(port::KNOWN));
    response
}
