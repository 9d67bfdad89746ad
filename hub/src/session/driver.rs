//! The session's engine: requests in, frames out, polled by its transport.

mod output;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carillon_proto::Frame;
use carillon_proto::shortcut::Shortcut;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Sleep;

use crate::audit::Source;
use crate::bus::feed::Reach;
use crate::domain::caller::Caller;
use crate::domain::command::{Request, Token};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{COMMANDS_IN_FLIGHT, OUTBOX_READ_BYTES};
use crate::domain::names::RoomName;
use crate::domain::peer::Peer;
use crate::domain::position::InboxPosition;
use crate::domain::push::Push;
use crate::domain::reply::Reply;
use crate::domain::time::{Moment, Now};
use crate::telemetry::traces::TraceContext;

use super::attempt::Attempt;
use super::catch_up::CatchUp;
use super::connection::Closer;
use super::dispatch::Finished;
use super::inbox_feed::InboxFeed;
use super::joins::Joins;
use super::live::Live;
use super::order::Order;
use super::pace::Pace;
use super::pages::Pages;
use super::permitted::Asking;
use super::resumed::Resumed;
use super::services::Services;
use super::slots::Slots;
use super::sweep::first_call;

/// What a transport read.
pub enum Input {
    /// A frame that is a request.
    Request(Box<Request>),
    /// A frame that is a wrong request: its command id and why. It never ends the stream.
    Refused(u32, Refusal),
    /// A frame that the transport could not read as a request, by its command id, and what the client is told. It never
    /// ends the stream once that has begun.
    Unreadable(u32, Frame),
    /// A frame that is none, or too large: the stream ends.
    Broken(Refusal),
    /// The client will send no more, and may still read.
    Closed,
    /// The client has gone, but what it has sent is to be done.
    Gone,
}

/// What there is to write.
pub enum Output {
    /// Frames are in the batch.
    Frames,
    /// Nothing more will come. What the stream's end says; `None` where the client ended it.
    End(Option<Refusal>),
}

/// How far a session has got.
enum Stage {
    /// No `hello` yet.
    Waiting(Pin<Box<Sleep>>),
    /// `hello` came.
    Open,
    /// The client sends no more: what is in flight finishes and what it was promised goes out, then it ends. Whether the
    /// heads of its rooms were noted up to which that is.
    Closing(bool),
    /// What is in flight finishes, then it ends.
    Draining(Option<Refusal>),
    /// The last frames go out.
    Ending(Option<Refusal>),
    /// Nothing more.
    Ended,
}

/// What a session is once `hello` was accepted.
pub(super) struct Established {
    pub(super) live: Arc<Live>,
    pub(super) caller: Caller,
    pub(super) slots: Slots,
    /// Where the client was in its inbox.
    pub(super) resume_inbox: Option<InboxPosition>,
    /// `None` until `connected` was sent.
    pub(super) feed: Option<InboxFeed>,
    /// Whether a page of the inbox is being read.
    pub(super) inbox_under_way: bool,
    /// Keeps followed what concerns the user, where other nodes write to the store too.
    pub(super) reach: Option<Box<Reach>>,
    catch_up: Option<CatchUp>,
    /// How fast it reads while it is behind.
    pace: Pace,
    /// Commands that change something take turns until they are queued at the store. `None` before the first.
    pub(super) order: Option<Order>,
    /// Answers as large as a page take turns too. `None` before the first.
    pub(super) pages: Option<Pages>,
    /// The rooms that it joins without a command.
    pub(super) joins: Joins,
    /// What it was to resume and has no place for, until `connected` was sent.
    pub(super) left_out: Vec<RoomName>,
    /// The rooms that were resumed, until that is written down.
    pub(super) resumed: Resumed,
    /// Whether the authoriser still lets it follow its rooms.
    pub(super) asking: Asking,
}

impl Established {
    pub(super) fn new(live: Arc<Live>, caller: Caller) -> Self {
        Self {
            live,
            caller,
            slots: Slots::default(),
            resume_inbox: None,
            feed: None,
            inbox_under_way: false,
            reach: None,
            catch_up: None,
            pace: Pace::default(),
            order: None,
            pages: None,
            joins: Joins::default(),
            left_out: Vec::new(),
            resumed: Resumed::default(),
            asking: Asking::default(),
        }
    }
}

