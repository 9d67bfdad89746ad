//! Which life of its server the hub has seen. Nodes notice what a server loses while they are there: they know what they
//! acknowledged. A server that was restarted while no node was may have lost the end of its log, and nobody knows what
//! that was: then a new epoch begins as well. Where the registry has leases of nodes that have not stopped, these may be on
//! their way back to it, and whoever starts meanwhile waits for their word.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cmd;
use tokio::time::{Instant, sleep};

use crate::domain::position::Epoch;
use crate::redis::{Durability, Names, Server};
use crate::store::StoreError;

use super::call::Failure;
use super::options::Options;
use super::survival;

/// While others are waited for it is looked this often whether one has come back.
const LOOKS: Duration = Duration::from_millis(50);

/// The epoch in which a node that has just been started goes on, where the hub is in `epoch`.
pub(super) async fn begin(
    server: &mut Server,
    names: &Names,
    options: &Options,
    epoch: Epoch,
) -> Result<Epoch, StoreError> {
    let Some(life) = life(&mut server.connection).await else { return Ok(epoch) };
    let away = |error: redis::RedisError| StoreError::from(Failure::of(&error));
    let next = if !may_have_lost(options) {
        epoch
    } else if is_known(server, names, options, &life).await.map_err(away)? {
        // Who made it known may have begun another one before.
        let mut current = cmd("HGET");
        current.arg(names.hub()).arg("epoch");
        Epoch(current.query_async(&mut server.connection).await.map_err(away)?)
    } else {
        tracing::warn!(
            "redis was restarted while no node was there: a new epoch begins, and clients read afresh"
        );
        survival::another_epoch(server, names, epoch).await.map_err(away)?
    };
    note(server, names).await.map_err(away)?;
    Ok(next)
}

/// Whether somebody knows what the server's life has kept, or there was nobody before. Nodes that were there say so once
/// they are connected again: they have as long as that takes.
async fn is_known(
    server: &mut Server,
    names: &Names,
    options: &Options,
    life: &str,
) -> redis::RedisResult<bool> {
    let until = Instant::now() + options.redis.back_off_most + options.redis.connect_timeout;
    loop {
        let mut known = cmd("HGET");
        known.arg(names.hub()).arg("life");
        let known: Option<String> = known.query_async(&mut server.connection).await?;
        if known.is_none_or(|known| known == life) {
            return Ok(true);
        }
        if Instant::now() >= until || !are_others_there(server, names).await? {
            return Ok(false);
        }
        sleep(LOOKS).await;
    }
}

/// Whether there are nodes that have not stopped in order, as far as the registry knows. What it says of when their leases end
/// counts for nothing: they cannot have renewed them while the server was away.
async fn are_others_there(server: &mut Server, names: &Names) -> redis::RedisResult<bool> {
    let mut question = redis::pipe();
    question.cmd("ZRANGE").arg(names.nodes()).arg(0).arg(-1);
    question.cmd("SMEMBERS").arg(names.nodes_left());
    let (all, left): (Vec<String>, Vec<String>) = question.query_async(&mut server.connection).await?;
    Ok(all.iter().any(|life| !left.contains(life)))
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
