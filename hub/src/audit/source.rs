//! From where something was asked, and a line about it.

use std::sync::Arc;

use super::entry::{About, event};
use super::line::Line;
use super::trail::Trail;
use crate::domain::audit::Seal;
use crate::domain::caller::Caller;
use crate::domain::error::ErrorCode;
use crate::domain::names::SessionId;
use crate::domain::peer::Peer;
use crate::domain::time::Timestamp;

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
    /// What every line of a session says of who it is and where: it is made once.
    made: Option<Arc<[u8]>>,
}

impl Source {
    /// A call, or a stream that has not said hello.
    pub fn call(request: &str, peer: Peer) -> Self {
        Self { session: None, request: request.into(), command: 0, peer: Arc::new(peer), made: None }
    }

    /// The same, of a session whose user's token is this one's now.
    #[must_use]
    pub fn of_session(mut self, session: SessionId, caller: &Caller) -> Self {
        self.session = Some(session);
        let mut line = Line::default();
        write_caller(caller, &mut line);
        line.shown("session", session);
        write_peer(&self.peer, &mut line);
        self.made = Some(line.into_bytes().into());
        self
    }

    /// The same, of one of its commands.
    #[must_use]
    pub fn of_command(mut self, command: u32) -> Self {
        self.command = command;
        self
    }

    fn write(&self, caller: Option<&Caller>, line: &mut Line) {
        match (&self.made, caller) {
            (Some(made), _) => line.made(made),
            (None, caller) => {
                if let Some(caller) = caller {
                    write_caller(caller, line);
                }
                write_peer(&self.peer, line);
            }
        }
        match self.command {
            0 if self.request.is_empty() => {}
            0 => line.text("request", &self.request),
            command => line.shown("request", format_args!("{}/{command}", self.request)),
        }
    }
}

impl Trail {
    /// Writes down that `caller` did something, or why they were refused; whoever it is where `caller` is `None`, of whom
    /// not every refusal is written.
    pub fn tell(
        &self,
        event: &str,
        source: &Source,
        caller: Option<&Caller>,
        about: About<'_>,
        result: Result<(), ErrorCode>,
    ) {
        if !self.is_on() {
            return;
        }
        let is_stranger = caller.is_none() && result.is_err();
        let admitted = if is_stranger { self.admits_stranger(source.peer.address) } else { Some(0) };
        if let Some(left_out) = admitted {
            self.write(event, source, caller, about, result, left_out);
        }
    }

    /// The same, of one for several: so many others like it were left out. Whoever calls this sees to it that there are
    /// few of each; of strangers there are few in all, as there may be any number of addresses.
    pub fn tell_with(
        &self,
        event: &str,
        source: &Source,
        caller: Option<&Caller>,
        about: About<'_>,
        result: Result<(), ErrorCode>,
        left_out: u64,
    ) {
        if !self.is_on() {
            return;
        }
        let is_stranger = caller.is_none() && result.is_err();
        let admitted = if is_stranger { self.admits_one_of_all(left_out) } else { Some(left_out) };
        if let Some(left_out) = admitted {
            self.write(event, source, caller, about, result, left_out);
        }
    }

    fn write(
        &self,
        event: &str,
        source: &Source,
        caller: Option<&Caller>,
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
        source.write(caller, &mut line);
        let About { room, entry, subject, count } = about;
        for (name, value) in [("room", room), ("subject", subject)] {
            if let Some(value) = value {
                line.text(name, value);
            }
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

/// Who a caller is, as members of a line.
fn write_caller(caller: &Caller, line: &mut Line) {
    line.text("tenant", caller.tenant.as_str());
    line.text(if caller.service { "service" } else { "user" }, caller.user.as_str());
    line.shown("token", Seal(caller.token.text.0));
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
