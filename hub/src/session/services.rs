//! What all sessions of a node share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::access::authentication::{Authenticator, ServiceToken, Verified};
use crate::access::revocation::{Bearer, Revocations};
use crate::access::tickets::Tickets;
use crate::audit::{Source, Trail};
use crate::bus::registry::limits::SharedLimits;
use crate::bus::registry::tickets::SharedTickets;
use crate::delivery::Delivery;
use crate::domain::caller::{Caller, Identity};
use crate::domain::command::{Cursor, Stateless, Token};
use crate::domain::cursor::{self, List};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::REVOKED_AHEAD;
use crate::domain::names::{RoomKey, TenantId, UserId, UserKey};
use crate::domain::namespace::Namespaces;
use crate::domain::reply::{Reply, SessionTerms};
use crate::domain::seldom::Seldom;
use crate::domain::time::{Moment, Timestamp};
use crate::presence::Presence;
use crate::store::{Home, Idempotency, Outcome, Store, Write, refuse_commit};
use crate::telemetry::traces::{self, Tracer};
use crate::telemetry::{Metrics, SeldomEach};

use super::connection::Waiting;
use super::counts::Changed;
use super::crowd::Crowd;
use super::doors::Doors;
use super::executor::{Answer, Executor};
use super::limits::Limits;
use super::memory::Memory;
use super::once::Once;
use super::openings::Openings;
use super::order::Order;
use super::replaced::Replaced;
use super::sessions::Sessions;
use super::spent::Spent;

/// Users that are remembered as known to the directory, so that a reconnect need not write.
const KNOWN_USERS: usize = 100_000;

/// What configuration says of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What clients are told.
    pub terms: SessionTerms,
    /// Without a `hello` by then the stream is closed.
    pub hello_timeout: Duration,
    /// A command that is not done by then is answered with DEADLINE_EXCEEDED.
    pub command_timeout: Duration,
    /// `token_expiring` comes this long before expiry.
    pub token_notice: Duration,
    /// A session that does not read for this long while something waits is ended.
    pub slow_consumer_after: Duration,
    /// Bytes a second that a session which stays behind must take.
    pub slow_consumer_floor: usize,
    /// Bytes of pushes that may wait for one session.
    pub mailbox_bytes: usize,
}

/// What all sessions of a node share.
pub struct Services {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// The namespaces' rules.
    pub namespaces: Arc<Namespaces>,
    /// Commands that need no session.
    pub executor: Executor,
    /// Fan-out.
    pub delivery: Arc<Delivery>,
    /// Who is present.
    pub presence: Presence,
    /// Who is who.
    pub authenticator: Authenticator,
    /// How often each may do what, and how many sessions there may be.
    pub limits: Limits,
    /// What is counted with other nodes, where there may be any.
    pub shared: Option<Arc<dyn SharedLimits>>,
    /// Which tokens are good no more.
    pub revocations: Revocations,
    /// Tickets, which speak for tokens: those of this node alone.
    pub tickets: Tickets,
    /// Those of all nodes, where there may be others.
    pub shared_tickets: Option<Arc<dyn SharedTickets>>,
    /// From configuration.
    pub settings: Settings,
    /// All live sessions.
    pub sessions: Arc<Sessions>,
    /// Where what somebody did is written down.
    pub audit: Trail,
    /// What is counted.
    pub metrics: Metrics,
    /// What is told of the traces of callers.
    pub traces: Tracer,
    /// What sessions themselves keep here.
    pub upkeep: Upkeep,
}

/// What sessions keep of a node for their own use; empty at first.
pub struct Upkeep {
    /// Streams that have not said hello, by runtime.
    pub(super) waiting: Vec<Waiting>,
    /// Sessions that were ended and whose transport does not let go of them, by runtime.
    pub(super) unheard: Vec<Waiting>,
    /// Ephemeral events that were handed over.
    pub(super) once: Once,
    /// Says when a line may be written that a user without a session, or a service, was held back.
    pub(super) limited: SeldomEach<Identity>,
    /// Says when a line may be written that somebody was refused as their tenant is full.
    pub(super) full: SeldomEach<(Identity, Option<TenantId>)>,
    /// Says when a line may be written that the bridge has too many of an address.
    pub(crate) turned_away: SeldomEach<Option<IpAddr>>,
    /// Counts of sessions that other nodes are to be told.
    pub(super) counts: Changed,
    /// Who waits to be counted with other nodes' sessions.
    pub(super) doors: Doors,
    /// Turns of those who come back at once.
    pub(super) crowd: Crowd,
    /// Says when a line may be written that a room could not be resumed or read.
    pub(super) unread_rooms: Seldom,
    /// What is left of sessions that addresses may open.
    pub(super) openings: Openings,
    /// What ended sessions have left of their commands.
    pub(super) spent: Spent,
    /// Sessions that were taken over from and are held yet.
    pub(super) replaced: Replaced,
    /// Turns of whoever keeps what revocations reached.
    pub(super) keeping: tokio::sync::Mutex<()>,
    refused_tokens: Seldom,
    draining: AtomicBool,
    out_of_service: AtomicBool,
    /// Whether the store is away for so long that nobody knows who was revoked.
    stale: AtomicBool,
    known: Memory<UserKey, ()>,
}

