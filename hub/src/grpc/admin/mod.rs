//! `AdminService`: every call needs a service token that lists the tenant which the request names.
//!
//! Any call may answer `AUTH_REQUIRED` without a token, `INVALID_TOKEN`, `TOKEN_EXPIRED` or `TOKEN_REVOKED` for a bad
//! one, `PERMISSION_DENIED` for a user's token or one that does not list the tenant or lacks the ability, `INVALID_ARGUMENT` for a field
//! that breaks a rule, `UNAVAILABLE` where the store or a key source cannot be reached, and `DEADLINE_EXCEEDED` after
//! `session.command_timeout`. What else a call answers stands above its function in the area's file.

mod members;
mod notify;
mod rates;
mod rooms;
mod send;
mod tokens;
mod told;
mod users;

use std::sync::Arc;
use std::time::Duration;

use carillon_proto::v1;
use carillon_proto::v1::admin_service_server::AdminService;
use carillon_proto::v1::execute_response::Kind as Executed;
use futures::stream::{BoxStream, StreamExt};
use http::HeaderMap;
use tonic::{Request, Response, Status};

use super::call::{RequestId, answer, bearer, required_bearer};
use super::door::{Admitted, Visitor};
use super::ports::{Administer, Answer, Authenticate, Execute, Observe, Operator, Sessions};
use super::{encode, errors, overview};
use crate::access::storage::is_full;
use crate::audit::{About, Source, Trail, Who};
use crate::domain::audit::ChainHead;
use crate::domain::caller::{Caller, Whose};
use crate::domain::command::Stateless;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits;
use crate::domain::names::TenantId;
use crate::domain::powers::Ability;
use crate::store::Idempotency;
use told::Told;

/// The administration service. A clone shares everything.
#[derive(Clone)]
pub struct AdminApi {
    /// Who calls.
    pub authenticate: Arc<dyn Authenticate>,
    /// Commands that users have too: a service carries them out without being a member.
    pub execute: Arc<dyn Execute>,
    /// The open sessions.
    pub sessions: Arc<dyn Sessions>,
    /// The node's figures.
    pub observe: Arc<dyn Observe>,
    /// The rest.
    pub administer: Arc<dyn Administer>,
    /// Where calls are written down.
    pub audit: Trail,
    /// From where the call comes that a clone carries out.
    pub source: Source,
    /// A call is answered by then, but for the erasure of a user.
    pub timeout: Duration,
}

