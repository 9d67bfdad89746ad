//! `HubService.Execute`: one command without a session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_proto::v1::hub_service_server::HubService;
use carillon_proto::{port, v1};
use http::HeaderMap;
use prost::Message as _;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::call::{RequestId, answer, bearer, required_bearer};
use super::door::{Admitted, Visitor};
use super::ports::{Answer, Authenticate, Execute};
use super::{decode, encode};
use crate::audit::{About, Source, Trail, event};
use crate::domain::caller::{Caller, Whose};
use crate::domain::error::{ErrorCode, Refusal};

/// The part of `HubService` that tonic's own server carries.
pub struct HubApi {
    authenticate: Arc<dyn Authenticate>,
    execute: Arc<dyn Execute>,
    audit: Trail,
    timeout: Duration,
}

impl HubApi {
    /// Carries out commands with `execute`, each within `timeout`, for callers that `authenticate` knows. What is
    /// refused before is written down in `audit`.
    pub fn new(
        authenticate: Arc<dyn Authenticate>,
        execute: Arc<dyn Execute>,
        audit: Trail,
        timeout: Duration,
    ) -> Self {
        Self { authenticate, execute, audit, timeout }
    }

    /// Who calls with these headers.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        self.authenticate.user(required_bearer(headers)?)
    }

    /// The token that a ticket in these headers speaks for; `None` where they are judged as they are.
    pub(super) fn exchange(&self, headers: &HeaderMap) -> Option<Answer<String>> {
        self.authenticate.exchange(bearer(headers).ok()??)
    }

    /// Who calls, before anything is read. A service may ask for a ticket and nothing else.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        match self.caller(headers) {
            Ok(caller) => Ok(Admitted::User(caller)),
            Err(refusal) if refusal.code == ErrorCode::PermissionDenied => {
                Ok(Admitted::Service(refusal.whose))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Whose what is in these headers is, where it is a ticket that is good.
    pub(super) fn look(&self, headers: &HeaderMap) -> Option<Answer<Whose>> {
        self.authenticate.look(bearer(headers).ok()??)
    }

    /// What whoever sent no command that can be read is told.
    pub(super) fn unread(&self, whose: &Whose, source: &Source, refusal: Refusal) -> Refusal {
        self.authenticate.limit_unread(whose, source).err().unwrap_or(refusal)
    }

    /// Who calls, if anybody may; that there is nobody is written down.
    fn admitted(&self, caller: Result<Caller, Refusal>, source: &Source) -> Result<Caller, Refusal> {
        let caller = caller.map_err(|refusal| self.authenticate.refused(refusal));
        caller.inspect_err(|refusal| match &refusal.whose {
            Some(whose) if refusal.code == ErrorCode::RateLimited => {
                self.authenticate.tell_limited(source, (&**whose).into(), refusal);
            }
            _ => self.audit.tell_refused(event::AUTHENTICATION, source, About::default(), refusal),
        })
    }

    async fn executed(
        &self,
        caller: Result<Caller, Refusal>,
        request: v1::ExecuteRequest,
        source: Source,
    ) -> Result<v1::ExecuteResponse, Refusal> {
        let caller = caller?;
        let decoded = decode::execute(request);
        let (idempotency, command) =
            decoded.map_err(|refusal| self.unread(&(&caller).into(), &source, refusal))?;
        let reply = self.execute.execute(&caller, idempotency, command, source).await?;
        encode::execute_response(&reply).ok_or_else(|| ErrorCode::Internal.into())
    }
}

/// What is wrong with the message of an `Execute`.
pub(super) fn check(message: Bytes) -> Result<(), Refusal> {
    let request = v1::ExecuteRequest::decode(message).map_err(|_| ErrorCode::ProtocolError)?;
    decode::execute(request).map(drop)
}

#[tonic::async_trait]
impl HubService for HubApi {
    type SessionStream = futures::stream::Empty<Result<v1::SessionResponse, Status>>;

    /// Never reached: [`super::router::Router`] takes `Session` before it comes here, because tonic's codec would
    /// encode each frame once per receiver. `UNIMPLEMENTED` where this server is mounted without it.
    async fn session(
        &self,
        _: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented("sessions are not served here"))
    }

    /// `AUTH_REQUIRED` without a token, `INVALID_TOKEN`, `TOKEN_EXPIRED` or `TOKEN_REVOKED` for a bad one;
    /// `INVALID_ARGUMENT` and `MESSAGE_TOO_LARGE` for a wrong command; then what the command says (`ACCESS_DENIED`,
    /// `PERMISSION_DENIED`, `NOT_FOUND`, `CONFLICT`, `RATE_LIMITED`); `UNAVAILABLE` where the store or a key source
    /// cannot be reached; `DEADLINE_EXCEEDED` after `session.command_timeout`.
    async fn execute(
        &self,
        request: Request<v1::ExecuteRequest>,
    ) -> Result<Response<v1::ExecuteResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let headers = metadata.as_ref();
        let request_id = RequestId::of(headers);
        let source = Visitor::of(&extensions).source(headers);
        let caller = match (extensions.get::<Caller>(), extensions.get::<Whose>()) {
            _ if !self.audit.admits() => Err(ErrorCode::Unavailable.into()),
            (Some(admitted), _) => Ok(admitted.clone()),
            (None, Some(service)) => {
                let refusal = Refusal::from(ErrorCode::PermissionDenied).of(service.clone());
                self.admitted(Err(refusal), &source)
            }
            (None, None) => self.admitted(self.caller(headers), &source),
        };
        let caller_is_known = caller.is_ok();
        let answered = answer(request_id, self.timeout, self.executed(caller, request, source)).await;
        answered.map_err(|mut status| {
            // A bridge counts those of whom nobody knows who they are.
            if caller_is_known {
                status.metadata_mut().insert(port::CALLER, AsciiMetadataValue::from_static(port::KNOWN));
            }
            status
        })
    }

    /// `AUTH_REQUIRED` without a token, `INVALID_TOKEN`, `TOKEN_EXPIRED` or `TOKEN_REVOKED` for a bad one or a ticket;
    /// `RATE_LIMITED` where too many tickets are about; `UNAVAILABLE` where the nodes share them and cannot keep it.
    async fn create_ticket(
        &self,
        request: Request<v1::CreateTicketRequest>,
    ) -> Result<Response<v1::CreateTicketResponse>, Status> {
        let headers = request.metadata().as_ref();
        let source = Visitor::of(request.extensions()).source(headers);
        let work = async {
            let (ticket, expires) = self.authenticate.ticket(required_bearer(headers)?, source).await?;
            Ok(v1::CreateTicketResponse { ticket, expires_ms: expires.millis() })
        };
        answer(RequestId::of(headers), self.timeout, work).await
    }
}
