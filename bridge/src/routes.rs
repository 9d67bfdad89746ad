//! What a request is for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use carillon_net::addresses::Addresses;
use carillon_net::forwarded::client_address;
use carillon_proto::port::{Call, HubPort, TurnedAway};
use carillon_proto::v1;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use crate::caller::call;
use crate::options::Options;
use crate::place::{Place, Trial};
use crate::respond::{self, Body, refusal};
use crate::{commands, events, page, socket, upgrade};

/// What all connections of one worker share.
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) addresses: Addresses,
    pub(crate) hub: Arc<dyn HubPort>,
    /// Posted calls until their answers are written: a stop waits for these.
    pub(crate) calls: TaskTracker,
}

/// The connection that a request came on.
#[derive(Clone)]
pub(crate) struct Connection {
    /// The other end.
    pub(crate) peer: IpAddr,
    /// Its place among those that nobody known uses.
    pub(crate) place: Arc<Place>,
    /// Counts it among those open, until the last clone is gone.
    pub(crate) _counted: Arc<Counted>,
}

/// A connection that counts. Dropping it is its end.
pub(crate) struct Counted(pub(crate) Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers a request. Pages of other origins get 403 before anything else is looked at.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    connection: Connection,
    request: Request<Incoming>,
) -> Response<Body> {
    let options = &shared.options;
    if !options.origins.allow(request.headers()) && !page::is_own(&request, options) {
        let address = client_address(request.headers(), connection.peer, &options.trusted_proxies);
        let peer = call(request.headers(), request.uri(), address, options).peer;
        shared.hub.turned_away(&peer, TurnedAway::Origin);
        return respond::plain(StatusCode::FORBIDDEN);
    }
    if request.method() == Method::OPTIONS {
        return respond::preflight(request.headers());
    }
    let headers = request.headers().clone();
    let call = (request.method() == Method::POST).then(|| shared.calls.token());
    let mut response = route(&shared, connection, request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        respond::allow_origin(&mut response, &headers);
    }
    match call {
        Some(call) => response.map(|body| respond::held(body, call)),
        None => response,
    }
}

async fn route(shared: &Arc<Shared>, connection: Connection, request: Request<Incoming>) -> Response<Body> {
    let options = &shared.options;
    let address = client_address(request.headers(), connection.peer, &options.trusted_proxies);
    let call = call(request.headers(), request.uri(), address, options);
    let hub = Arc::clone(&shared.hub);
    let request_id = HeaderValue::from_str(&call.request_id);
    let mut response = dispatch(shared, connection, (address, call), request, hub).await;
    if let Ok(id) = request_id
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().entry(respond::REQUEST_ID).or_insert(id);
    }
    response
}

async fn dispatch(
    shared: &Arc<Shared>,
    connection: Connection,
    (address, call): (IpAddr, Call),
    request: Request<Incoming>,
    hub: Arc<dyn HubPort>,
) -> Response<Body> {
    let options = &shared.options;
    match (request.method().as_str(), request.uri().path()) {
        ("GET", "/v1/session") => open_socket(shared, connection, address, call, request),
        ("GET", path @ ("/v1/events" | "/v1/overview")) => {
            let opened = match connection.place.try_request(&shared.addresses, address) {
                Ok(trial) if path == "/v1/overview" => events::overview(&*hub, call, trial).await,
                Ok(trial) => events::open(&*hub, call, trial, events::wanted(&request), options).await,
                Err(wait) => Err(too_many(shared, wait, &call)),
            };
            opened.unwrap_or_else(|error| events::refuse(error, events::is_event_source(&request)))
        }
        ("POST", "/v1/commands") => {
            let trial = match connection.place.try_request(&shared.addresses, address) {
                Ok(trial) => trial,
                Err(wait) => return respond::error(&too_many(shared, wait, &call)),
            };
            let (limit, within) = (options.frame_bytes, options.handshake_timeout);
            let (trial, known) = trial.until_known();
            let (response, is_known) = commands::execute(hub, call, request, limit, within, known).await;
            trial.end(is_known, response.status());
            response
        }
        ("POST", "/v1/tickets") => match connection.place.try_request(&shared.addresses, address) {
            Ok(trial) => judge(trial, commands::create_ticket(hub, call).await),
            Err(wait) => respond::error(&too_many(shared, wait, &call)),
        },
        (_, "/v1/session" | "/v1/events" | "/v1/overview" | "/v1/commands" | "/v1/tickets") => {
            respond::plain(StatusCode::METHOD_NOT_ALLOWED)
        }
        ("GET", "/health/live") => respond::plain(StatusCode::OK),
        ("GET", "/health/ready") if hub.is_ready() => respond::plain(StatusCode::OK),
        ("GET", "/health/ready") => respond::plain(StatusCode::SERVICE_UNAVAILABLE),
        ("GET", _) => page::serve(&request, options),
        _ => respond::plain(StatusCode::NOT_FOUND),
    }
}

fn judge(trial: Trial, response: Response<Body>) -> Response<Body> {
    trial.judge(response.status());
    response
}

fn too_many(shared: &Shared, wait: Duration, call: &Call) -> v1::Error {
    shared.hub.turned_away(&call.peer, TurnedAway::TooMany);
    v1::Error {
        retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        ..refusal("TOO_MANY_CONNECTIONS", &call.request_id)
    }
}

/// Completes the handshake; the socket then lives in a task of its own.
fn open_socket(
    shared: &Arc<Shared>,
    connection: Connection,
    address: IpAddr,
    call: Call,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let agreed = match upgrade::agree(&request) {
        Ok(agreed) => agreed,
        Err(response) => {
            shared.hub.turned_away(&call.peer, TurnedAway::Handshake);
            return *response;
        }
    };
    let trial = match connection.place.try_request(&shared.addresses, address) {
        Ok(trial) => trial,
        Err(wait) => return respond::error(&too_many(shared, wait, &call)),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let (hub, options) = (Arc::clone(&shared.hub), Arc::clone(&shared.options));
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => {
                let attempt = trial.into_attempt();
                socket::run(upgraded, agreed.form, &options, &*hub, call, attempt).await;
            }
            Err(error) => tracing::debug!(%error, "an upgrade was broken off"),
        }
        drop(connection);
    });
    agreed.response
}
