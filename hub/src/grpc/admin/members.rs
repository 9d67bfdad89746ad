//! Members of rooms.

use std::mem::take;

use carillon_proto::v1;
use carillon_proto::v1::execute_response::Kind as Executed;

use super::super::decode;
use super::AdminApi;
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};

/// `NOT_FOUND` where there is no such room; `CONFLICT` where the user is a member with another role, where the room is
/// full, or where the idempotency key was used for another request.
pub(super) async fn add(
    api: AdminApi,
    caller: Caller,
    mut request: v1::AddMemberRequest,
) -> Result<v1::AddMemberResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let add = v1::MemberAdd { room: request.room, user: request.user, role: request.role };
    let entry = api.entry(&caller, idempotency, add.try_into()?).await?;
    Ok(v1::AddMemberResponse { entry: Some(entry) })
}

/// `NOT_FOUND` where there is no such room or member; `CONFLICT` for the last owner, or where the idempotency key was
/// used for another request.
pub(super) async fn remove(
    api: AdminApi,
    caller: Caller,
    mut request: v1::RemoveMemberRequest,
) -> Result<v1::RemoveMemberResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let remove = v1::MemberRemove { room: request.room, user: request.user };
    let entry = api.entry(&caller, idempotency, remove.try_into()?).await?;
    Ok(v1::RemoveMemberResponse { entry: Some(entry) })
}

/// `NOT_FOUND` where there is no such room or member; `CONFLICT` for the last owner, or where the idempotency key was
/// used for another request.
pub(super) async fn set_role(
    api: AdminApi,
    caller: Caller,
    mut request: v1::SetMemberRoleRequest,
) -> Result<v1::SetMemberRoleResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let change = v1::MemberRole { room: request.room, user: request.user, role: request.role };
    let entry = api.entry(&caller, idempotency, change.try_into()?).await?;
    Ok(v1::SetMemberRoleResponse { entry: Some(entry) })
}

/// `NOT_FOUND` where there is no such room.
pub(super) async fn list(
    api: AdminApi,
    caller: Caller,
    request: v1::ListMembersRequest,
) -> Result<v1::ListMembersResponse, Refusal> {
    let list = v1::MembersGet { room: request.room, cursor: request.cursor, limit: request.limit };
    match api.executed(&caller, None, list.try_into()?).await? {
        Executed::MembersPage(page) => {
            Ok(v1::ListMembersResponse { members: page.members, next_cursor: page.next_cursor })
        }
        _ => Err(ErrorCode::Internal.into()),
    }
}
