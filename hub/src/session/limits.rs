//! Where limits are asked: once for every command of every transport, and for every new session.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::access::limits::{Limited, Limiter};
use crate::access::storage::StorageLimit;
use crate::audit::Source;
use crate::domain::caller::{Caller, Whose};
use crate::domain::command::{Command, Stateless};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{SESSIONS_RETRY_AFTER, SESSIONS_WARNING};
use crate::domain::rate::{Bucket, Rate};
use crate::domain::time::Moment;

use super::driver::Session;
use super::services::Services;

/// How many sessions there may be; 0 where there is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionLimits {
    /// Of one user.
    pub user: usize,
    /// Of one tenant.
    pub tenant: usize,
    /// Of one address, where it is known.
    pub address: usize,
    /// Of this node.
    pub node: usize,
}

/// What a node allows.
pub struct Limits {
    /// How often each may do what.
    pub limiter: Limiter,
    /// Commands of one session.
    pub commands: Option<Rate>,
    /// Sessions that are opened from one address.
    pub open_per_address: Option<Rate>,
    /// How many sessions.
    pub sessions: SessionLimits,
    /// How much the rooms of a tenant hold.
    pub storage: Arc<StorageLimit>,
    /// The kinds of which all nodes take from one bucket, where there are others.
    pub shared: Vec<Limited>,
    warned: AtomicBool,
}

impl Limits {
    /// These; of rates, those of a session's commands and of an address' openings.
    pub fn new(
        limiter: Limiter,
        (commands, open_per_address): (Option<Rate>, Option<Rate>),
        sessions: SessionLimits,
        storage: Arc<StorageLimit>,
        shared: Vec<Limited>,
    ) -> Self {
        let warned = AtomicBool::new(false);
        Self { limiter, commands, open_per_address, sessions, storage, shared, warned }
    }

    /// Warns of a node that has most of the sessions that it may have, once each time that it comes to that.
    pub(super) fn watch(&self, sessions: usize) {
        let most = self.sessions.node;
        let is_near = most > 0 && sessions * 100 >= most * SESSIONS_WARNING;
        if is_near && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(sessions, most, "the node has most of the sessions that it may have");
        } else if !is_near {
            self.warned.store(false, Ordering::Relaxed);
        }
    }
}

impl Limited {
    /// Of which kind a command is, besides being one.
    fn of(command: &Stateless) -> Option<Self> {
        match command {
            Stateless::MessageSend { .. } => Some(Self::Send),
            Stateless::MessageEdit { .. } => Some(Self::Edit),
            Stateless::MessageDelete { .. } => Some(Self::Delete),
            Stateless::EventPublish { .. } => Some(Self::Publish),
            Stateless::MarkDelivered { .. } | Stateless::MarkRead { .. } => Some(Self::Mark),
            Stateless::Inbox(_) => Some(Self::Inbox),
            Stateless::History { .. }
            | Stateless::Rooms { .. }
            | Stateless::ConversationCreate { .. }
            | Stateless::ConversationUpdate { .. }
            | Stateless::MemberAdd { .. }
            | Stateless::MemberRemove { .. }
            | Stateless::MemberRole { .. }
            | Stateless::Members { .. }
            | Stateless::Reaction { .. }
            | Stateless::PresenceGet { .. }
            | Stateless::Notifications { .. } => None,
        }
    }
}

impl Services {
    /// Takes a user's command from the bucket of its kind. A service's requests are counted where they come in.
    pub(super) async fn limit(&self, caller: &Caller, command: &Stateless) -> Result<(), Refusal> {
        match Limited::of(command).filter(|_| !caller.service) {
            Some(kind) => self.take(caller, kind, command.room()).await,
            None => Ok(()),
        }
    }

    /// Takes a user's command that comes without a session. Marks have a limit of their own alone.
    pub fn limit_execution(
        &self,
        caller: &Caller,
        command: &Stateless,
        source: &Source,
    ) -> Result<(), Refusal> {
        if caller.service || Limited::of(command) == Some(Limited::Mark) {
            return Ok(());
        }
        let limited = self.limits.limiter.check(caller, Limited::Execute, None, Moment::now());
        limited.inspect_err(|refusal| {
            self.count_limited(command.name(), refusal);
            self.tell_limited(source, caller, refusal);
        })
    }

    /// Takes a user's ticket, as any call without a session: nobody takes those of others.
    pub(super) fn limit_tickets(&self, caller: &Caller) -> Result<(), Refusal> {
        let limited = self.limits.limiter.check(caller, Limited::Execute, None, Moment::now());
        limited.inspect_err(|refusal| self.count_limited("create_ticket", refusal))
    }

    /// Takes one of those that all nodes count together, where they do.
    pub(super) async fn limit_opening_anywhere(&self, caller: &Caller) -> Result<(), Refusal> {
        if self.shares(Limited::Open) { self.take(caller, Limited::Open, None).await } else { Ok(()) }
    }

