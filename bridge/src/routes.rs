//! What a request is for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use carillon_net::addresses::Addresses;
use carillon_net::forwarded::client_address;
use carillon_proto::port::{Call, HubPort, Peer, TurnedAway};
use carillon_proto::v1;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::caller::call;
use crate::heard::Hearings;
use crate::options::Options;
use crate::place::{Place, Trial};
use crate::respond::{self, Body, refusal};
use crate::{commands, events, page, socket, upgrade};

/// What all connections of one worker share.
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) addresses: Addresses,
    /// Whoever is heard though their address has too many.
    pub(crate) hearings: Hearings,
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

/// A request until its answer is written. Then its connection carries nothing.
struct Answering {
    place: Arc<Place>,
    /// What a stop waits for.
    _call: Option<TaskTrackerToken>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.place.rests();
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
    // Of what no page asks nothing is said to be there: whoever watches a bridge asks for its health in any way.
    if request.method() == Method::OPTIONS && TOKEN_PATHS.contains(&request.uri().path()) {
        return respond::preflight(request.headers());
    }
    let headers = request.headers().clone();
    let place = Arc::clone(&connection.place);
    let call = (request.method() == Method::POST).then(|| shared.calls.token());
    let mut response = route(&shared, connection, request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    respond::allow_origin(&mut response, &headers);
    let until_answered = Answering { place, _call: call };
    response.map(|body| respond::held(body, until_answered))
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
    let asker = Asker { peer: call.peer.clone(), request_id: call.request_id.clone() };
    let path = request.uri().path();
    if let Some(wait) = connection.place.turns_away().filter(|_| !TOKEN_PATHS.contains(&path)) {
        return respond::error(&asker.is_too_many(shared, wait));
    }
    let trial = || connection.place.try_request(&shared.addresses, &shared.hearings, address);
    match (request.method().as_str(), path) {
        ("GET", "/v1/session") => open_socket(shared, &connection, address, call, request),
        ("GET", "/v1/events" | "/v1/overview") => match trial() {
            Ok(trial) => open_events(shared, trial, call, &asker, request).await,
            Err(wait) => events::refuse(asker.is_too_many(shared, wait), events::is_event_source(&request)),
        },
        ("POST", "/v1/commands") => match trial() {
            Ok(trial) => {
                let (limit, within) = (options.frame_bytes, options.handshake_timeout);
                let (trial, known) = trial.until_known();
                let (response, is_known) = commands::execute(hub, call, request, limit, within, known).await;
                let judged = trial.end(is_known, response.status());
                asker.is_told(shared, judged, response)
            }
            Err(wait) => respond::error(&asker.is_too_many(shared, wait)),
        },
        ("POST", "/v1/tickets") => match trial() {
            Ok(trial) => {
                let response = commands::create_ticket(hub, call).await;
                let judged = trial.judge(response.status());
                asker.is_told(shared, judged, response)
            }
            Err(wait) => respond::error(&asker.is_too_many(shared, wait)),
        },
        (_, path) if TOKEN_PATHS.contains(&path) => respond::plain(StatusCode::METHOD_NOT_ALLOWED),
        ("GET" | "HEAD", "/health/live") => respond::plain(StatusCode::OK),
        ("GET" | "HEAD", "/health/ready") if hub.is_ready() => respond::plain(StatusCode::OK),
        ("GET" | "HEAD", "/health/ready") => respond::plain(StatusCode::SERVICE_UNAVAILABLE),
        (_, "/health/live" | "/health/ready") => respond::plain(StatusCode::METHOD_NOT_ALLOWED),
        ("GET" | "HEAD", _) => page::serve(&request, options),
        _ => respond::plain(StatusCode::NOT_FOUND),
    }
}

/// Where whoever asks has to show whose it is.
const TOKEN_PATHS: [&str; 5] = ["/v1/session", "/v1/events", "/v1/overview", "/v1/commands", "/v1/tickets"];

/// Who asks, as far as that is needed to turn them away.
struct Asker {
    peer: Peer,
    request_id: String,
}

impl Asker {
    /// What they are told whose address has too many, which is counted.
    fn is_too_many(&self, shared: &Shared, wait: Duration) -> v1::Error {
        shared.hub.turned_away(&self.peer, TurnedAway::TooMany);
        too_many(wait, &self.request_id)
    }

    /// The answer, unless they were only heard, and are nobody known.
    fn is_told(
        &self,
        shared: &Shared,
        judged: Result<(), Duration>,
        response: Response<Body>,
    ) -> Response<Body> {
        judged.map_or_else(|wait| respond::error(&self.is_too_many(shared, wait)), |()| response)
    }
}

/// `TOO_MANY_CONNECTIONS`, for so long.
pub(crate) fn too_many(wait: Duration, request_id: &str) -> v1::Error {
    v1::Error {
        retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        ..refusal("TOO_MANY_CONNECTIONS", request_id)
    }
}

/// Opens an event stream, or that of the overview.
async fn open_events(
    shared: &Shared,
    trial: Trial,
    call: Call,
    asker: &Asker,
    request: Request<Incoming>,
) -> Response<Body> {
    let opened = if request.uri().path() == "/v1/overview" {
        events::overview(&*shared.hub, call, trial).await
    } else {
        events::open(&*shared.hub, call, trial, events::wanted(&request), &shared.options).await
    };
    opened.unwrap_or_else(|refused| {
        let error = match refused {
            events::Refused::Told(error) => error,
            events::Refused::TooMany(wait) => asker.is_too_many(shared, wait),
        };
        events::refuse(error, events::is_event_source(&request))
    })
}

/// Completes the handshake; the socket then lives in a task of its own.
fn open_socket(
    shared: &Arc<Shared>,
    connection: &Connection,
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
    let trial = match connection.place.try_request(&shared.addresses, &shared.hearings, address) {
        Ok(trial) => trial,
        Err(wait) => {
            shared.hub.turned_away(&call.peer, TurnedAway::TooMany);
            return respond::error(&too_many(wait, &call.request_id));
        }
    };
    let (upgraded, connection) = (hyper::upgrade::on(&mut request), connection.clone());
    let (hub, options) = (Arc::clone(&shared.hub), Arc::clone(&shared.options));
    let place = Arc::clone(&connection.place);
    tokio::spawn(async move {
        let upgraded = match upgraded.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "an upgrade was broken off"),
        };
        let standing = trial.into_standing();
        let opened = socket::open(upgraded, agreed.form, &options, &hub, call, (standing, &place)).await;
        // For the rest of its life in a task that holds nothing else.
        if let Some(opened) = opened {
            tokio::spawn(async move {
                tokio::select! {
                    () = opened.run() => {}
                    () = place.gives_way() => {}
                }
                drop(connection);
            });
        }
    });
    agreed.response
}
