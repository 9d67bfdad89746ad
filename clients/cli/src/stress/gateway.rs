//! The way of a session over a bridge: what comes in as a gRPC stream goes on as a WebSocket of its own, and back. So the
//! scenarios, and the client library in them, are the same on every transport.
//!
//! Messages pass as they are; with JSON they are written anew. A WebSocket's close code becomes the status of the code
//! that has it in the protocol's table: where the bridge closes with another one than it said before, scenarios see it.

use std::net::SocketAddr;
use std::task::{Poll, ready};

use carillon_proto::v1::{SessionRequest, SessionResponse};
use carillon_proto::wire::WIRE_TABLE;
use carillon_proto::{WebSocketForm, WireRow};
use futures::future::poll_fn;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use prost::Message as _;
use prost::bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::wire::{Incoming, NORMAL, WebSocket};

use super::fault::{Fault, Outcome};
use super::wire::{PREFIX, prefixed};

/// Bytes that are read from a socket at a time.
const READ_BYTES: usize = 64 * 1024;
/// Bytes for the bridge past which no more is taken from the client.
const AHEAD_BYTES: usize = 256 * 1024;

/// A gateway. Dropping it ends all that goes through it.
pub(super) struct Gateway {
    /// Where clients connect.
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Gateway {
    /// Opens one before this bridge.
    pub(super) async fn open(bridge: SocketAddr, form: WebSocketForm) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Fault::wire("open a gateway"))?;
        let address = listener.local_addr().map_err(Fault::wire("open a gateway"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, bridge, form));
        Ok(Self { address, _tasks: tasks })
    }
}

