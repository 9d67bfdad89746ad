//! From where something was asked, and a line about it.

use std::sync::Arc;

use super::entry::{About, Who, event};
use super::line::Line;
use super::trail::Trail;
use crate::domain::audit::Seal;
use crate::domain::caller::{Caller, Identity};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{RoomName, SessionId, TenantId, UserId};
use crate::domain::peer::Peer;
use crate::domain::revocation::TokenId;
use crate::domain::time::Timestamp;
use crate::telemetry::traces::TraceContext;

/// From where something was asked. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The session, where there is one.
    pub session: Option<SessionId>,
    /// The stream's or the call's request id.
    pub request: Arc<str>,
    /// The command's id within the session; 0 where it is about the whole.
    pub command: u32,
    /// Where the client is.
    pub peer: Arc<Peer>,
    /// The ticket that was shown here, by its SHA-256.
    pub ticket: Option<TokenId>,
    /// The trace that it is a part of.
    pub trace: Option<TraceContext>,
    /// Who it is, where that is known.
    made: Option<Arc<Made>>,
}

/// What every line of a session says of who it is and where: it is made once.
#[derive(Debug)]
struct Made {
    named: Identity,
    members: Box<[u8]>,
}

impl Source {
    /// A call, or a stream that has not said hello.
    pub fn call(request: &str, peer: Peer) -> Self {
        let peer = Arc::new(peer);
        Self {
            session: None,
            request: request.into(),
            command: 0,
            peer,
            ticket: None,
            trace: None,
            made: None,
        }
    }

    /// The same, as a part of this trace.
    #[must_use]
    pub fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// The same, where a ticket was shown.
    #[must_use]
    pub fn with_ticket(self, ticket: Option<TokenId>) -> Self {
        Self { ticket, ..self }
    }

    /// The same, of a session whose user's token is this one's now, or where it was shown.
    #[must_use]
    pub fn of_session<'a>(mut self, session: SessionId, who: impl Into<Who<'a>>) -> Self {
        self.session = Some(session);
        let (who, mut line) = (who.into(), Line::default());
        write_who(who, &mut line);
        line.shown("session", session);
        write_peer(&self.peer, &mut line);
        self.made = Some(Arc::new(Made { named: who.identity(), members: line.into_bytes().into() }));
        self
    }

    /// The same, of whoever was not let in: there is no session of it.
    #[must_use]
    pub fn without_session(self) -> Self {
        Self { session: None, made: None, ..self }
    }

    /// The same, of one of its commands.
    #[must_use]
    pub fn of_command(mut self, command: u32) -> Self {
        self.command = command;
        self
    }

    /// Whom a line is about.
    fn named(&self, who: Option<Who<'_>>) -> Option<Identity> {
        self.made.as_ref().map(|made| made.named.clone()).or_else(|| who.map(|who| who.identity()))
    }

    fn write(&self, who: Option<Who<'_>>, line: &mut Line) {
        match (&self.made, who) {
            (Some(made), _) => line.made(&made.members),
            (None, who) => {
                if let Some(who) = who {
                    write_who(who, line);
                }
                write_peer(&self.peer, line);
            }
        }
        if let Some(ticket) = self.ticket {
            line.shown("ticket", Seal(ticket.0));
        }
        match self.command {
            0 if self.request.is_empty() => {}
            0 => line.text("request", &self.request),
            command => line.shown("request", format_args!("{}/{command}", self.request)),
        }
    }
}

impl Trail {
    /// Writes down that `caller` did something, or why they were refused, of which not every time is written; whoever it is
    /// where `caller` is `None`.
    pub fn tell(
        &self,
        event: &str,
        source: &Source,
        caller: Option<&Caller>,
        about: About<'_>,
        result: Result<(), ErrorCode>,
    ) {
        self.tell_of(event, source, caller.map(Who::from), about, result);
    }

    /// The same, of somebody who is no caller.
    pub fn tell_of(
        &self,
        event: &str,
        source: &Source,
        who: Option<Who<'_>>,
        about: About<'_>,
        result: Result<(), ErrorCode>,
    ) {
        if !self.is_on() {
            return;
        }
        let admitted = match result {
            Ok(()) => Some(0),
            Err(_) => match source.named(who) {
                Some(named) => self.admits_known(named),
                None => self.admits_stranger(source.peer.address),
            },
        };
        if let Some(left_out) = admitted {
            self.write(event, source, who, about, result, left_out);
        }
    }

