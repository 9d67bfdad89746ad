//! From a request to what is done about it.

use std::sync::Arc;

use futures::FutureExt;

use crate::access::authentication::id;
use crate::access::rules::may_type;
use crate::access::tickets::Tickets;
use crate::audit::{About, Who, event};
use crate::domain::caller::Caller;
use crate::domain::command::{Command, Hello, Request, Stateless, Token};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{RoomKey, RoomName, UserId};
use crate::domain::presence::Status;
use crate::domain::reply::Reply;
use crate::domain::revocation::TokenId;
use crate::domain::time::{Moment, Now, Timestamp};
use crate::store::{Idempotency, InboxPage, StoreError};
use crate::telemetry::traces::Span;

use super::driver::{Established, Session};
use super::executor::Answer;
use super::join::Joining;
use super::joins::Awaited;
use super::limits::TooOften;
use super::opening::{self, Opened};
use super::pages;
use super::permitted::Answered;
use super::services::Services;
use super::slots::LiveSlot;

/// A command that was done, for the session to finish.
pub(super) enum Done {
    /// `hello`.
    Opened(u32, Box<Result<Opened, Refusal>>),
    /// A ticket, by what it is written down as, was exchanged for its token: that of a `hello`, or of a `refresh_token` where
    /// there is none.
    Exchanged(u32, Option<Box<Hello>>, Result<Token, Refusal>, Option<TokenId>),
    /// A join; the session's room number.
    Joined(u32, u32, Box<(Awaited, Result<Joining, Refusal>)>),
    /// A command that needs no session.
    Answered(u32, Box<Result<Answer, Refusal>>),
    /// A page of the inbox that the client has missed.
    Inbox(Result<InboxPage, StoreError>),
    /// It is time to look whether more rooms may be resumed; whether one may be, is known where all nodes count them together.
    JoinsGoOn(bool),
    /// Nobody could say whether one may be.
    JoinsFail(Refusal),
    /// It is time to try again to join rooms that could not be.
    JoinAgain,
    /// It is time to try again to read the room in this slot.
    ReadAgain(u32),
    /// It is time to ask again about the rooms that are followed.
    AskAgain,
    /// It was asked about them.
    AskedAgain(Vec<Answered>),
}

/// A command that was done, and its turn where the answer is as large as a page: kept until it is in the outbox.
pub(super) type Finished = (Done, pages::Turn);

/// Whose a token is that goes on with a session of a user: a service's does not, as any other's.
fn not_the_same(refusal: Refusal) -> Refusal {
    if refusal.code == ErrorCode::PermissionDenied { ErrorCode::InvalidToken.into() } else { refusal }
}

impl Session {
    pub(super) fn request(&mut self, request: Request) {
        let Request { command_id, key, fingerprint, command } = request;
        if self.in_flight.contains(&command_id) {
            return self.end(Some(ErrorCode::ProtocolError.into()));
        }
        match self.limit(&command) {
            Ok(()) => self.note_activity(&command),
            Err(TooOften::Dropped) => return self.reply(command_id, &Reply::Done),
            Err(TooOften::Refused(refusal)) => {
                if let Some(established) = &self.established {
                    let source = self.source.clone().of_command(command_id);
                    self.services.tell_limited(&source, &established.caller, &refusal);
                }
                return self.refuse(command_id, &refusal);
            }
        }
        match command {
            // Another, or one more before the first one's ticket was exchanged.
            Command::Hello(_) if self.established.is_some() || !self.in_flight.is_empty() => {
                self.end_broken(ErrorCode::ProtocolError.into());
            }
            Command::Hello(hello) => self.hello(command_id, *hello),
            _ if self.established.is_none() => {
                self.tell_unreadable(ErrorCode::ProtocolError);
                self.refuse_and_end(command_id, ErrorCode::ProtocolError.into());
            }
            Command::Pong => {}
            Command::Goodbye => {
                self.left_for_good = true;
                self.finish(None);
            }
            Command::Ping => self.reply(command_id, &Reply::Pong(Timestamp::now())),
            Command::RefreshToken(token) => {
                let ticket = Tickets::mark(&token.0);
                match self.services.exchange(&token) {
                    Some(token) => {
                        let exchanged = async move { Done::Exchanged(command_id, None, token.await, ticket) };
                        self.begin(command_id, exchanged);
                    }
                    None => self.refresh_token(command_id, Ok(token), ticket),
                }
            }
            Command::Join(join) => self.join(command_id, join),
            Command::Leave(room) => self.leave(command_id, &room),
            Command::Typing { room, active } => self.typing(command_id, room, active),
            Command::PresenceSet { status, text } => self.set_presence(command_id, status, &text),
            Command::PresenceWatch(users) => self.watch_presence(command_id, &users),
            Command::Stateless(command) => {
                if let Stateless::MessageSend { room, .. } = &command {
                    self.end_typing(room);
                }
                let idempotency = key.map(|key| Idempotency { key, fingerprint });
                self.execute(command_id, idempotency, command);
            }
        }
    }