impl Upkeep {
    /// For this many runtimes.
    pub fn new(runtimes: usize) -> Self {
        let lists = || (0..runtimes).map(|_| Waiting::default()).collect();
        let known = Memory::new(KNOWN_USERS);
        Self {
            waiting: lists(),
            unheard: lists(),
            once: Once::new(),
            limited: SeldomEach::default(),
            full: SeldomEach::default(),
            turned_away: SeldomEach::default(),
            counts: Changed::default(),
            doors: Doors::default(),
            crowd: Crowd::default(),
            unread_rooms: Seldom::default(),
            openings: Openings::default(),
            spent: Spent::default(),
            replaced: Replaced::default(),
            keeping: tokio::sync::Mutex::default(),
            refused_tokens: Seldom::default(),
            draining: AtomicBool::new(false),
            out_of_service: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            known,
        }
    }
}

impl Services {
    /// Who bears the token. Services have no sessions: their names are not those of users, whose inboxes and rooms
    /// they would take over. `PERMISSION_DENIED` for their tokens, of however many tenants.
    pub fn authenticate(&self, token: &Token, now: Timestamp) -> Result<Caller, Refusal> {
        let verified = self.identify(token, now)?;
        match &verified {
            Verified::User(_) => self.admit(&verified, None),
            Verified::Service(_) => {
                self.can_admit()?;
                self.check_bearer(&verified)?;
                Err(Refusal::from(ErrorCode::PermissionDenied).of(verified.whose()))
            }
        }
    }

    /// Who bears a token of a service for all tenants. `PERMISSION_DENIED` for others.
    pub fn authenticate_operator(&self, token: &Token, now: Timestamp) -> Result<ServiceToken, Refusal> {
        let operator = match self.identify(token, now)? {
            Verified::Service(service) if service.is_operator() => service,
            other => return Err(Refusal::from(ErrorCode::PermissionDenied).of(other.whose())),
        };
        self.check(None, &bearer_of(&operator)).map_err(|refusal| refusal.of(operator.whose()))?;
        self.check_operator(&operator, now)?;
        Ok(operator)
    }

    /// Why an operator's token is good no more, if so. While the store is away, whoever watches goes on to see just that, for
    /// as long as sessions do.
    pub fn check_operator(&self, operator: &ServiceToken, now: Timestamp) -> Result<(), Refusal> {
        if operator.expires <= now {
            return Err(ErrorCode::TokenExpired.into());
        }
        if self.upkeep.stale.load(Ordering::SeqCst) {
            return Err(ErrorCode::Unavailable.into());
        }
        self.revocations.check(None, &bearer_of(operator))
    }

    /// The caller that a token is for, unless it was revoked. `UNAVAILABLE` where the store cannot say what was: then
    /// nobody new gets in.
    pub(super) fn admit(&self, verified: &Verified, named: Option<&TenantId>) -> Result<Caller, Refusal> {
        let caller = verified.caller(named).map_err(|refusal| refusal.of(verified.whose()))?;
        let bearer = Bearer { name: &caller.user, service: caller.service, mark: &caller.token };
        self.check(Some(&caller.tenant), &bearer).map_err(|refusal| refusal.of((&caller).into()))?;
        Ok(caller)
    }

    fn check(&self, tenant: Option<&TenantId>, bearer: &Bearer<'_>) -> Result<(), Refusal> {
        self.can_admit()?;
        self.revocations.check(tenant, bearer)
    }

    /// `UNAVAILABLE` where nobody can say who was revoked.
    pub(super) fn can_admit(&self) -> Result<(), Refusal> {
        let can = self.store.says_who_is_revoked() && !self.revocations.are_stale();
        if can { Ok(()) } else { Err(ErrorCode::Unavailable.into()) }
    }

    /// What the token says, or the one that a ticket of this node was made for; one of all nodes is [exchanged](Self::exchange)
    /// before. Whether it was revoked is not asked.
    pub(super) fn identify(&self, token: &Token, now: Timestamp) -> Result<Verified, Refusal> {
        let identified = if Tickets::is_ticket(&token.0) {
            self.tickets.redeem(&token.0, now)
        } else {
            self.authenticator.verify(&token.0, now).map_err(|error| {
                // Anybody can send as many as they like.
                if let Some(left_out) = self.upkeep.refused_tokens.admit(Moment::now()) {
                    tracing::info!(reason = %error, left_out, "token refused");
                }
                error.into()
            })
        };
        // What was not judged was not refused.
        if identified.as_ref().is_err_and(|refusal: &Refusal| refusal.code != ErrorCode::Unavailable) {
            self.metrics.counters().tokens_refused.increment();
        }
        // By the clock that «now» of a revocation is found by.
        let now = now.plus(self.store.behind().min(REVOKED_AHEAD));
        identified.map(|verified| self.revocations.date(verified, now))
    }

