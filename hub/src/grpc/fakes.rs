//! A hub small enough to test the services with: it answers what it is told to, and keeps what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::ready;
use parking_lot::Mutex;

use super::admin::AdminApi;
use super::execute::HubApi;
use super::ports::{Administer, Answer, Authenticate, Execute, NodeFigures, Observe, Operator, Sessions};
use crate::administration::commands::{
    CreateRoom, Disconnect, ListRooms, ListSessions, NotificationSent, RoomCreated, RoomsListed,
    SendNotification, SessionInfo, SessionsListed, Statistics, UserLevels,
};
use crate::audit::{Source, Trail, Who};
use crate::domain::audit::{ChainHead, ChainId, Seal};
use crate::domain::caller::{Caller, Whose};
use crate::domain::command::{Cursor, Stateless};
use crate::domain::content::Pairs;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits;
use crate::domain::names::{NotificationId, RoomName, SessionId, TenantId, UserId};
use crate::domain::peer::Peer;
use crate::domain::position::{Epoch, Position, Seq, Tag};
use crate::domain::reply::Reply;
use crate::domain::revocation::{Revocation, TokenMark};
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::store::{Erased, Idempotency};
use crate::telemetry::Metrics;

/// The token of the user alice.
pub(super) const ALICE: &str = "alice-token";
/// The token of the service clinic, which lists the tenant acme.
pub(super) const CLINIC: &str = "clinic-token";
/// The token of a service for all tenants.
pub(super) const OPERATOR: &str = "operator-token";

/// What a service asked of the hub.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    Execute(String, Option<Idempotency>, Stateless),
    CreateRoom(CreateRoom),
    GetRoom(RoomName),
    ListRooms(ListRooms),
    SendNotification(SendNotification),
    Erase(UserId),
    Revoke(Revocation),
    Levels(Option<UserId>),
    ResetLimits(Option<UserId>),
    Statistics,
    Sessions(ListSessions),
    Disconnect(Disconnect),
}

/// Answers with `reply` where a command is executed, else with something of the kind asked for.
pub(super) struct FakeHub {
    reply: Mutex<Option<Result<Reply, Refusal>>>,
    asked: Mutex<Vec<Asked>>,
    tokens: AtomicUsize,
    taken: Arc<AtomicUsize>,
    looked: Arc<AtomicUsize>,
}

impl FakeHub {
    /// A hub that answers the next command with `reply`; a later one never.
    pub(super) fn answering(reply: impl Into<Option<Result<Reply, Refusal>>>) -> Arc<Self> {
        Arc::new(Self {
            reply: Mutex::new(reply.into()),
            asked: Mutex::default(),
            tokens: AtomicUsize::new(0),
            taken: Arc::default(),
            looked: Arc::default(),
        })
    }

    /// The only thing that it was asked.
    pub(super) fn asked(&self) -> Asked {
        let asked = self.asked.lock();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }

    pub(super) fn was_asked_nothing(&self) -> bool {
        self.asked.lock().is_empty()
    }

    /// How many users' tokens it was asked about.
    pub(super) fn tokens_seen(&self) -> usize {
        self.tokens.load(Ordering::Relaxed)
    }

    /// How many tickets it was asked to exchange.
    pub(super) fn tickets_taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many tickets it was asked to look at.
    pub(super) fn tickets_seen(&self) -> usize {
        self.looked.load(Ordering::Relaxed)
    }

    pub(super) fn hub_api(self: &Arc<Self>) -> HubApi {
        HubApi::new(self.clone(), self.clone(), Trail::off(), limits::COMMAND_TIMEOUT)
    }

    pub(super) fn admin_api(self: &Arc<Self>) -> AdminApi {
        AdminApi {
            audit: Trail::off(),
            source: Source::default(),
            authenticate: self.clone(),
            execute: self.clone(),
            sessions: self.clone(),
            observe: self.clone(),
            administer: self.clone(),
            timeout: limits::COMMAND_TIMEOUT,
        }
    }

