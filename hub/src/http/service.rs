//! The server: accepting, bounding and ending connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::answer::answer;
use super::facts::Facts;

/// How the server runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where it listens; port 0 for a free one.
    pub listen: SocketAddr,
    /// Connections at once; past that, new ones wait in the system's queue.
    pub connections: usize,
    /// A connection lives no longer than this.
    pub timeout: Duration,
}

impl Options {
    /// 64 connections of 10 s at most.
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, connections: 64, timeout: Duration::from_secs(10) }
    }
}

/// Why the server could not begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for HTTP on {address}: {cause}")]
pub struct Error {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub cause: std::io::Error,
}

/// What others see of a server.
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    address: SocketAddr,
}

impl Handle {
    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The server, bound and ready to run.
pub struct Service {
    options: Options,
    listener: TcpListener,
    facts: Arc<dyn Facts>,
}

impl Service {
    /// Binds the port: from here on connections wait for [`Service::run`].
    pub async fn bind(options: Options, facts: Arc<dyn Facts>) -> Result<(Self, Handle), Error> {
        let fail = |cause| Error { address: options.listen, cause };
        let listener = TcpListener::bind(options.listen).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok((Self { options, listener, facts }, Handle { address }))
    }

    /// Serves until cancelled, then ends when the last open connection has been answered or its time is over. While the
    /// hub drains, this must still run: it is how the orchestrator learns of it.
    pub async fn run(self, cancel: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.options.connections));
        let connections = TaskTracker::new();
        while let Some((stream, permit)) = self.next(&permits, &cancel).await {
            let served = serve(stream, Arc::clone(&self.facts), self.options.timeout, cancel.clone());
            connections.spawn(async move {
                served.await;
                drop(permit);
            });
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }

    /// The next connection, once there is room for it; `None` when cancelled.
    async fn next(
        &self,
        permits: &Arc<Semaphore>,
        cancel: &CancellationToken,
    ) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let accept = async {
            let permit = Arc::clone(permits).acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((stream, _)) => return Some((stream, permit)),
                    Err(error) => {
                        warn!(%error, "cannot accept an http connection");
                        // The system is short of something, such as descriptors: trying at once would spin.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        cancel.run_until_cancelled(accept).await.flatten()
    }
}

/// Answers one request and closes. Cancelled, it closes at once where nothing was asked yet.
async fn serve(stream: TcpStream, facts: Arc<dyn Facts>, timeout: Duration, cancel: CancellationToken) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let response = answer(&*facts, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(8 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let served = tokio::time::timeout(timeout, async {
        let mut connection = pin!(connection);
        if let Some(end) = cancel.run_until_cancelled(connection.as_mut()).await {
            return end;
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    match served.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "an http connection broke"),
        Err(_) => debug!("an http connection took too long"),
    }
}
