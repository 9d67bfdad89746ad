//! Notifications.

use std::mem::take;

use carillon_proto::v1;
use carillon_proto::v1::send_notification_request::Audience as WireAudience;

use super::super::decode::{self, ContentPaths};
use super::AdminApi;
use crate::administration::commands::{Audience, SendNotification};
use crate::domain::caller::Caller;
use crate::domain::content::{NOTIFICATION_DATA, Pairs};
use crate::domain::error::{Refusal, Violation};
use crate::domain::inbox::{Notice, NotificationKind, Priority};
use crate::domain::limits;
use crate::domain::names::{RoomName, UserId};
use crate::domain::time::Timestamp;

/// `NOT_FOUND` where the audience is a room that does not exist; `MESSAGE_TOO_LARGE` for its body; `CONFLICT` where the
/// idempotency key was used for another request.
pub(super) async fn send(
    api: AdminApi,
    caller: Caller,
    mut request: v1::SendNotificationRequest,
) -> Result<v1::SendNotificationResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let notification = SendNotification {
        audience: audience(request.audience)?,
        kind: NotificationKind::parse(&request.kind)?,
        title: Notice::parse_title(&request.title)?,
        body: decode::optional_content(request.body, ContentPaths::BODY)?,
        priority: decode::priority(request.priority, "priority")?.unwrap_or(Priority::Normal),
        data: Pairs::parse(request.data, NOTIFICATION_DATA)?,
        expires: expires(request.expires_ms)?,
        idempotency,
    };
    let sent = api.administer.send_notification(&caller, notification).await?;
    Ok(v1::SendNotificationResponse {
        id: sent.id.as_str().to_owned(),
        recipients: sent.recipients,
        duplicate: sent.duplicate,
    })
}

fn audience(audience: Option<WireAudience>) -> Result<Audience, Violation> {
    match audience {
        None => Err(Violation { field: "audience", rule: "required" }),
        Some(WireAudience::Users(list)) => users(&list.users).map(Audience::Users),
        Some(WireAudience::RoomMembers(room)) => RoomName::parse(&room)
            .map(Audience::RoomMembers)
            .map_err(|violation| Violation { field: "room_members", ..violation }),
        Some(WireAudience::AllUsers(true)) => Ok(Audience::AllUsers),
        Some(WireAudience::AllUsers(false)) => Err(Violation { field: "all_users", rule: "true" }),
    }
}

fn users(users: &[String]) -> Result<Vec<UserId>, Violation> {
    let field = "users.users";
    if !(1..=limits::NOTIFICATION_USERS).contains(&users.len()) {
        return Err(Violation { field, rule: "1 to 1000" });
    }
    let users = users
        .iter()
        .map(|user| UserId::parse(user).map_err(|v| Violation { field: "users.users[]", ..v }))
        .collect::<Result<Vec<_>, _>>()?;
    if decode::repeats(&users) {
        return Err(Violation { field, rule: "none twice" });
    }
    Ok(users)
}

/// 0 is never; whether a moment lies ahead is for the area, which has the time.
fn expires(millis: i64) -> Result<Option<Timestamp>, Violation> {
    match millis {
        0 => Ok(None),
        1.. => Ok(Some(Timestamp(millis))),
        _ => Err(Violation { field: "expires_ms", rule: "in the future" }),
    }
}