impl AdminApi {
    /// Authenticates and then handles the request of `call`, within `limit`.
    async fn serve<Q: OfTenant + Told, T, F>(
        &self,
        call: &str,
        request: Request<Q>,
        limit: Duration,
        handle: impl FnOnce(Self, Caller, Q) -> F,
    ) -> Result<Response<T>, Status>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let (metadata, extensions, request) = request.into_parts();
        let headers = metadata.as_ref();
        let request_id = RequestId::of(headers);
        let source = Visitor::of(&extensions).source(headers);
        let work = async {
            let mut text = String::new();
            let is_emergency = request.is_emergency();
            let caller = self.may_call(headers, &request).inspect_err(|refusal| {
                self.tell(call, &source, None, request.about(&mut text), Err(refusal));
            })?;
            let told = (!Q::IS_COMMAND && self.audit.is_on()).then(|| request.clone());
            let this = Self { source: source.clone(), ..self.clone() };
            let done = handle(this, caller.clone(), request).await;
            if let Some(request) = told {
                let result = done.as_ref().map(|_| ());
                let about = request.about(&mut text);
                if is_emergency && result.is_ok() {
                    self.audit.tell_passed(call, &source, &caller, about);
                } else {
                    self.tell(call, &source, Some(&caller), about, result);
                }
            }
            done
        };
        answer(request_id.clone(), limit, work).await
    }

    /// Writes down what became of a call. That a service was held back is no line for each.
    fn tell(
        &self,
        call: &str,
        source: &Source,
        caller: Option<&Caller>,
        about: About<'_>,
        result: Result<(), &Refusal>,
    ) {
        let named = result.err().and_then(|refusal| refusal.whose.as_deref());
        let who = caller.map(Who::from).or(named.map(Who::from));
        match (who, result) {
            (Some(who), Err(refusal)) if refusal.code == ErrorCode::RateLimited || is_full(refusal) => {
                self.authenticate.tell_limited(source, who, refusal);
            }
            _ => self.audit.tell_of(call, source, who, about, result.map_err(|refusal| refusal.code)),
        }
    }

    /// Who calls, where they may. Whatever a service is refused is one of its requests.
    fn may_call<Q: OfTenant>(&self, headers: &HeaderMap, request: &Q) -> Result<Caller, Refusal> {
        if !request.is_urgent() && !self.audit.admits() {
            return Err(ErrorCode::Unavailable.into());
        }
        let judged = self.caller(headers, request.tenant()).and_then(|caller| {
            if caller.powers.abilities.has(Q::NEEDS) {
                Ok(caller)
            } else {
                Err(Refusal::from(ErrorCode::PermissionDenied).of((&caller).into()))
            }
        });
        let caller = self.limit_refused(judged)?;
        if !request.is_emergency() {
            self.limit(&(&caller).into())?;
        }
        Ok(caller)
    }

    fn limit(&self, service: &Whose) -> Result<(), Refusal> {
        self.authenticate.limit_service(service).map_err(|refusal| refusal.of(service.clone()))
    }

    /// What was judged; what a service is refused takes one of its requests.
    fn limit_refused<T>(&self, judged: Result<T, Refusal>) -> Result<T, Refusal> {
        judged.map_err(|refusal| self.authenticate.refused(refusal))
    }

    /// Whether this is an operator's call. What it says of others is written down.
    fn operator(&self, call: &str, source: &Source, headers: &HeaderMap) -> Result<Operator, Refusal> {
        let operator = required_bearer(headers).and_then(|token| self.authenticate.operator(token));
        self.limit_refused(operator)
            .inspect_err(|refusal| self.tell(call, source, None, About::default(), Err(refusal)))
    }

    /// The same of a call that only an operator may make, and which is written down too.
    fn admit_operator(&self, call: &str, source: &Source, headers: &HeaderMap) -> Result<Operator, Refusal> {
        if !self.audit.admits() {
            return Err(ErrorCode::Unavailable.into());
        }
        let operator = self.operator(call, source, headers)?;
        let limited = self.limit(&operator.whose);
        limited.inspect_err(|refusal| self.tell(call, source, None, About::default(), Err(refusal)))?;
        let who = Some(Who::from(&operator.whose));
        self.audit.tell_of(call, source, who, About::default(), Ok(()));
        Ok(operator)
    }

    /// The token that a ticket in these headers speaks for; `None` where they are judged as they are.
    pub(super) fn exchange(&self, headers: &HeaderMap) -> Option<Answer<String>> {
        self.authenticate.exchange(bearer(headers).ok()??)
    }

    /// Whether a call with these headers may come from a service: which tenant it is for, only its request says.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        let token = required_bearer(headers)?;
        match self.authenticate.any_service(token) {
            Ok(whose) => Ok(Admitted::Service(Some(Box::new(whose)))),
            Err(refusal) if refusal.code == ErrorCode::PermissionDenied => {
                Ok(Admitted::Barred(self.authenticate.user(token)?))
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn command(&self) -> Duration {
        self.timeout
    }

    fn erasure(&self) -> Duration {
        self.timeout.max(limits::ERASURE_TIMEOUT)
    }

    fn caller(&self, headers: &HeaderMap, tenant: &str) -> Result<Caller, Refusal> {
        let token = required_bearer(headers)?;
        let caller = self.authenticate.service(token, &TenantId::parse(tenant)?)?;
        // The port promises it; nothing here depends on the promise being kept.
        if caller.service { Ok(caller) } else { Err(ErrorCode::PermissionDenied.into()) }
    }

    /// Carries out a command that users have too.
    async fn executed(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Stateless,
    ) -> Result<Executed, Refusal> {
        let reply = self.execute.execute(caller, idempotency, command, self.source.clone()).await?;
        encode::execute_response(&reply)
            .and_then(|response| response.kind)
            .ok_or_else(|| ErrorCode::Internal.into())
    }

    /// Carries out a command whose reply is the entry that it wrote.
    async fn entry(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Stateless,
    ) -> Result<v1::EntryAccepted, Refusal> {
        match self.executed(caller, idempotency, command).await? {
            Executed::EntryAccepted(entry) => Ok(entry),
            _ => Err(ErrorCode::Internal.into()),
        }
    }
}

/// A request that names its tenant.
trait OfTenant: Clone {
    /// What a service's token must allow.
    const NEEDS: Ability;

    fn tenant(&self) -> &str;

    /// Whether no limit may hold it up (row W14a).
    fn is_emergency(&self) -> bool {
        false
    }

    /// Whether it is carried out whatever becomes of the audit log.
    fn is_urgent(&self) -> bool {
        self.is_emergency()
    }
}

fn head(head: &ChainHead) -> v1::AuditHead {
    v1::AuditHead {
        chain: head.chain.to_string(),
        seq: head.seq,
        seal: head.seal.0.to_vec().into(),
        time_ms: head.time.millis(),
    }
}

macro_rules! of_tenant {
    ($($ability:ident: $($request:ident),*;)*) => {
        $($(impl OfTenant for v1::$request {
            const NEEDS: Ability = Ability::$ability;

            fn tenant(&self) -> &str {
                &self.tenant
            }
        })*)*
    };
}

of_tenant! {
    Read: GetLimitsRequest, GetRoomRequest, GetStatisticsRequest, ListMembersRequest, ListRoomsRequest,
        ListSessionsRequest;
    Rooms: AddMemberRequest, CreateRoomRequest, RemoveMemberRequest, SetMemberRoleRequest, UpdateRoomRequest;
    Send: PublishEventRequest, SendMessageRequest;
    Sessions: DisconnectSessionRequest, ResetLimitsRequest;
    Erase: EraseUserRequest;
}

impl OfTenant for v1::RevokeTokensRequest {
    const NEEDS: Ability = Ability::Revoke;

    fn tenant(&self) -> &str {
        &self.tenant
    }

    /// A stolen token goes on doing harm while the log is away.
    fn is_urgent(&self) -> bool {
        true
    }
}

impl OfTenant for v1::SendNotificationRequest {
    const NEEDS: Ability = Ability::Notify;

    fn tenant(&self) -> &str {
        &self.tenant
    }

    fn is_emergency(&self) -> bool {
        self.priority() == v1::NotificationPriority::Critical
    }
}

macro_rules! calls {
    ($($call:ident($request:ident) -> $response:ident within $limit:ident: $handle:path;)*) => {
        #[tonic::async_trait]
        impl AdminService for AdminApi {
            $(async fn $call(
                &self,
                request: Request<v1::$request>,
            ) -> Result<Response<v1::$response>, Status> {
                self.serve(stringify!($call), request, self.$limit(), $handle).await
            })*

            /// What a call for one tenant answers; `PERMISSION_DENIED` also for all tenants with a token that is not.
            async fn revoke_tokens(
                &self,
                request: Request<v1::RevokeTokensRequest>,
            ) -> Result<Response<v1::RevokeTokensResponse>, Status> {
                let headers = request.metadata().as_ref();
                let source = Visitor::of(request.extensions()).source(headers);
                if request.get_ref().everywhere
                    && let Err(refusal) = self.operator("revoke_tokens", &source, headers)
                {
                    return Err(errors::status(&refusal, &RequestId::of(headers)));
                }
                self.serve("revoke_tokens", request, self.command(), tokens::revoke).await
            }

            /// `PERMISSION_DENIED` also for a service's token that is not for all tenants.
            async fn list_audit_heads(
                &self,
                request: Request<v1::ListAuditHeadsRequest>,
            ) -> Result<Response<v1::ListAuditHeadsResponse>, Status> {
                let headers = request.metadata().as_ref();
                let request_id = RequestId::of(headers);
                let source = Visitor::of(request.extensions()).source(headers);
                let work = async {
                    drop(self.admit_operator("list_audit_heads", &source, headers)?);
                    let heads = self.administer.audit_heads().await?;
                    Ok(v1::ListAuditHeadsResponse { heads: heads.iter().map(head).collect() })
                };
                answer(request_id.clone(), self.command(), work).await
            }

            type WatchOverviewStream = BoxStream<'static, Result<v1::WatchOverviewResponse, Status>>;

            /// `PERMISSION_DENIED` also for a service's token that is not for all tenants. Ends with OK when the hub
            /// stops.
            async fn watch_overview(
                &self,
                request: Request<v1::WatchOverviewRequest>,
            ) -> Result<Response<Self::WatchOverviewStream>, Status> {
                let headers = request.metadata().as_ref();
                let request_id = RequestId::of(headers);
                let source = Visitor::of(request.extensions()).source(headers);
                let work = async {
                    let operator = self.admit_operator("watch_overview", &source, headers)?;
                    let figures = overview::watch(Arc::clone(&self.observe), operator.still_good);
                    let figures: Self::WatchOverviewStream = figures
                        .map(move |figures| figures.map_err(|refusal| errors::status(&refusal, &request_id)))
                        .boxed();
                    Ok(figures)
                };
                answer(RequestId::of(headers), limits::COMMAND_TIMEOUT, work).await
            }
        }
    };
}

calls! {
    create_room(CreateRoomRequest) -> CreateRoomResponse within command: rooms::create;
    get_room(GetRoomRequest) -> GetRoomResponse within command: rooms::get;
    list_rooms(ListRoomsRequest) -> ListRoomsResponse within command: rooms::list;
    update_room(UpdateRoomRequest) -> UpdateRoomResponse within command: rooms::update;
    add_member(AddMemberRequest) -> AddMemberResponse within command: members::add;
    remove_member(RemoveMemberRequest) -> RemoveMemberResponse within command: members::remove;
    set_member_role(SetMemberRoleRequest) -> SetMemberRoleResponse within command: members::set_role;
    list_members(ListMembersRequest) -> ListMembersResponse within command: members::list;
    list_sessions(ListSessionsRequest) -> ListSessionsResponse within command: users::sessions;
    disconnect_session(DisconnectSessionRequest) -> DisconnectSessionResponse within command:
        users::disconnect;
    erase_user(EraseUserRequest) -> EraseUserResponse within erasure: users::erase;
    send_notification(SendNotificationRequest) -> SendNotificationResponse within command: notify::send;
    send_message(SendMessageRequest) -> SendMessageResponse within command: send::message;
    publish_event(PublishEventRequest) -> PublishEventResponse within command: send::event;
    get_limits(GetLimitsRequest) -> GetLimitsResponse within command: rates::levels;
    reset_limits(ResetLimitsRequest) -> ResetLimitsResponse within command: rates::reset;
    get_statistics(GetStatisticsRequest) -> GetStatisticsResponse within command: users::statistics;
}

#[cfg(test)]
mod tests;
