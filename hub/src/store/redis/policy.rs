//! When a commit is durable. Under [`Durability::EverySecond`] and [`Durability::Always`] that is so when the server answers,
//! whose log the second has synced by then; under [`Durability::Replicas`] when enough replicas say that they have it
//! ([`barrier`](super::barrier)).
//!
//! With replicas scripts publish nothing, as that would be too early: the node does once they have answered.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Value, cmd};

use crate::redis::{Durability, Link};

use super::options::{OpenError, Options};

/// What of the servers' settings does not keep what the policy promises.
pub(super) async fn check(link: &Link, options: &Options) -> Result<(), OpenError> {
    let mut faults = Vec::new();
    for mut server in link.servers() {
        match faults_of(&mut server.connection, options.durability).await {
            Some(found) => faults.extend(found),
            None => {
                tracing::warn!(
                    "redis does not tell its settings: whether it keeps what it is given is not checked"
                );
            }
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

/// `None` where the server does not say.
async fn faults_of(connection: &mut MultiplexedConnection, durability: Durability) -> Option<Vec<String>> {
    let mut faults = Vec::new();
    if setting(connection, "maxmemory").await? != "0"
        && setting(connection, "maxmemory-policy").await? != "noeviction"
    {
        faults.push("maxmemory-policy must be noeviction".to_owned());
    }
    let (is_logged, sync) =
        (setting(connection, "appendonly").await?, setting(connection, "appendfsync").await?);
    match durability {
        Durability::EverySecond if is_logged != "yes" || sync == "no" => {
            faults.push(
                "redis.durability = \"every_second\" needs appendonly yes and appendfsync everysec"
                    .to_owned(),
            );
        }
        Durability::Always if is_logged != "yes" || sync != "always" => {
            faults
                .push("redis.durability = \"always\" needs appendonly yes and appendfsync always".to_owned());
        }
        Durability::Replicas(wanted) => {
            let found = replicas(connection).await?;
            if found < wanted {
                faults.push(format!("redis.replicas is {wanted}, and a server has {found}"));
            }
        }
        Durability::EverySecond | Durability::Always => {}
    }
    Some(faults)
}

/// A setting; `None` where the server does not say.
async fn setting(connection: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let mut get = cmd("CONFIG");
    get.arg("GET").arg(name);
    first_text(connection.req_packed_command(&get).await.ok()?)
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
