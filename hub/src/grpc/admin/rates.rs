//! How full buckets are, and filling them.

use carillon_proto::v1;

use super::AdminApi;
use crate::access::limits::Level;
use crate::administration::commands::UserLevels;
use crate::domain::caller::Caller;
use crate::domain::error::{Refusal, Violation};
use crate::domain::names::UserId;

/// Nothing but what any call answers: of a user whom nobody knows nothing is in use.
pub(super) async fn levels(
    api: AdminApi,
    caller: Caller,
    request: v1::GetLimitsRequest,
) -> Result<v1::GetLimitsResponse, Refusal> {
    let UserLevels { kinds, sessions } = api.sessions.levels(&caller, whose(&request.user)?).await?;
    let sessions = sessions.into_iter().map(|(session, left, burst)| v1::LimitLevel {
        kind: "commands".to_owned(),
        session: session.to_string(),
        left,
        burst,
        ..Default::default()
    });
    Ok(v1::GetLimitsResponse { levels: kinds.into_iter().map(level).chain(sessions).collect() })
}

/// A user, or a service; `None` for the tenant.
fn whose(user: &str) -> Result<Option<UserId>, Violation> {
    if user.is_empty() { Ok(None) } else { UserId::parse(user).map(Some) }
}

pub(super) fn level(level: Level) -> v1::LimitLevel {
    v1::LimitLevel {
        kind: level.kind.name().to_owned(),
        namespace: level.namespace.unwrap_or_default(),
        session: String::new(),
        left: level.left,
        burst: level.burst,
    }
}

/// Nothing but what any call answers.
pub(super) async fn reset(
    api: AdminApi,
    caller: Caller,
    request: v1::ResetLimitsRequest,
) -> Result<v1::ResetLimitsResponse, Refusal> {
    let reset = api.sessions.reset_limits(&caller, whose(&request.user)?).await?;
    Ok(v1::ResetLimitsResponse { reset })
}