    /// Which service bears the token, where it may act for `tenant`.
    pub fn authenticate_service(
        &self,
        token: &Token,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let caller = self.admit(&self.identify(token, now)?, Some(tenant))?;
        // A user's token administers nothing, not even its own tenant.
        if caller.service { Ok(caller) } else { Err(not_for(&caller)) }
    }

    /// Carries out a command that needs no session. Without a limit in time of its own.
    pub async fn execute(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Stateless,
        order: Option<Order>,
        source: &Source,
    ) -> Result<Answer, Refusal> {
        let asked = if let Stateless::PresenceGet { room, cursor, limit } = &command {
            Some((RoomKey { tenant: caller.tenant.clone(), room: room.clone() }, cursor.clone(), *limit))
        } else {
            None
        };
        let (name, began, attempt) = (command.name(), Instant::now(), idempotency.clone());
        let span = self.traces.entry(source.trace, name);
        let noted = self.note(&command);
        let answer = traces::within(span.as_ref(), self.carry_out(caller, idempotency, command, order)).await;
        if let Err(refusal) = &answer {
            self.tell_limited(source, caller, refusal);
        }
        self.tell(noted, source, caller, &answer);
        let status = answer.as_ref().map(|_| ()).map_err(|refusal| refusal.code);
        self.metrics.commands().record(name, status, began.elapsed());
        if let Some(span) = span {
            span.ends(status);
        }
        let mut answer = answer?;
        if let Some(event) = &mut answer.ephemeral {
            event.attempt = attempt;
        }
        // The executor says who may see it; who is present is known here.
        match asked {
            Some((room, cursor, limit)) => Ok(self.present(caller, &room, &cursor, limit).await?.into()),
            None => Ok(answer),
        }
    }

    /// `UNAVAILABLE` where it is not known in time who is on other nodes: nobody of the tenant need have a session on this one.
    async fn present(
        &self,
        caller: &Caller,
        room: &RoomKey,
        cursor: &Cursor,
        limit: u32,
    ) -> Result<Reply, Refusal> {
        let scope = room.room.as_str();
        let after =
            cursor::read(List::Presence, &caller.key(), scope, cursor)?.map(UserId::parse).transpose()?;
        self.presence.gather(&caller.tenant).await.map_err(|_| ErrorCode::Unavailable)?;
        let page = self.presence.page(room, after.as_ref(), limit as usize);
        let last = page.states.last().filter(|_| page.more);
        let next = last.map(|last| cursor::write(List::Presence, &caller.key(), scope, last.user.as_str()));
        Ok(Reply::Presence { occupancy: page.occupancy, next: next.unwrap_or_default(), states: page.states })
    }

    /// Makes the user known to the tenant's directory: part of «all users» from now on.
    pub async fn know(&self, user: &UserKey) -> Result<(), Refusal> {
        let (known, since) = self.upkeep.known.look(user);
        if known.is_some() {
            return Ok(());
        }
        let outcome = Outcome {
            tenant: user.tenant.clone(),
            home: Home::Tenant,
            actor: user.user.clone(),
            by_service: false,
            idempotency: None,
            conditions: Vec::new(),
            writes: vec![Write::Know],
            effects: Vec::new(),
        };
        match self.store.commit(outcome).await {
            Ok(_) => {
                // Who was erased meanwhile is not known any more.
                self.upkeep.known.keep(user.clone(), (), since);
                Ok(())
            }
            Err(error) => Err(refuse_commit(error)),
        }
    }

    /// The directory has forgotten a user: their next session makes them known again.
    pub fn forget(&self, user: &UserKey) {
        self.upkeep.known.forget(user);
    }

    /// Who was forgotten by the directory may not have been heard: everybody's next session makes them known again.
    pub fn forget_all(&self) {
        self.upkeep.known.forget_all(|_| true);
    }

    /// The node stops: no new sessions.
    pub fn begin_drain(&self) {
        self.upkeep.draining.store(true, Ordering::SeqCst);
    }

    /// Whether the store is there, or away for so short a time that nobody need go elsewhere.
    pub fn is_in_service(&self) -> bool {
        !self.upkeep.out_of_service.load(Ordering::SeqCst)
    }

    /// Says whether it is.
    pub fn set_in_service(&self, is_in_service: bool) {
        self.upkeep.out_of_service.store(!is_in_service, Ordering::SeqCst);
    }

    /// Says whether the store is away for so long that nobody knows who was revoked. Where it is, all sessions end.
    pub fn set_stale(&self, is_stale: bool) {
        self.upkeep.stale.store(is_stale, Ordering::SeqCst);
        if is_stale {
            self.delivery.end_all();
        }
    }

    /// Whether the node stops.
    pub fn is_draining(&self) -> bool {
        self.upkeep.draining.load(Ordering::SeqCst)
    }
}

/// What a good token is not for.
fn not_for(caller: &Caller) -> Refusal {
    Refusal::from(ErrorCode::PermissionDenied).of(caller.into())
}

pub(super) fn bearer_of(operator: &ServiceToken) -> Bearer<'_> {
    Bearer { name: &operator.name, service: true, mark: &operator.mark }
}
