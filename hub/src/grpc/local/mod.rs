//! The hub for fronts in the same process: the port of `carillon_proto`, without HTTP/2 and without copying. What comes
//! in is decoded and checked as everywhere; what goes out are the frames that all receivers share.

mod stream;

use std::sync::Arc;
use std::time::Duration;

use carillon_net::addresses::network;
use carillon_proto::port::{self, Call, FrameStream, HubPort, Known, Pending, Refused, TurnedAway};
use carillon_proto::v1;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};

use super::bodies::Bodies;
use super::call::RequestId;
use super::ports::{Answer, Authenticate, Execute, Observe, Operator};
use super::{decode, encode, overview};
use crate::access::tickets::Tickets;
use crate::audit::{About, Source, Who, event};
use crate::domain::caller::{Caller, Whose};
use crate::domain::command::Token;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::peer::Peer;
use crate::domain::time::Moment;
use crate::session::{Closer, Services, Session};
use crate::telemetry::traces::TraceContext;

use stream::LocalStream;

/// The hub on one runtime, which carries the sessions that are opened here.
#[derive(Clone)]
pub struct LocalHub {
    services: Arc<Services>,
    shard: usize,
    authenticate: Arc<dyn Authenticate>,
    execute: Arc<dyn Execute>,
    observe: Arc<dyn Observe>,
    takes_services: bool,
    bodies: Bodies,
}

impl LocalHub {
    /// For the runtime of shard `shard`. `takes_services` says whether services' tokens are good here, where nobody shows
    /// a certificate; `bodies` has what users' commands hold that are not whole yet.
    pub fn new(
        services: Arc<Services>,
        shard: usize,
        authenticate: Arc<dyn Authenticate>,
        execute: Arc<dyn Execute>,
        observe: Arc<dyn Observe>,
        takes_services: bool,
        bodies: Bodies,
    ) -> Self {
        Self { services, shard, authenticate, execute, observe, takes_services, bodies }
    }
}

impl LocalHub {
    /// `PERMISSION_DENIED` for a service where it would have to show a certificate.
    fn refuse_services(&self, token: &str) -> Result<(), Refusal> {
        if self.takes_services {
            return Ok(());
        }
        match self.authenticate.any_service(token) {
            Ok(service) => Err(Refusal::from(ErrorCode::PermissionDenied).of(service)),
            Err(_) => Ok(()),
        }
    }
}

impl LocalHub {
    /// The token of a call, or the one that its ticket speaks for.
    async fn token(&self, call: &Call) -> Result<String, Refusal> {
        let shown = shown(call)?;
        match self.authenticate.exchange(shown) {
            Some(token) => token.await,
            None => Ok(shown.to_owned()),
        }
    }

    /// Whose the ticket of a call is, if it is good; `None` where it bears none.
    fn look(&self, call: &Call) -> Option<Answer<Whose>> {
        let look = self.authenticate.look(call.token.as_deref()?)?;
        let (this, call) = (self.clone(), call.clone());
        Some(look.map(move |looked| looked.inspect_err(|refusal| this.tell_refused(&call, refusal))).boxed())
    }

    async fn caller(&self, call: &Call) -> Result<Caller, Refusal> {
        if !self.services.audit.admits() {
            return Err(ErrorCode::Unavailable.into());
        }
        let caller = self.token(call).await.and_then(|token| self.authenticate.user(&token));
        let caller = caller.map_err(|refusal| self.authenticate.refused(refusal));
        let caller = caller.inspect_err(|refusal| self.tell_refused(call, refusal))?;
        self.tell_ticket(call, Who::from(&caller));
        Ok(caller)
    }

    async fn operator(&self, call: &Call) -> Result<Operator, Refusal> {
        if !self.services.audit.admits() {
            return Err(ErrorCode::Unavailable.into());
        }
        let operator = self.token(call).await.and_then(|token| {
            self.refuse_services(&token)?;
            self.authenticate.operator(&token)
        });
        let operator = operator.map_err(|refusal| self.authenticate.refused(refusal));
        let operator = operator.and_then(|operator| match self.authenticate.limit_service(&operator.whose) {
            Ok(()) => Ok(operator),
            Err(refusal) => Err(refusal.of(operator.whose)),
        });
        let operator = operator.inspect_err(|refusal| self.tell_refused(call, refusal))?;
        self.tell_ticket(call, Who::from(&operator.whose));
        Ok(operator)
    }

    fn tell_refused(&self, call: &Call, refusal: &Refusal) {
        if let Some(whose) = refusal.whose.as_deref().filter(|_| refusal.code == ErrorCode::RateLimited) {
            return self.services.tell_limited(&source(call), whose, refusal);
        }
        self.services.audit.tell_refused(event::AUTHENTICATION, &source(call), About::default(), refusal);
    }

    /// Writes down that a call was let in with a ticket, where it was.
    fn tell_ticket(&self, call: &Call, who: Who<'_>) {
        let source = source(call);
        if source.ticket.is_some() {
            self.services.audit.tell_of(event::TICKET_USED, &source, Some(who), About::default(), Ok(()));
        }
    }
}

impl HubPort for LocalHub {
    fn open(&self, call: Call) -> Box<dyn FrameStream> {
        let (closer, peer, trace) = (Closer::default(), peer(&call.peer), trace(&call.peer));
        let session = Session::new(
            Arc::clone(&self.services),
            self.shard,
            Ok(call.token.map(Token)),
            call.request_id,
            closer.clone(),
        )
        .from(peer)
        .traced(trace);
        Box::new(LocalStream::new(session, closer))
    }

