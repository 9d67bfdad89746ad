//! What the hub is known by: made once, by whichever node comes first.

use std::sync::Arc;

use redis::Pipeline;
use redis::aio::ConnectionLike;

use crate::domain::position::Epoch;
use crate::redis::{Link, LinkError, Names, Partition, Server};

use super::answer::Answer;
use super::epochs;
use super::lives;
use super::options::OpenError;
use super::policy;
use super::publish;
use super::random;
use super::script;
use super::shared::Shared;
use super::survival;

/// The newest format of keys and values that this code knows.
const FORMAT: u64 = 1;

/// Epoch and secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) epoch: Epoch,
    pub(super) secret: [u8; 16],
}

/// Reads it, and makes it where there is none, with the secret that is known.
pub(super) async fn read(
    server: &mut Server,
    names: &Names,
    known: Option<[u8; 16]>,
) -> Result<Identity, OpenError> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|_| OpenError::Damaged)?;
    let secret = known.unwrap_or(secret);
    let mut invocation = script::IDENTITY.key(names.partition(Partition::of_hub()));
    invocation.arg(FORMAT).arg(random::epoch().0).arg(&secret[..]);
    let value = invocation.invoke_async::<redis::Value>(&mut server.connection).await;
    let value = value.map_err(|error| LinkError::unreachable(&error))?;
    let mut answer = Answer::new(value);
    let format = answer.count()?;
    if format > FORMAT {
        return Err(OpenError::Newer { found: format, known: FORMAT });
    }
    let epoch = Epoch(answer.count()?);
    let secret = answer.some_bytes()?.try_into().map_err(|_| OpenError::Damaged)?;
    if format == 0 || epoch.0 == 0 {
        return Err(OpenError::Damaged);
    }
    Ok(Identity { epoch, secret })
}

/// Looks at a connection that was opened: it gets to know the scripts; where it was opened again, it must lead to the same
/// hub, and what this node acknowledged must be there. Where that is lost a new epoch begins.
pub(super) async fn check(
    shared: Option<Arc<Shared>>,
    link: Link,
    mut server: Server,
) -> Result<(), LinkError> {
    load_scripts(&mut server).await;
    let Some(shared) = shared else { return Ok(()) };
    policy::check_again(&shared, &mut server).await?;
    publish::check(&link, &mut server, &shared.names).await.map_err(|error| match error {
        OpenError::Link(error) => error,
        error => LinkError::Settings(error.to_string().into()),
    })?;
    let is_hubs = link.is_owner(&server, shared.names.hub().as_bytes());
    let mut has_begun = false;
    if is_hubs {
        match read(&mut server, &shared.names, Some(shared.secret)).await {
            Ok(found) if found.secret == shared.secret => {
                has_begun = epochs::adopt(&shared, &server, found.epoch).await?;
            }
            Ok(_) => return Err(LinkError::Settings("it holds another hub's state".into())),
            Err(error) => return Err(LinkError::Settings(error.to_string().into())),
        }
    }
    let lost = survival::lost(&shared, &link, &server).await?;
    let unreachable = |error: redis::RedisError| LinkError::unreachable(&error);
    if lost.is_nothing() || has_begun {
        // What this server has lost of this node's, it had lost before it was given the epoch that it has. Of what others
        // acknowledged since then only they know: it is not for this node to say that a life begins.
        shared.acknowledged.forget(&lost);
        if is_hubs {
            lives::found(&shared, &mut server).await.map_err(unreachable)?;
        }
        return Ok(());
    }
    let elsewhere = || LinkError::Unreachable("the server that has the hub's identity is away".into());
    let mut hubs =
        if is_hubs { server } else { link.server(shared.names.hub().as_bytes()).ok_or_else(elsewhere)? };
    epochs::renew(&shared, &hubs).await?;
    shared.acknowledged.forget(&lost);
    lives::begun(&shared, &mut hubs).await.map_err(unreachable)
}

/// In one piece. What is not loaded here calls load.
async fn load_scripts(server: &mut Server) {
    let mut load = Pipeline::new();
    for (_, text) in script::all() {
        load.cmd("SCRIPT").arg("LOAD").arg(text);
    }
    let _ = server.connection.req_packed_commands(&load, 0, load.len()).await;
}
