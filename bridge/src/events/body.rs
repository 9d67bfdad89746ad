//! The body of an event stream: a session, polled as fast as the listener reads.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::Frame;
use carillon_proto::port::FrameStream;
use carillon_proto::v1::Pong;
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use tokio::time::{Instant, Sleep, sleep};

use super::positions::Positions;
use super::{decode, encode, event};

/// A comment, which listeners ignore: it keeps proxies from taking silence for death.
const COMMENT: &[u8] = b":\n\n";

/// The body.
pub(super) struct EventBody {
    stream: Box<dyn FrameStream>,
    /// What is still to be asked of the session: joins, then answers to its pings.
    requests: VecDeque<Bytes>,
    next_id: u32,
    positions: Positions,
    /// What was there at the start.
    begun: Vec<u8>,
    interval: Duration,
    heartbeat: Pin<Box<Sleep>>,
    ended: bool,
}

impl EventBody {
    /// Of a session that is open: `first` are its first frames, `requests` what it is to be asked, with ids from 2.
    pub(super) fn new(
        stream: Box<dyn FrameStream>,
        requests: VecDeque<Bytes>,
        positions: Positions,
        first: &[Frame],
        interval: Duration,
    ) -> Self {
        let next_id = requests.len() as u32 + 2;
        let heartbeat = Box::pin(sleep(interval));
        let mut body = Self {
            stream,
            requests,
            next_id,
            positions,
            begun: Vec::new(),
            interval,
            heartbeat,
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

    /// Writes a frame as an event. The hub's ping is answered here and not shown.
    fn tell(&mut self, frame: &Frame, text: &mut Vec<u8>) {
        let response = decode(frame);
        if matches!(response.kind, Some(Kind::Ping(_))) {
            self.requests.push_back(encode(self.next_id, Command::Pong(Pong::default())));
            self.next_id = self.next_id.wrapping_add(1).max(2);
            return;
        }
        let id = self.positions.note(&response).then(|| self.positions.id());
        event(text, frame, id.as_deref());
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        while !self.requests.is_empty() && self.stream.poll_ready(cx).is_ready() {
            if let Some(request) = self.requests.pop_front() {
                self.stream.send(request);
            }
        }
    }
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
                Poll::Pending if !this.requests.is_empty() && this.stream.poll_ready(cx).is_ready() => {}
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
