//! The task behind a client: session after session, until the last handle is dropped or a session would only fail
//! again. It alone owns the state; its end is the end of the client.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{Connected, PresenceSet, PresenceWatch, RefreshToken};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{CommandError, ConnectError, Refusal};
use crate::events::{Disconnected, Event};
use crate::handover::EventSink;
use crate::late::Late;
use crate::options::ClientOptions;
use crate::pending::{InFlight, Outgoing};
use crate::reconnect::{End, Next, Reconnect};
use crate::rooms::Rooms;
use crate::session::Session;
use crate::token::{TokenFuture, TokenReason};

mod receive;

/// Everything that the task works with.
pub(crate) struct Driver {
    pub(crate) options: ClientOptions,
    pub(crate) commands: mpsc::Receiver<Outgoing>,
    pub(crate) events: EventSink,
    pub(crate) rooms: Rooms,
    pub(crate) connected: watch::Sender<Option<Arc<Connected>>>,
    /// Cancelled when the last handle is dropped.
    pub(crate) leave: CancellationToken,
    /// Why the client ended, for commands that come later.
    pub(crate) ended: Arc<OnceLock<String>>,
    pub(crate) in_flight: InFlight,
    /// To send again when the next session is open.
    pub(crate) backlog: Vec<Outgoing>,
    pub(crate) own: SessionState,
    pub(crate) late: Late,
}

/// What the caller set for the session itself, and the hub accepted: a new session is told again.
#[derive(Default)]
pub(crate) struct SessionState {
    presence: Option<PresenceSet>,
    watched: Option<PresenceWatch>,
}

/// How an attempt came out.
enum Outcome {
    /// The handles are gone.
    Left,
    /// There is no session any more; it had been open for so long.
    Ended(End, Duration),
}

impl Driver {
    /// Runs until the client ends. `opened` is told about the first session.
    pub(crate) async fn run(mut self, opened: oneshot::Sender<Result<(), ConnectError>>) {
        let mut opened = Some(opened);
        let mut reconnect = Reconnect::new(self.options.backoff);
        let mut reason = TokenReason::Connect;
        for attempt in 0.. {
            let (end, lasted) = match self.attempt(attempt, reason, &mut opened).await {
                Outcome::Left => return self.finish("it was closed".to_owned()),
                Outcome::Ended(end, lasted) => (end, lasted),
            };
            let mut next = reconnect.next(&end, lasted, getrandom::u64().unwrap_or(u64::MAX));
            let ask_again = matches!(next, Next::Reconnect(_, TokenReason::Expired)) && attempt == 0;
            if opened.is_some() && !self.options.wait_for_hub && !ask_again {
                next = Next::Stop;
            }
            tracing::debug!(reason = end.describe(), ?next, "session ended");
            self.tell_disconnected(&end, next, !lasted.is_zero());
            let Next::Reconnect(wait, token) = next else {
                if let Some(opened) = opened.take() {
                    let _ = opened.send(Err(connect_error(&end, &self.options)));
                }
                self.finish(end.describe());
                self.events.flush_or(&self.leave).await;
                return;
            };
            reason = token;
            if !self.wait(wait).await {
                return self.finish("it was closed".to_owned());
            }
        }
    }

    /// The end for all commands, those under way and later ones: the last events may wait for their reader yet.
    fn finish(&mut self, why: String) {
        let _ = self.ended.set(why);
        self.in_flight = InFlight::new();
        self.backlog.clear();
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
    }

    fn tell_disconnected(&mut self, end: &End, next: Next, was_open: bool) {
        let reconnect_after = match next {
            Next::Reconnect(wait, _) => Some(wait),
            Next::Stop => None,
        };
        if was_open || (reconnect_after.is_none() && self.connected.borrow().is_some()) {
            let event = Disconnected { code: end.code(), reason: end.describe(), reconnect_after };
            self.events.push(Event::Disconnected(event), None);
        }
    }

    /// Waits between attempts, and until the caller has taken what waits, which bounds it. False: the handles are gone.
    async fn wait(&mut self, wait: Duration) -> bool {
        tokio::select! {
            () = self.leave.cancelled() => return false,
            () = tokio::time::sleep(wait) => {}
        }
        self.events.flush_or(&self.leave).await;
        !self.leave.is_cancelled()
    }

    /// Opens a session and lives it to its end.
    async fn attempt(
        &mut self,
        attempt: usize,
        reason: TokenReason,
        opened: &mut Option<oneshot::Sender<Result<(), ConnectError>>>,
    ) -> Outcome {
        let leave = self.leave.clone();
        let last = self.connected.borrow().clone();
        let carried_on = (&self.rooms, last.as_deref());
        let session = tokio::select! {
            () = leave.cancelled() => return Outcome::Left,
            session = Session::open(&self.options, attempt, reason, carried_on) => session,
        };
        let mut session = match session {
            Ok(session) => session,
            Err(end) => return Outcome::Ended(end, Duration::ZERO),
        };
        self.begin(&mut session);
        if let Some(opened) = opened.take() {
            let _ = opened.send(Ok(()));
        }
        let end = self.live(&mut session).await;
        self.backlog.extend(self.in_flight.unanswered());
        self.backlog.extend(self.late.end());
        match end {
            None => {
                let id = self.in_flight.unanswered_id();
                session.leave(id).await;
                Outcome::Left
            }
            // At least a little: zero stands for «was never open».
            Some(end) => Outcome::Ended(end, session.opened.elapsed().max(Duration::from_nanos(1))),
        }
    }

