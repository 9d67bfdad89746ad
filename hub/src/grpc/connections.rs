//! Accepts connections and carries HTTP/2 on each, under the hub's limits.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::io::Socket;
use super::server::Http2;
use super::streams::Streams;

/// After the system could not give a connection, being short of something such as descriptors: trying at once would spin.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves `router` on each connection of `listener` until `stop` ends and every connection is closed. A connection must
/// be used within `first_call`.
pub(super) async fn serve<R>(
    listener: TcpListener,
    limits: Http2,
    first_call: Duration,
    router: R,
    stop: impl Future<Output = ()>,
) where
    R: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    R::Future: Send + 'static,
{
    let (http2, connections, stopping) = (server(limits), TaskTracker::new(), CancellationToken::new());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = stop.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Without it a small write waits for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                let socket = Socket::new(stream, first_call);
                connections.spawn(carry(http2.clone(), socket, router.clone(), stopping.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
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
async fn carry<R>(http2: http2::Builder<Streams>, socket: Socket, router: R, stopping: CancellationToken)
where
    R: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    R::Future: Send + 'static,
{
    let closer = socket.closer();
    let calls = router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(closer.clone());
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
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}
