//! Finding out whose which slot is, and keeping a connection to each server that has some.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use redis::{Pipeline, RedisError, Value, from_redis_value};
use rustc_hash::FxHashMap;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{address_of, client, config};
use super::slots::{Address, Topology};
use super::{Shared, lane};
use crate::redis::link::jittered;

/// A cluster is looked at no more often than this: what moves, moves in many steps.
const LOOKS: Duration = Duration::from_millis(200);

/// A cluster is looked at this often where nobody says that it has changed.
const LOOKS_ANYWAY: Duration = Duration::from_secs(15);

/// Keeps connections to all servers. Ends when it is dropped, and the connections with it.
pub(super) async fn keep(shared: &Arc<Shared>) {
    let mut lanes = Lanes { shared, tasks: JoinSet::new(), by_server: FxHashMap::default() };
    if !shared.options.redis.cluster {
        if let Some(server) = shared.servers.first() {
            lanes.arrange(Topology::single(address_of(server)));
        }
        return std::future::pending().await;
    }
    let mut wait = shared.options.redis.back_off;
    loop {
        match look(shared).await {
            Some(topology) => {
                wait = shared.options.redis.back_off;
                lanes.arrange(topology);
                sleep(LOOKS).await;
                // Whoever says so meanwhile is heard then.
                let _ = timeout(LOOKS_ANYWAY, shared.moved.notified()).await;
            }
            None => {
                tracing::warn!("no server of the bus says who has which slots");
                sleep(jittered(wait)).await;
                wait = (wait * 2).min(shared.options.redis.back_off_most);
            }
        }
    }
}

struct Lanes<'a> {
    shared: &'a Arc<Shared>,
    tasks: JoinSet<()>,
    by_server: FxHashMap<Address, tokio::task::AbortHandle>,
}

impl Lanes<'_> {
    fn arrange(&mut self, topology: Topology) {
        let (new, gone) = self.shared.state.lock().arrange(topology);
        for server in new {
            let task = self.tasks.spawn(lane::keep(Arc::clone(self.shared), server.clone()));
            self.by_server.insert(server, task);
        }
        for server in gone {
            if let Some(task) = self.by_server.remove(&server) {
                task.abort();
            }
            self.shared.state.lock().forget(&server);
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

/// What a server says of the cluster: how new that is, and who has which slots.
type View = (u64, Topology);

/// Asks all servers that are known. Those that were cut off say something old: the newest view counts.
async fn look(shared: &Shared) -> Option<Topology> {
    let mut servers = shared.state.lock().topology().servers();
    servers.extend(shared.servers.iter().map(address_of));
    servers.sort();
    servers.dedup();
    let views = join_all(servers.iter().map(|server| ask(shared, server))).await;
    views.into_iter().flatten().max_by_key(|(epoch, _)| *epoch).map(|(_, topology)| topology)
}

async fn ask(shared: &Shared, server: &Address) -> Option<View> {
    let asking = async {
        let client = client(shared, server)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config(shared)).await?;
        let mut commands = Pipeline::new();
        commands.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
        let (info, slots): (Value, Value) = commands.query_async(&mut connection).await?;
        Ok::<_, RedisError>((from_redis_value::<String>(info)?, slots))
    };
    let (info, slots) = asking.await.ok()?;
    let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if line("cluster_state:") != Some("ok") {
        return None;
    }
    let epoch = line("cluster_current_epoch:")?.parse().ok()?;
    Some((epoch, Topology::read(&slots, server)?))
}
