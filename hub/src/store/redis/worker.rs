//! The store's thread: it opens the connection, then carries lanes, outboxes, erasures and upkeep until it is closed.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::domain::audit::ChainHead;
use crate::domain::names::UserKey;
use crate::domain::revocation::Revocation;
use crate::redis::link::Check;
use crate::redis::{Durability, Link, Names, connect, keep};
use crate::store::StoreError;

use super::erase::Erasures;
use super::identity;
use super::lane::Lanes;
use super::lives::Life;
use super::options::{OpenError, Options};
use super::outbox::Outboxes;
use super::shared::Shared;
use super::{audit, heartbeat, lives, policy, publish, revocations, upkeep};

/// What is asked of the thread besides outcomes.
pub(super) enum Order {
    /// Erase this user; who waits is known. The fences are those of all lanes.
    Erase(UserKey, Vec<oneshot::Receiver<()>>),
    /// Revoke these tokens.
    Revoke(Box<Revocation>, oneshot::Sender<Result<(), StoreError>>),
    /// Note where an audit chain stands.
    Anchor(ChainHead, oneshot::Sender<Result<(), StoreError>>),
}

/// What the handle gets when the thread is ready.
pub(super) struct Ready {
    pub(super) shared: Arc<Shared>,
    pub(super) lanes: Arc<Lanes>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) erasures: Erasures,
}

/// Runs the store until nobody can ask it any more. `ready` is told how it began.
pub(super) fn run(options: Options, ready: &std::sync::mpsc::SyncSender<Result<Ready, OpenError>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let shared = match open(options).await {
            Ok(opened) => opened,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let (served, tasks) = (TaskTracker::new(), TaskTracker::new());
        let outboxes = Outboxes::new(Arc::clone(&shared));
        let erasures = Erasures::default();
        let lanes = Arc::new(Lanes::new(Arc::clone(&shared), outboxes.clone(), served.clone()));
        let (orders, taken) = mpsc::channel(shared.options.queue.max(1));
        heartbeat::learn_time(&shared).await;
        tasks.spawn(heartbeat::run(Arc::clone(&shared)));
        tasks.spawn(upkeep::run(Arc::clone(&shared), outboxes.clone()));
        let check = checking(Some(Arc::clone(&shared)));
        tasks.spawn(keep(shared.link.clone(), shared.cancel.clone(), check));
        served.spawn(serve(Arc::clone(&shared), outboxes, erasures.clone(), taken, served.clone()));
        let is_heard = ready.send(Ok(Ready { shared: Arc::clone(&shared), lanes, orders, erasures })).is_ok();
        if is_heard {
            served.close();
            served.wait().await;
        }
        shared.cancel.cancel();
        tasks.close();
        tasks.wait().await;
        lives::leave(&shared).await;
        shared.link.close();
    });
}

/// How new connections are looked at; `shared` once it is known what must be there.
fn checking(shared: Option<Arc<Shared>>) -> Check {
    Box::new(move |link, server| Box::pin(identity::check(shared.clone(), link, server)))
}

async fn open(options: Options) -> Result<Arc<Shared>, OpenError> {
    let link = match options.durability {
        Durability::Replicas(_) => Link::with_writes_apart(options.redis.clone()),
        Durability::EverySecond | Durability::Always => Link::new(options.redis.clone()),
    }?;
    let names = Names::new(&options.redis.prefix);
    connect(&link, &checking(None)).await?;
    policy::check(&link, &options).await?;
    for mut server in link.servers() {
        publish::check(&link, &mut server, &names).await?;
    }
    let mut server = link.server(names.hub().as_bytes()).ok_or(StoreError::Unavailable)?;
    let mut identity = identity::read(&mut server, &names, None).await?;
    let life = Life::new(&options);
    identity.epoch = life.start(&mut server, &names, identity.epoch).await?;
    let shared = Arc::new(Shared::new(options, link, names, identity, life));
    shared.count_keys().await?;
    Ok(shared)
}

/// Takes orders until nobody can give any.
async fn serve(
    shared: Arc<Shared>,
    outboxes: Outboxes,
    erasures: Erasures,
    mut orders: mpsc::Receiver<Order>,
    tasks: TaskTracker,
) {
    while let Some(order) = orders.recv().await {
        let shared = Arc::clone(&shared);
        match order {
            Order::Revoke(revocation, reply) => {
                let _ = reply.send(revocations::revoke(&shared, *revocation).await);
            }
            Order::Anchor(head, reply) => {
                let _ = reply.send(audit::anchor(&shared, head).await);
            }
            Order::Erase(user, fences) => {
                tasks.spawn(erasures.clone().run(shared, outboxes.clone(), user, fences));
            }
        }
    }
}
