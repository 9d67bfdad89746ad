//! What a service sends to rooms.

use std::mem::take;

use carillon_proto::v1;
use carillon_proto::v1::execute_response::Kind as Executed;

use super::super::decode;
use super::AdminApi;
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};

/// `NOT_FOUND` where there is no such room; `MESSAGE_TOO_LARGE` for its content; `CONFLICT` where the idempotency key
/// was used for another request.
pub(super) async fn message(
    api: AdminApi,
    caller: Caller,
    mut request: v1::SendMessageRequest,
) -> Result<v1::SendMessageResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let send = v1::MessageSend {
        room: request.room,
        content: request.content,
        reply_to: request.reply_to,
        attributes: request.attributes,
    };
    match api.executed(&caller, idempotency, send.try_into()?).await? {
        Executed::MessageSent(v1::MessageSent { position, number, time_ms, duplicate }) => {
            Ok(v1::SendMessageResponse { position, number, time_ms, duplicate })
        }
        _ => Err(ErrorCode::Internal.into()),
    }
}

/// `NOT_FOUND` where there is no such room; `MESSAGE_TOO_LARGE` for its payload; `CONFLICT` where the idempotency key
/// was used for another request.
pub(super) async fn event(
    api: AdminApi,
    caller: Caller,
    mut request: v1::PublishEventRequest,
) -> Result<v1::PublishEventResponse, Refusal> {
    let idempotency = decode::idempotency_of(take(&mut request.idempotency_key), &request)?;
    let publish = v1::EventPublish {
        room: request.room,
        name: request.name,
        key: request.key,
        payload: request.payload,
        exclude_self: false,
    };
    match api.executed(&caller, idempotency, publish.try_into()?).await? {
        Executed::EntryAccepted(entry) => Ok(v1::PublishEventResponse { entry: Some(entry) }),
        Executed::Done(_) => Ok(v1::PublishEventResponse { entry: None }),
        _ => Err(ErrorCode::Internal.into()),
    }
}
