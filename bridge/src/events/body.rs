//! The body of an event stream: a session, polled as fast as the listener reads.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::port::FrameStream;
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{Pong, SessionResponse};
use carillon_proto::{Frame, Place};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::joins::{Answered, Joins};
use super::positions::Positions;
use super::{decode, encode, event};

/// A comment, which listeners ignore: it keeps proxies from taking silence for death.
const COMMENT: &[u8] = b":\n\n";

/// Said before the end of a stream that another has replaced: an `EventSource` that asked again by itself would replace that one,
/// and the two would take turns. In a day nobody minds.
const LATER: &[u8] = b"retry: 86400000\n\n";

/// The body.
pub(super) struct EventBody {
    stream: Box<dyn FrameStream>,
    joins: Joins,
    /// Until when no join is asked for: the hub has said how long.
    pause: Option<Pin<Box<Sleep>>>,
    /// Pings of the hub that are to be answered.
    pings: u32,
    /// That of the next command; 1 was `hello`.
    next_id: u32,
    positions: Positions,
    /// What was there at the start.
    begun: Vec<u8>,
    interval: Duration,
    heartbeat: Pin<Box<Sleep>>,
    ended: bool,
}

impl EventBody {
    /// Of a session that is open: `first` are its first frames, `joins` what it is to be asked besides.
    pub(super) fn new(
        stream: Box<dyn FrameStream>,
        joins: Joins,
        positions: Positions,
        first: &[Frame],
        interval: Duration,
    ) -> Self {
        let mut body = Self {
            stream,
            joins,
            pause: None,
            pings: 0,
            next_id: 2,
            positions,
            begun: Vec::new(),
            interval,
            heartbeat: Box::pin(sleep(interval)),
            ended: false,
        };
        // How soon to come back, before anything else is said.
        let mut begun = b"retry: 1000\n\n".to_vec();
        for frame in first {
            body.tell(frame, &mut begun);
        }
        body.begun = begun;
        body
    }

    /// Writes a frame as an event. The hub's ping is answered here and not shown, nor is a join that is asked for again.
    fn tell(&mut self, frame: &Frame, text: &mut Vec<u8>) {
        match frame.place() {
            Place::Entry(entry) => {
                let (room, position) = &**entry;
                let id = self.positions.entry(room, *position).then(|| self.positions.id());
                event(text, frame, id.as_deref());
            }
            Place::Nowhere => event(text, frame, None),
            Place::Other => self.tell_other(frame, text),
        }
    }

    /// The same of what is for this listener.
    fn tell_other(&mut self, frame: &Frame, text: &mut Vec<u8>) {
        let response = decode(frame);
        if matches!(response.kind, Some(Kind::Ping(_))) {
            self.pings += 1;
            return;
        }
        let answered = self.joins.note(&response);
        if let Answered::Again(after) = answered {
            return self.pause_for(after);
        }
        if is_replaced(&response) {
            text.extend_from_slice(LATER);
        }
        let id = self.positions.note(&response).then(|| self.positions.id());
        event(text, frame, id.as_deref());
        if let Answered::Refused(left) = answered {
            let left = SessionResponse { command_id: 0, kind: Some(Kind::Left(left)) };
            event(text, &Frame::encode(&left), None);
        }
    }

    fn pause_for(&mut self, after: Duration) {
        let until = Instant::now() + after;
        if self.pause.as_ref().is_none_or(|pause| pause.deadline() < until) {
            self.pause = Some(Box::pin(sleep_until(until)));
        }
    }

    /// Whether there is something to ask of the session, now or once a pause is over.
    fn poll_asks(&mut self, cx: &mut Context<'_>) -> bool {
        if self.pings > 0 {
            return true;
        }
        if !self.joins.is_next() {
            return false;
        }
        if self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx).is_pending()) {
            return false;
        }
        self.pause = None;
        true
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        while self.poll_asks(cx) && self.stream.poll_ready(cx).is_ready() {
            let command = if self.pings > 0 {
                self.pings -= 1;
                Some(Command::Pong(Pong::default()))
            } else {
                self.joins.ask(self.next_id).map(Command::Join)
            };
            if let Some(command) = command {
                self.stream.send(encode(self.next_id, command));
                self.next_id = self.next_id.wrapping_add(1).max(2);
            }
        }
    }
}

/// Whether another listener of the same instance took over.
fn is_replaced(response: &SessionResponse) -> bool {
    matches!(&response.kind, Some(Kind::Disconnected(end)) if end.code == "SESSION_REPLACED")
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.ended || this.stream.poll_cut(cx).is_ready() {
            return Poll::Ready(None);
        }
        let mut text = std::mem::take(&mut this.begun);
        while text.is_empty() {
            this.ask(cx);
            let mut frames = Vec::new();
            match this.stream.poll_frames(cx, &mut |frame| frames.push(frame)) {
                Poll::Ready(None) => frames.iter().for_each(|frame| this.tell(frame, &mut text)),
                Poll::Ready(Some(_)) => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
                Poll::Pending if this.poll_asks(cx) && this.stream.poll_ready(cx).is_ready() => {}
                Poll::Pending => {
                    if this.heartbeat.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    text.extend_from_slice(COMMENT);
                }
            }
        }
        this.heartbeat.as_mut().reset(Instant::now() + this.interval);
        Poll::Ready(Some(Ok(http_body::Frame::data(text.into()))))
    }
}