/// One stream.
pub struct Session {
    pub(super) services: Arc<Services>,
    pub(super) shard: usize,
    /// The token that came with the stream's metadata, or why what came can be none: refused like any bad token, unless
    /// `hello` brings a good one.
    pub(super) token: Result<Option<Token>, Refusal>,
    pub(super) request_id: String,
    /// The same, and where the stream was opened from; who it is as well once `hello` was accepted. What lines of the audit log say.
    pub(super) source: Source,
    stage: Stage,
    pub(super) established: Option<Box<Established>>,
    /// `None` while none is in flight.
    pub(super) commands: Option<FuturesUnordered<BoxFuture<'static, Finished>>>,
    pub(super) in_flight: Vec<u32>,
    outbox: VecDeque<Frame>,
    outbox_bytes: usize,
    /// What breaks off the stream, or closes the connection under it.
    pub(super) closer: Closer,
    /// Until it is known whose the session is, where that is counted.
    pub(super) attempt: Option<Box<dyn Attempt>>,
    /// A way past its task, until it is known whose it is: the mailbox then has it.
    pub(super) shortcut: Option<Arc<dyn Shortcut>>,
    /// Raised when the stream has said hello, or is gone.
    settled: Arc<AtomicBool>,
    /// Whether no session will continue this one: the client took its leave, or may not come back.
    pub(super) left_for_good: bool,
}

impl Session {
    /// A stream that was opened on runtime `shard`. `token` is what its metadata carried; `request_id` is what errors
    /// and logs name.
    pub fn new(
        services: Arc<Services>,
        shard: usize,
        token: Result<Option<Token>, Refusal>,
        request_id: String,
        closer: Closer,
    ) -> Self {
        let limit = services.settings.hello_timeout;
        let deadline = Box::pin(tokio::time::sleep(limit));
        // The stream has a while more than its deadline to take the refusal; then it is broken off.
        let overdue = Moment::now().plus(first_call(limit));
        let settled = Arc::new(AtomicBool::new(false));
        if let Some(waiting) = services.upkeep.waiting.get(shard) {
            waiting.add(overdue, Arc::clone(&settled), closer.clone());
        }
        Self {
            services,
            shard,
            token,
            source: Source::call(&request_id, Peer::default()),
            request_id,
            stage: Stage::Waiting(deadline),
            established: None,
            commands: None,
            in_flight: Vec::new(),
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            closer,
            attempt: None,
            shortcut: None,
            settled,
            left_for_good: false,
        }
    }

    /// The same, opened from there.
    #[must_use]
    pub fn from(mut self, peer: Peer) -> Self {
        self.source = Source::call(&self.request_id, peer);
        self
    }

    /// The same, as a part of this trace.
    #[must_use]
    pub fn traced(mut self, trace: Option<TraceContext>) -> Self {
        self.source.trace = trace;
        self
    }

    /// There is a way past its task, for when it rests.
    pub fn offer(&mut self, shortcut: Arc<dyn Shortcut>) {
        self.shortcut = Some(shortcut);
    }

    /// Whether it is known whose it is.
    pub fn is_known(&self) -> bool {
        self.established.is_some()
    }

    /// Bytes of one frame that a client may send.
    pub fn frame_limit(&self) -> usize {
        self.services.settings.terms.frame_bytes as usize
    }

    /// Whether another frame should be read now. Between `hello` and `connected`, which is the first frame of a session,
    /// and before while a ticket is exchanged, past the commands that may be in flight, and while much waits to be written, the stream waits.
    pub fn wants_input(&self) -> bool {
        let is_exchanging = || !self.in_flight.is_empty();
        let opening = self.established.as_ref().map_or_else(is_exchanging, |e| e.feed.is_none());
        matches!(self.stage, Stage::Waiting(_) | Stage::Open)
            && !opening
            && self.in_flight.len() < COMMANDS_IN_FLIGHT
            && self.outbox_bytes < OUTBOX_READ_BYTES
    }

