//! When a commit is durable. Under [`Durability::EverySecond`] and [`Durability::Always`] that is so when the server answers,
//! whose log the second has synced by then; under [`Durability::Replicas`] when enough replicas say that they have it
//! ([`barrier`](super::barrier)).
//!
//! With replicas scripts publish nothing, as that would be too early: the node does once they have answered.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, RedisResult, Value, cmd};

use crate::redis::{Durability, Link, LinkError, Server};

use super::lives;
use super::options::{OpenError, Options};
use super::shared::Shared;

/// What a server does not tell that must be known of it.
const HIDES_SETTINGS: &str =
    "it does not tell its settings: its user needs CONFIG GET (ACL SETUSER … +config|get)";
const HIDES_ITS_LIFE: &str = "it does not tell when it was restarted, nor what replicas it has: its user needs INFO (ACL SETUSER … +info)";

/// What of the servers' settings does not keep what the policy promises, or is not told.
pub(super) async fn check(link: &Link, options: &Options) -> Result<(), OpenError> {
    let mut faults = Vec::new();
    for mut server in link.servers() {
        let found = faults_of(&mut server.connection, options.durability).await;
        faults.extend(found.map_err(|error| LinkError::unreachable(&error))?);
        if let Durability::Replicas(wanted) = options.durability
            && let Some(found) = replicas(&mut server.connection).await
            && found < wanted
        {
            faults.push(format!("redis.replicas is {wanted}, and a server has {found}"));
        }
    }
    faults.dedup();
    if faults.is_empty() {
        return Ok(());
    }
    let faults = faults.join("; ");
    if options.strict {
        return Err(OpenError::NotDurable(faults));
    }
    tracing::warn!(faults, "redis does not keep what it is given");
    Ok(())
}

/// The same of a server that was connected later: it may be another one, or have other settings by now. How many replicas it
/// has each write finds out.
pub(super) async fn check_again(shared: &Shared, server: &mut Server) -> Result<(), LinkError> {
    let options = &shared.options;
    let faults = faults_of(&mut server.connection, options.durability).await;
    let faults = faults.map_err(|error| LinkError::unreachable(&error))?.join("; ");
    if options.strict && !faults.is_empty() {
        return Err(LinkError::Settings(OpenError::NotDurable(faults).to_string().into()));
    }
    let mut warned = shared.warned.lock();
    if !faults.is_empty() && *warned != faults {
        tracing::warn!(faults, "redis does not keep what it is given");
    }
    *warned = faults;
    Ok(())
}

async fn faults_of(
    connection: &mut MultiplexedConnection,
    durability: Durability,
) -> RedisResult<Vec<String>> {
    let names = ["maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "no-appendfsync-on-rewrite"];
    let mut faults = match settings(connection, names).await? {
        Some(settings) => faults_in(settings, durability),
        None => vec![HIDES_SETTINGS],
    };
    if lives::life(connection).await?.is_none() {
        faults.push(HIDES_ITS_LIFE);
    }
    Ok(faults.into_iter().map(str::to_owned).collect())
}

fn faults_in(settings: [String; 5], durability: Durability) -> Vec<&'static str> {
    let [memory, policy, is_logged, sync, no_sync_on_rewrite] = settings;
    let mut faults = Vec::new();
    if memory != "0" && policy != "noeviction" {
        faults.push("maxmemory-policy must be noeviction");
    }
    match durability {
        // While the log is rewritten nothing would be synced, for as long as that takes.
        Durability::EverySecond if is_logged != "yes" || sync == "no" || no_sync_on_rewrite != "no" => {
            faults.push(
                "redis.durability = \"every_second\" needs appendonly yes, appendfsync everysec and no-appendfsync-on-rewrite no",
            );
        }
        Durability::Always if is_logged != "yes" || sync != "always" || no_sync_on_rewrite != "no" => {
            faults.push(
                "redis.durability = \"always\" needs appendonly yes, appendfsync always and no-appendfsync-on-rewrite no",
            );
        }
        // A master that is started again without it is empty, and its replicas become so.
        Durability::Replicas(_) if is_logged != "yes" => {
            faults.push("redis.durability = \"replicas\" needs appendonly yes");
        }
        Durability::EverySecond | Durability::Always | Durability::Replicas(_) => {}
    }
    faults
}

/// Settings, in one piece; `None` where the server does not say.
async fn settings<const N: usize>(
    connection: &mut MultiplexedConnection,
    names: [&str; N],
) -> RedisResult<Option<[String; N]>> {
    let mut get = Pipeline::with_capacity(N);
    for name in names {
        get.cmd("CONFIG").arg("GET").arg(name);
    }
    let answers = connection.req_packed_commands(&get, 0, N).await?;
    let texts: Option<Vec<String>> = answers.into_iter().map(first_text).collect();
    Ok(texts.and_then(|texts| texts.try_into().ok()))
}

fn first_text(value: Value) -> Option<String> {
    match value {
        Value::Map(pairs) => redis::from_redis_value(pairs.into_iter().next()?.1).ok(),
        Value::Array(parts) => redis::from_redis_value(parts.into_iter().nth(1)?).ok(),
        _ => None,
    }
}

/// How many replicas the server has that are there.
async fn replicas(connection: &mut MultiplexedConnection) -> Option<u32> {
    let mut info = cmd("INFO");
    info.arg("replication");
    let value = connection.req_packed_command(&info).await.ok()?;
    let text: String = redis::from_redis_value(value).ok()?;
    text.lines().find_map(|line| line.strip_prefix("connected_slaves:")?.trim().parse().ok())
}
