//! A WebSocket.

use std::collections::VecDeque;
use std::net::SocketAddr;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionRequest, SessionResponse};
use futures::{SinkExt, StreamExt};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::hub::TestHub;
use crate::people::{PATIENCE, Person};

/// What frames carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Protobuf.
    Proto,
    /// JSON.
    Json,
}

/// How a socket ended: its close code and reason; `None` where the connection broke.
pub type Closed = Option<(u16, String)>;

/// One WebSocket.
pub struct WebSocket<S = TcpStream> {
    stream: WebSocketStream<S>,
    speaks: Speaks,
    last_id: u32,
    /// What came while the test waited for an answer.
    passed: VecDeque<SessionResponse>,
    /// How it ended, once it has.
    pub closed: Closed,
}

impl WebSocket {
    /// Opens a socket with these headers besides its sub-protocol; an error is the status.
    pub async fn try_open(
        address: SocketAddr,
        speaks: Speaks,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let socket = TcpStream::connect(address).await.expect("the bridge listens");
        Self::try_over(socket, speaks, headers).await
    }

    /// Opens a socket.
    pub async fn open(address: SocketAddr, speaks: Speaks) -> Self {
        Self::try_open(address, speaks, &[]).await.expect("the handshake is good")
    }

    /// A session of whoever bears the token.
    pub async fn enters(address: SocketAddr, speaks: Speaks, token: String) -> Self {
        let mut socket = Self::open(address, speaks).await;
        socket.greets(v1::Hello { token, protocol: 1, ..v1::Hello::default() }).await;
        socket
    }

