//! Sessions, users, and what there is of both.

use carillon_proto::v1;
use carillon_proto::v1::disconnect_session_request::Target;

use super::super::decode;
use super::{AdminApi, rates};
use crate::access::limits::Limited;
use crate::administration::commands::{Disconnect, DisconnectTarget, ListSessions, SessionInfo};
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::names::{InstanceId, SessionId, UserId};

/// Nothing but what any call answers.
pub(super) async fn sessions(
    api: AdminApi,
    caller: Caller,
    request: v1::ListSessionsRequest,
) -> Result<v1::ListSessionsResponse, Refusal> {
    let list = ListSessions {
        user: if request.user.is_empty() { None } else { Some(UserId::parse(&request.user)?) },
        cursor: decode::cursor(request.cursor)?,
        limit: decode::page(request.limit)?,
    };
    let listed = api.sessions.list(&caller, list).await?;
    Ok(v1::ListSessionsResponse {
        sessions: listed.sessions.into_iter().map(session).collect(),
        next_cursor: listed.next.0,
        silent_nodes: listed.silent_nodes,
    })
}

fn session(info: SessionInfo) -> v1::SessionInfo {
    v1::SessionInfo {
        session: info.session.to_string(),
        user: info.user.as_str().to_owned(),
        instance: info.instance.map_or_else(String::new, |instance| instance.as_str().to_owned()),
        client: info.client,
        connected_ms: info.connected.millis(),
        last_active_ms: info.last_active.millis(),
        rooms: info.rooms,
        token_expires_ms: info.token_expires.millis(),
        address: info.peer.address.map(|address| address.to_string()).unwrap_or_default(),
        agent: info.peer.agent.map(String::from).unwrap_or_default(),
        origin: info.peer.origin.map(String::from).unwrap_or_default(),
    }
}

/// Nothing but what any call answers: where no session matches, none was ended.
pub(super) async fn disconnect(
    api: AdminApi,
    caller: Caller,
    request: v1::DisconnectSessionRequest,
) -> Result<v1::DisconnectSessionResponse, Refusal> {
    let disconnect = Disconnect { target: target(request.target)?, code: end_code(&request.code)? };
    let disconnected = api.sessions.disconnect(&caller, disconnect).await?;
    Ok(v1::DisconnectSessionResponse { disconnected })
}

fn target(target: Option<Target>) -> Result<DisconnectTarget, Violation> {
    let user = match target {
        None => return Err(Violation { field: "target", rule: "required" }),
        Some(Target::Session(session)) => return SessionId::parse(&session).map(DisconnectTarget::Session),
        Some(Target::User(user)) => user,
    };
    let instance = if user.instance.is_empty() {
        None
    } else {
        let parsed = InstanceId::parse(&user.instance);
        Some(parsed.map_err(|violation| Violation { field: "user.instance", ..violation })?)
    };
    let user =
        UserId::parse(&user.user).map_err(|violation| Violation { field: "user.user", ..violation })?;
    Ok(DisconnectTarget::User { user, instance })
}

fn end_code(code: &str) -> Result<ErrorCode, Violation> {
    match code {
        "" | "SESSION_INVALIDATED" => Ok(ErrorCode::SessionInvalidated),
        "GOING_AWAY" => Ok(ErrorCode::GoingAway),
        "UNAVAILABLE" => Ok(ErrorCode::Unavailable),
        _ => Err(Violation { field: "code", rule: "SESSION_INVALIDATED, GOING_AWAY or UNAVAILABLE" }),
    }
}

/// `DEADLINE_EXCEEDED` after 60 s: repeat the request, it carries on.
pub(super) async fn erase(
    api: AdminApi,
    caller: Caller,
    request: v1::EraseUserRequest,
) -> Result<v1::EraseUserResponse, Refusal> {
    let erased = api.administer.erase_user(&caller, UserId::parse(&request.user)?).await?;
    Ok(v1::EraseUserResponse {
        messages_blanked: erased.entries,
        notifications_removed: erased.notifications,
    })
}

/// Nothing but what any call answers.
pub(super) async fn statistics(
    api: AdminApi,
    caller: Caller,
    _: v1::GetStatisticsRequest,
) -> Result<v1::GetStatisticsResponse, Refusal> {
    let counts = api.administer.statistics(&caller).await?;
    Ok(v1::GetStatisticsResponse {
        sessions: counts.sessions,
        users: counts.users,
        rooms: counts.rooms,
        active_rooms: counts.active_rooms,
        messages: counts.messages,
        notifications: counts.notifications,
        time_ms: counts.time.millis(),
        limits_hit: counts.limits_hit.into_iter().map(hits).collect(),
        limits_in_use: counts.limits_in_use,
        stored_bytes: counts.stored_bytes,
        stored_bytes_limit: counts.stored_bytes_limit,
        tenant_messages: counts.messages_left.map(rates::level),
    })
}

fn hits((kind, refused): (Limited, u64)) -> v1::LimitHits {
    v1::LimitHits { kind: kind.name().to_owned(), refused }
}