    /// Tells the caller, and the hub what it has forgotten: the session's own state and the unanswered commands.
    fn begin(&mut self, session: &mut Session) {
        let void = self.rooms.connected(&session.connected);
        self.connected.send_replace(Some(session.connected.clone()));
        self.events.push(Event::Connected(session.connected.clone()), None);
        if void {
            self.events.push(Event::InboxTruncated, None);
        }
        self.late = Late::of(std::mem::take(&mut session.late));
        let presence = self.own.presence.clone().map(Command::PresenceSet);
        let watched = self.own.watched.clone().map(Command::PresenceWatch);
        for command in presence.into_iter().chain(watched) {
            self.put(session, Outgoing::own(command));
        }
        for outgoing in std::mem::take(&mut self.backlog) {
            self.send(session, outgoing);
        }
        self.join_late(session);
    }

    /// The session's loop. `None`: the handles are gone.
    async fn live(&mut self, session: &mut Session) -> Option<End> {
        let leave = self.leave.clone();
        let left = leave.cancelled();
        let silence = tokio::time::sleep_until(session.dead_at());
        let mut refresh: Option<TokenFuture<'static>> = None;
        tokio::pin!(left, silence);
        loop {
            let reads = self.events.is_clear();
            tokio::select! {
                () = &mut left => return None,
                () = self.events.flush(), if !reads => session.last_frame = Instant::now(),
                frame = session.inbound.message(), if reads => match frame {
                    Ok(Some(frame)) => {
                        session.last_frame = Instant::now();
                        if let Err(end) = self.receive(session, frame, &mut refresh) {
                            return Some(end);
                        }
                    }
                    Ok(None) => return Some(session.end(None)),
                    Err(status) => return Some(session.end(Some(&status))),
                },
                Some(outgoing) = self.commands.recv() => self.send(session, outgoing),
                token = next_token(&mut refresh) => {
                    refresh = None;
                    // Without one the session ends in time, and then the provider is asked once more.
                    if let Ok(token) = token {
                        self.put(session, Outgoing::own(Command::RefreshToken(RefreshToken { token })));
                    }
                }
                () = at(self.late.wakes_at()) => self.join_late(session),
                () = &mut silence, if reads => {
                    if session.dead_at() <= Instant::now() {
                        return Some(End::Silent);
                    }
                    silence.as_mut().reset(session.dead_at());
                }
            }
        }
    }

    /// Sends a caller's command.
    fn send(&mut self, session: &Session, outgoing: Outgoing) {
        if let Some(outgoing) = self.late.sends(outgoing) {
            self.put(session, outgoing);
        }
    }

    /// Sends a command. Where the stream is closed already it stays in flight, and the next session gets it.
    fn put(&mut self, session: &Session, outgoing: Outgoing) {
        let Some(request) = self.in_flight.start(outgoing) else { return };
        if session.takes(&request) {
            // Never full: it has room for all that the permits allow.
            let _ = session.outbound.try_send(request);
        } else if let Some(Outgoing { answer: Some(answer), .. }) = self.in_flight.take(request.command_id) {
            let _ = answer.send(Err(CommandError::Refused(Refusal::too_large())));
        }
    }

    /// Joins what `hello` had no place for, as far as it is time for that.
    fn join_late(&mut self, session: &Session) {
        while let Some(room) = self.late.next(Instant::now()) {
            match self.rooms.rejoin(&room) {
                Some(join) => self.put(session, Outgoing::own(Command::Join(join))),
                None => drop(self.late.answered(&room, None, Instant::now())),
            }
        }
    }
}

/// This instant, if there is one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The provider's answer, when it was asked.
async fn next_token(refresh: &mut Option<TokenFuture<'static>>) -> Result<String, crate::TokenError> {
    match refresh {
        Some(token) => Pin::as_mut(token).await,
        None => std::future::pending().await,
    }
}

fn connect_error(end: &End, options: &ClientOptions) -> ConnectError {
    match end {
        End::Options(reason) => ConnectError::Options(reason.clone()),
        End::Refused { refusal, .. } => ConnectError::Refused(refusal.clone()),
        End::Token(error) => ConnectError::Token(error.clone()),
        End::TimedOut(limit) => ConnectError::TimedOut(*limit),
        End::Unreachable { address, reason } => {
            ConnectError::Unreachable { address: address.clone(), reason: reason.clone() }
        }
        End::Broken(_) | End::Silent | End::GoingAway(_) => ConnectError::Unreachable {
            address: options.addresses.first().map_or("the shared connection", String::as_str).to_owned(),
            reason: end.describe(),
        },
    }
}
