//! A socket that never blocks, and what is spoken on it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use carillon_proto::WebSocketForm;
use carillon_proto::v1::SessionRequest;
use prost::Message as _;

use super::WireError;
use super::connection::Connection;
use super::events::EventStream;
use super::records::{Form, Grpc, Records};
use super::web_socket::WebSocket;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// gRPC: calls of `HubService.Session`.
    Grpc,
    /// WebSocket: a bridge's `/v1/session`. One session to a connection.
    WebSocket(WebSocketForm),
    /// Server-sent events: a bridge's `/v1/events`. One stream to a connection, on which nothing is said but the request.
    Events,
    /// The bare peer: gRPC's length-prefixed messages without HTTP/2. One session to a connection.
    Bare,
}

/// What arrived on one of a link's sessions, counted from 0.
pub(crate) enum Incoming<'a> {
    /// A message without its prefix.
    Message(&'a [u8]),
    /// The stream ended; the code is that of `RST_STREAM` or of WebSocket's close frame, or 0.
    End(u32),
    /// The handshake was answered with this HTTP status.
    Refused(u16),
}

/// One connection.
pub(super) struct Link {
    socket: TcpStream,
    out: Vec<u8>,
    /// How much of `out` is written already.
    written: usize,
    side: Side,
}

enum Side {
    Grpc(Box<Connection>),
    WebSocket(Box<WebSocket>),
    Events(EventStream),
    Bare(Records<Grpc>),
}

impl Link {
    /// Connects, and opens `sessions` calls. What it has to say waits for [`Self::flush`].
    pub(super) fn open(address: SocketAddr, speech: Speech, sessions: u32) -> Result<Self, WireError> {
        let socket = TcpStream::connect(address).map_err(WireError::system("connect to the server"))?;
        socket.set_nodelay(true).map_err(WireError::system("set TCP_NODELAY"))?;
        socket.set_nonblocking(true).map_err(WireError::system("make a socket non-blocking"))?;
        let mut out = Vec::new();
        let side = match speech {
            Speech::Grpc => Side::Grpc(Box::new(Connection::open(&mut out, &address.to_string(), sessions))),
            Speech::WebSocket(form) => {
                Side::WebSocket(Box::new(WebSocket::open(&mut out, &address.to_string(), form)))
            }
            Speech::Events => Side::Events(EventStream::new()),
            Speech::Bare => Side::Bare(Records::new()),
        };
        Ok(Self { socket, out, written: 0, side })
    }

    /// Queues a request of a session.
    pub(super) fn send(&mut self, session: u32, request: &SessionRequest) {
        match &mut self.side {
            Side::Grpc(connection) => connection.send(&mut self.out, session, &request.encode_to_vec()),
            Side::WebSocket(socket) => socket.send(&mut self.out, request),
            // Nothing can be said to one who only tells.
            Side::Events(_) => {}
            Side::Bare(_) => put_message(&mut self.out, &request.encode_to_vec()),
        }
    }

    /// What messages are encoded in.
    pub(super) fn form(&self) -> WebSocketForm {
        match &self.side {
            Side::WebSocket(socket) => socket.form,
            Side::Events(_) => WebSocketForm::Json,
            Side::Grpc(_) | Side::Bare(_) => WebSocketForm::Binary,
        }
    }

    /// Queues bytes as they are. For the bare peer, and the request of an event stream.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Reads once into `buffer` and hands over what is complete.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(u32, Incoming<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let length = match (&self.socket).read(buffer) {
            Ok(0) => return Err(WireError::Closed),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(WireError::Closed),
            Err(error) => return Err(WireError::system("read from the server")(error)),
        };
        match &mut self.side {
            Side::Grpc(connection) => connection.feed(&buffer[..length], &mut self.out, take),
            Side::WebSocket(socket) => {
                socket.feed(&buffer[..length], &mut self.out, |incoming| take(0, incoming))
            }
            Side::Events(events) => events.feed(&buffer[..length], |incoming| take(0, incoming)),
            Side::Bare(records) => {
                records.feed(&buffer[..length], |record| take(0, Incoming::Message(&record[Grpc::HEAD..])))
            }
        }
    }

    /// Writes what is queued, as far as the socket takes it. True when nothing is left.
    pub(super) fn flush(&mut self) -> Result<bool, WireError> {
        while self.written < self.out.len() {
            match (&self.socket).write(&self.out[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Err(WireError::Closed);
                }
                Err(error) => return Err(WireError::system("write to the server")(error)),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }

    /// True while queued bytes wait for the socket.
    pub(super) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Appends a message with gRPC's prefix.
pub(super) fn put_message(out: &mut Vec<u8>, message: &[u8]) {
    out.push(0);
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
}