    /// Takes an opening of a session, be it in the place of another, of its user and of the address that it is opened from.
    pub(super) fn limit_opening(&self, caller: &Caller, from: Option<IpAddr>) -> Result<(), Refusal> {
        let now = Moment::now();
        if !self.shares(Limited::Open) {
            self.limits.limiter.check(caller, Limited::Open, None, now)?;
        }
        let (Some(rate), Some(address)) = (self.limits.open_per_address, from) else { return Ok(()) };
        let taken = self.upkeep.openings.take(address, rate, now);
        taken.map_err(|after| Refusal { retry_after: Some(after), ..ErrorCode::RateLimited.into() })
    }

    /// Takes a room that is resumed; where there is none left, after how long there will be.
    pub(super) fn take_resumed(&self, caller: &Caller) -> Result<(), Duration> {
        self.limits.limiter.try_take(caller, Limited::Resume, None, Moment::now())
    }

    /// Takes a request of a service, whichever tenant it names.
    pub fn limit_service(&self, service: &Whose) -> Result<(), Refusal> {
        self.limit_request("service_request", service)
    }

    /// What whoever was refused is told: what a service may not do takes one of its requests. Whose token is not good, or cannot
    /// be judged, takes none of the service that it names.
    pub fn refused_as_service(&self, refusal: Refusal) -> Refusal {
        let is_good = refusal.code == ErrorCode::PermissionDenied;
        let Some(whose) = refusal.whose.as_deref().filter(|whose| is_good && whose.service) else {
            return refusal;
        };
        match self.limit_service(whose) {
            Ok(()) => refusal,
            Err(limited) => limited.of(whose.clone()),
        }
    }

    /// Takes what came without a session and is no command that can be read: to refuse it is work as well.
    pub fn limit_unread(&self, whose: &Whose, source: &Source) -> Result<(), Refusal> {
        let limited = self.limit_request("refused", whose);
        limited.map_err(|refusal| {
            self.tell_limited(source, whose, &refusal);
            refusal.of(whose.clone())
        })
    }

    /// Takes a request of a service, or a user's command without a session, of what it asks for.
    pub(super) fn limit_request(&self, name: &'static str, whose: &Whose) -> Result<(), Refusal> {
        let limited = self.limits.limiter.check_request(&whose.identity(), Moment::now());
        limited.inspect_err(|refusal| self.count_limited(name, refusal))
    }

    /// Counts a request that was refused before it was carried out.
    pub fn count_limited(&self, name: &'static str, refusal: &Refusal) {
        self.metrics.commands().record(name, Err(refusal.code), Duration::ZERO);
    }
}

/// Why there may be no more sessions. Some end, also those whose clients are gone, so that one may be let in later.
pub(super) fn too_many(code: ErrorCode) -> Refusal {
    Refusal { retry_after: Some(SESSIONS_RETRY_AFTER), ..code.into() }
}

/// What becomes of a command that came too often.
pub(super) enum TooOften {
    /// It is refused.
    Refused(Refusal),
    /// It is answered as if it were done (row W3e).
    Dropped,
}

impl Session {
    /// Takes what is no command that can be carried out: to refuse it is work as well.
    pub(super) fn limit_refused(&self) -> Result<(), Refusal> {
        let Some(established) = &self.established else { return Ok(()) };
        let limited =
            take(&mut established.live.commands.lock(), self.services.limits.commands, Moment::now());
        limited.inspect_err(|refusal| {
            self.services.count_limited("refused", refusal);
            self.services.tell_limited(&self.source, &established.caller, refusal);
        })
    }

    /// Why a command would be refused now, whatever it is; none is taken.
    pub fn is_held_back(&self) -> Result<(), Refusal> {
        let Some(established) = &self.established else { return Ok(()) };
        let mut commands = *established.live.commands.lock();
        take(&mut commands, self.services.limits.commands, Moment::now())
    }

    /// Takes a command from the session's bucket, and from that of its kind where nothing else asks for it.
    pub(super) fn limit(&self, command: &Command) -> Result<(), TooOften> {
        let Some(established) = &self.established else { return Ok(()) };
        let now = Moment::now();
        let limits = &self.services.limits;
        let (caller, bucket) = (&established.caller, || established.live.commands.lock());
        let limited = match command {
            Command::Hello(_) | Command::Goodbye => Ok(()),
            // One that nobody asked for is a command like any other.
            Command::Pong if established.live.answers_ping() => Ok(()),
            Command::Typing { room, active: true } => {
                limits.limiter.check(caller, Limited::Typing, Some(room), now)
            }
            Command::Stateless(command) if Limited::of(command) == Some(Limited::Mark) => Ok(()),
            Command::Join(join) => take(&mut bucket(), limits.commands, now)
                .and_then(|()| limits.limiter.check(caller, Limited::Join, Some(&join.room), now)),
            _ => take(&mut bucket(), limits.commands, now),
        };
        limited.map_err(|refusal| {
            self.services.count_limited(command.name(), &refusal);
            match command {
                Command::Typing { .. } => TooOften::Dropped,
                _ => TooOften::Refused(refusal),
            }
        })
    }
}

fn take(bucket: &mut Bucket, rate: Option<Rate>, now: Moment) -> Result<(), Refusal> {
    let Some(rate) = rate else { return Ok(()) };
    bucket
        .take(rate, now)
        .map_err(|after| Refusal { retry_after: Some(after), ..ErrorCode::RateLimited.into() })
}
