//! One WebSocket, which is one session: frames go to the hub and come from it until either side ends.
//!
//! tungstenite reads; ready frames are written past it. The hub is asked for frames only when all before are written, so
//! a socket that stops reading holds nothing but the batch that it does not take.

mod fragments;
mod gate;
mod inbound;
mod line;
mod outgoing;
mod pace;
mod readable;
mod standing;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use carillon_proto::port::{Call, End, FrameStream, HubPort, Peer, TurnedAway};
use carillon_proto::shortcut::Shortcut;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::wire::TOO_MANY_PINGS;
use carillon_proto::{Frame, WebSocketForm, WireRow, v1};
use futures::{Sink, Stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::options::Options;
use crate::patient::Patient;
use crate::place::{self, Place};
use gate::Gate;
use inbound::Inbound;
use line::{Begun, Line};
use outgoing::Outgoing;
use pace::Pace;
use readable::Readable;
use standing::Standing;

/// tungstenite's read buffer: allocated with each socket, and larger messages make it grow for a while.
const READ_BUFFER: usize = 512;
/// What tungstenite may hold of its own answers to pings and closes.
const WRITE_BUFFER: usize = 4 * 1_024;
/// A socket that was closed has this long to say so too.
const FAREWELL: Duration = Duration::from_secs(2);
/// Past so many bytes that wait, the socket is read no further.
const OUTGOING_READS: usize = 64 * 1_024;

/// Opens a socket at the end of its handshake; `None` where the connection is none of ours. To be run in a task of its own: what opening
/// takes, and the buffer that the handshake was read into, goes before the socket's life begins.
pub(crate) async fn open(
    upgraded: Upgraded,
    form: WebSocketForm,
    options: &Options,
    hub: &Arc<dyn HubPort>,
    call: Call,
    (standing, place): (Option<place::Standing>, &Arc<Place>),
) -> Option<Opened> {
    let heard = matches!(standing, Some(place::Standing::Heard(_)))
        .then(|| Box::new((Arc::clone(hub), call.peer.clone())));
    let standing = Standing::new(standing, place);
    let parts = upgraded.downcast::<TokioIo<Patient>>().ok()?;
    let request_id = call.request_id.clone();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(options.frame_bytes))
        .max_frame_size(Some(options.frame_bytes));
    let early = parts.read_buf.to_vec();
    let line = Line::new(parts.io.into_inner(), form);
    let mut session = hub.open(call);
    session.offer(Arc::clone(&line) as Arc<dyn Shortcut>);
    let gate = Gate::new(line, &early);
    let frames = WebSocketStream::from_partially_read(gate, early, Role::Server, Some(config)).await;
    let socket = Box::new(Socket::new(frames, session, form, standing, request_id));
    Some(Opened { socket, heard })
}

/// A socket that has opened.
pub(crate) struct Opened {
    socket: Box<Socket>,
    /// Who is told of it if it is turned away, and of whom, where it is one too many.
    heard: Option<Box<(Arc<dyn HubPort>, Peer)>>,
}

impl Opened {
    /// Runs it to its end.
    pub(crate) async fn run(mut self) {
        poll_fn(|cx| self.socket.poll(cx)).await;
        if let Some(heard) = self.heard.filter(|_| self.socket.is_turned_away) {
            let (hub, peer) = *heard;
            hub.turned_away(&peer, TurnedAway::TooMany);
        }
    }
}

/// How far a socket has got.
enum Stage {
    /// Both ways are open.
    Open,
    /// The close frame is among what waits, or written; the other side has a while to answer.
    Closing(Pin<Box<Sleep>>),
    /// The other side has closed: what it sent before is still carried out.
    Leaving(Pin<Box<Sleep>>),
}