    fn execute(
        &self,
        call: Call,
        request: Pending,
        known: Known,
    ) -> BoxFuture<'static, Result<v1::ExecuteResponse, Refused>> {
        let this = self.clone();
        let limit = self.services.settings.command_timeout;
        let request_id = RequestId::of_text(&call.request_id);
        let source = Source::call(request_id.as_str(), peer(&call.peer)).traced(trace(&call.peer));
        async move {
            let refused = |refusal: Refusal, caller_is_known| {
                let error = encode::error(&refusal, request_id.as_str());
                Refused { error, caller_is_known }
            };
            let unread = |whose: &Whose, error: Refused| match this.authenticate.limit_unread(whose, &source)
            {
                Ok(()) => error,
                Err(limited) => refused(limited, true),
            };
            let read = async {
                let request = request.await.map_err(|error| Refused { error, caller_is_known: true })?;
                decode::execute(request).map_err(|refusal| refused(refusal, true))
            };
            let caller = async { this.caller(&call).await.map_err(|refusal| refused(refusal, false)) };
            // A ticket is used up by a command that can be read, and by no other.
            let (caller, (idempotency, command)) = if let Some(look) = this.look(&call) {
                let whose = look.await.map_err(|refusal| refused(refusal, false))?;
                let command = read.await.map_err(|error| unread(&whose, error))?;
                let caller = caller.await?;
                known();
                (caller, command)
            } else {
                let caller = caller.await?;
                known();
                let held =
                    this.bodies.reserve(&caller.key(), this.services.settings.terms.frame_bytes as usize);
                let held = held.map_err(|refusal| refused(refusal, true))?;
                let command = read.await.map_err(|error| unread(&(&caller).into(), error))?;
                drop(held);
                (caller, command)
            };
            let work = async {
                let reply = this.execute.execute(&caller, idempotency, command, source).await?;
                encode::execute_response(&reply).ok_or_else(|| Refusal::from(ErrorCode::Internal))
            };
            let done = tokio::time::timeout(limit, work).await;
            done.unwrap_or_else(|_| Err(ErrorCode::DeadlineExceeded.into()))
                .map_err(|refusal| refused(refusal, true))
        }
        .boxed()
    }

    fn create_ticket(
        &self,
        call: Call,
        _: v1::CreateTicketRequest,
    ) -> BoxFuture<'static, Result<v1::CreateTicketResponse, v1::Error>> {
        let this = self.clone();
        async move {
            let issued = async {
                // What is a ticket is not exchanged: it buys no other.
                let token = shown(&call).and_then(|token| this.refuse_services(token).map(|()| token));
                let token = token.inspect_err(|refusal| this.tell_refused(&call, refusal))?;
                this.authenticate.ticket(token, source(&call)).await
            };
            let issued = issued.await;
            let request_id = RequestId::of_text(&call.request_id);
            issued
                .map(|(ticket, expires)| v1::CreateTicketResponse { ticket, expires_ms: expires.millis() })
                .map_err(|refusal| encode::error(&refusal, request_id.as_str()))
        }
        .boxed()
    }

    fn watch_overview(
        &self,
        call: Call,
        _: v1::WatchOverviewRequest,
    ) -> BoxStream<'static, Result<v1::WatchOverviewResponse, v1::Error>> {
        let this = self.clone();
        let watch = async move {
            let request_id = RequestId::of_text(&call.request_id);
            let told = move |refusal: Refusal| encode::error(&refusal, request_id.as_str());
            match this.operator(&call).await {
                Ok(operator) => {
                    let (source, who) = (source(&call), Who::from(&operator.whose));
                    let audit = &this.services.audit;
                    audit.tell_of("watch_overview", &source, Some(who), About::default(), Ok(()));
                    overview::watch(Arc::clone(&this.observe), operator.still_good)
                        .map(move |figures| figures.map_err(&told))
                        .boxed()
                }
                Err(refusal) => futures::stream::once(futures::future::ready(Err(told(refusal)))).boxed(),
            }
        };
        watch.flatten_stream().boxed()
    }

    fn turned_away(&self, peer: &port::Peer, why: TurnedAway) {
        self.services.metrics.turned_away(why.name());
        let (audit, now) = (&self.services.audit, Moment::now());
        let source = Source::call("", self::peer(peer));
        let tell = |code| audit.tell(event::TURNED_AWAY, &source, None, About::default(), Err(code));
        match why {
            TurnedAway::Origin => tell(ErrorCode::AccessDenied),
            TurnedAway::Handshake => tell(ErrorCode::ProtocolError),
            // Whoever has too many goes on asking.
            TurnedAway::TooMany => {
                let minute = Duration::from_mins(1);
                let address = peer.address.map(network);
                let is_due = self.services.upkeep.turned_away.admit_every(minute, address, now).is_some();
                let refused = ErrorCode::TooManyConnections;
                audit.tell_seldom(event::TURNED_AWAY, &source, None, refused, is_due);
            }
        }
    }

    fn is_ready(&self) -> bool {
        !self.services.is_draining() && self.services.is_in_service()
    }
}

/// Where the front says that a call comes from: what is in this process is believed.
fn peer(peer: &port::Peer) -> Peer {
    Peer::new(peer.address, peer.agent.as_deref(), peer.origin.as_deref())
}

/// The trace that a call is a part of.
fn trace(peer: &port::Peer) -> Option<TraceContext> {
    TraceContext::parse(peer.trace_parent.as_deref()?)
}

/// From where it comes, as the audit log says it.
fn source(call: &Call) -> Source {
    let ticket = call.token.as_deref().and_then(Tickets::mark);
    Source::call(RequestId::of_text(&call.request_id).as_str(), peer(&call.peer)).with_ticket(ticket)
}

/// What a call bears.
fn shown(call: &Call) -> Result<&str, Refusal> {
    call.token.as_deref().ok_or_else(|| ErrorCode::AuthRequired.into())
}