    fn answer<T: Send + 'static>(&self, asked: Asked, answer: T) -> Answer<T> {
        self.asked.lock().push(asked);
        Box::pin(ready(Ok(answer)))
    }
}

fn caller(user: &str, service: bool) -> Caller {
    Caller {
        tenant: TenantId::parse("acme").unwrap(),
        user: UserId::parse(user).unwrap(),
        service,
        cross_tenant: false,
        expires: Timestamp(0),
        token: crate::domain::revocation::TokenMark::default(),
        powers: crate::domain::powers::Powers::default(),
    }
}

pub(super) fn room() -> Room {
    Room {
        room: RoomName::parse("conversation:1").unwrap(),
        head: Position { epoch: Epoch(3), seq: Seq(7), tag: Tag(9) },
        head_number: 5,
        first: Seq(1),
        version: Seq(2),
        created: true,
        direct: false,
        metadata: Pairs::default(),
        members: 4,
    }
}

impl Authenticate for FakeHub {
    fn exchange(&self, token: &str) -> Option<Answer<String>> {
        let ticket = token.strip_prefix("ticket_")?.to_owned();
        let taken = Arc::clone(&self.taken);
        Some(Box::pin(async move {
            taken.fetch_add(1, Ordering::Relaxed);
            if ticket == "of-alice" { Ok(ALICE.to_owned()) } else { Err(ErrorCode::InvalidToken.into()) }
        }))
    }

    fn limit_unread(&self, _: &Whose, _: &Source) -> Result<(), Refusal> {
        Ok(())
    }

    fn look(&self, token: &str) -> Option<Answer<Whose>> {
        let ticket = token.strip_prefix("ticket_")?.to_owned();
        let looked = Arc::clone(&self.looked);
        Some(Box::pin(async move {
            looked.fetch_add(1, Ordering::Relaxed);
            if ticket == "of-alice" {
                Ok((&caller("alice", false)).into())
            } else {
                Err(ErrorCode::InvalidToken.into())
            }
        }))
    }

    fn user(&self, token: &str) -> Result<Caller, Refusal> {
        self.tokens.fetch_add(1, Ordering::Relaxed);
        match token {
            ALICE => Ok(caller("alice", false)),
            _ => Err(ErrorCode::InvalidToken.into()),
        }
    }

    fn service(&self, token: &str, tenant: &TenantId) -> Result<Caller, Refusal> {
        match (token, tenant.as_str()) {
            (CLINIC, "acme") => Ok(caller("clinic", true)),
            // A port that let a user through.
            (ALICE, _) => Ok(caller("alice", false)),
            (CLINIC, _) => Err(ErrorCode::PermissionDenied.into()),
            _ => Err(ErrorCode::InvalidToken.into()),
        }
    }

    fn limit_service(&self, _: &Whose) -> Result<(), Refusal> {
        Ok(())
    }

    fn refused(&self, refusal: Refusal) -> Refusal {
        refusal
    }