struct Socket {
    frames: WebSocketStream<Gate>,
    hub: Box<dyn FrameStream>,
    form: WebSocketForm,
    outgoing: Outgoing,
    /// Whether tungstenite has something of its own to write.
    answers_wait: bool,
    /// Whose it is, until the session is open.
    standing: Standing,
    /// Whether it was one too many of its address.
    is_turned_away: bool,
    /// Whether the hub was asked: where it is not heard what it says, nobody has failed.
    asked: bool,
    /// How often it may send what is no command.
    pace: Pace,
    readable: Readable,
    /// Whether reading ended on a bound of ours, so that nothing but another look will wake it.
    starved: bool,
    stage: Stage,
    request_id: String,
}

impl Socket {
    /// One over `frames`, in front of `hub`, whose errors name `request_id`.
    fn new(
        frames: WebSocketStream<Gate>,
        hub: Box<dyn FrameStream>,
        form: WebSocketForm,
        standing: Standing,
        request_id: String,
    ) -> Self {
        Self {
            frames,
            hub,
            form,
            outgoing: Outgoing::new(form),
            answers_wait: false,
            standing,
            is_turned_away: false,
            asked: false,
            pace: Pace::new(Instant::now()),
            readable: Readable::new(),
            starved: false,
            stage: Stage::Open,
            request_id,
        }
    }