    /// Bytes of the connection as they are, past the protocol.
    pub fn raw(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Opens a socket over a connection that there is; an error is the status.
    pub async fn try_over(socket: S, speaks: Speaks, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = "ws://localhost/v1/session".into_client_request().expect("a request");
        let protocol = match speaks {
            Speaks::Proto => "carillon.v1.proto",
            Speaks::Json => "carillon.v1.json",
        };
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().expect("a header"));
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        match timeout(PATIENCE, client_async(request, socket)).await.expect("an answer") {
            Ok((stream, _)) => Ok(Self { stream, speaks, last_id: 0, passed: VecDeque::new(), closed: None }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    /// Says hello, and gives what the hub says.
    pub async fn greets(&mut self, hello: v1::Hello) -> v1::Connected {
        let id = self.ask(Command::Hello(hello)).await;
        match self.answer(id).await {
            Kind::Connected(connected) => connected,
            other => panic!("not connected: {other:?}"),
        }
    }

    /// Sends a command under the next id, which it gives.
    pub async fn ask(&mut self, command: Command) -> u32 {
        self.last_id += 1;
        let request =
            SessionRequest { command_id: self.last_id, command: Some(command), ..SessionRequest::default() };
        let message = match self.speaks {
            Speaks::Proto => Message::binary(request.encode_to_vec()),
            Speaks::Json => Message::text(serde_json::to_string(&request).expect("JSON")),
        };
        self.send(message).await;
        self.last_id
    }

    /// Sends a frame as it is.
    pub async fn send(&mut self, message: Message) {
        // A socket that is closed by the other side at the same time is seen by the next read.
        let _ = timeout(PATIENCE, self.stream.send(message)).await.expect("it can be written");
    }

    /// The next frame; `None` at the end, which [`WebSocket::closed`] tells of.
    pub async fn next(&mut self) -> Option<SessionResponse> {
        match self.passed.pop_front() {
            Some(passed) => Some(passed),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Option<SessionResponse> {
        loop {
            let read = timeout(PATIENCE, self.stream.next()).await.expect("something happens");
            match (read, self.speaks) {
                (Some(Ok(Message::Binary(bytes))), Speaks::Proto) => {
                    return Some(SessionResponse::decode(bytes).expect("a response"));
                }
                (Some(Ok(Message::Text(text))), Speaks::Json) => {
                    return Some(serde_json::from_str(&text).expect("a response"));
                }
                (Some(Ok(Message::Close(frame))), _) => {
                    self.closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                }
                (Some(Ok(Message::Ping(_) | Message::Pong(_))), _) => {}
                (Some(Ok(other)), _) => panic!("not in this sub-protocol: {other:?}"),
                (Some(Err(_)) | None, _) => return None,
            }
        }
    }

    /// The answer to a command; what else comes is kept.
    pub async fn answer(&mut self, id: u32) -> Kind {
        while let Some(response) = self.read().await {
            if response.command_id == id {
                return response.kind.expect("a kind");
            }
            self.passed.push_back(response);
        }
        panic!("the socket ended: {:?}", self.closed)
    }

    /// Sends a command and gives its answer.
    pub async fn does(&mut self, command: Command) -> Kind {
        let id = self.ask(command).await;
        self.answer(id).await
    }

    /// The next frame that `pick` picks.
    pub async fn until<T>(&mut self, mut pick: impl FnMut(SessionResponse) -> Option<T>) -> T {
        while let Some(response) = self.next().await {
            if let Some(picked) = pick(response) {
                return picked;
            }
        }
        panic!("the socket ended: {:?}", self.closed)
    }

    /// The text of the next message.
    pub async fn hears(&mut self) -> String {
        self.until(|response| match response.kind {
            Some(Kind::Message(message)) => Some(crate::words(&message).to_owned()),
            _ => None,
        })
        .await
    }

    /// Joins a room.
    pub async fn joins(&mut self, room: &str) -> v1::Joined {
        let join = v1::Join { room: room.to_owned(), ..v1::Join::default() };
        match self.does(Command::Join(join)).await {
            Kind::Joined(joined) => joined,
            other => panic!("not joined: {other:?}"),
        }
    }

    /// Sends a message, and gives its seq.
    pub async fn says(&mut self, room: &str, text: &str) -> u64 {
        match self.does(message(room, text)).await {
            Kind::MessageSent(sent) => sent.position.expect("a position").seq,
            other => panic!("not sent: {other:?}"),
        }
    }

    /// Reads to the end, and gives how it ended and the codes of errors and ends on the way.
    pub async fn ends(&mut self) -> (Closed, Vec<String>) {
        let mut codes = Vec::new();
        while let Some(response) = self.next().await {
            match response.kind {
                Some(Kind::Error(error)) => codes.push(error.code),
                Some(Kind::Disconnected(end)) => codes.push(end.code),
                _ => {}
            }
        }
        (self.closed.clone(), codes)
    }
}

/// Alice writes to `room:busy`, which two others follow, until the one of them who does not read is ended; the one who reads
/// hears all of it.
pub async fn hears_all_until_another_is_ended<S>(hub: &TestHub, mut reader: WebSocket<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let reading = tokio::spawn(async move {
        let mut heard = 0;
        while reader.hears().await != "the end" {
            heard += 1;
        }
        heard
    });
    let sender = hub.enters("alice").await;
    let text = "x".repeat(9_000);
    // Until the system's own buffers are full, nobody can see that it does not read.
    let mut sent = 0;
    while hub.hub.services().sessions.len() == 3 {
        sender.says("room:busy", &text).await;
        sent += 1;
        assert!(sent < 20_000, "it is never ended");
    }
    sender.says("room:busy", "the end").await;
    assert_eq!(reading.await.expect("the reader goes on"), sent);
}

/// A connection that takes little at a time.
pub async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a socket option");
    socket.connect(address).await.expect("the bridge listens")
}

/// Somebody says more in a room, one message at a time, than the system keeps for a connection, while `late` reads nothing and pings now
/// and then. It then hears all of it, once and in order. Gives how many messages those were.
pub async fn reads_late_and_hears_all<S>(sender: &Person, late: &mut WebSocket<S>, room: &str) -> usize
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const MANY: usize = 600;
    let text = |number: usize| format!("{number} {}", "x".repeat(9_000));
    for number in 0..MANY {
        sender.says(room, &text(number)).await;
        if number % 100 == 50 {
            // What answers it must not come in the middle of a message.
            late.send(Message::Ping("are you there?".into())).await;
        }
    }
    for number in 0..MANY {
        assert!(late.hears().await == text(number), "{number} of {room}");
    }
    // And goes on as before.
    sender.says(room, "the end").await;
    assert_eq!(late.hears().await, "the end");
    MANY
}

/// A message to be sent.
pub fn message(room: &str, text: &str) -> Command {
    let content =
        v1::Content { body: Some(v1::content::Body::Text(text.to_owned())), ..v1::Content::default() };
    Command::MessageSend(v1::MessageSend {
        room: room.to_owned(),
        content: Some(content),
        ..v1::MessageSend::default()
    })
}
