//! The port through which a front, such as the bridge, reaches a hub: frames in, frames out, with the caller's metadata
//! and an end. A hub in the same process implements it without HTTP/2 and without copying; a hub elsewhere is behind a
//! gRPC channel.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::frame::Frame;
use crate::shortcut::Shortcut;
use crate::v1;
use crate::wire::WireRow;

/// The metadata that says from which address a bridge was called. A hub believes it only beside [`BRIDGE_KEY`].
pub const CLIENT_ADDRESS: &str = "x-carillon-peer-address";
/// The metadata that carries the page's origin.
pub const CLIENT_ORIGIN: &str = "x-carillon-peer-origin";
/// The metadata that carries the client's user agent.
pub const CLIENT_AGENT: &str = "x-carillon-peer-agent";
/// The metadata by which a bridge proves that it is one: the key that hub and bridge share.
pub const BRIDGE_KEY: &str = "x-carillon-bridge-key";
/// Bytes of that key at least.
pub const BRIDGE_KEY_BYTES: usize = 32;
/// The value of [`BRIDGE_KEY`] in what a hub answers to a call with a key that is not its own.
pub const UNKNOWN: &str = "unknown";

/// The metadata of a refusal that says that the call's token was good; its value is [`KNOWN`]. So does the head of an answer
/// to a call that [`ASKED`] for it.
pub const CALLER: &str = "x-carillon-caller";
/// See [`CALLER`].
pub const KNOWN: &str = "known";
/// The value of [`CALLER`] in a call of a user that wants to hear as soon as its token was judged, before its message has
/// come: the answer's head then bears it, and what the answer is follows, its status in the trailers.
pub const ASKED: &str = "asked";

/// Who calls, as the front saw it.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// A token or ticket that came with the call; `hello` may bring another.
    pub token: Option<String>,
    /// What errors, logs and the audit log name: the caller's own, or the id of its trace, or one that the front made; 1 to 64
    /// bytes of the room alphabet. A hub elsewhere gets it as `x-request-id`.
    pub request_id: String,
    /// Where the call came from.
    pub peer: Peer,
}

/// Where a call came from. For audit and logs; nothing is permitted because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The client's address; where proxies are trusted, the one that they name.
    pub address: Option<IpAddr>,
    /// The client's `user-agent`, at most 256 bytes.
    pub agent: Option<String>,
    /// The page's origin.
    pub origin: Option<String>,
    /// The W3C trace context, where it is well formed. A hub elsewhere gets it as `traceparent`.
    pub trace_parent: Option<String>,
}

/// Why a front answered somebody by itself, without asking its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// A page of an origin that may not connect.
    Origin,
    /// Its address has too many connections or attempts, or the front too many connections.
    TooMany,
    /// Its handshake is none that the front knows.
    Handshake,
}

impl TurnedAway {
    /// All.
    pub const ALL: [Self; 3] = [Self::Origin, Self::TooMany, Self::Handshake];

    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::TooMany => "too_many",
            Self::Handshake => "handshake",
        }
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refused {
    /// What the client is told.
    pub error: v1::Error,
    /// Whether the token was good, so that it is known whose the command is, whatever became of it.
    pub caller_is_known: bool,
}

/// A command that is still on its way to a front, or what its client is told where it cannot be read.
pub type Pending = BoxFuture<'static, Result<v1::ExecuteRequest, v1::Error>>;

/// Called as soon as it is known whose a command is, where that is before its answer: the token was good.
pub type Known = Box<dyn FnOnce() + Send>;

/// A hub, as fronts see it.
pub trait HubPort: Send + Sync + 'static {
    /// Opens a session. What goes wrong is the stream's end.
    fn open(&self, call: Call) -> Box<dyn FrameStream>;

    /// `HubService.Execute`. Whoever shows no good token is answered without waiting for `request`: a hub in this process
    /// does not begin to read it before; one elsewhere is asked while it comes. Either says that it is `known` whose it is, but a
    /// hub elsewhere of an older version, which says so with its answer.
    fn execute(
        &self,
        call: Call,
        request: Pending,
        known: Known,
    ) -> BoxFuture<'static, Result<v1::ExecuteResponse, Refused>>;

    /// `HubService.CreateTicket`.
    fn create_ticket(
        &self,
        call: Call,
        request: v1::CreateTicketRequest,
    ) -> BoxFuture<'static, Result<v1::CreateTicketResponse, v1::Error>>;

    /// `AdminService.WatchOverview`.
    fn watch_overview(
        &self,
        call: Call,
        request: v1::WatchOverviewRequest,
    ) -> BoxStream<'static, Result<v1::WatchOverviewResponse, v1::Error>>;

    /// The front turned somebody away by itself: it is counted, and written down where that can be done. Called as often as
    /// anybody likes; never waits.
    fn turned_away(&self, peer: &Peer, why: TurnedAway);

    /// Whether a session opened now has a chance.
    fn is_ready(&self) -> bool;
}

/// How a stream ended: the code, or `None` where the client ended it.
pub type End = Option<&'static WireRow>;

/// One session. Dropping it is a connection that broke: the hub waits for the client to come back.
pub trait FrameStream: Send {
    /// Whether another frame is taken now. While it is not, the front does not read; the task is woken when that
    /// changes.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes one encoded `SessionRequest`, after [`FrameStream::poll_ready`] said so.
    fn send(&mut self, request: Bytes);

    /// Takes a command, by its id, that the front could not read as one, after [`FrameStream::poll_ready`] said so: `answer`
    /// tells the client why. It never ends a session; where none has begun, it is the end, with INVALID_ARGUMENT.
    fn refuse(&mut self, command_id: u32, answer: Frame);

    /// The client sent something that is no frame, or one too large: the session ends with this code.
    fn fail(&mut self, code: &'static WireRow);

    /// The client will send no more.
    fn finish(&mut self);

    /// Hands what is to be written next to `take`, about 16 KiB at most and at least one frame; or the end, after which
    /// nothing comes. To be polled only when what was given before is written, so that a reader that stops is never
    /// written for.
    fn poll_frames(&mut self, cx: &mut Context<'_>, take: &mut dyn FnMut(Frame)) -> Poll<Option<End>>;

    /// Offers a way past the front's task, for when the session rests. A hub that takes none hands all to
    /// [`FrameStream::poll_frames`].
    fn offer(&mut self, shortcut: Arc<dyn Shortcut>) {
        drop(shortcut);
    }

    /// Whether the token of a session that has ended was good, so that it is known whose it was, whatever became of it.
    fn caller_is_known(&self) -> bool;

    /// Ready when the connection is to be cut, because its client does not take what ends the session.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
