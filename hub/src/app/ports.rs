//! The unary services' ports, on the real parts.

use std::sync::Arc;

use futures::FutureExt;

use crate::access::storage::is_full;
use crate::administration::commands::{
    CreateRoom, Disconnect, ListRooms, ListSessions, NotificationSent, RoomCreated, RoomsListed,
    SendNotification, SessionsListed, Statistics, UserLevels,
};
use crate::administration::{Administration, Live, LiveFigures};
use crate::audit::{Source, Who};
use crate::delivery::To;
use crate::domain::audit::ChainHead;
use crate::domain::caller::{Caller, Whose};
use crate::domain::command::{Stateless, Token};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{RoomName, TenantId, UserId};
use crate::domain::reply::Reply;
use crate::domain::revocation::Revocation;
use crate::domain::room::Room;
use crate::domain::time::{Moment, Timestamp};
use crate::grpc::ports::{
    Administer, Answer, Authenticate, Execute, NodeFigures, Observe, Operator, Sessions,
};
use crate::session::Services;
use crate::store::{Erased, Idempotency, refuse};
use crate::telemetry::resident_bytes;

/// The parts, for all four ports.
#[derive(Clone)]
pub(super) struct Ports {
    pub(super) services: Arc<Services>,
    pub(super) administration: Arc<Administration>,
}

impl Ports {
    /// The unary services' ports over these services.
    pub(super) fn new(services: &Arc<Services>) -> Self {
        let administration = Administration::new(
            Arc::clone(&services.store),
            Arc::clone(&services.namespaces),
            Arc::clone(&services.limits.storage),
            Arc::new(LiveCounts(Arc::clone(services))),
        );
        Self { services: Arc::clone(services), administration: Arc::new(administration) }
    }
}

impl Authenticate for Ports {
    fn exchange(&self, token: &str) -> Option<Answer<String>> {
        let exchange = self.services.exchange(&Token(token.to_owned()))?;
        Some(exchange.map(|token| token.map(|token| token.0)).boxed())
    }

    fn look(&self, token: &str) -> Option<Answer<Whose>> {
        self.services.look(&Token(token.to_owned()))
    }

    fn limit_unread(&self, whose: &Whose, source: &Source) -> Result<(), Refusal> {
        self.services.limit_unread(whose, source)
    }

    fn user(&self, token: &str) -> Result<Caller, Refusal> {
        self.services.authenticate(&Token(token.to_owned()), Timestamp::now())
    }

    fn service(&self, token: &str, tenant: &TenantId) -> Result<Caller, Refusal> {
        self.services.authenticate_service(&Token(token.to_owned()), tenant, Timestamp::now())
    }

    fn limit_service(&self, service: &Whose) -> Result<(), Refusal> {
        self.services.limit_service(service)
    }

    fn refused(&self, refusal: Refusal) -> Refusal {
        self.services.refused_as_service(refusal)
    }

    fn tell_limited(&self, source: &Source, who: Who<'_>, refusal: &Refusal) {
        self.services.tell_limited(source, who, refusal);
    }

    fn any_service(&self, token: &str) -> Result<Whose, Refusal> {
        self.services.service_of(&Token(token.to_owned()), Timestamp::now())
    }

    fn operator(&self, token: &str) -> Result<Operator, Refusal> {
        let operator = self.services.authenticate_operator(&Token(token.to_owned()), Timestamp::now())?;
        let (services, whose) = (Arc::clone(&self.services), operator.whose());
        let still_good = Box::new(move || services.check_operator(&operator, Timestamp::now()));
        Ok(Operator { whose, still_good })
    }

    fn ticket(&self, token: &str, source: Source) -> Answer<(String, Timestamp)> {
        let (services, token) = (Arc::clone(&self.services), Token(token.to_owned()));
        async move { services.issue_ticket(&token, &source, Timestamp::now()).await }.boxed()
    }
}

impl Observe for Ports {
    fn figures(&self) -> NodeFigures {
        let counters = self.services.metrics.counters();
        let store = self.services.store.figures();
        let others = self.services.presence.figures_of_nodes();
        NodeFigures {
            time: Timestamp::now(),
            sessions: counters.sessions.now(),
            sessions_peak: counters.sessions.peak(),
            rooms: self.services.delivery.rooms().followed(None) as u64,
            store_queued: store.queued,
            store_healthy: store.healthy,
            store_away_since: store.away_since,
            other_nodes: others.map_or(0, |nodes| nodes.others),
            memory_bytes: resident_bytes().unwrap_or(0),
            counted: self.services.metrics.snapshot(),
            draining: self.services.is_draining(),
        }
    }
}

impl Execute for Ports {
    fn execute(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Stateless,
        source: Source,
    ) -> Answer<Reply> {
        let (services, caller) = (Arc::clone(&self.services), caller.clone());
        async move {
            services.limit_execution(&caller, &command, &source)?;
            let answer = services.execute(&caller, idempotency, command, None, &source).await?;
            if let Some(event) = answer.ephemeral {
                services.publish(&caller, &event, To::All)?;
            }
            Ok(answer.reply)
        }
        .boxed()
    }
}