    /// Whether nothing has ended it, and the client goes on.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Whether nobody has said who they are, or is about to be known by the ticket that they showed.
    pub(super) fn awaits_hello(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_)) && self.established.is_none() && self.in_flight.is_empty()
    }

    /// Takes what was read.
    pub fn input(&mut self, input: Input) {
        if let Some(established) = &self.established {
            established.live.heard(Moment::now());
            established.live.mailbox.end_rest();
        }
        match input {
            Input::Request(request) => self.request(*request),
            Input::Refused(id, _) | Input::Unreadable(id, _) if self.in_flight.contains(&id) => {
                self.end(Some(ErrorCode::ProtocolError.into()));
            }
            Input::Refused(id, refusal) if self.is_open() => {
                self.refuse(id, &self.limit_refused().err().unwrap_or(refusal));
            }
            Input::Refused(id, refusal) => {
                self.tell_unreadable(refusal.code);
                self.refuse_and_end(id, refusal);
            }
            Input::Unreadable(id, answer) if self.is_open() => match self.limit_refused() {
                Ok(()) => self.send(answer),
                Err(limited) => self.refuse(id, &limited),
            },
            Input::Unreadable(_, answer) => {
                self.tell_unreadable(ErrorCode::InvalidArgument);
                self.send(answer);
                self.stage = Stage::Ending(Some(ErrorCode::InvalidArgument.into()));
            }
            Input::Broken(refusal) => self.end_broken(refusal),
            Input::Closed if matches!(self.stage, Stage::Open) => self.stage = Stage::Closing(false),
            Input::Closed if self.awaits_hello() => self.end_broken(ErrorCode::AuthRequired.into()),
            Input::Closed | Input::Gone => self.finish(None),
        }
    }

    /// Bytes of answers that wait to be written.
    #[cfg(test)]
    pub(crate) fn outbox_bytes(&self) -> usize {
        self.outbox_bytes
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Waiting(_))
    }

    pub(super) fn opened(&mut self) {
        self.settled.store(true, Ordering::SeqCst);
        self.closer.settle();
        self.attempt.take().into_iter().for_each(Attempt::succeeded);
        self.stage = Stage::Open;
    }

    /// Queues a frame that is a reply or the session's own push.
    pub(super) fn send(&mut self, frame: Frame) {
        self.outbox_bytes += frame.len();
        self.outbox.push_back(frame);
    }

    pub(super) fn reply(&mut self, id: u32, reply: &Reply) {
        let frame = self.services.delivery.encoder().reply(id, reply);
        self.send(frame);
    }

    pub(super) fn push(&mut self, push: &Push) {
        let frame = self.services.delivery.encoder().push(push);
        self.send(frame);
    }

    pub(super) fn refuse(&mut self, id: u32, refusal: &Refusal) {
        let frame = self.services.delivery.encoder().refusal(id, refusal, &self.request_id);
        self.send(frame);
    }

    /// Answers the command and ends the stream for the same reason.
    pub(super) fn refuse_and_end(&mut self, id: u32, refusal: Refusal) {
        self.refuse(id, &refusal);
        self.stage = Stage::Ending(Some(refusal));
    }

    /// Whether its last frame was queued: nothing may come after it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ending(_) | Stage::Ended)
    }

    /// Tells the client why, and ends at once: what is in flight goes unanswered.
    pub(super) fn end(&mut self, refusal: Option<Refusal>) {
        if self.is_over() {
            return;
        }
        if let Some(refusal) = &refusal {
            if let Some(established) = &self.established {
                // Only the first reason counts.
                let _ = established.live.ends_as.set(refusal.code);
            }
            self.push(&Push::Disconnected(refusal.clone()));
        }
        self.stage = Stage::Ending(refusal);
    }

    /// The client does what must not be: it is told, and the session ends, or never begins.
    pub(super) fn end_broken(&mut self, refusal: Refusal) {
        if self.established.is_none() && !self.is_over() {
            self.tell_unreadable(refusal.code);
        }
        self.end(Some(refusal));
    }

    /// Reads no more; ends when what is in flight was answered.
    pub(super) fn finish(&mut self, refusal: Option<Refusal>) {
        if matches!(self.stage, Stage::Waiting(_) | Stage::Open | Stage::Closing(_)) {
            self.stage = Stage::Draining(refusal);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.settled.store(true, Ordering::SeqCst);
        if let Some(mut established) = self.established.take() {
            established.tell_resumed(&self.services.audit, &self.source);
            let Established { live, mut slots, .. } = *established;
            live.released();
            // Followers leave their rooms before presence is told, so that nothing is sent to a session that ended.
            drop(slots.drain());
            self.services.end_session(&live, self.left_for_good, Now::read());
        }
    }
}
