//! The authoriser that an organisation runs itself, over gRPC.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::tls::{ClientTls, Connector, TlsError};
use carillon_proto::v1;
use carillon_proto::v1::authorizer_service_client::AuthorizerServiceClient;
use futures::FutureExt;
use futures::future::BoxFuture;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::access::authorizer::{Authorizer, AuthorizerError, Question, Verdict};
use crate::access::rules::Capability;

/// Largest answer that is read, bytes.
const ANSWER_BYTES: usize = 4 * 1024;

/// One that is called over gRPC. It connects with the first question.
pub struct RemoteAuthorizer {
    client: AuthorizerServiceClient<Channel>,
    bearer: Option<MetadataValue<Ascii>>,
}

/// Why it cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum RemoteAuthorizerError {
    /// The address or the token cannot be used.
    #[error("an address such as http://127.0.0.1:9000, and a token of visible characters")]
    Options,
    /// What is to be trusted cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl RemoteAuthorizer {
    /// One at `url`, to which the hub says who it is by `token`. At an address of `https` its certificate must be signed by
    /// an authority of the file `ca`, or where there is none by one that the system trusts.
    pub fn new(
        url: &str,
        ca: Option<&Path>,
        token: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, RemoteAuthorizerError> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| RemoteAuthorizerError::Options)?;
        let endpoint = endpoint.connect_timeout(timeout).tcp_nodelay(true);
        let bearer = token.map(|token| format!("Bearer {token}").parse()).transpose();
        let mut bearer: Option<MetadataValue<Ascii>> = bearer.map_err(|_| RemoteAuthorizerError::Options)?;
        if let Some(bearer) = &mut bearer {
            bearer.set_sensitive(true);
        }
        let channel = if endpoint.uri().scheme_str() == Some("https") {
            let tls = ClientTls { ca: ca.map(Path::to_owned), identity: None };
            endpoint.connect_with_connector_lazy(Connector::new(&tls)?)
        } else {
            endpoint.connect_lazy()
        };
        let client = AuthorizerServiceClient::new(channel);
        Ok(Self { client: client.max_decoding_message_size(ANSWER_BYTES), bearer })
    }
}

impl Authorizer for RemoteAuthorizer {
    fn check(&self, question: Question) -> BoxFuture<'static, Result<Verdict, AuthorizerError>> {
        let mut client = self.client.clone();
        let mut request = Request::new(v1::CheckRequest {
            tenant: question.tenant.as_str().to_owned(),
            user: question.user.as_str().to_owned(),
            room: question.room.as_str().to_owned(),
            capability: name(question.capability).to_owned(),
        });
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        async move {
            // The code alone: what the other side writes into its message is not for the log.
            let answer = match client.check(request).await {
                Ok(answer) => answer.into_inner(),
                Err(status) if is_no(status.code()) => return Ok(Verdict { allowed: false, ttl: None }),
                Err(status) => return Err(failed(status.code())),
            };
            let ttl = (answer.ttl_ms > 0).then(|| Duration::from_millis(u64::from(answer.ttl_ms)));
            Ok(Verdict { allowed: answer.allowed, ttl })
        }
        .boxed()
    }
}

/// Whether a status is an answer about what was asked, a "no", and none about the callee: it knows no such room, say.
fn is_no(code: Code) -> bool {
    matches!(
        code,
        Code::PermissionDenied
            | Code::NotFound
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::AlreadyExists
    )
}

fn failed(code: Code) -> AuthorizerError {
    AuthorizerError(Arc::from(code.description()))
}

/// A capability's name in a question.
fn name(capability: Capability) -> &'static str {
    match capability {
        Capability::Join => "join",
        Capability::ReadHistory => "history",
        Capability::SeePresence => "presence",
        Capability::ListMembers => "members",
        Capability::Mark => "mark",
        Capability::Send => "send",
        Capability::Publish => "publish",
        Capability::Type => "type",
        Capability::React => "react",
        Capability::Edit => "edit",
        Capability::DeleteOwn => "delete",
        // By role alone: nobody is asked.
        Capability::DeleteOthers
        | Capability::AddMember
        | Capability::RemoveMember
        | Capability::LeaveMembership
        | Capability::ChangeRole
        | Capability::UpdateRoom => "moderate",
    }
}