    /// Writes down that `caller` did something that no limit holds up: of which not every time is written either.
    pub fn tell_passed(&self, event: &str, source: &Source, caller: &Caller, about: About<'_>) {
        if !self.is_on() {
            return;
        }
        let who = Some(Who::from(caller));
        if let Some(left_out) = source.named(who).and_then(|named| self.admits_passed(named)) {
            self.write(event, source, who, about, Ok(()), left_out);
        }
    }

    /// Writes down that somebody was refused: whose token it was, where it was authentic.
    pub fn tell_refused(&self, event: &str, source: &Source, about: About<'_>, refusal: &Refusal) {
        let who = refusal.whose.as_deref().map(Who::from);
        self.tell_of(event, source, who, about, Err(refusal.code));
    }

    /// The same of somebody who may be refused for the same reason as often as they like: a line where one is due, as whoever
    /// calls this says, and else it is one of those that were left out. Of strangers there are few lines in all, as there may
    /// be any number of addresses.
    pub fn tell_seldom(
        &self,
        event: &str,
        source: &Source,
        who: Option<Who<'_>>,
        refused: ErrorCode,
        is_due: bool,
    ) {
        if !self.is_on() {
            return;
        }
        let admitted = match source.named(who) {
            named if !is_due => return self.leave_out(named),
            Some(named) => self.admits_known(named),
            None => self.admits_one_of_all(),
        };
        if let Some(left_out) = admitted {
            self.write(event, source, who, About::default(), Err(refused), left_out);
        }
    }

    fn write(
        &self,
        event: &str,
        source: &Source,
        who: Option<Who<'_>>,
        about: About<'_>,
        result: Result<(), ErrorCode>,
        left_out: u64,
    ) {
        let mut line = Line::at(Timestamp::now());
        line.text("event", event);
        line.text("outcome", if result.is_ok() { "ok" } else { "refused" });
        if let Err(code) = result {
            line.text("reason", code.name());
        }
        source.write(who, &mut line);
        let About { room, entry, subject, count, rooms, ticket } = about;
        if let Some(ticket) = ticket {
            line.shown("ticket", Seal(ticket.0));
        }
        for (name, value) in [("room", room), ("subject", subject)] {
            if let Some(value) = value {
                line.text(name, value);
            }
        }
        if !rooms.is_empty() {
            line.texts("rooms", rooms.iter().map(RoomName::as_str));
        }
        let left_out = Some(left_out).filter(|left_out| *left_out > 0);
        for (name, value) in [("entry", entry), ("count", count), ("left_out", left_out)] {
            if let Some(value) = value {
                line.number(name, value);
            }
        }
        self.record(line);
    }

    /// Writes down that a user's session ended, and why where it was the hub that ended it.
    pub fn tell_end(&self, source: &Source, reason: Option<ErrorCode>) {
        if !self.is_on() {
            return;
        }
        let mut line = Line::at(Timestamp::now());
        line.text("event", event::SESSION_ENDED);
        line.text("outcome", "ok");
        if let Some(code) = reason {
            line.text("reason", code.name());
        }
        source.write(None, &mut line);
        self.record(line);
    }

    /// Writes down that the hub, of this name and version, started or stopped.
    pub fn tell_hub(&self, event: &str, version: &str) {
        let mut line = Line::at(Timestamp::now());
        line.text("event", event);
        line.text("outcome", "ok");
        line.text("agent", version);
        self.record(line);
    }
}

/// That somebody was refused, or did what no limit holds up, so often that it is not written about each time; `None` of strangers, or of
/// several.
pub(super) fn line_of_many(event: &str, named: Option<&Identity>, count: u64) -> Line {
    let mut line = Line::at(Timestamp::now());
    line.text("event", event);
    line.text("outcome", if event == event::REFUSED { "refused" } else { "ok" });
    if let Some(named) = named {
        write_name(named.tenant.as_ref(), named.service, &named.name, &mut line);
    }
    line.number("count", count);
    line
}

/// Who it is, as members of a line.
fn write_who(who: Who<'_>, line: &mut Line) {
    write_name(who.tenant, who.service, who.name, line);
    if let Some(token) = who.token {
        line.shown("token", Seal(token.0));
    }
}

fn write_name(tenant: Option<&TenantId>, service: bool, name: &UserId, line: &mut Line) {
    if let Some(tenant) = tenant {
        line.text("tenant", tenant.as_str());
    }
    line.text(if service { "service" } else { "user" }, name.as_str());
}

/// Where a client is, as members of a line.
fn write_peer(peer: &Peer, line: &mut Line) {
    if let Some(address) = peer.address {
        line.shown("address", address);
    }
    for (name, value) in [("agent", &peer.agent), ("origin", &peer.origin)] {
        if let Some(value) = value {
            line.text(name, value);
        }
    }
}
