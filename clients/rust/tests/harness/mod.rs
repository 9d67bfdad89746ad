//! A hub that does what a test says, in the same process and without a socket, so that time can stand still.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "test support; each test uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::io;
use std::pin::Pin;

use carillon_client::{ClientOptions, v1};
use carillon_proto::v1::hub_service_server::{HubService, HubServiceServer};
use futures::{Stream, StreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::duplex;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use v1::session_request::Command;
use v1::session_response::Kind;

type Outbound = Result<v1::SessionResponse, Status>;
type Executed = (Request<v1::ExecuteRequest>, oneshot::Sender<Result<v1::ExecuteResponse, Status>>);

/// The hub's side: sessions and requests as they come.
pub struct Hub {
    channel: Channel,
    sessions: mpsc::Receiver<Peer>,
    executed: mpsc::Receiver<Executed>,
}

/// One session, seen from the hub.
pub struct Peer {
    inbound: Streaming<v1::SessionRequest>,
    outbound: mpsc::Sender<Outbound>,
}

struct Service {
    sessions: mpsc::Sender<Peer>,
    executed: mpsc::Sender<Executed>,
}

#[tonic::async_trait]
impl HubService for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Outbound> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbound, frames) = mpsc::channel(1);
        self.sessions.send(Peer { inbound: request.into_inner(), outbound }).await.unwrap();
        Ok(Response::new(ReceiverStream::new(frames).boxed()))
    }

    async fn create_ticket(
        &self,
        _: Request<v1::CreateTicketRequest>,
    ) -> Result<Response<v1::CreateTicketResponse>, Status> {
        Err(Status::unimplemented("the library makes no tickets"))
    }

    async fn execute(
        &self,
        request: Request<v1::ExecuteRequest>,
    ) -> Result<Response<v1::ExecuteResponse>, Status> {
        let (answer, answered) = oneshot::channel();
        self.executed.send((request, answer)).await.unwrap();
        answered.await.unwrap().map(Response::new)
    }
}

impl Hub {
    pub fn start() -> Self {
        let (sessions, opened) = mpsc::channel(16);
        let (executed, requests) = mpsc::channel(16);
        let service = HubServiceServer::new(Service { sessions, executed });
        let dial = tower::service_fn(move |_| {
            let (here, there) = duplex(1 << 16);
            let service = service.clone();
            let serve = hyper::service::service_fn(move |request| service.clone().call(request));
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(there), serve));
            async { Ok::<_, io::Error>(TokioIo::new(here)) }
        });
        let endpoint = Endpoint::from_static("http://hub").initial_stream_window_size(1 << 16);
        let channel = endpoint.connect_with_connector_lazy(dial);
        Self { channel, sessions: opened, executed: requests }
    }

    pub fn options(&self) -> ClientOptions {
        ClientOptions::over(self.channel.clone()).token("token")
    }

    /// The next session, before its `hello` is read.
    pub async fn session(&mut self) -> Peer {
        self.sessions.recv().await.unwrap()
    }

    /// The next session, opened; and its `hello`.
    pub async fn opens(&mut self) -> (Peer, v1::Hello) {
        let mut peer = self.session().await;
        let hello = peer.hello().await;
        peer.connected().await;
        (peer, hello)
    }

    pub async fn executed(&mut self) -> Executed {
        self.executed.recv().await.unwrap()
    }
}

impl Peer {
    pub async fn next(&mut self) -> v1::SessionRequest {
        self.inbound.message().await.unwrap().expect("the client ended the stream")
    }

    pub async fn ended(&mut self) -> bool {
        !matches!(self.inbound.message().await, Ok(Some(_)))
    }

    pub async fn hello(&mut self) -> v1::Hello {
        match self.next().await {
            v1::SessionRequest { command_id: 1, command: Some(Command::Hello(hello)), .. } => hello,
            other => panic!("not hello: {other:?}"),
        }
    }

    pub async fn connected(&mut self) {
        let heartbeat = Some(v1::Heartbeat { interval_ms: 25_000, timeout_ms: 60_000 });
        let inbox = Some(v1::InboxPosition { own: 0, broadcast: 0, epoch: 1 });
        let user = "alice".to_owned();
        self.send(1, Kind::Connected(v1::Connected { user, heartbeat, inbox, ..Default::default() })).await;
    }

    pub async fn send(&mut self, command_id: u32, kind: Kind) {
        self.outbound.send(Ok(v1::SessionResponse { command_id, kind: Some(kind) })).await.unwrap();
    }

    pub async fn push(&mut self, kind: Kind) {
        self.send(0, kind).await;
    }

    pub async fn message(&mut self, room: &str, seq: u64) {
        self.push(message(room, seq)).await;
    }

    pub async fn fail(&mut self, status: Status) {
        self.outbound.send(Err(status)).await.unwrap();
    }

    /// Answers the next command, which must be a join, with a head.
    pub async fn accepts_join(&mut self, head: u64) -> v1::Join {
        let request = self.next().await;
        let Some(Command::Join(join)) = request.command else { panic!("not a join: {request:?}") };
        self.send(request.command_id, joined(&join.room, head)).await;
        join
    }

    /// A way to push from another task.
    pub fn outbound(&self) -> mpsc::Sender<Outbound> {
        self.outbound.clone()
    }
}

pub fn at(seq: u64) -> v1::Position {
    v1::Position { epoch: 1, seq, tag: u32::from(seq > 0) * 7 }
}

pub fn joined(room: &str, head: u64) -> Kind {
    Kind::Joined(v1::Joined {
        room: room.to_owned(),
        position: Some(at(head)),
        recovered: true,
        ..Default::default()
    })
}

pub fn message(room: &str, seq: u64) -> Kind {
    let header = v1::EntryHeader { seq, tag: 7, epoch: 1, ..Default::default() };
    Kind::Message(v1::Message { room: room.to_owned(), header: Some(header), ..Default::default() })
}

pub fn disconnected(code: &str, reconnect: bool) -> Kind {
    Kind::Disconnected(v1::Disconnected { code: code.to_owned(), reconnect, ..Default::default() })
}