    /// Presence shows when a user last did something. An answer to the hub's ping is not that.
    fn note_activity(&self, command: &Command) {
        let Some(established) = &self.established else { return };
        if !matches!(command, Command::Ping | Command::Pong) && established.live.begin_touch(Moment::now()) {
            let tenant = &established.caller.tenant;
            self.services.presence.touch(tenant, established.live.id(), Now::read());
        }
    }

    fn hello(&mut self, id: u32, mut hello: Hello) {
        self.services.metrics.counters().attempts.increment();
        let metadata = std::mem::replace(&mut self.token, Ok(None));
        let shown = hello.token.take().map_or(metadata, |token| Ok(Some(token)));
        let ticket = shown.as_ref().ok().and_then(|token| Tickets::mark(&token.as_ref()?.0));
        self.source.ticket = ticket;
        // Who is not let in anyway keeps the ticket.
        if opening::is_open(&self.services).is_ok()
            && let Ok(Some(token)) = &shown
            && let Some(token) = self.services.exchange(token)
        {
            if let Err(refusal) = self.may_ask_others() {
                return self.refuse_hello(id, None, refusal, None);
            }
            let hello = Some(Box::new(hello));
            return self.begin(id, async move { Done::Exchanged(id, hello, token.await, ticket) });
        }
        self.admit(id, hello, shown);
    }

    /// Goes on with who showed a ticket.
    pub(super) fn finish_exchange(
        &mut self,
        id: u32,
        hello: Option<Box<Hello>>,
        token: Result<Token, Refusal>,
        ticket: Option<TokenId>,
    ) {
        match hello {
            None => self.refresh_token(id, token, ticket),
            // The client has left meanwhile.
            Some(_) if self.is_open() => {}
            Some(hello) => self.admit(id, *hello, token.map(Some)),
        }
    }

    /// Opens the session of who has shown this, or refuses to.
    fn admit(&mut self, id: u32, hello: Hello, shown: Result<Option<Token>, Refusal>) {
        let now = Timestamp::now();
        let span = self.services.traces.entry(self.source.trace, "session");
        let caller = match opening::identify(&self.services, shown, now) {
            Ok(caller) => caller,
            Err(refusal) => {
                let refusal = self.told_as_refused(refusal);
                let refusal = self.services.refused_as_service(refusal);
                return self.refuse_hello(id, None, refusal, span);
            }
        };
        let from = (&self.closer, self.source.peer.address);
        if let Err(refusal) = opening::may_open(&self.services, &caller, from) {
            return self.refuse_hello(id, Some(&caller), refusal, span);
        }
        let place = (self.shard, self.source.clone(), self.closer.clone());
        let welcome = match opening::welcome(&self.services, hello, caller.clone(), place, now) {
            Ok(welcome) => welcome,
            Err(refusal) => return self.refuse_hello(id, Some(&caller), refusal, span),
        };
        // Where others count with this node it is let in later, or not.
        self.services.tell_opened(&welcome.live);
        let live = Arc::clone(&welcome.live);
        // The ticket opened it, and that is said once.
        self.source = live.source.clone().with_ticket(None);
        let mut established = Established::new(welcome.live, welcome.caller);
        let resume = welcome.resume.unwrap_or_default();
        (established.joins, established.left_out) = opening::joins(&self.services, &caller, &resume.rooms);
        established.resume_inbox = resume.inbox;
        if let Some(shortcut) = self.shortcut.take() {
            established.live.mailbox.offer(shortcut);
        }
        self.established = Some(Box::new(established));
        self.opened();
        let (services, limit) = (Arc::clone(&self.services), self.services.settings.command_timeout);
        // Its limit in time begins with its turn.
        let open = self.services.upkeep.crowd.openings.take(move || async move {
            let opened =
                tokio::time::timeout(limit, opening::open(services, caller, resume.inbox, live)).await;
            opened.unwrap_or_else(|_| Err(ErrorCode::DeadlineExceeded.into()))
        });
        self.begin(id, async move {
            let opened = open.await.unwrap_or_else(|| Err(ErrorCode::Internal.into()));
            if let Some(span) = span {
                span.ends(opened.as_ref().map_err(|refusal: &Refusal| refusal.code));
            }
            Done::Opened(id, Box::new(opened))
        });
    }

    /// Nobody is let in, whoever it is.
    fn refuse_hello(&mut self, id: u32, caller: Option<&Caller>, refusal: Refusal, span: Option<Span>) {
        let services = &self.services;
        if let Some(span) = span {
            span.ends::<()>(Err(refusal.code));
        }
        services.metrics.attempt_failed(refusal.code);
        let (source, refused) = (&self.source, Err(refusal.code));
        match caller {
            None => services.audit.tell_refused(event::SESSION_OPENED, source, About::default(), &refusal),
            // They may go on asking.
            Some(caller) if refusal.code == ErrorCode::RateLimited => {
                services.tell_limited(source, caller, &refusal);
            }
            Some(_) => services.audit.tell(event::SESSION_OPENED, source, caller, About::default(), refused),
        }
        self.refuse_and_end(id, refusal);
    }

