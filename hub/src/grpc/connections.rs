//! Accepts connections and carries HTTP/2 on each, under the hub's limits.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::Stream;
use carillon_net::addresses::Attempt;
use carillon_net::tls::Acceptor;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::door::{Door, Visitor};
use super::io::{Socket, prepare};
use super::server::Http2;
use super::streams::Streams;
use crate::domain::limits::{HANDSHAKE_TIMEOUT, TURNED_AWAY_FOR};
use crate::domain::seldom::Seldom;
use crate::domain::time::Moment;
use crate::session::Closer;
use crate::session::owners::Present;

mod told;

pub(super) use told::Place;
use told::Told;

/// After the system could not give a connection, being short of something such as descriptors: trying at once would spin.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How often the log says so at most.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// The terms of a listener's connections.
#[derive(Clone)]
pub(super) struct Terms {
    /// HTTP/2's limits.
    pub(super) http2: Http2,
    /// A connection must be used by somebody whom the hub knows within this, its handshake included.
    pub(super) first_call: Duration,
    /// What is asked of it.
    pub(super) door: Door,
}

/// Serves `router` on each connection of `listener` until `stop` ends and every connection is closed.
pub(super) async fn serve<R>(listener: TcpListener, terms: Terms, router: R, stop: impl Future<Output = ()>)
where
    R: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    R::Future: Send + 'static,
{
    let (http2, connections, stopping) = (server(terms.http2), TaskTracker::new(), CancellationToken::new());
    let told = Told::default();
    let refused = Seldom::default();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = stop.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                prepare(&socket);
                if let Some(arrival) = arrive(socket, peer.ip(), &terms, &told) {
                    let (door, router) = (terms.door.clone(), router.clone());
                    connections.spawn(carry(http2.clone(), arrival, door, router, stopping.clone()));
                }
            }
            Err(error) => {
                if let Some(left_out) = refused.admit_every(SAY_AGAIN, Moment::now()) {
                    tracing::warn!(%error, left_out, "cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    // New clients are refused by the system from now on, rather than left to wait.
    drop(listener);
    stopping.cancel();
    connections.close();
    connections.wait().await;
}

/// A connection that was accepted.
struct Arrival {
    socket: TcpStream,
    address: IpAddr,
    /// Its place among those of its address, or how long it has to wait for one, which it is told.
    attempt: Result<Attempt, Duration>,
    /// Counts it among all.
    present: Present,
    deadline: Instant,
    /// Where it is one too many, its place among those that are told so.
    told: Option<Place>,
}

/// Counts a connection at its address and among all. Where there are too many, it may still be told so, briefly; past so many of those,
/// of its address or of all, it is closed: whoever asks that often knows.
fn arrive(socket: TcpStream, address: IpAddr, terms: &Terms, told: &Told) -> Option<Arrival> {
    let attempt = terms.door.arrival(address);
    let present = terms.door.owners.arrive(address);
    let is_one_too_many = attempt.is_err() || present.owned().is_too_many();
    let limit = if is_one_too_many { TURNED_AWAY_FOR } else { terms.first_call };
    let deadline = Instant::now() + limit;
    let told = if is_one_too_many {
        // Its place is taken for the whole time, even if it leaves at once, unless somebody known uses it: that bounds how
        // many there are in a time, and so what their handshakes cost.
        let Some(place) = told.take(address) else {
            // It had no time to say who it is.
            attempt.into_iter().for_each(Attempt::succeeded);
            return None;
        };
        let held = place.clone();
        tokio::spawn(async move {
            sleep_until(deadline).await;
            held.give_back();
        });
        Some(place)
    } else {
        None
    };
    Some(Arrival { socket, address, attempt, present, deadline, told })
}

/// HTTP/2 under the hub's limits.
fn server(limits: Http2) -> http2::Builder<Streams> {
    let mut http2 = http2::Builder::new(Streams);
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    http2
}

/// One connection's life.
async fn carry<R>(
    http2: http2::Builder<Streams>,
    arrival: Arrival,
    door: Door,
    router: R,
    stopping: CancellationToken,
) where
    R: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    R::Future: Send + 'static,
{
    let Arrival { socket, address, attempt, present, deadline, told } = arrival;
    let closer = present.closer();
    let entered = match &door.tls {
        // In a box of its own, which goes before the connection's life begins.
        Some(tls) => {
            let handshake = shake_hands(socket, tls, deadline, &closer);
            Box::pin(stopping.run_until_cancelled(handshake)).await.flatten()
        }
        None => Some(Stream::Plain(socket)),
    };
    let Some(stream) = entered else {
        if present.owned().is_given_up() {
            attempt.into_iter().for_each(Attempt::succeeded);
        }
        return;
    };
    let names = stream.certified_names();
    let visitor = Arc::new(
        Visitor::new(door, address, attempt, names).told(told).closed_by(closer.clone()).on(present.owned()),
    );
    let socket = Socket::new(stream, deadline, closer);
    let (closer, caller) = (socket.closer(), Arc::clone(&visitor));
    let calls = router.map_request(move |request: Request<Incoming>| {
        caller.asks();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(closer.clone());
        request.extensions_mut().insert(Arc::clone(&caller));
        request
    });
    let mut serving = pin!(http2.serve_connection(TokioIo::new(socket), TowerToHyperService::new(calls)));
    let served = match stopping.run_until_cancelled(serving.as_mut()).await {
        Some(served) => served,
        None => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    visitor.leaves();
    drop(present);
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// `None` where the handshake fails or takes too long, or the connection gives way to another meanwhile.
async fn shake_hands(
    socket: TcpStream,
    tls: &Acceptor,
    deadline: Instant,
    closer: &Closer,
) -> Option<Stream> {
    let deadline = deadline.min(Instant::now() + HANDSHAKE_TIMEOUT);
    let accepted = tokio::select! {
        accepted = timeout_at(deadline, tls.accept(socket)) => accepted,
        () = closer.closed() => return None,
    };
    match accepted {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            None
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
