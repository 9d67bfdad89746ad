//! What of commands is written down: what somebody changed or read of a room, and whatever was denied, by ids alone.

use std::time::Duration;

use crate::access::storage::is_full;
use crate::audit::{About, Source, Who, event};
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{RoomName, UserId};
use crate::domain::position::Seq;
use crate::domain::reply::Reply;
use crate::domain::time::Moment;

use super::executor::Answer;
use super::live::Live;
use super::services::Services;
use super::sessions::Places;

/// That a service was held back, or that a tenant is full, is said of each at most this often.
const SELDOM: Duration = Duration::from_mins(1);

/// What is to be said of a command once it is answered.
pub(super) struct Noted {
    name: &'static str,
    room: Option<RoomName>,
    entry: Option<Seq>,
    subject: Option<UserId>,
    count: Option<u64>,
    /// Whether it is said where it was done: marks and looking around are not.
    when_done: bool,
}

impl Noted {
    fn of(command: &Stateless) -> Self {
        let mut noted = Self {
            name: command.name(),
            room: command.room().cloned(),
            entry: None,
            subject: None,
            count: None,
            when_done: true,
        };
        match command {
            Stateless::MessageEdit { seq, .. }
            | Stateless::MessageDelete { seq, .. }
            | Stateless::Reaction { seq, .. } => noted.entry = Some(*seq),
            Stateless::MemberAdd { user, .. }
            | Stateless::MemberRemove { user, .. }
            | Stateless::MemberRole { user, .. } => noted.subject = Some(user.clone()),
            Stateless::ConversationCreate { members, .. } => noted.count = Some(members.len() as u64),
            Stateless::History { limit, .. } => noted.count = Some(u64::from(*limit)),
            Stateless::MessageSend { .. }
            | Stateless::EventPublish { .. }
            | Stateless::ConversationUpdate { .. } => {}
            Stateless::Rooms { .. }
            | Stateless::Members { .. }
            | Stateless::MarkDelivered { .. }
            | Stateless::MarkRead { .. }
            | Stateless::PresenceGet { .. }
            | Stateless::Notifications { .. }
            | Stateless::Inbox(_) => noted.when_done = false,
        }
        noted
    }

    /// What the answer adds: where it was written, which room was made.
    fn learn(&mut self, reply: &Reply) {
        match reply {
            Reply::MessageSent { position, .. } | Reply::EntryAccepted { position, .. }
                if self.entry.is_none() =>
            {
                self.entry = Some(position.seq);
            }
            Reply::ConversationCreated { room, .. } => self.room = Some(room.clone()),
            _ => {}
        }
    }

    fn about(&self) -> About<'_> {
        About {
            room: self.room.as_ref().map(RoomName::as_str),
            entry: self.entry.map(|seq| seq.0),
            subject: self.subject.as_ref().map(UserId::as_str),
            count: self.count,
            ..About::default()
        }
    }
}

/// Whether a refusal is somebody's trying what they may not.
fn is_denial(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::AccessDenied | ErrorCode::PermissionDenied)
}

/// Whether somebody did too much, or their tenant holds too much.
fn is_held_back(refusal: &Refusal) -> bool {
    refusal.code == ErrorCode::RateLimited || is_full(refusal)
}

impl Services {
    /// What will be said of a command; `None` where no log is kept.
    pub(super) fn note(&self, command: &Stateless) -> Option<Noted> {
        self.audit.is_on().then(|| Noted::of(command))
    }

    /// Says what became of a command.
    pub(super) fn tell(
        &self,
        noted: Option<Noted>,
        source: &Source,
        caller: &Caller,
        answer: &Result<Answer, Refusal>,
    ) {
        let Some(mut noted) = noted else { return };
        let result = match answer {
            Ok(answer) => {
                noted.learn(&answer.reply);
                Ok(())
            }
            // Said elsewhere, and not of each.
            Err(refusal) if is_held_back(refusal) => return,
            Err(refusal) => Err(refusal.code),
        };
        if noted.when_done || result.is_err_and(is_denial) {
            self.audit.tell(noted.name, source, Some(caller), noted.about(), result);
        }
    }

    /// Says that a session was opened, once it is let in.
    pub(super) fn tell_opened(&self, live: &Live) {
        if live.places().has(Places::ADMITTED) && live.told.set(true).is_ok() {
            self.audit.tell(event::SESSION_OPENED, &live.source, None, About::default(), Ok(()));
        }
    }

    /// Says that a session ended, and why where it was the hub that ended it. Where it was not let in before, that is all that
    /// is said of it.
    pub(super) fn tell_ended(&self, live: &Live) {
        let reason = live.ends_as.get().copied().or_else(|| live.mailbox.ended_as());
        if live.told.set(false).is_ok() {
            // Who left by themselves was not let in in time.
            let refused = Err(reason.unwrap_or(ErrorCode::Unavailable));
            self.audit.tell(event::SESSION_OPENED, &live.source, None, About::default(), refused);
        } else if live.told.get() == Some(&true) {
            self.audit.tell_end(&live.source.clone().with_ticket(None), reason);
        }
    }

    /// Says that somebody was held back, with how many times were not said: once a second of each user, and once a minute
    /// of each service, which may ask a thousand times a second for as long as it likes, and of whoever fills a full
    /// tenant, which stays so. Nothing of what is refused for another reason.
    pub fn tell_limited<'a>(&self, source: &Source, who: impl Into<Who<'a>>, refusal: &Refusal) {
        if !self.audit.is_on() || !is_held_back(refusal) {
            return;
        }
        let live = source.session.and_then(|session| self.sessions.get(session));
        let who = who.into();
        let (key, now) = (who.identity(), Moment::now());
        let admitted = match live {
            _ if is_full(refusal) => self.upkeep.full.admit_every(SELDOM, (key, who.tenant.cloned()), now),
            Some(live) => live.limited.admit(now),
            None if who.service => self.upkeep.limited.admit_every(SELDOM, key, now),
            None => self.upkeep.limited.admit(key, now),
        };
        self.audit.tell_seldom(event::LIMIT, source, Some(who), refusal.code, admitted.is_some());
    }
}
