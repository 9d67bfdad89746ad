//! Which life of its server the hub has seen. A server that was restarted may have lost the end of its log, or have been given a
//! back-up, and only who was told of what is gone knows what it was. So each node says again and again that it is there, in
//! Redis itself, and after a restart that it has found all that it acknowledged. Where one that was there does not say so, since
//! it is gone as well, or nobody was there, nobody knows what is lost: then a new epoch begins. Where the log loses no end, one
//! that was there is enough: the server has then just been started again.
//!
//! The log keeps a beginning of what was written: what a node acknowledged is there, or that it was there is, or what it wrote
//! last is among what the disk had in time.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{RedisResult, cmd};

use crate::domain::position::Epoch;
use crate::redis::{Durability, LinkError, Names, Partition, Server};
use crate::store::StoreError;

use super::call::Failure;
use super::epochs;
use super::limits::{OTHERS_ASKED, OTHERS_WAIT, SILENT};
use super::options::Options;
use super::random;
use super::script;
use super::shared::Shared;

/// This node, and the life of the server in which it has found all, with the number of the connection to it.
pub(super) struct Life {
    node: u64,
    /// Whether a restart may lose the end of what was acknowledged.
    loses_an_end: bool,
    seen: Mutex<Option<(u64, String)>>,
}

/// What is known of a life of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Something may be lost.
    Nothing,
    /// Nothing that was acknowledged is lost.
    Whole,
    /// Those who were there have not said yet.
    NotYet,
}

/// What a node says.
#[derive(Clone, Copy)]
enum Step {
    Beat,
    Start,
    Again,
    Begin,
}

impl Life {
    /// Of a node that starts.
    pub(super) fn new(options: &Options) -> Self {
        // Of a cluster each server would have to be asked; there replicas are what keeps it.
        let loses_an_end = options.durability == Durability::EverySecond && !options.redis.cluster;
        Self { node: random::epoch().0, loses_an_end, seen: Mutex::new(None) }
    }

    async fn say(&self, server: &mut Server, names: &Names, step: Step, life: &str) -> RedisResult<Known> {
        let step = match step {
            Step::Beat => "beat",
            Step::Start => "start",
            Step::Again => "again",
            Step::Begin => "begin",
        };
        let mut call = script::LIVES.key(names.partition(Partition::of_hub()));
        call.arg(step).arg(self.node).arg(life).arg(SILENT.as_millis() as u64);
        call.arg(u8::from(self.loses_an_end));
        Ok(match call.invoke_async::<u8>(&mut server.connection).await? {
            0 => Known::Nothing,
            1 => Known::Whole,
            _ => Known::NotYet,
        })
    }

    /// Whether all is there in a life of the server, as far as those who were there say so in time.
    async fn is_whole(&self, server: &mut Server, names: &Names, life: &str) -> RedisResult<bool> {
        let until = Instant::now() + OTHERS_WAIT;
        loop {
            match self.say(server, names, Step::Start, life).await? {
                Known::Whole => return Ok(true),
                Known::NotYet if Instant::now() < until => tokio::time::sleep(OTHERS_ASKED).await,
                Known::Nothing | Known::NotYet => return Ok(false),
            }
        }
    }

    /// The epoch in which a node that has just been started goes on, where the hub is in `epoch`.
    pub(super) async fn start(
        &self,
        server: &mut Server,
        names: &Names,
        epoch: Epoch,
    ) -> Result<Epoch, StoreError> {
        let away = |error: redis::RedisError| StoreError::from(Failure::of(&error));
        let Some(life) = life(&mut server.connection).await.map_err(away)? else { return Ok(epoch) };
        let mut next = epoch;
        if !self.is_whole(server, names, &life).await.map_err(away)? {
            next = epochs::another(server, names, epoch).await.map_err(away)?;
            self.say(server, names, Step::Begin, &life).await.map_err(away)?;
            tracing::warn!(
                "redis was restarted, and nobody knows what it has lost: a new epoch begins, and clients read afresh"
            );
        }
        *self.seen.lock() = Some((server.number, life));
        Ok(next)
    }
}

/// All that this node acknowledged is there in the server's life. Where others that were there do not find so in time, a new
/// epoch begins.
pub(super) async fn found(shared: &Arc<Shared>, server: &mut Server) -> RedisResult<()> {
    let Some(life) = life(&mut server.connection).await? else { return Ok(()) };
    let known = shared.life.say(server, &shared.names, Step::Again, &life).await?;
    *shared.life.seen.lock() = Some((server.number, life.clone()));
    if known != Known::Whole {
        shared.runtime.spawn(wait_for_others(Arc::clone(shared), server.clone(), life));
    }
    Ok(())
}

/// An epoch has begun in the server's life.
pub(super) async fn begun(shared: &Shared, server: &mut Server) -> RedisResult<()> {
    let Some(life) = life(&mut server.connection).await? else { return Ok(()) };
    shared.life.say(server, &shared.names, Step::Begin, &life).await?;
    *shared.life.seen.lock() = Some((server.number, life));
    Ok(())
}

async fn wait_for_others(shared: Arc<Shared>, mut server: Server, life: String) {
    let redis = &shared.options.redis;
    // Whoever is there has connected again by then.
    let longest = redis.back_off_most + redis.connect_timeout + redis.answer_timeout;
    tokio::select! {
        () = tokio::time::sleep(longest) => {}
        () = shared.cancel.cancelled() => return,
    }
    // Where it fails the next connection is looked at as this one was.
    let _ = decide(&shared, &mut server, &life).await;
}

async fn decide(shared: &Arc<Shared>, server: &mut Server, life: &str) -> Result<(), LinkError> {
    let unreachable = |error: redis::RedisError| LinkError::unreachable(&error);
    let known = shared.life.say(server, &shared.names, Step::Again, life).await;
    if known.map_err(unreachable)? == Known::Whole {
        return Ok(());
    }
    tracing::warn!("redis was restarted, and a node that was there is gone: what it alone knew may be lost");
    epochs::renew(shared, server).await?;
    begun(shared, server).await.map_err(unreachable)
}

/// Says that this node is there; where it has found all. What it found at another server has moved to this one.
pub(super) async fn beat(shared: &Arc<Shared>, server: &mut Server) -> RedisResult<()> {
    let seen = shared.life.seen.lock().clone();
    match seen {
        Some((number, life)) if number == server.number => {
            shared.life.say(server, &shared.names, Step::Beat, &life).await.map(drop)
        }
        Some(_) => found(shared, server).await,
        None => Ok(()),
    }
}

/// This node ends, and all it was asked is answered. Where the server is away nobody is told, and a restart of it begins an
/// epoch.
pub(super) async fn leave(shared: &Shared) {
    let hub = shared.names.hub();
    if let Some(mut server) = shared.link.server(hub.as_bytes()) {
        let mut leave = cmd("HDEL");
        leave.arg(format!("{hub}/l")).arg(shared.life.node);
        let _: RedisResult<()> = leave.query_async(&mut server.connection).await;
    }
}

/// The process that serves; `None` where it does not say, which [`policy`](super::policy) does.
pub(super) async fn life(connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
    let mut info = cmd("INFO");
    info.arg("server");
    // What it refuses to say it does not say.
    let Ok(value) = connection.req_packed_command(&info).await?.extract_error() else { return Ok(None) };
    let Ok(text) = redis::from_redis_value::<String>(value) else { return Ok(None) };
    Ok(text.lines().find_map(|line| line.strip_prefix("run_id:")).map(|life| life.trim().to_owned()))
}
