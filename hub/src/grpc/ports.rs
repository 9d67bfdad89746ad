//! What the unary services need of the hub. `app` implements these with the real parts, tests with small ones.

use futures::future::BoxFuture;

use crate::administration::commands::{
    CreateRoom, Disconnect, ListRooms, ListSessions, NotificationSent, RoomCreated, RoomsListed,
    SendNotification, SessionsListed, Statistics, UserLevels,
};
use crate::audit::{Source, Who};
use crate::domain::audit::ChainHead;
use crate::domain::caller::{Caller, Whose};
use crate::domain::command::Stateless;
use crate::domain::error::Refusal;
use crate::domain::names::{RoomName, TenantId, UserId};
use crate::domain::reply::Reply;
use crate::domain::revocation::Revocation;
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::store::{Erased, Idempotency};
use crate::telemetry::Snapshot;

/// What a call is answered with, later. Dropping it does not undo what it began.
pub type Answer<T> = BoxFuture<'static, Result<T, Refusal>>;

/// Who a token is of. Answers from memory: keys that must be fetched are fetched by someone else, and their lack is
/// `UNAVAILABLE`. Only tickets that all nodes share are elsewhere.
pub trait Authenticate: Send + Sync + 'static {
    /// The token that a ticket speaks for, which is good no more from then on; the token is then judged as if it had been
    /// shown. `None` for what is judged as it is.
    fn exchange(&self, token: &str) -> Option<Answer<String>>;

    /// Whose a ticket is that is good, and stays so: asked where a command is read before the ticket is used. `None` for what is
    /// none.
    fn look(&self, token: &str) -> Option<Answer<Whose>>;

    /// Takes one of the commands without a session that a user may send, or of a service's requests, where what came is no
    /// command that can be read. `RATE_LIMITED` past them, which is written down now and then.
    fn limit_unread(&self, whose: &Whose, source: &Source) -> Result<(), Refusal>;

    /// The caller that a token names, for the service for users.
    fn user(&self, token: &str) -> Result<Caller, Refusal>;

    /// The service that a token names, where it lists `tenant`. `PERMISSION_DENIED` for users and other tenants.
    fn service(&self, token: &str, tenant: &TenantId) -> Result<Caller, Refusal>;

    /// Takes one of the requests that a service may make, good or not. `RATE_LIMITED` past them.
    fn limit_service(&self, service: &Whose) -> Result<(), Refusal>;

    /// What whoever was refused is told: what a service with a good token may not do takes one of its requests.
    fn refused(&self, refusal: Refusal) -> Refusal;

    /// Writes down that a service was held back by `refusal`, unless that was done a moment ago.
    fn tell_limited(&self, source: &Source, who: Who<'_>, refusal: &Refusal);

    /// Which service a token is of, of whatever tenants: asked before a request is read, which then names one.
    fn any_service(&self, token: &str) -> Result<Whose, Refusal>;

    /// A service for all tenants, which may be asked again whether its token is still good. `PERMISSION_DENIED` for
    /// others.
    fn operator(&self, token: &str) -> Result<Operator, Refusal>;

    /// A ticket for the bearer of a token, and when it ends. That they got it, or did not, is written down.
    fn ticket(&self, token: &str, source: Source) -> Answer<(String, Timestamp)>;
}

/// A service for all tenants.
pub struct Operator {
    /// Who, as the audit log says it.
    pub whose: Whose,
    /// Whether its token is still good.
    pub still_good: StillGood,
}

/// Says why a token is good no more, if so: that it has expired or was revoked.
pub type StillGood = Box<dyn Fn() -> Result<(), Refusal> + Send + Sync>;

/// What a node holds and has counted.
#[derive(Clone, Debug)]
pub struct NodeFigures {
    /// When.
    pub time: Timestamp,
    /// Open sessions.
    pub sessions: u64,
    /// The most at once.
    pub sessions_peak: u64,
    /// Rooms that at least one session has joined.
    pub rooms: u64,
    /// Outcomes that wait to be committed.
    pub store_queued: u64,
    /// Whether the store commits.
    pub store_healthy: bool,
    /// Since when it cannot be reached, where that is known.
    pub store_away_since: Option<Timestamp>,
    /// Other nodes that are there.
    pub other_nodes: u64,
    /// Resident memory, bytes; 0 where the system does not tell.
    pub memory_bytes: u64,
    /// What was counted up to now.
    pub counted: Snapshot,
    /// Whether the node stops.
    pub draining: bool,
}

/// Who watches a node.
pub trait Observe: Send + Sync + 'static {
    /// The figures now.
    fn figures(&self) -> NodeFigures;
}

/// Commands without a session.
pub trait Execute: Send + Sync + 'static {
    /// Authorises and carries out a command of `caller`.
    fn execute(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Stateless,
        source: Source,
    ) -> Answer<Reply>;
}

/// The open sessions.
pub trait Sessions: Send + Sync + 'static {
    /// A page of those of the caller's tenant.
    fn list(&self, caller: &Caller, list: ListSessions) -> Answer<SessionsListed>;

    /// How full the buckets are of a user of the caller's tenant; `None` for that of all that the tenant sends.
    fn levels(&self, caller: &Caller, user: Option<UserId>) -> Answer<UserLevels>;

    /// Fills them, and says how many were not full.
    fn reset_limits(&self, caller: &Caller, user: Option<UserId>) -> Answer<u32>;

    /// Ends sessions of the caller's tenant, and says how many.
    fn disconnect(&self, caller: &Caller, disconnect: Disconnect) -> Answer<u32>;
}

/// What only administrators do, in the caller's tenant.
pub trait Administer: Send + Sync + 'static {
    /// Creates a room under a given name.
    fn create_room(&self, caller: &Caller, create: CreateRoom) -> Answer<RoomCreated>;

    /// A room; `NOT_FOUND` where there is none.
    fn get_room(&self, caller: &Caller, room: RoomName) -> Answer<Room>;

    /// A page of rooms.
    fn list_rooms(&self, caller: &Caller, list: ListRooms) -> Answer<RoomsListed>;

    /// Notifies users.
    fn send_notification(&self, caller: &Caller, send: SendNotification) -> Answer<NotificationSent>;

    /// Now, for a revocation that is to reach all tokens of before. `UNAVAILABLE` where the store does not say.
    fn now(&self, caller: &Caller) -> Answer<Timestamp>;

    /// Makes tokens good no more.
    fn revoke(&self, caller: &Caller, revocation: Revocation) -> Answer<()>;

    /// Where chains of audit lines stood.
    fn audit_heads(&self) -> Answer<Vec<ChainHead>>;

    /// Blanks a user's content. Repeating it carries on.
    fn erase_user(&self, caller: &Caller, user: UserId) -> Answer<Erased>;

    /// Counts of the tenant.
    fn statistics(&self, caller: &Caller) -> Answer<Statistics>;
}