async fn accept(listener: TcpListener, bridge: SocketAddr, form: WebSocketForm) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                connections.spawn(serve(client, bridge, form));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection: its streams are sessions.
async fn serve(client: TcpStream, bridge: SocketAddr, form: WebSocketForm) {
    let _ = client.set_nodelay(true);
    let Ok(mut connection) = h2::server::handshake(client).await else { return };
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            call = connection.accept() => {
                let Some(Ok((request, respond))) = call else { return };
                // How it ends is for both ends to find out.
                sessions.spawn(async move { drop(Session::relay(request.into_body(), respond, bridge, form).await) });
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// Why a session cannot go on: an end lost its connection.
struct Broken;

/// One session: what is on its way in either direction.
struct Session {
    socket: WebSocket,
    /// For the bridge.
    out: Vec<u8>,
    /// From the client, not yet whole.
    partial: BytesMut,
    /// For the client, each with its prefix; together, as many small frames would look like an attack.
    messages: BytesMut,
    /// How it ended.
    end: Option<Status>,
}

impl Session {
    async fn relay(
        mut body: RecvStream,
        mut respond: SendResponse<Bytes>,
        bridge: SocketAddr,
        form: WebSocketForm,
    ) -> Result<(), Broken> {
        let mut client = respond.send_response(answer(), false).map_err(|_| Broken)?;
        let Ok(mut bridge_socket) = TcpStream::connect(bridge).await else {
            client.send_reset(Reason::INTERNAL_ERROR);
            return Err(Broken);
        };
        let _ = bridge_socket.set_nodelay(true);
        let (mut from_bridge, mut to_bridge) = bridge_socket.split();
        let mut out = Vec::new();
        let socket = WebSocket::open(&mut out, &bridge.to_string(), form);
        let mut session =
            Self { socket, out, partial: BytesMut::new(), messages: BytesMut::new(), end: None };
        let mut buffer = vec![0; READ_BYTES];
        let mut says_more = true;
        loop {
            if let Some(end) = session.end.take_if(|_| session.messages.is_empty()) {
                return client.send_trailers(trailers(&end)?).map_err(|_| Broken);
            }
            tokio::select! {
                data = body.data(), if says_more && session.out.len() < AHEAD_BYTES => match data {
                    Some(data) => {
                        let data = data.map_err(|_| Broken)?;
                        body.flow_control().release_capacity(data.len()).map_err(|_| Broken)?;
                        session.said(&data);
                    }
                    None => {
                        says_more = false;
                        session.socket.close(&mut session.out);
                    }
                },
                written = to_bridge.write(&session.out), if !session.out.is_empty() => {
                    session.out.drain(..written.map_err(|_| Broken)?);
                }
                read = from_bridge.read(&mut buffer), if session.messages.is_empty() && session.end.is_none() => {
                    let heard = match read {
                        Ok(length) if length > 0 => session.heard(&buffer[..length]),
                        _ => Err(Broken),
                    };
                    if heard.is_err() {
                        client.send_reset(Reason::CANCEL);
                        return Err(Broken);
                    }
                }
                credit = credit(&mut client, &session.messages) => session.pass(&mut client, credit?)?,
            }
        }
    }

    /// Takes what the client sent. What is no gRPC message goes on as it is: the bridge shall judge.
    fn said(&mut self, data: &[u8]) {
        self.partial.extend_from_slice(data);
        while let Some((prefix, rest)) = self.partial.split_first_chunk::<PREFIX>() {
            let [_, length @ ..] = *prefix;
            let length = u32::from_be_bytes(length) as usize;
            if rest.len() < length {
                return;
            }
            self.partial.advance(PREFIX);
            let message = self.partial.split_to(length);
            match self.socket.form {
                WebSocketForm::Binary => self.socket.send_message(&mut self.out, &message),
                WebSocketForm::Json => {
                    let request = SessionRequest::decode(message).unwrap_or_default();
                    let text = serde_json::to_vec(&request).unwrap_or_default();
                    self.socket.send_message(&mut self.out, &text);
                }
            }
        }
    }

    /// Takes what the bridge sent.
    fn heard(&mut self, data: &[u8]) -> Result<(), Broken> {
        let (form, messages, end) = (self.socket.form, &mut self.messages, &mut self.end);
        let fed = self.socket.feed(data, &mut self.out, |incoming| {
            match incoming {
                Incoming::Message(message) => messages.extend_from_slice(&prefixed(&binary(message, form))),
                Incoming::End(close) => *end = Some(status(close)),
                Incoming::Refused(http) => {
                    let row = WIRE_TABLE.iter().find(|row| row.http == http);
                    *end = Some(
                        row.map_or_else(|| Status::unknown("a refused handshake"), |row| named(row.name)),
                    );
                }
            }
            Ok(())
        });
        fed.map_err(|_| Broken)
    }

    /// Hands over as much as the client gives credit for.
    fn pass(&mut self, client: &mut SendStream<Bytes>, credit: usize) -> Result<(), Broken> {
        let part = self.messages.split_to(self.messages.len().min(credit));
        client.send_data(part.freeze(), false).map_err(|_| Broken)
    }
}

/// Waits until the client takes some of what waits for it, or wants no more.
async fn credit(client: &mut SendStream<Bytes>, messages: &BytesMut) -> Result<usize, Broken> {
    client.reserve_capacity(messages.len());
    poll_fn(|cx| {
        if client.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Broken));
        }
        if messages.is_empty() {
            return Poll::Pending;
        }
        match ready!(client.poll_capacity(cx)) {
            Some(Ok(credit)) => Poll::Ready(Ok(credit)),
            _ => Poll::Ready(Err(Broken)),
        }
    })
    .await
}

fn binary(message: &[u8], form: WebSocketForm) -> Vec<u8> {
    match form {
        WebSocketForm::Binary => message.to_vec(),
        // What cannot be read becomes an unknown frame, which is a fault to whoever gets it.
        WebSocketForm::Json => {
            serde_json::from_slice::<SessionResponse>(message).unwrap_or_default().encode_to_vec()
        }
    }
}

fn answer() -> http::Response<()> {
    let mut response = http::Response::new(());
    let value = http::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    response
}

fn trailers(status: &Status) -> Result<HeaderMap, Broken> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).map_err(|_| Broken)?;
    Ok(trailers)
}

/// The status that a close code stands for.
fn status(close: u32) -> Status {
    if close == u32::from(NORMAL) {
        return Status::ok("");
    }
    match WIRE_TABLE.iter().find(|row| u32::from(row.close) == close) {
        Some(row) => named(row.name),
        None => Status::unknown(format!("a close with {close}")),
    }
}

/// The status of a code, as a hub gives it.
fn named(name: &str) -> Status {
    let row = WireRow::of(name);
    let mut details = ErrorDetails::new();
    details.set_error_info(row.name, "carillon", []);
    Status::with_error_details(row.grpc, row.message, details)
}
