//! One session at a hub elsewhere.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::port::{self, Call, End, FrameStream};
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{Disconnected, GoingAway, SessionResponse};
use carillon_proto::{Frame, WireRow};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, PollSender};
use tonic::{Status, Streaming};

use super::codec::Verbatim;
use super::endpoint::Lease;
use super::{RemoteHub, status};

/// The path of a session's call.
const SESSION: PathAndQuery = PathAndQuery::from_static("/carillon.v1.HubService/Session");
/// Requests that wait for the connection; past that the socket is read no further.
const WAITING: usize = 4;
/// Bytes that are handed over in one piece.
const BATCH: usize = 16 * 1_024;
/// Bytes of the bridge's own answers that may wait; past that the socket is read no further.
const OWN_BYTES: usize = 16 * 1_024;
/// When a bridge stops, clients are asked to come back after this.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// What opening a stream gives.
type Opening = BoxFuture<'static, Result<Open, Status>>;

struct Open {
    requests: PollSender<Bytes>,
    frames: Streaming<Bytes>,
    /// The stream's place on its connection.
    _lease: Lease,
}

impl Open {
    /// Ends what the hub is sent, after all that was. A place that is reserved would keep it open.
    fn no_more(&mut self) {
        self.requests.abort_send();
        self.requests.close();
    }
}

enum Stage {
    Opening(Opening),
    Open(Box<Open>),
    Ended,
}

/// One session.
pub(super) struct RemoteStream {
    stage: Stage,
    /// Ends this session when the bridge stops.
    stopping: BoxFuture<'static, ()>,
    /// What the bridge itself has to say, and its bytes.
    own_words: VecDeque<Frame>,
    own_bytes: usize,
    /// How it ends once that is said.
    end: Option<End>,
    /// Whether the hub was told anything.
    begun: bool,
    /// Whether the client sends no more.
    finished: bool,
    /// Whether the hub said that it knows whose it was.
    caller_is_known: bool,
}

impl RemoteStream {
    /// Opens a stream at the first hub that lets it.
    pub(super) fn new(hub: RemoteHub, call: Call, drain: CancellationToken) -> Self {
        Self {
            stage: Stage::Opening(open(hub, call).boxed()),
            stopping: drain.cancelled_owned().boxed(),
            own_words: VecDeque::new(),
            own_bytes: 0,
            end: None,
            begun: false,
            finished: false,
            caller_is_known: false,
        }
    }

    /// Moves from opening to open, or to the end.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Stage::Opening(opening) = &mut self.stage {
            match ready!(opening.as_mut().poll(cx)) {
                Ok(mut open) => {
                    if self.finished {
                        open.no_more();
                    }
                    self.stage = Stage::Open(Box::new(open));
                }
                Err(status) => self.end_with(status::row(&status)),
            }
        }
        Poll::Ready(())
    }

    /// Ends the session from this side, in the protocol's own words.
    fn end_with(&mut self, row: &'static WireRow) {
        if self.end.is_some() {
            return;
        }
        let disconnected = Disconnected {
            code: row.name.to_owned(),
            reconnect: row.reconnect,
            message: row.message.to_owned(),
            ..Disconnected::default()
        };
        self.say(push(Kind::Disconnected(disconnected)));
        self.end = Some(Some(row));
        self.stage = Stage::Ended;
    }

    fn say(&mut self, frame: Frame) {
        self.own_bytes += frame.len();
        self.own_words.push_back(frame);
    }

    fn poll_stopping(&mut self, cx: &mut Context<'_>) {
        if self.end.is_none() && self.stopping.as_mut().poll(cx).is_ready() {
            let after = RECONNECT_AFTER.as_millis() as u32;
            self.say(push(Kind::GoingAway(GoingAway { reconnect_after_ms: after })));
            self.end_with(WireRow::of("GOING_AWAY"));
        }
    }
}

fn push(kind: Kind) -> Frame {
    Frame::encode(&SessionResponse { command_id: 0, kind: Some(kind) })
}

/// Tries the hubs in turn. Only where none was reached is the next one tried: what a hub refuses, others refuse too.
async fn open(hub: RemoteHub, call: Call) -> Result<Open, Status> {
    let mut last = Status::unavailable("no hub was reached");
    for endpoint in hub.candidates() {
        let lease = endpoint.lease();
        let (requests, waiting) = mpsc::channel(WAITING);
        let mut client = tonic::client::Grpc::new(lease.channel());
        if let Err(error) = client.ready().await {
            tracing::debug!(%error, "a hub was not reached");
            continue;
        }
        let waiting = futures::stream::unfold(waiting, async |mut waiting| {
            let next = waiting.recv().await?;
            Some((next, waiting))
        });
        let request = hub.request(&call, Box::pin(waiting));
        match client.streaming(request, SESSION, Verbatim).await {
            Ok(response) => {
                let requests = PollSender::new(requests);
                return Ok(Open { requests, frames: response.into_inner(), _lease: lease });
            }
            Err(status) if status::row(&status).name == "UNAVAILABLE" => last = status,
            Err(status) => return Err(status),
        }
    }
    Err(last)
}

impl FrameStream for RemoteStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_open(cx));
        match &mut self.stage {
            // One whose hub is gone says so when it is asked for frames.
            Stage::Open(open) if self.own_bytes < OWN_BYTES => open.requests.poll_reserve(cx).map(|_| ()),
            _ => Poll::Pending,
        }
    }

    fn send(&mut self, request: Bytes) {
        if let Stage::Open(open) = &mut self.stage {
            let _ = open.requests.send_item(request);
            self.begun = true;
        }
    }

    fn refuse(&mut self, _: u32, answer: Frame) {
        self.say(answer);
        if !self.begun {
            self.end = Some(Some(WireRow::of("INVALID_ARGUMENT")));
            self.stage = Stage::Ended;
        }
    }

    fn fail(&mut self, code: &'static WireRow) {
        self.end_with(code);
    }

    fn finish(&mut self) {
        self.finished = true;
        if let Stage::Open(open) = &mut self.stage {
            open.no_more();
        }
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, take: &mut dyn FnMut(Frame)) -> Poll<Option<End>> {
        self.poll_stopping(cx);
        if self.end.is_none() {
            ready!(self.poll_open(cx));
        }
        if !self.own_words.is_empty() {
            self.own_bytes = 0;
            self.own_words.drain(..).for_each(take);
            return Poll::Ready(None);
        }
        if let Some(end) = self.end {
            return Poll::Ready(Some(end));
        }
        let Stage::Open(open) = &mut self.stage else { return Poll::Pending };
        let mut taken = 0;
        while taken < BATCH {
            match Pin::new(&mut open.frames).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    taken += message.len() + 1;
                    take(Frame::from_message(&message));
                }
                Poll::Ready(end) => {
                    let status = end.and_then(Result::err);
                    self.caller_is_known =
                        status.as_ref().is_some_and(|status| status.metadata().contains_key(port::CALLER));
                    self.end = Some(status.as_ref().map(status::row));
                    break;
                }
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        match self.end {
            Some(end) if taken == 0 => Poll::Ready(Some(end)),
            _ => Poll::Ready(None),
        }
    }

    fn caller_is_known(&self) -> bool {
        self.caller_is_known
    }

    fn poll_cut(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