    /// Ready when the socket is done with and may be dropped.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.goes_on();
        if self.hub.poll_cut(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            if let Stage::Closing(limit) = &mut self.stage {
                if limit.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                return self.poll_farewell(cx);
            }
            if let Stage::Leaving(limit) = &mut self.stage {
                if limit.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                return self.poll_leave(cx);
            }
            if let Poll::Ready(row) = self.standing.poll_over(cx, &mut self.outgoing) {
                self.turns_away(row);
                continue;
            }
            if self.poll_read(cx).is_ready() {
                return Poll::Ready(());
            }
            if !matches!(self.stage, Stage::Open) {
                continue;
            }
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
            match self.poll_frames(cx) {
                Poll::Ready(()) => {}
                // What was written or answered made room for the next command: read on.
                Poll::Pending if self.starved && self.hub.poll_ready(cx).is_ready() => {}
                Poll::Pending => {
                    self.rests();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Finishes first what was begun past this.
    fn goes_on(&mut self) {
        if let Some(Begun { frame, written }) = self.frames.get_ref().line().goes_on() {
            self.outgoing.push(frame);
            self.outgoing.advance(written);
            self.frames.get_mut().shut = !self.outgoing.is_empty();
        }
    }

    /// Everything is written: until this is polled again, the hub may write.
    fn rests(&self) {
        if !self.starved && matches!(self.standing, Standing::Settled) {
            self.frames.get_ref().line().rests();
        }
    }

    /// Reads while the hub takes frames, where there may be something. Ready when the other side is gone.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.readable.take(cx) && !self.starved {
            return Poll::Pending;
        }
        self.starved = true;
        while self.outgoing.chunk().len() < OUTGOING_READS && self.hub.poll_ready(cx).is_ready() {
            let mut reading = Context::from_waker(self.readable.waker());
            let read = Pin::new(&mut self.frames).poll_next(&mut reading);
            if !self.admits_fragments() {
                return self.wrong(cx, WireRow::of(TOO_MANY_PINGS.code), TOO_MANY_PINGS.close);
            }
            let Poll::Ready(read) = read else {
                self.starved = false;
                return Poll::Pending;
            };
            match inbound::understand(read, self.form) {
                Inbound::Request(request) => {
                    self.asked = true;
                    self.hub.send(request);
                }
                Inbound::Refused(id, violation) => {
                    let answer = self.refusal(id, violation);
                    self.hub.refuse(id, answer);
                }
                Inbound::Asked | Inbound::Idle if !self.pace.admit(Instant::now()) => {
                    return self.wrong(cx, WireRow::of(TOO_MANY_PINGS.code), TOO_MANY_PINGS.close);
                }
                Inbound::Asked => self.answers_wait = true,
                Inbound::Idle => {}
                Inbound::Closed => {
                    // Its answer goes out if it can at once; nobody waits for it.
                    let _ = Pin::new(&mut self.frames).poll_flush(cx);
                    self.hub.finish();
                    self.stage = Stage::Leaving(Box::pin(sleep(FAREWELL)));
                    return Poll::Pending;
                }
                Inbound::Gone => return Poll::Ready(()),
                Inbound::Wrong { code, close } => return self.wrong(cx, code, close),
            }
        }
        Poll::Pending
    }

    /// Whether it has sent no more empty fragments than it may.
    fn admits_fragments(&mut self) -> bool {
        let empty = self.frames.get_mut().fragments.empty();
        empty == 0 || {
            let now = Instant::now();
            (0..empty).all(|_| self.pace.admit(now))
        }
    }

    /// Ends a session whose client does what must not be. It is told in the protocol's own words first.
    fn wrong(&mut self, cx: &mut Context<'_>, code: &'static WireRow, close: u16) -> Poll<()> {
        self.standing.fails();
        self.hub.fail(code);
        self.last_frames(cx);
        self.close(close, code.name);
        Poll::Pending
    }

    /// An answer to a command that could not be read as one.
    fn refusal(&self, command_id: u32, violation: v1::Violation) -> Frame {
        let error = v1::Error {
            violations: vec![violation],
            ..crate::respond::refusal("INVALID_ARGUMENT", &self.request_id)
        };
        Frame::encode(&v1::SessionResponse { command_id, kind: Some(Kind::Error(error)) })
    }

    /// Takes what the hub still has to say.
    fn last_frames(&mut self, cx: &mut Context<'_>) {
        while !self.outgoing_is_full() && self.hub_frames(cx) == Poll::Ready(None) {}
    }

    fn outgoing_is_full(&self) -> bool {
        self.outgoing.chunk().len() >= OUTGOING_READS
    }

    /// Writes all that waits, tungstenite's answers too. A frame is never broken by another's.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            let half = self.frames.get_ref().shut;
            if self.answers_wait && !half {
                let flushed = ready!(Pin::new(&mut self.frames).poll_flush(cx));
                flushed.map_err(|_| std::io::ErrorKind::BrokenPipe)?;
                self.answers_wait = false;
            }
            if self.outgoing.is_empty() {
                return self.frames.get_mut().poll_written(cx);
            }
            let gate = self.frames.get_mut();
            gate.shut = true;
            let count = ready!(gate.poll_write_past(cx, self.outgoing.chunk()))?;
            if count == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(count);
            self.frames.get_mut().shut = !self.outgoing.is_empty();
        }
    }

    /// Asks the hub for what is next. Ready when there is something to write.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.hub_frames(cx)) {
            None => {}
            Some(Some(row)) => self.close(row.close, row.name),
            Some(None) => self.close(1000, ""),
        }
        Poll::Ready(())
    }

    fn hub_frames(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let Self { hub, outgoing, standing, .. } = self;
        let polled = hub.poll_frames(cx, &mut |frame| standing.passes(frame, outgoing));
        let Poll::Ready(Some(Some(row))) = polled else { return polled };
        let told = standing.ends(row, hub.caller_is_known(), outgoing);
        self.is_turned_away |= told != row;
        Poll::Ready(Some(Some(told)))
    }

    /// Ends a socket that was one too many of its address, and that nobody known has used.
    fn turns_away(&mut self, row: &'static WireRow) {
        self.is_turned_away = true;
        self.close(row.close, row.name);
    }

    /// Lets what is in flight be carried out. Nobody reads the answers.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let polled = ready!(self.hub_frames(cx));
            self.outgoing = Outgoing::new(self.form);
            if polled.is_some() {
                return Poll::Ready(());
            }
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.outgoing.push_close(code, reason);
        self.stage = Stage::Closing(Box::pin(sleep(FAREWELL)));
    }

    /// Writes what is left, then waits for the other side to end, so that it is not cut off from the last words.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(self.poll_write(cx)).is_err() || ready!(self.frames.get_mut().poll_end(cx)).is_err() {
            return Poll::Ready(());
        }
        self.frames.get_mut().poll_drain(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.frames.get_ref().line().ends();
        self.standing.leaves(self.asked);
    }
}

#[cfg(test)]
mod tests;
