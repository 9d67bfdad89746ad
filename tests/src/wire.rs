//! A session without a library: exact frames out, exact frames in, on a connection of its own. It reads only when it is
//! asked to, so that a test decides how slow a reader is.

#![expect(clippy::panic, reason = "what the harness finds wrong fails the test")]

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionRequest, SessionResponse};
use h2::client::{Builder, ResponseFuture};
use h2::{RecvStream, SendStream};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tonic_types::StatusExt;

use crate::hub::TestHub;
use crate::people::PATIENCE;

/// What stands before each message in a gRPC stream.
const PREFIX: usize = 5;

/// How a stream is opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The token in the metadata.
    pub token: Option<String>,
    /// The request id in the metadata.
    pub request_id: Option<String>,
    /// More of it.
    pub metadata: Vec<(&'static str, String)>,
    /// Bytes that the hub may send before the test reads; HTTP/2's own 65,535 where unset.
    pub window: Option<u32>,
}

/// One `HubService.Session` call. Dropping it closes the connection without a word.
pub struct Wire {
    to_hub: SendStream<Bytes>,
    from_hub: RecvStream,
    unread: BytesMut,
    last_id: u32,
    /// Answers that came while the test waited for something else: a session's commands are answered in any order.
    answers: HashMap<u32, Kind>,
    connection: AbortHandle,
}

/// How a stream ended: its gRPC status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The status code.
    pub grpc: tonic::Code,
    /// `google.rpc.ErrorInfo`'s reason; empty where there is none.
    pub reason: String,
    /// `google.rpc.RequestInfo`'s id; empty where there is none.
    pub request_id: String,
}

impl Wire {
    /// Opens a stream, and sends nothing on it.
    pub async fn open(address: SocketAddr, opening: Opening) -> Self {
        let socket = TcpStream::connect(address).await.expect("the hub listens");
        socket.set_nodelay(true).expect("a socket option");
        let mut builder = Builder::new();
        builder.initial_connection_window_size(1 << 30);
        if let Some(window) = opening.window {
            builder.initial_window_size(window);
        }
        let (client, connection) = builder.handshake::<_, Bytes>(socket).await.expect("HTTP/2");
        // The connection's end is the stream's end, which the test sees.
        let connection = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        let mut request = http::Request::post(format!("http://{address}/carillon.v1.HubService/Session"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(token) = opening.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(id) = opening.request_id {
            request = request.header("x-request-id", id);
        }
        for (name, value) in opening.metadata {
            request = request.header(name, value);
        }
        let mut client = client.ready().await.expect("a stream is free");
        let request = request.body(()).expect("a request");
        let (response, to_hub) = client.send_request(request, false).expect("the stream opens");
        let from_hub = answered(response).await;
        Self { to_hub, from_hub, unread: BytesMut::new(), last_id: 0, answers: HashMap::new(), connection }
    }

    /// A session of a user, who has been told `connected`.
    pub async fn enters(hub: &TestHub, user: &str) -> Self {
        Self::enters_with(hub, v1::Hello { token: hub.token(user), ..greeting() }).await
    }

    /// A session that began with this `hello`.
    pub async fn enters_with(hub: &TestHub, hello: v1::Hello) -> Self {
        let mut wire = Self::open(hub.hub.grpc_address(), Opening::default()).await;
        wire.greets(hello).await;
        wire
    }

    /// Says hello, and gives what the hub says.
    pub async fn greets(&mut self, hello: v1::Hello) -> v1::Connected {
        let id = self.ask(Command::Hello(hello));
        let answer = self.answer(id).await;
        let Kind::Connected(connected) = &answer else { panic!("not connected: {answer:?}") };
        connected.clone()
    }

    /// Sends a command under the next id, which it gives.
    pub fn ask(&mut self, command: Command) -> u32 {
        self.last_id += 1;
        self.send(&[request(self.last_id, command)]);
        self.last_id
    }

    /// Sends these frames in one piece.
    pub fn send(&mut self, requests: &[SessionRequest]) {
        let mut bytes = BytesMut::new();
        for request in requests {
            self.last_id = self.last_id.max(request.command_id);
            bytes.put_slice(&framed(&request.encode_to_vec()));
        }
        self.write(bytes.freeze());
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: Bytes) {
        self.to_hub.send_data(bytes, false).expect("the stream is open");
    }

    /// Sends no more.
    pub fn closes(&mut self) {
        self.to_hub.send_data(Bytes::new(), true).expect("the stream is open");
    }

    /// The next frame, or `None` at the end.
    pub async fn next(&mut self) -> Option<SessionResponse> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            let data = timeout(PATIENCE, self.from_hub.data()).await.expect("something happens");
            let data = data?.ok()?;
            self.from_hub.flow_control().release_capacity(data.len()).expect("it was received");
            self.unread.extend_from_slice(&data);
        }
    }

