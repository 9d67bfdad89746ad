//! A lane: a server's outcomes on their way. Servers do not wait for each other: one may stand still.
//!
//! A lane sends what waits as one piece ([`batch`]), and the next without waiting for the answers to [`DEPTH`] before it; the
//! connection keeps their order. While nothing is under way an outcome goes at once, so that a piece grows with what there is
//! to do. An answer is told to the sink, then to who asked. Where an outcome causes little elsewhere, who asked is told when
//! that has happened, so that they find it there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::redis::slots::Address;
use crate::store::{CommitError, Committed, Home, Outcome, StoreError};

use super::asked::{Asked, Effects, Place, Reply, What};
use super::batch::{self, Carried};
use super::inbox;
use super::limits::{BATCH, DEPTH, QUEUES};
use super::outbox::Outboxes;
use super::queue::{Era, Queue};
use super::shared::Shared;

/// What a lane is asked.
enum Order {
    /// Commit this.
    Commit(Box<Asked>),
    /// Say when everything asked before has been told.
    Fence(oneshot::Sender<()>),
}

/// The lanes: one for each server that something was asked of.
pub(super) struct Lanes {
    shared: Arc<Shared>,
    outboxes: Outboxes,
    tasks: TaskTracker,
    by_server: Mutex<FxHashMap<Address, mpsc::Sender<Order>>>,
}

impl Lanes {
    /// `tasks` ends when they have told all that they were asked, and nobody can ask any more.
    pub(super) fn new(shared: Arc<Shared>, outboxes: Outboxes, tasks: TaskTracker) -> Self {
        Self { shared, outboxes, tasks, by_server: Mutex::default() }
    }

    /// Has an outcome committed; `reply` is told. Fails where it cannot be taken on.
    pub(super) fn commit(self: &Arc<Self>, outcome: Outcome, reply: Reply) -> Result<(), StoreError> {
        let place = Place::take(&self.shared, &outcome)?;
        let Home::Inbox(user) = outcome.home.clone() else {
            return self.give(Asked::new(Asked::at_once(&self.shared, outcome), place, reply));
        };
        let lanes = Arc::clone(self);
        let reading = async move {
            match inbox::ask(&lanes.shared, user, outcome).await {
                // Where it is not given to anybody the reply is dropped, and says so.
                Ok((call, asked)) => drop(lanes.give(Asked::new((call, What::Inbox(asked)), place, reply))),
                Err(error) => tell(reply, Err(error.into())),
            }
        };
        self.tasks.spawn_on(reading, &self.shared.runtime);
        Ok(())
    }

    /// Says for each lane when everything asked before has been told.
    pub(super) fn fence(&self) -> Result<Vec<oneshot::Receiver<()>>, StoreError> {
        let lanes = self.by_server.lock();
        let fences = lanes.values().map(|lane| {
            let (fence, passed) = oneshot::channel();
            give(lane, Order::Fence(fence)).map(|()| passed)
        });
        fences.collect()
    }

    /// Gives it to its server's lane; where there is none now, or no lane any more, who asked hears so.
    fn give(&self, asked: Asked) -> Result<(), StoreError> {
        let owner = self.shared.link.owner(asked.partition.slot()).ok_or(StoreError::Unavailable)?;
        let mut lanes = self.by_server.lock();
        let lane = match lanes.get(&owner) {
            Some(lane) => lane,
            None => {
                // Those that have left the cluster end with what they have.
                let there = self.shared.link.addresses();
                lanes.retain(|address, _| there.contains(address));
                // What may wait in all bounds it: here it is never full.
                let most = self.shared.options.queue.max(1).saturating_mul(QUEUES as usize);
                let (lane, orders) = mpsc::channel(most);
                let address = owner.clone();
                let running = run(Arc::clone(&self.shared), self.outboxes.clone(), address, orders);
                self.tasks.spawn_on(running, &self.shared.runtime);
                lanes.entry(owner).or_insert(lane)
            }
        };
        give(lane, Order::Commit(Box::new(asked)))
    }
}

fn give(lane: &mpsc::Sender<Order>, order: Order) -> Result<(), StoreError> {
    lane.try_send(order).map_err(|error| match error {
        TrySendError::Full(_) => StoreError::Overloaded,
        TrySendError::Closed(_) => StoreError::Unavailable,
    })
}

/// Runs a lane until nobody can ask any more, and then what is on its way.
async fn run(shared: Arc<Shared>, outboxes: Outboxes, address: Address, mut orders: mpsc::Receiver<Order>) {
    let mut queue = Queue::new(shared.options.queue.max(1));
    let mut under_way = FuturesOrdered::new();
    let mut arrived = Vec::with_capacity(BATCH);
    let mut is_open = true;
    loop {
        while under_way.len() < DEPTH && !queue.is_empty() {
            let (asked, eras): (Vec<_>, Vec<_>) = queue.take(BATCH).into_iter().unzip();
            under_way.push_back(carry(&shared, &address, asked, eras));
        }
        tokio::select! {
            biased;
            Some((carried, eras)) = under_way.next() => {
                for (carried, era) in carried.into_iter().zip(eras) {
                    finish(&shared, &outboxes, carried);
                    queue.finished(era);
                }
            }
            count = orders.recv_many(&mut arrived, BATCH), if is_open => {
                is_open = count > 0;
                arrived.drain(..).for_each(|order| take(&mut queue, order));
            }
            else => return,
        }
    }
}

async fn carry(
    shared: &Arc<Shared>,
    address: &Address,
    asked: Vec<Asked>,
    eras: Vec<Era>,
) -> (Vec<Carried>, Vec<Era>) {
    (batch::carry(shared, address, asked).await, eras)
}

fn take(queue: &mut Queue<Asked>, order: Order) {
    match order {
        Order::Commit(asked) => {
            if let Some(refused) = queue.put(asked.partition, *asked) {
                let _ = refused.reply.send(Err(StoreError::Overloaded.into()));
            }
        }
        Order::Fence(fence) => queue.fence(fence),
    }
}

fn finish(shared: &Arc<Shared>, outboxes: &Outboxes, carried: Carried) {
    let Carried { settled, effects, place, reply } = carried;
    drop(place);
    if let Ok(committed) = &settled.result {
        let counter =
            if committed.duplicate { &shared.counters.duplicates } else { &shared.counters.committed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
    shared.acknowledged.note(&settled.changes);
    shared.tell_after(&settled.changes, settled.previous);
    if settled.waits == 0 {
        tell(reply, settled.result);
        return;
    }
    let Effects { partition, are_few } = effects;
    let applied = outboxes.apply(partition, settled.waits);
    if are_few {
        tokio::spawn(async move {
            // Where it cannot be applied now it waits: it is durable.
            let _ = applied.await;
            tell(reply, settled.result);
        });
    } else {
        tell(reply, settled.result);
    }
}

/// Nobody may be waiting any more.
fn tell(reply: Reply, result: Result<Committed, CommitError>) {
    let _ = reply.send(result);
}