    /// Whoever comes does not say who they are in any way that is one.
    pub(super) fn tell_unreadable(&self, code: ErrorCode) {
        let services = &self.services;
        services.metrics.counters().attempts.increment();
        services.metrics.attempt_failed(code);
        services.audit.tell(event::SESSION_OPENED, &self.source, None, About::default(), Err(code));
    }

    /// Adds a command to those in flight. It is polled with the session, in the order in which they came.
    pub(super) fn begin(&mut self, id: u32, command: impl Future<Output = Done> + Send + 'static) {
        if id != 0 {
            self.in_flight.push(id);
        }
        self.commands.get_or_insert_default().push(command.map(|done| (done, None)).boxed());
    }

    /// The same for one whose answer is as large as a page: few of those are held at a time. A limit in time of its own
    /// begins with its turn.
    pub(super) fn begin_page(&mut self, id: u32, command: impl Future<Output = Done> + Send + 'static) {
        let Some(established) = &mut self.established else { return };
        let command = established.pages.get_or_insert_default().read(command).boxed();
        if id != 0 {
            self.in_flight.push(id);
        }
        self.commands.get_or_insert_default().push(command);
    }

    fn refresh_token(&mut self, id: u32, token: Result<Token, Refusal>, ticket: Option<TokenId>) {
        let now = Timestamp::now();
        let Some(established) = &mut self.established else { return };
        // What lines call a token is made of its text, be it anybody's.
        let shown = token.as_ref().ok().filter(|token| !Tickets::is_ticket(&token.0));
        let shown = shown.map(|token| id::of_text(&token.0));
        let refreshed = token
            .and_then(|token| self.services.authenticate(&token, now).map_err(not_the_same))
            .and_then(|caller| {
                let goes_on = established.live.life.lock().refresh(&caller, now);
                goes_on.map_err(|refusal| refusal.of((&caller).into())).map(|()| caller)
            });
        let who = match &refreshed {
            Ok(caller) => Who::from(caller),
            // Whoever's it is that was shown; the session's, where that is nobody's.
            Err(Refusal { whose: Some(whose), .. }) => Who::from(&**whose),
            Err(_) => Who { token: shown.as_ref(), ..Who::from(&established.caller) },
        };
        let source = self.source.clone().of_command(id).with_ticket(ticket);
        let source = source.of_session(established.live.id(), who);
        let result = refreshed.as_ref().map(|_| ()).map_err(|refusal| refusal.code);
        self.services.audit.tell("refresh_token", &source, None, About::default(), result);
        match refreshed {
            Ok(caller) => {
                let source = established.live.source.clone().with_ticket(None);
                self.source = source.of_session(established.live.id(), &caller);
                established.caller = caller;
                self.reply(id, &Reply::Done);
                self.leave_what_is_not_granted();
                self.hold_all_to_token();
            }
            // The new one was not judged, and the old one is still good: the client tries again.
            Err(refusal) if refusal.code == ErrorCode::Unavailable => self.refuse(id, &refusal),
            Err(refusal) => {
                self.refuse(id, &refusal);
                self.end(Some(refusal));
            }
        }
    }

    /// What was typed is sent: the next word begins anew, and others hear of it.
    fn end_typing(&self, room: &RoomName) {
        if let Some(established) = &self.established {
            let caller = &established.caller;
            let key = RoomKey { tenant: caller.tenant.clone(), room: room.clone() };
            self.services.presence.typing(&key, &caller.user, false, Now::read());
        }
    }

    fn typing(&mut self, id: u32, room: RoomName, active: bool) {
        let Some(established) = &mut self.established else { return };
        let Services { delivery, namespaces, .. } = &*self.services;
        let Established { slots, caller, .. } = &mut **established;
        let may = |live: &LiveSlot| {
            let rules = namespaces.rules(&room);
            rules.is_some_and(|rules| may_type(rules, caller, &room, live.follower().role()))
        };
        let shown = slots
            .find(&room)
            .and_then(|slot| slots.live_mut(slot))
            // Who may no longer type may still end it.
            .is_some_and(|live| {
                live.shows_typing
                    && (!active || live.follower().hears() && may(live))
                    && !delivery.is_large(&live.following.room)
            });
        // What is dropped is answered as success.
        if shown {
            let caller = &established.caller;
            let key = RoomKey { tenant: caller.tenant.clone(), room };
            self.services.presence.typing(&key, &caller.user, active, Now::read());
        }
        self.reply(id, &Reply::Done);
    }

    fn set_presence(&mut self, id: u32, status: Status, text: &str) {
        let Some(established) = &self.established else { return };
        let tenant = &established.caller.tenant;
        self.services.presence.set(tenant, established.live.id(), status, text, Now::read());
        self.reply(id, &Reply::Done);
    }

    fn watch_presence(&mut self, id: u32, users: &[UserId]) {
        self.reply(id, &Reply::Done);
        let Some(established) = &self.established else { return };
        self.services.presence.watch(&established.caller.tenant, established.live.id(), users);
    }
}
