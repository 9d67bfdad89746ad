//! Finding out whose which slot is, and keeping a connection to each server that has some.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Shared, lane};
use crate::domain::time::jittered;
use crate::redis::slots::{Address, Topology};

/// A cluster is looked at no more often than this: what moves, moves in many steps.
const LOOKS: Duration = Duration::from_millis(200);

/// A cluster is looked at this often where nobody says that it has changed.
const LOOKS_ANYWAY: Duration = Duration::from_secs(15);

/// Keeps connections to all servers. Ends when it is dropped, and the connections with it.
pub(super) async fn keep(shared: &Arc<Shared>) {
    let mut lanes = Lanes { shared, tasks: JoinSet::new(), by_server: FxHashMap::default() };
    if let Some(topology) = shared.link.single() {
        lanes.arrange(topology);
        return std::future::pending().await;
    }
    let mut wait = shared.options.redis.back_off;
    loop {
        let known = shared.state.lock().topology().servers();
        match shared.link.look(known).await {
            Ok(topology) => {
                wait = shared.options.redis.back_off;
                lanes.arrange(topology);
                sleep(LOOKS).await;
                // Whoever says so meanwhile is heard then.
                let _ = timeout(LOOKS_ANYWAY, shared.moved.notified()).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the bus does not know who has which slots");
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
