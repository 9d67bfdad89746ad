//! What every call without a session meets before and after its service: a token is asked for before anything is read,
//! all of it has a limit in time, and tonic's own refusals of a frame look like ours.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::port;
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::bodies::Bodies;
use super::call::{self, REQUEST_ID, RequestId};
use super::door::{Admitted, Visitor};
use super::due;
use super::early::{self, Answered};
use super::ports::Answer;
use super::{errors, streams};
use crate::audit::event;
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::time::Moment;
use crate::session::Closer;

mod tickets;

pub(super) use tickets::ReadsFirst;

/// Who calls, by the headers alone.
type Admit = Arc<dyn Fn(&HeaderMap) -> Result<Admitted, Refusal> + Send + Sync>;

/// What a call of this path bears a ticket for, which others keep; `None` where what it bears is judged as it is.
type Exchange = Arc<dyn Fn(&str, &HeaderMap) -> Option<Answer<String>> + Send + Sync>;

/// How long a call of this path may take.
type Limit = Arc<dyn Fn(&str) -> InTime + Send + Sync>;

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct InTime {
    /// From its headers until all of its request has been read and its answer begins.
    begins: Duration,
    /// And from there until the client has taken the answer; `None` where that goes on.
    taken: Option<Duration>,
}

impl InTime {
    /// Answered within `limit`, and the answer taken within as much.
    pub(super) const fn whole(limit: Duration) -> Self {
        Self { begins: limit, taken: Some(limit) }
    }

    /// An answer that begins within `limit` and goes on until the caller leaves or the hub stops.
    pub(super) const fn endless(limit: Duration) -> Self {
        Self { begins: limit, taken: None }
    }

    /// An answer that begins at once, for a request that has `limit` to come to its end; the answer is taken within as much
    /// after that.
    pub(super) const fn beside(limit: Duration) -> Self {
        Self { begins: limit, taken: Some(limit.saturating_mul(2)) }
    }
}

/// The terms of a service's calls.
#[derive(Clone)]
pub(super) struct Terms {
    /// Whether a call that bears these headers is read at all; `None` where anyone may call.
    pub(super) admit: Option<Admit>,
    /// The token in the place of which a call bears a ticket.
    pub(super) exchange: Exchange,
    /// The call that is read before the ticket that it bears is used.
    pub(super) reads_first: Option<ReadsFirst>,
    /// What a message may hold, bytes: of a call whose message is on its way so much is its user's from the beginning.
    pub(super) frame_bytes: usize,
    /// How long the call of a path may take.
    pub(super) limit: Limit,
    /// Where calls whose answers end are counted until these are taken: a stop waits for them.
    pub(super) in_flight: TaskTracker,
}

impl Terms {
    /// Anyone may call, and a stop waits for nobody.
    pub(super) fn open(limit: impl Fn(&str) -> InTime + Send + Sync + 'static) -> Self {
        Self {
            admit: None,
            exchange: Arc::new(|_, _| None),
            reads_first: None,
            frame_bytes: 0,
            limit: Arc::new(limit),
            in_flight: TaskTracker::new(),
        }
    }
}

/// A generated server under [`Terms`], whose refusals all bear a code of ours. tonic reads a frame before the service
/// sees it, and answers with a bare status to one that is too large or cannot be decoded; its text may say what was in
/// it.
#[derive(Clone)]
pub(super) struct Edge<S> {
    server: S,
    terms: Terms,
}

impl<S> Edge<S> {
    /// Around `server`.
    pub(super) fn new(server: S, terms: Terms) -> Self {
        Self { server, terms }
    }
}

impl<S: NamedService> NamedService for Edge<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.server.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(admit) = self.terms.admit.clone() else {
            let request_id = RequestId::of(request.headers());
            let limit = (self.terms.limit)(request.uri().path());
            let request = request.map(|body| due::within(limit.begins, body, request_id.clone()));
            return self.serve(request, request_id);
        };
        let (headers, visitor) = (request.headers(), Visitor::of(request.extensions()));
        let exchange = (self.terms.exchange)(request.uri().path(), headers);
        if let Some(reads) = self.terms.reads_first.clone()
            && reads.path == request.uri().path()
            && let Some(look) = (reads.look)(headers)
        {
            return self.clone().read_first(request, reads, (look, exchange, admit));
        }
        let Some(exchange) = exchange else {
            let admitted = visitor.admit(headers, || admit(headers));
            if let Ok(admitted) = &admitted
                && call::bears_ticket(headers)
            {
                visitor.tell_ticket(&visitor.source(headers), admitted);
            }
            return self.answer(request, admitted);
        };
        // tonic's servers are always ready, which is why a clone may be called at once.
        let mut this = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let admitted = tickets::admit(&visitor, &mut parts.headers, exchange, &admit).await;
            this.answer(Request::from_parts(parts, body), admitted).await
        })
    }
}