impl Sessions for Ports {
    fn list(&self, caller: &Caller, list: ListSessions) -> Answer<SessionsListed> {
        let (services, caller) = (Arc::clone(&self.services), caller.clone());
        async move { services.list_sessions(&caller, &list).await }.boxed()
    }

    fn levels(&self, caller: &Caller, user: Option<UserId>) -> Answer<UserLevels> {
        let (services, caller) = (Arc::clone(&self.services), caller.clone());
        async move { services.levels(&caller, user).await }.boxed()
    }

    fn reset_limits(&self, caller: &Caller, user: Option<UserId>) -> Answer<u32> {
        let (services, caller) = (Arc::clone(&self.services), caller.clone());
        async move { services.reset_limits(&caller, user).await }.boxed()
    }

    fn disconnect(&self, caller: &Caller, disconnect: Disconnect) -> Answer<u32> {
        let (services, caller) = (Arc::clone(&self.services), caller.clone());
        async move { services.disconnect_sessions(&caller, disconnect).await }.boxed()
    }
}

impl Administer for Ports {
    fn now(&self, caller: &Caller) -> Answer<Timestamp> {
        let (this, caller) = (self.clone(), caller.clone());
        async move { this.administration.now(&caller).await }.boxed()
    }

    fn revoke(&self, caller: &Caller, revocation: Revocation) -> Answer<()> {
        let (this, caller) = (self.clone(), caller.clone());
        async move {
            let beside = this.services.revocations.beside(&revocation);
            this.administration.revoke(&caller, revocation, beside).await?;
            // What this node can know is kept before the call is answered.
            let services = Arc::clone(&this.services);
            let keeping = tokio::spawn(async move { services.keep_reached().await });
            // Also where the caller leaves in the middle.
            keeping.await.unwrap_or(Err(ErrorCode::Internal.into()))
        }
        .boxed()
    }

    fn audit_heads(&self) -> Answer<Vec<ChainHead>> {
        let heads = self.services.store.audit_heads();
        async move { heads.await.map_err(refuse) }.boxed()
    }

    fn create_room(&self, caller: &Caller, create: CreateRoom) -> Answer<RoomCreated> {
        let (this, caller) = (self.clone(), caller.clone());
        async move {
            let created = this.administration.create_room(&caller, &create).await;
            created.inspect_err(|refusal| {
                if is_full(refusal) {
                    this.services.count_limited("create_room", refusal);
                }
            })
        }
        .boxed()
    }

    fn get_room(&self, caller: &Caller, room: RoomName) -> Answer<Room> {
        let (this, caller) = (self.clone(), caller.clone());
        async move { this.administration.room(&caller, &room).await }.boxed()
    }

    fn list_rooms(&self, caller: &Caller, list: ListRooms) -> Answer<RoomsListed> {
        let (this, caller) = (self.clone(), caller.clone());
        async move { this.administration.rooms(&caller, &list).await }.boxed()
    }

    fn send_notification(&self, caller: &Caller, send: SendNotification) -> Answer<NotificationSent> {
        let (this, caller) = (self.clone(), caller.clone());
        async move {
            let taken = this.services.admit_notification(&caller, &send).await?;
            let sent = this.administration.notify(&caller, &send, Timestamp::now()).await;
            this.services.settle(taken, sent.as_ref().is_ok_and(|sent| !sent.duplicate)).await;
            sent
        }
        .boxed()
    }

    fn erase_user(&self, caller: &Caller, user: UserId) -> Answer<Erased> {
        let (this, caller) = (self.clone(), caller.clone());
        async move { this.administration.erase(&caller, &user).await }.boxed()
    }

    fn statistics(&self, caller: &Caller) -> Answer<Statistics> {
        let (this, caller) = (self.clone(), caller.clone());
        async move { this.administration.statistics(&caller, Timestamp::now()).await }.boxed()
    }
}

/// What is live, for administration.
struct LiveCounts(Arc<Services>);

impl LiveFigures for LiveCounts {
    fn live(&self, tenant: &TenantId) -> Answer<Live> {
        let (services, tenant) = (Arc::clone(&self.0), tenant.clone());
        async move {
            let sessions = services.delivery.registry().sessions_in(&tenant);
            let mut users: Vec<_> = sessions.iter().map(|mailbox| &mailbox.user().user).collect();
            users.sort_unstable();
            users.dedup();
            Ok(Live {
                sessions: sessions.len() as u64,
                users: users.len() as u64,
                active_rooms: services.delivery.rooms().followed(Some(&tenant)) as u64,
                limits_hit: services.limits.limiter.refused(&tenant),
                limits_in_use: services.limits.limiter.buckets(&tenant, Moment::now()),
                storage_limit: services.limits.storage.most(),
                messages: services.tenant_level(&tenant).await?,
            })
        }
        .boxed()
    }
}