    /// The next frame that `pick` picks. Of the others, pushes are passed over.
    pub async fn until<T>(&mut self, mut pick: impl FnMut(&Kind) -> Option<T>) -> T {
        loop {
            let SessionResponse { command_id, kind } = self.next().await.expect("the stream goes on");
            let kind = kind.expect("a kind that this test knows");
            if let Some(picked) = pick(&kind) {
                return picked;
            }
            self.keep(command_id, kind);
        }
    }

    /// The answer to a command; pushes that come before it are passed over.
    pub async fn answer(&mut self, id: u32) -> Kind {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer;
            }
            let SessionResponse { command_id, kind } = self.next().await.expect("the stream goes on");
            self.keep(command_id, kind.expect("a kind that this test knows"));
        }
    }

    fn keep(&mut self, id: u32, answer: Kind) {
        if id > 0 {
            let before = self.answers.insert(id, answer);
            assert_eq!(before, None, "command {id} was answered twice");
        }
    }

    /// Sends a command, and gives its answer.
    pub async fn asks(&mut self, command: Command) -> Kind {
        let id = self.ask(command);
        self.answer(id).await
    }

    /// Joins, and gives `joined`.
    pub async fn joins(&mut self, join: v1::Join) -> v1::Joined {
        let answer = self.asks(Command::Join(join)).await;
        let Kind::Joined(joined) = &answer else { panic!("not joined: {answer:?}") };
        joined.clone()
    }

    /// Reads to the end: the frames, and how it ended.
    pub async fn ends(&mut self) -> (Vec<Kind>, End) {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.extend(frame.kind);
        }
        let trailers = timeout(PATIENCE, self.from_hub.trailers()).await.expect("trailers come");
        let trailers = trailers.expect("the stream ends in order").expect("trailers");
        let status = tonic::Status::from_header_map(&trailers).expect("a gRPC status");
        let details = status.get_error_details();
        let end = End {
            grpc: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            request_id: details.request_info().map(|info| info.request_id.clone()).unwrap_or_default(),
        };
        (frames, end)
    }

    /// Reads to the end, which must be for this reason and must have been announced. Gives the frames before.
    pub async fn ends_with(&mut self, reason: &str) -> Vec<Kind> {
        let (mut frames, end) = self.ends().await;
        assert_eq!(end.reason, reason, "{frames:?}");
        let last = frames.pop();
        let Some(Kind::Disconnected(why)) = &last else { panic!("the last frame is {last:?}") };
        assert_eq!(why.code, reason);
        frames
    }

    fn take_frame(&mut self) -> Option<SessionResponse> {
        let length = self.unread.get(1..PREFIX)?.try_into().map(u32::from_be_bytes).ok()? as usize;
        if self.unread.len() < PREFIX + length {
            return None;
        }
        assert_eq!(self.unread.get_u8(), 0, "not compressed");
        self.unread.advance(PREFIX - 1);
        Some(SessionResponse::decode(self.unread.split_to(length)).expect("a frame of the protocol"))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

async fn answered(response: ResponseFuture) -> RecvStream {
    let response = timeout(PATIENCE, response).await.expect("the hub answers").expect("HTTP/2");
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// What a token brings to a stream of its own: `connected`, or the code with which that ends.
pub async fn greeted(hub: &TestHub, token: &str) -> String {
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    match wire.asks(Command::Hello(v1::Hello { token: token.to_owned(), ..greeting() })).await {
        Kind::Connected(_) => "connected".to_owned(),
        refused => {
            assert_eq!(wire.ends().await.1.reason, code(&refused), "the stream ends for the same reason");
            code(&refused).to_owned()
        }
    }
}

/// A session of a user that says hello, and what it is told: `connected`, or a code.
pub async fn greets(hub: &TestHub, user: &str, instance: &str) -> (Wire, String) {
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let hello = v1::Hello { token: hub.token(user), instance: instance.to_owned(), ..greeting() };
    let code = match wire.asks(Command::Hello(hello)).await {
        Kind::Connected(_) => "connected".to_owned(),
        refused => code(&refused).to_owned(),
    };
    (wire, code)
}

/// A `hello` without a token.
pub fn greeting() -> v1::Hello {
    v1::Hello { protocol: 1, client: "wire/1".to_owned(), ..v1::Hello::default() }
}

/// A request without an idempotency key.
pub fn request(id: u32, command: Command) -> SessionRequest {
    SessionRequest { command_id: id, idempotency_key: Bytes::new(), command: Some(command) }
}

/// A message to a room.
pub fn say(room: &str, words: impl Into<String>) -> Command {
    let content = Some(carillon_client::text(words));
    Command::MessageSend(v1::MessageSend { room: room.to_owned(), content, ..v1::MessageSend::default() })
}

/// A join from the end on.
pub fn join(room: &str) -> v1::Join {
    v1::Join { room: room.to_owned(), ..v1::Join::default() }
}

/// A join from a position on.
pub fn join_since(room: &str, since: v1::Position) -> v1::Join {
    v1::Join { since: Some(since), ..join(room) }
}

/// The gRPC form of a message.
pub fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

/// The code of an `error`; empty for any other frame.
pub fn code(kind: &Kind) -> &str {
    if let Kind::Error(error) = kind { &error.code } else { "" }
}
