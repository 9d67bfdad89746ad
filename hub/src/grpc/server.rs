//! Puts the services together behind one listener.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use carillon_proto::FILE_DESCRIPTOR_SET;
use carillon_proto::v1::admin_service_server::{self, AdminServiceServer};
use carillon_proto::v1::hub_service_server::{self, HubServiceServer};
use http::{Request, Response};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::Service;

use super::admin::AdminApi;
use super::connections;
use super::door::Door;
use super::edge::{Edge, InTime, ReadsFirst, Terms};
use super::execute::{self, HubApi};
use super::health::Health;
use super::router::{Asks, Router};
use crate::domain::limits;

/// The path of the one call that may take longer than others.
const ERASE_PATH: &str = "/carillon.v1.AdminService/EraseUser";
/// The call that carries out a command.
const EXECUTE_PATH: &str = "/carillon.v1.HubService/Execute";
/// The call that makes a ticket.
const TICKET_PATH: &str = "/carillon.v1.HubService/CreateTicket";
/// The call that watches a node.
const WATCH_PATH: &str = "/carillon.v1.AdminService/WatchOverview";

/// The call that watches health.
const WATCH_HEALTH_PATH: &str = "/grpc.health.v1.Health/Watch";

/// Why a front stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener cannot be used.
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] std::io::Error),
    /// The descriptors that reflection serves are damaged.
    #[error("the descriptors cannot be read: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// The limits of HTTP/2 connections, from configuration; see [`crate::config::GrpcSection`].
#[derive(Clone, Copy, Debug)]
pub struct Http2 {
    /// Streams of one connection that may be open at once.
    pub streams: u32,
    /// Bytes that a client may send on one stream before they are read.
    pub stream_window: u32,
    /// Bytes that a client may send on one connection before they are read.
    pub connection_window: u32,
    /// Bytes of one request's headers.
    pub header_bytes: u32,
    /// A silent connection is asked for a sign of life this often.
    pub keepalive_interval: Duration,
    /// A connection that does not answer for this long is closed.
    pub keepalive_timeout: Duration,
}

/// The limits of calls, from configuration; see [`crate::config::SessionSection`].
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// Largest message that a call may bear, bytes.
    pub frame_bytes: usize,
    /// A call without a session is answered by then, and its answer taken by as long again, unless it watches something;
    /// but for the erasure of a user, which has [`limits::ERASURE_TIMEOUT`].
    pub timeout: Duration,
    /// A connection on which nobody has said hello, called with a good token or asked for health by then is closed.
    pub first_call: Duration,
}

/// The services of one front. A clone shares everything; each worker has one.
#[derive(Clone)]
pub struct Front<S> {
    /// What serves [`super::router::SESSION_PATH`].
    pub session: S,
    /// What serves the rest of `HubService`.
    pub hub: Arc<HubApi>,
    /// The administration service.
    pub admin: AdminApi,
    /// What health answers.
    pub health: Health,
    /// What is asked of connections.
    pub door: Door,
    /// HTTP/2's limits.
    pub http2: Http2,
    /// The limits of calls.
    pub calls: Calls,
    /// Calls that have a limit in time, until their answers are taken. Those without end are not among them.
    pub in_flight: TaskTracker,
    /// Whether to serve reflection.
    pub reflection: bool,
}

impl<S> Front<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    /// Serves on `listener` until `stop` ends and every connection is closed: no new connections from then on, and no
    /// new calls on those that there are. To be called on the worker's own runtime, which then carries its
    /// connections.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let terms = connections::Terms {
            http2: self.http2,
            first_call: self.calls.first_call,
            door: self.door.clone(),
        };
        connections::serve(listener, terms, self.router()?, stop).await;
        Ok(())
    }

    /// The services by path.
    pub fn router(self) -> Result<Router<S>, ServeError> {
        let Calls { frame_bytes, timeout, .. } = self.calls;
        let (users, services) = (Arc::clone(&self.hub), self.admin.clone());
        let (tickets_of_users, tickets_of_services) = (Arc::clone(&self.hub), self.admin.clone());
        let (commands, unread) = (Arc::clone(&self.hub), Arc::clone(&self.hub));
        let of_users =
            Terms {
                admit: Some(Arc::new(move |headers| users.admit(headers))),
                // With a ticket there is no ticket to be had: it is refused as the token that it is not.
                exchange: Arc::new(move |path, headers| {
                    if path == TICKET_PATH { None } else { tickets_of_users.exchange(headers) }
                }),
                reads_first: Some(ReadsFirst {
                    path: EXECUTE_PATH,
                    look: Arc::new(move |headers| commands.look(headers)),
                    check: execute::check,
                    unread: Arc::new(move |whose, source, refusal| unread.unread(whose, source, refusal)),
                    limit: frame_bytes,
                }),
                frame_bytes,
                limit: Arc::new(move |_| InTime::whole(timeout)),
                in_flight: self.in_flight.clone(),
            };
        let of_services = Terms {
            admit: Some(Arc::new(move |headers| services.admit(headers))),
            exchange: Arc::new(move |_, headers| tickets_of_services.exchange(headers)),
            reads_first: None,
            frame_bytes,
            limit: Arc::new(move |path| match path {
                ERASE_PATH => InTime::whole(timeout.max(limits::ERASURE_TIMEOUT)),
                WATCH_PATH => InTime::endless(timeout),
                _ => InTime::whole(timeout),
            }),
            in_flight: self.in_flight,
        };
        let of_anyone = Terms::open(move |path| match path {
            WATCH_HEALTH_PATH => InTime::endless(timeout),
            _ => InTime::whole(timeout),
        });
        let hub = HubServiceServer::from_arc(self.hub).max_decoding_message_size(frame_bytes);
        let admin = AdminServiceServer::new(self.admin).max_decoding_message_size(frame_bytes);
        let mut router = Router::builder(self.session)
            .mount(Asks::Token, Edge::new(hub, of_users))
            .mount(Asks::Token, Edge::new(admin, of_services))
            .mount(Asks::Nothing, Edge::new(self.health.service(), of_anyone));
        if self.reflection {
            // The older version is for tools that do not know version 1 yet.
            let of_tools = Terms::open(move |_| InTime::beside(timeout));
            let newer = reflection().build_v1()?.max_decoding_message_size(limits::OPEN_REQUEST_BYTES);
            let older = reflection().build_v1alpha()?.max_decoding_message_size(limits::OPEN_REQUEST_BYTES);
            router = router.mount(Asks::Nothing, Edge::new(newer, of_tools.clone()));
            router = router.mount(Asks::Nothing, Edge::new(older, of_tools));
        }
        Ok(router.build())
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // Those that the hub serves: the authoriser's is another's.
        .with_service_name(hub_service_server::SERVICE_NAME)
        .with_service_name(admin_service_server::SERVICE_NAME)
        .with_service_name(tonic_health::pb::health_server::SERVICE_NAME)
}

#[cfg(test)]
mod tests;
