//! A client that costs little: what measures a hub must not be what limits it. [`WebSocket`] alone also carries what
//! stresses a bridge.
//!
//! One thread, non-blocking sockets and epoll. Of WebSocket it speaks the framing, and masks with a key of zeros, which
//! leaves the bytes as they are. Of HTTP/2 it speaks what a gRPC stream needs and no more: it never
//! decodes header blocks (the hub's compression table is set to size 0, so that nothing depends on them), returns
//! flow-control windows in large steps, and answers SETTINGS and PING. Of a `SessionResponse` it reads the fields that
//! a benchmark checks and skips the rest.
//!
//! Start reading at [`Fleet`]: sessions are opened on it, and one turn of its loop hands over what arrived.

mod connection;
pub(crate) mod events;
mod fleet;
mod http2;
mod json;
mod link;
mod poller;
mod records;
pub(crate) mod scan;
mod transport;
mod web_socket;

pub(crate) use fleet::{Event, Fleet, Session};
pub(crate) use link::{Incoming, Speech};
pub(crate) use scan::Response;
pub(crate) use transport::Transport;
pub(crate) use web_socket::{NORMAL, WebSocket};

/// Why the client cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The operating system refused.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// The other side closed the connection.
    #[error("the server closed a connection")]
    Closed,
    /// A stream ended that should have gone on.
    #[error("the server ended a stream (HTTP/2 error or WebSocket close code {code}); its log says why")]
    StreamEnded {
        /// The code of `RST_STREAM` or of a close frame; 0 where the stream ended in order, with a gRPC status.
        code: u32,
    },
    /// The bridge does not let a WebSocket or an event stream begin.
    #[error("the bridge refused: HTTP status {status}")]
    Handshake {
        /// What it answered.
        status: u16,
    },
    /// The server says that the whole connection ends.
    #[error("the server sent GOAWAY (HTTP/2 error code {code})")]
    GoAway {
        /// The code of GOAWAY.
        code: u32,
    },
    /// The session was ended with a reason.
    #[error("the hub ended a session: {code}, {message}")]
    Disconnected {
        /// The code of the protocol.
        code: String,
        /// The hub's text for developers.
        message: String,
    },
    /// A command was answered with an error.
    #[error("the hub refused a command: {code}, {message}")]
    Refused {
        /// The code of the protocol.
        code: String,
        /// The hub's text for developers.
        message: String,
    },
    /// Bytes that are neither HTTP/2 nor gRPC nor WebSocket nor `SessionResponse`.
    #[error("the server broke the protocol: {0}")]
    Malformed(&'static str),
}

impl WireError {
    /// For `map_err` on system calls.
    pub(crate) fn system<E: Into<std::io::Error>>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { action, source: source.into() }
    }
}
