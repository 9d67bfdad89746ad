//! Which life of its server the hub has seen. Nodes notice what a server loses while they are there: they know what they
//! acknowledged. A server that was restarted while no node was may have lost the end of its log, and nobody knows what
//! that was: then a new epoch begins as well.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cmd;

use crate::domain::position::Epoch;
use crate::redis::{Durability, Names, Server};
use crate::store::StoreError;

use super::call::Failure;
use super::options::Options;
use super::survival;

/// The epoch in which a node that has just been started goes on, where the hub is in `epoch`.
pub(super) async fn begin(
    server: &mut Server,
    names: &Names,
    options: &Options,
    epoch: Epoch,
) -> Result<Epoch, StoreError> {
    let Some(life) = life(&mut server.connection).await else { return Ok(epoch) };
    let away = |error: redis::RedisError| StoreError::from(Failure::of(&error));
    let mut known = cmd("HGET");
    known.arg(names.hub()).arg("life");
    let known: Option<String> = known.query_async(&mut server.connection).await.map_err(away)?;
    let mut next = epoch;
    if may_have_lost(options) && known.is_some_and(|known| known != life) {
        next = survival::another_epoch(server, names, epoch).await.map_err(away)?;
        tracing::warn!(
            "redis was restarted while no node was there: a new epoch begins, and clients read afresh"
        );
    }
    note(server, names).await.map_err(away)?;
    Ok(next)
}

/// What this node acknowledged is there in the server's life: it is known from now on.
pub(super) async fn note(server: &mut Server, names: &Names) -> redis::RedisResult<()> {
    let Some(life) = life(&mut server.connection).await else { return Ok(()) };
    let mut note = cmd("HSET");
    note.arg(names.hub()).arg("life").arg(life);
    note.query_async(&mut server.connection).await
}

/// Whether a restart may lose what was acknowledged. Of a cluster each server would have to be asked; there replicas are
/// what keeps it.
fn may_have_lost(options: &Options) -> bool {
    options.durability == Durability::EverySecond && !options.redis.cluster
}

/// The process that serves; `None` where it does not say.
async fn life(connection: &mut MultiplexedConnection) -> Option<String> {
    let mut info = cmd("INFO");
    info.arg("server");
    let value = connection.req_packed_command(&info).await.ok()?;
    let text: String = redis::from_redis_value(value).ok()?;
    text.lines().find_map(|line| line.strip_prefix("run_id:")).map(|life| life.trim().to_owned())
}
