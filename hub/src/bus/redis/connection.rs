//! One connection: opened, and what it brings.

use std::sync::Arc;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::Notify;

use super::Shared;
use crate::redis::slots::Address;

/// What is to be known of a connection that is open.
pub(super) struct Open {
    pub(super) connection: MultiplexedConnection,
    /// Its number.
    pub(super) number: u64,
    /// It brought its end, or something that it cannot go on after.
    pub(super) ended: Arc<Notify>,
}

/// Opens a connection over which is heard.
pub(super) async fn open(shared: &Arc<Shared>, address: &Address) -> RedisResult<Open> {
    let client = shared.link.client_of(address)?;
    let ended = Arc::new(Notify::new());
    let number = Arc::new(std::sync::OnceLock::new());
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(shared.options.redis.connect_timeout))
        .set_response_timeout(Some(shared.options.limit))
        .set_push_sender({
            let (shared, address) = (Arc::clone(shared), address.clone());
            let (ended, number) = (Arc::clone(&ended), Arc::clone(&number));
            move |push: PushInfo| -> Result<(), redis::aio::SendError> {
                let goes_on = number.get().is_none_or(|number| bring(&shared, &address, *number, push));
                if !goes_on {
                    ended.notify_one();
                }
                Ok(())
            }
        });
    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let number = *number.get_or_init(|| shared.state.lock().connected(address));
    Ok(Open { connection, number, ended })
}

/// Takes what came. Whether the connection can go on.
fn bring(shared: &Shared, server: &Address, number: u64, push: PushInfo) -> bool {
    let PushInfo { kind, data } = push;
    let mut data = data.into_iter();
    let Some(Value::BulkString(channel)) = data.next() else {
        return kind != PushKind::Disconnection;
    };
    match (kind, data.next()) {
        (PushKind::Message | PushKind::SMessage, Some(Value::BulkString(message))) => {
            shared.state.lock().message(server, number, &channel, Bytes::from(message))
        }
        (PushKind::Subscribe | PushKind::SSubscribe, _) => {
            shared.state.lock().heard(server, number, &channel);
            true
        }
        (PushKind::Unsubscribe | PushKind::SUnsubscribe, _) => {
            let is_missed = shared.state.lock().is_missed(server, number, &channel);
            if is_missed {
                shared.moved.notify_one();
            }
            !is_missed
        }
        _ => true,
    }
}
