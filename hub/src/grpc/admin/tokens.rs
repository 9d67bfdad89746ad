//! Tokens that are good no more.

use carillon_proto::v1;
use carillon_proto::v1::revoke_tokens_request::What;
use carillon_proto::v1::token_revocation::Id;

use super::AdminApi;
use crate::access::authentication::id;
use crate::domain::caller::Caller;
use crate::domain::error::{Refusal, Violation};
use crate::domain::limits::{JTI_BYTES, REVOKED_AHEAD, REVOKED_LIFE};
use crate::domain::names::{TenantId, UserId};
use crate::domain::revocation::{Revocation, Revoked, Scope, TokenId};
use crate::domain::time::Timestamp;

/// `RATE_LIMITED` where a tenant has 200,000 single tokens revoked that have not expired, or as many users or services: revoke
/// everybody's before an instant.
pub(super) async fn revoke(
    api: AdminApi,
    caller: Caller,
    request: v1::RevokeTokensRequest,
) -> Result<v1::RevokeTokensResponse, Refusal> {
    let is_of_one = matches!(request.what, Some(What::Token(_)));
    let now = if request.before_ms == 0 && !is_of_one {
        api.administer.now(&caller).await?
    } else {
        Timestamp::now()
    };
    let revocation = parse(&caller.tenant, &request, now)?;
    api.administer.revoke(&caller, revocation).await?;
    Ok(v1::RevokeTokensResponse {})
}

fn parse(
    tenant: &TenantId,
    request: &v1::RevokeTokensRequest,
    now: Timestamp,
) -> Result<Revocation, Violation> {
    let before = || match Timestamp(request.before_ms) {
        Timestamp(0) => Ok(now),
        before if (Timestamp(1)..=now.plus(REVOKED_AHEAD)).contains(&before) => Ok(before),
        _ => Err(Violation { field: "before_ms", rule: "at most five minutes ahead" }),
    };
    let named = |field, name: &str| UserId::parse(name).map_err(|violation| Violation { field, ..violation });
    let what = match request.what.as_ref() {
        None => return Err(Violation { field: "what", rule: "required" }),
        Some(What::Token(_)) if request.before_ms != 0 => {
            return Err(Violation { field: "before_ms", rule: "0 for one token" });
        }
        Some(What::Token(token)) => token_of(token, now)?,
        Some(What::User(_)) if request.everywhere => {
            return Err(Violation { field: "everywhere", rule: "not with a user" });
        }
        Some(What::User(user)) => Revoked::User { user: named("user", user)?, before: before()? },
        Some(What::Service(name)) => Revoked::Service { name: named("service", name)?, before: before()? },
        Some(What::Everybody(true)) => Revoked::Everybody { before: before()? },
        Some(What::Everybody(false)) => return Err(Violation { field: "everybody", rule: "true" }),
    };
    let scope = if request.everywhere { Scope::Everywhere } else { Scope::Tenant(tenant.clone()) };
    Ok(Revocation { scope, what })
}

fn token_of(token: &v1::TokenRevocation, now: Timestamp) -> Result<Revoked, Violation> {
    let id = match token.id.as_ref() {
        None => return Err(Violation { field: "token.id", rule: "required" }),
        Some(Id::Jti(jti)) if (1..=JTI_BYTES).contains(&jti.len()) => id::of_jti(jti),
        Some(Id::Jti(_)) => return Err(Violation { field: "token.jti", rule: "1 to 1000 bytes" }),
        Some(Id::Sha256(hash)) => {
            let hash = <[u8; 32]>::try_from(hash.as_ref());
            TokenId(hash.map_err(|_| Violation { field: "token.sha256", rule: "32 bytes" })?)
        }
    };
    let ends = Timestamp(token.expires_ms);
    if ends <= now || ends > now.plus(REVOKED_LIFE) {
        return Err(Violation { field: "token.expires_ms", rule: "in the future, at most ten years ahead" });
    }
    Ok(Revoked::Token { id, ends })
}
