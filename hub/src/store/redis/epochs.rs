//! Another epoch: begun where something that was acknowledged is lost, by whoever finds that, and taken over by all nodes.
//! It is durable before anybody is told of it, as it would be lost with what is told in it.

use std::sync::Arc;

use crate::domain::position::Epoch;
use crate::redis::{LinkError, Names, Partition, Server};
use crate::store::Change;

use super::barrier::Written;
use super::random;
use super::revoked;
use super::script;
use super::shared::Shared;
use super::survival;

/// Gives the hub another epoch, unless another node has, and goes on in it. `server` has the hub's identity.
pub(super) async fn renew(shared: &Arc<Shared>, server: &Server) -> Result<(), LinkError> {
    let found = another(&mut server.clone(), &shared.names, shared.epoch()).await;
    let found = found.map_err(|error| LinkError::unreachable(&error))?;
    adopt(shared, server, found).await.map(drop)
}

/// Asks for another epoch than the known one; gives that in which the hub is now.
pub(super) async fn another(server: &mut Server, names: &Names, known: Epoch) -> redis::RedisResult<Epoch> {
    let mut call = script::RENEW.key(names.partition(Partition::of_hub()));
    call.arg(known.0).arg(random::epoch().0);
    call.invoke_async(&mut server.connection).await.map(Epoch)
}

/// Goes on in the epoch that `server` has. Where it is another one than before everybody is told, once replicas have it
/// where they are waited for. Whether it is. What a connection brings after it was replaced, or after the hub's identity has gone
/// to another server, counts for nothing: the epoch may be one that has ended.
pub(super) async fn adopt(shared: &Arc<Shared>, server: &Server, epoch: Epoch) -> Result<bool, LinkError> {
    let before = shared.epoch();
    if epoch.0 == 0 || before == epoch {
        return Ok(false);
    }
    let durable = shared.make_durable(&Written(server.clone())).await;
    durable.map_err(|_| LinkError::Unreachable("too few replicas have the epoch that begins".into()))?;
    let lost = survival::lost(shared, &shared.link, server).await?;
    if server.is_replaced() || !shared.link.is_owner(server, shared.names.hub().as_bytes()) {
        return Err(LinkError::Unreachable("what it says came too late".into()));
    }
    if !shared.go_over(before, epoch) {
        return Ok(false);
    }
    tracing::error!("redis has lost what was acknowledged: a new epoch begins, and clients read afresh");
    // What this epoch knows to be lost is not looked for again, or a later connection would begin another one for it.
    shared.acknowledged.forget(&lost);
    shared.tell(&[Change::Restarted(epoch)]);
    shared.runtime.spawn(put_right(Arc::clone(shared)));
    Ok(true)
}

/// The same of all servers, and of what came in meanwhile. Of those that are away now all is looked for: they may lose more.
async fn put_right(shared: Arc<Shared>) {
    for server in shared.link.servers() {
        if let Ok(lost) = survival::lost(&shared, &shared.link, &server).await {
            shared.acknowledged.forget(&lost);
        }
    }
    revoked::give_again(shared).await;
}
