//! From where something was asked, and a line about it.

use std::sync::Arc;

use super::entry::{About, Entry, Outcome, event};
use super::trail::Trail;
use crate::domain::audit::Seal;
use crate::domain::caller::Caller;
use crate::domain::error::ErrorCode;
use crate::domain::names::{SessionId, UserKey};
use crate::domain::peer::Peer;

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
}

impl Source {
    /// A call, or a stream that has not said hello.
    pub fn call(request: &str, peer: Peer) -> Self {
        Self { session: None, request: request.into(), command: 0, peer: Arc::new(peer) }
    }

    /// The same, of a session.
    #[must_use]
    pub fn of_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// The same, of one of its commands.
    #[must_use]
    pub fn of_command(mut self, command: u32) -> Self {
        self.command = command;
        self
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
        let Some(left_out) = (if is_stranger { self.admits_stranger() } else { Some(0) }) else { return };
        self.tell_with(event, source, caller, about, result, left_out);
    }

    /// Writes down that a user's session ended, and why where it was the hub that ended it.
    pub fn tell_end(&self, source: &Source, user: &UserKey, reason: Option<ErrorCode>) {
        if !self.is_on() {
            return;
        }
        let session = source.session.map(|session| session.to_string());
        self.record(&Entry {
            event: event::SESSION_ENDED,
            reason: reason.map(ErrorCode::name),
            tenant: Some(user.tenant.as_str()),
            user: Some(user.user.as_str()),
            session: session.as_deref(),
            request: Some(&*source.request).filter(|request| !request.is_empty()),
            address: source.peer.address,
            ..Entry::default()
        });
    }

    /// The same, of one for several: so many others like it were left out.
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
        let session = source.session.map(|session| session.to_string());
        let request = match source.command {
            0 => source.request.to_string(),
            command => format!("{}/{command}", source.request),
        };
        let token = caller.map(|caller| Seal(caller.token.text.0).to_string());
        let name = caller.map(|caller| caller.user.as_str());
        let is_service = caller.is_some_and(|caller| caller.service);
        self.record(&Entry {
            event,
            outcome: if result.is_ok() { Outcome::Ok } else { Outcome::Refused },
            reason: result.err().map(ErrorCode::name),
            tenant: caller.map(|caller| caller.tenant.as_str()),
            user: name.filter(|_| !is_service),
            service: name.filter(|_| is_service),
            session: session.as_deref(),
            request: Some(&request).filter(|request| !request.is_empty()).map(String::as_str),
            address: source.peer.address,
            agent: source.peer.agent.as_deref(),
            origin: source.peer.origin.as_deref(),
            token: token.as_deref(),
            about,
            left_out,
        });
    }
}