impl<S> Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    /// Serves who was admitted, and tells others why not.
    fn answer(&mut self, mut request: Request<Body>, admitted: Result<Admitted, Refusal>) -> Answered {
        let request_id = RequestId::of(request.headers());
        let refusal = match admitted {
            Ok(Admitted::User(caller)) => {
                request.extensions_mut().insert(caller.clone());
                let is_asked = early::is_asked(request.headers());
                // What was read before its ticket was used is whole.
                let is_whole = request.body().is_end_stream() || request.body().size_hint().exact().is_some();
                let most = if is_asked && !is_whole { self.terms.frame_bytes } else { 0 };
                let held = match held(request, &caller, request_id.clone(), most) {
                    Ok(held) => held,
                    Err(refused) => return Box::pin(std::future::ready(Ok(*refused))),
                };
                let answered = self.serve(held, request_id.clone());
                return if is_asked {
                    Box::pin(std::future::ready(Ok(early::known(answered, &request_id))))
                } else {
                    answered
                };
            }
            Ok(Admitted::Service(whose)) => {
                // What it bears may be a ticket, which is good no more.
                if let Some(whose) = whose {
                    request.extensions_mut().insert(*whose);
                }
                return self.serve(request, request_id);
            }
            Ok(Admitted::Barred(caller)) => Refusal::from(ErrorCode::PermissionDenied).of((&caller).into()),
            Err(refusal) => refusal,
        };
        let visitor = Visitor::of(request.extensions());
        visitor.tell_refused(event::AUTHENTICATION, request.headers(), &refusal);
        let refused = errors::status(&refusal, &request_id).into_http();
        Box::pin(async { Ok(refused) })
    }

    fn serve(&mut self, request: Request<Body>, request_id: RequestId) -> Answered {
        let closer = streams::closer(request.extensions());
        closer.settle();
        closer.moved(Moment::now());
        let limit = (self.terms.limit)(request.uri().path());
        // Whoever waits for less gives up by themselves when that is over, so that no answer need be broken off for it.
        let asked = asked_limit(request.headers()).unwrap_or(Duration::MAX);
        let counted = self.terms.in_flight.token();
        let answered = self.server.call(request);
        Box::pin(async move {
            match tokio::time::timeout(limit.begins.min(asked), answered).await {
                Ok(response) => {
                    let response = reworded(response?, &request_id);
                    let Some(limit) = limit.taken else { return Ok(response) };
                    Ok(response.map(|body| timed(body, limit, closer, counted)))
                }
                Err(_) => Ok(errors::status(&ErrorCode::DeadlineExceeded.into(), &request_id).into_http()),
            }
        })
    }
}

/// The request, of whose body is held what its user's may hold, `most` of it from now on. `RATE_LIMITED` past that: a bridge's bodies come
/// here when they are whole, and else cost nothing until then.
fn held(
    request: Request<Body>,
    caller: &Caller,
    request_id: RequestId,
    most: usize,
) -> Result<Request<Body>, Box<Response<Body>>> {
    let visitor = Visitor::of(request.extensions());
    let (source, user, caller) = (visitor.source(request.headers()), caller.key(), caller.clone());
    let refused = {
        let visitor = Arc::clone(&visitor);
        move || {
            let refusal = Bodies::full().of((&caller).into());
            visitor.tell(event::LIMIT, &source, &refusal);
            errors::status(&refusal, &request_id)
        }
    };
    match visitor.bodies().reserve(&user, most) {
        Ok(reserved) => Ok(request.map(|body| Bodies::hold(reserved, body, refused))),
        Err(_) => {
            let mut status = refused();
            status.metadata_mut().insert(port::CALLER, MetadataValue::from_static(port::KNOWN));
            Err(Box::new(status.into_http()))
        }
    }
}

/// How long the client itself waits, where it says so ("gRPC over HTTP/2", Timeout): at most 8 digits and a unit.
fn asked_limit(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(number)),
        "M" => Some(Duration::from_mins(number)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
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

/// An answer that a client has not taken within `limit` is broken off, with its connection unless others on that move:
/// HTTP/2 does not ask for a body whose window is shut, so that it could not end itself.
fn timed(body: Body, limit: Duration, closer: Closer, counted: TaskTrackerToken) -> Body {
    if http_body::Body::is_end_stream(&body) {
        return body;
    }
    let deadline = tokio::time::sleep(limit);
    let closing = tokio::spawn(async move {
        deadline.await;
        closer.break_off(limit, Moment::now());
    });
    Body::new(Timed { body, closing: closing.abort_handle(), _counted: counted })
}

/// A body whose end, or whose being dropped, ends its limit.
struct Timed {
    body: Body,
    closing: AbortHandle,
    _counted: TaskTrackerToken,
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.closing.abort();
    }
}

#[cfg(test)]
mod tests;