    fn tell_limited(&self, _: &Source, _: Who<'_>, _: &Refusal) {}

    fn any_service(&self, token: &str) -> Result<Whose, Refusal> {
        let named = [(CLINIC, "clinic"), (ALICE, "alice")].into_iter().find(|named| named.0 == token);
        named.map(|(_, name)| (&caller(name, true)).into()).ok_or_else(|| ErrorCode::InvalidToken.into())
    }

    fn operator(&self, token: &str) -> Result<Operator, Refusal> {
        if token != OPERATOR {
            return Err(ErrorCode::PermissionDenied.into());
        }
        let name = UserId::parse("operator").map_err(|_| ErrorCode::Internal)?;
        let whose =
            Whose { tenant: None, name, service: true, cross_tenant: true, token: TokenMark::default() };
        Ok(Operator { whose, still_good: Box::new(|| Ok(())) })
    }

    fn ticket(&self, token: &str, _: Source) -> Answer<(String, Timestamp)> {
        let caller = self.user(token);
        Box::pin(ready(caller.map(|caller| (format!("ticket_{}", caller.user), Timestamp(30_000)))))
    }
}

impl Observe for FakeHub {
    fn figures(&self) -> NodeFigures {
        NodeFigures {
            time: Timestamp(5),
            sessions: 3,
            sessions_peak: 4,
            rooms: 2,
            store_queued: 1,
            store_healthy: false,
            store_away_since: Some(Timestamp(4)),
            other_nodes: 2,
            memory_bytes: 1_000,
            counted: Metrics::new().snapshot(),
            draining: false,
        }
    }
}

impl Execute for FakeHub {
    fn execute(
        &self,
        caller: &Caller,
        key: Option<Idempotency>,
        command: Stateless,
        _: Source,
    ) -> Answer<Reply> {
        self.asked.lock().push(Asked::Execute(caller.user.to_string(), key, command));
        match self.reply.lock().take() {
            Some(reply) => Box::pin(ready(reply)),
            None => Box::pin(std::future::pending()),
        }
    }
}

impl Sessions for FakeHub {
    fn list(&self, _: &Caller, list: ListSessions) -> Answer<SessionsListed> {
        let session = SessionInfo {
            session: SessionId(0xab),
            user: UserId::parse("bob").unwrap(),
            instance: None,
            client: "web/1".into(),
            peer: Peer::new(Some("192.0.2.1".parse().unwrap()), Some("browser/1"), None),
            connected: Timestamp(1),
            last_active: Timestamp(2),
            rooms: 3,
            token_expires: Timestamp(4),
        };
        let listed = SessionsListed { sessions: vec![session], next: Cursor("next".into()), silent_nodes: 0 };
        self.answer(Asked::Sessions(list), listed)
    }

    fn levels(&self, _: &Caller, user: Option<UserId>) -> Answer<UserLevels> {
        self.answer(Asked::Levels(user), UserLevels::default())
    }

    fn reset_limits(&self, _: &Caller, user: Option<UserId>) -> Answer<u32> {
        self.answer(Asked::ResetLimits(user), 3)
    }

    fn disconnect(&self, _: &Caller, disconnect: Disconnect) -> Answer<u32> {
        self.answer(Asked::Disconnect(disconnect), 2)
    }
}

impl Administer for FakeHub {
    fn create_room(&self, _: &Caller, create: CreateRoom) -> Answer<RoomCreated> {
        self.answer(Asked::CreateRoom(create), RoomCreated { room: room(), duplicate: true })
    }

    fn get_room(&self, _: &Caller, name: RoomName) -> Answer<Room> {
        self.answer(Asked::GetRoom(name), room())
    }

    fn list_rooms(&self, _: &Caller, list: ListRooms) -> Answer<RoomsListed> {
        let empty = Room { head: Position::default(), ..room() };
        let listed = RoomsListed { rooms: vec![room(), empty], next: Cursor("next".into()) };
        self.answer(Asked::ListRooms(list), listed)
    }

    fn send_notification(&self, _: &Caller, send: SendNotification) -> Answer<NotificationSent> {
        let id = NotificationId::parse("n1").unwrap();
        self.answer(Asked::SendNotification(send), NotificationSent { id, recipients: 2, duplicate: false })
    }

    fn now(&self, _: &Caller) -> Answer<Timestamp> {
        Box::pin(std::future::ready(Ok(Timestamp::now())))
    }

    fn revoke(&self, _: &Caller, revocation: Revocation) -> Answer<()> {
        self.answer(Asked::Revoke(revocation), ())
    }

    fn audit_heads(&self) -> Answer<Vec<ChainHead>> {
        let head = ChainHead { chain: ChainId(1), seq: 2, seal: Seal([3; 32]), time: Timestamp(4) };
        Box::pin(ready(Ok(vec![head])))
    }

    fn erase_user(&self, _: &Caller, user: UserId) -> Answer<Erased> {
        self.answer(Asked::Erase(user), Erased { entries: 5, notifications: 6 })
    }

    fn statistics(&self, _: &Caller) -> Answer<Statistics> {
        self.answer(Asked::Statistics, Statistics { sessions: 1, messages: 2, ..Statistics::default() })
    }
}
