//! Which service a call is for.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use carillon_proto::port;
use futures::future::{BoxFuture, Either};
use http::{HeaderValue, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::call::RequestId;
use super::door::Visitor;
use super::errors;

/// The path of the call that carries sessions.
pub const SESSION_PATH: &str = "/carillon.v1.HubService/Session";

type Answered = BoxFuture<'static, Result<Response<Body>, Infallible>>;
type Handler = Box<dyn Fn(Request<Body>) -> Answered + Send + Sync>;

/// Calls by path: `Session` to a service of our own, all else to tonic's servers by the service's name. tonic's codec
/// would encode each frame once per receiver; ours passes on bytes that all receivers share. A clone shares the
/// servers, so each connection has one.
#[derive(Clone)]
pub struct Router<S> {
    session: S,
    servers: Arc<[Mounted]>,
}

/// What a server asks of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: anyone may make them, but where their address has too many connections.
    Nothing,
    /// A token, before all else: who bears a good one is served whatever others at their address do.
    Token,
}

/// A server of tonic's.
struct Mounted {
    name: &'static str,
    handler: Handler,
    asks: Asks,
}

/// A [`Router`] in the making.
pub struct RouterBuilder<S> {
    session: S,
    servers: Vec<Mounted>,
}

impl<S> Router<S> {
    /// `session` serves [`SESSION_PATH`]: it is handed the bare HTTP request and answers as gRPC asks.
    pub fn builder(session: S) -> RouterBuilder<S> {
        RouterBuilder { session, servers: Vec::new() }
    }
}

impl<S> RouterBuilder<S> {
    /// And `server` for the calls of its name.
    #[must_use]
    pub fn mount<G>(mut self, asks: Asks, server: G) -> Self
    where
        G: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        G::Future: Send + 'static,
    {
        // tonic's servers are always ready, which is why a clone may be called at once.
        let handler = move |request| -> Answered { Box::pin(server.clone().call(request)) };
        self.servers.push(Mounted { name: G::NAME, handler: Box::new(handler), asks });
        self
    }

    /// The router.
    pub fn build(self) -> Router<S> {
        Router { session: self.session, servers: self.servers.into() }
    }
}

/// The answer, which says that the bridge's key is not this hub's.
fn told_of_key(answered: Answered) -> Answered {
    Box::pin(async {
        let mut response = answered.await?;
        response.headers_mut().insert(port::BRIDGE_KEY, HeaderValue::from_static(port::UNKNOWN));
        Ok(response)
    })
}

impl<S> Service<Request<Body>> for Router<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Answered>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.session.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        RequestId::settle(request.headers_mut());
        let shows_wrong_key = Visitor::of(request.extensions()).shows_wrong_key(request.headers());
        let path = request.uri().path();
        if path == SESSION_PATH {
            return Either::Left(self.session.call(request));
        }
        let service = path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(name, _)| name);
        let server = self.servers.iter().find(|server| Some(server.name) == service);
        if server.is_none_or(|server| server.asks == Asks::Nothing)
            && let Some(refusal) = Visitor::of(request.extensions()).turns_away(request.headers())
        {
            let refused = errors::status(&refusal, &RequestId::of(request.headers())).into_http();
            return Either::Right(Box::pin(async { Ok(refused) }));
        }
        match server {
            Some(server) if shows_wrong_key => Either::Right(told_of_key((server.handler)(request))),
            Some(server) => Either::Right((server.handler)(request)),
            None => {
                Either::Right(Box::pin(async { Ok(Status::unimplemented("no such service").into_http()) }))
            }
        }
    }
}
