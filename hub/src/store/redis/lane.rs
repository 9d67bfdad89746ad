//! A lane: a server's outcomes on their way. Servers do not wait for each other: one may stand still.
//!
//! A lane sends what waits as one piece ([`batch`]), and the next without waiting for the answers to [`DEPTH`] before it; the
//! connection keeps their order. While nothing is under way an outcome goes at once, so that a piece grows with what there is
//! to do. An answer is told to the sink, then to who asked. Where an outcome causes little elsewhere, who asked is told when
//! that has happened, so that they find it there; or when it cannot happen now, and after [`EFFECTS_WAIT`] at the latest.
//!
//! What a server refuses for now, as its slot is on its way to another one or its script is not known, waits here
//! ([`held`](super::held)), and where the slot has moved it goes to the other one's lane when it is there: in order, as a
//! partition's outcomes take one lane at a time ([`Routes`]).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, FuturesUnordered};
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::redis::Partition;
use crate::redis::slots::Address;
use crate::store::{CommitError, Committed, Home, Outcome, StoreError};

use super::asked::{Asked, Place, Reply, Waiter, What};
use super::batch::{self, Carried};
use super::commit::Settled;
use super::held::Held;
use super::inbox;
use super::limits::{BATCH, DEPTH, EFFECTS_WAIT, QUEUES};
use super::outbox::Outboxes;
use super::queue::{Era, Queue};
use super::routes::Routes;
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
    routes: Mutex<Routes<Order>>,
}

impl Lanes {
    /// `tasks` ends when they have told all that they were asked, and nobody can ask any more.
    pub(super) fn new(shared: Arc<Shared>, outboxes: Outboxes, tasks: TaskTracker) -> Self {
        Self { shared, outboxes, tasks, routes: Mutex::default() }
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
        let routes = self.routes.lock();
        let fences = routes.lanes().map(|lane| {
            let (fence, passed) = oneshot::channel();
            give(lane, Order::Fence(fence)).map(|()| passed)
        });
        fences.collect()
    }

    /// Gives it to its partition's lane; where there is no server for it now, or no lane any more, who asked hears so.
    fn give(self: &Arc<Self>, mut asked: Asked) -> Result<(), StoreError> {
        let mut routes = self.routes.lock();
        let home = routes.home(&self.shared.link, asked.waiter.partition);
        let (address, under_way) = home.ok_or(StoreError::Unavailable)?;
        asked.waiter.under_way = Some(under_way);
        give(self.lane(&mut routes, &address), Order::Commit(Box::new(asked)))
    }

    fn lane<'a>(
        self: &Arc<Self>,
        routes: &'a mut Routes<Order>,
        address: &Address,
    ) -> &'a mpsc::Sender<Order> {
        routes.lane(&self.shared.link, address, || {
            // What may wait in all bounds it: here it is never full.
            let most = self.shared.options.queue.max(1).saturating_mul(QUEUES as usize);
            let (to_lane, orders) = mpsc::channel(most);
            let lane = Lane {
                shared: Arc::clone(&self.shared),
                outboxes: self.outboxes.clone(),
                lanes: Arc::downgrade(self),
                address: address.clone(),
                queue: Queue::new(self.shared.options.queue.max(1)),
                held: Held::new(),
                under_way: FuturesOrdered::new(),
                handed_over: FuturesUnordered::new(),
            };
            self.tasks.spawn_on(lane.run(orders), &self.shared.runtime);
            to_lane
        })
    }
}

/// Gives an order to whoever takes it, who may have too many or have ended.
pub(super) fn give<T>(to: &mpsc::Sender<T>, order: T) -> Result<(), StoreError> {
    to.try_send(order).map_err(|error| match error {
        TrySendError::Full(_) => StoreError::Overloaded,
        TrySendError::Closed(_) => StoreError::Unavailable,
    })
}

/// A piece on its way: what became of it, and when each was asked for.
type Piece = BoxFuture<'static, (Vec<Carried>, Vec<Era>)>;

/// What another lane has taken over: done when that has been told, with when each was asked for here.
type HandedOver = BoxFuture<'static, Vec<Era>>;

/// One server's lane.
struct Lane {
    shared: Arc<Shared>,
    outboxes: Outboxes,
    /// Where what has moved goes. Not held: a lane ends when nobody can ask any more.
    lanes: Weak<Lanes>,
    address: Address,
    queue: Queue<Asked>,
    held: Held<Asked>,
    under_way: FuturesOrdered<Piece>,
    /// At most one for each partition that moves.
    handed_over: FuturesUnordered<HandedOver>,
}

impl Lane {
    /// Runs until nobody can ask any more, and then what is on its way.
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut is_open = true;
        loop {
            // All that is there, so that partitions take turns however much has arrived.
            while let Ok(order) = orders.try_recv() {
                take(&mut self.queue, order);
            }
            self.ask_what_is_held(&mut orders);
            while self.under_way.len() < DEPTH && !self.queue.is_empty() {
                let piece = self.queue.take(BATCH);
                self.send(piece);
            }
            let next = self.held.next();
            tokio::select! {
                biased;
                Some((carried, eras)) = self.under_way.next() => self.take_up(carried, eras),
                Some(eras) = self.handed_over.next() => {
                    for era in eras {
                        self.queue.finished(era);
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {}
                // While as much is on its way as may be, what arrives goes with the next piece and wakes nobody.
                order = orders.recv(), if is_open && self.under_way.len() < DEPTH => match order {
                    Some(order) => take(&mut self.queue, order),
                    None => is_open = false,
                },
                else => return,
            }
        }
    }

    fn send(&mut self, piece: Vec<(Asked, Era)>) {
        let (asked, eras): (Vec<_>, Vec<_>) = piece.into_iter().unzip();
        let (shared, address) = (Arc::clone(&self.shared), self.address.clone());
        self.held.send();
        let carrying = async move { (batch::carry(&shared, &address, asked).await, eras) };
        self.under_way.push_back(Box::pin(carrying));
    }

    /// Tells what became of a piece; what was refused for now waits.
    fn take_up(&mut self, carried: Vec<Carried>, eras: Vec<Era>) {
        let now = Instant::now();
        for (Carried { settled, again, waiter }, era) in carried.into_iter().zip(eras) {
            let partition = waiter.partition;
            if let Some((call, what)) = again {
                let again = (Asked { call, what, waiter }, era);
                self.held.refused(&mut self.queue, partition, again, now);
                continue;
            }
            let too_late = self.held.done(&mut self.queue, partition);
            self.refuse(too_late);
            finish(&self.shared, &self.outboxes, settled, waiter);
            self.queue.finished(era);
        }
        self.held.answered(&mut self.queue);
    }

    /// Asks the first of each partition that is held, where it is due, and hands over those that have moved. What has waited for as
    /// long as an answer may take is refused.
    fn ask_what_is_held(&mut self, orders: &mut mpsc::Receiver<Order>) {
        let now = Instant::now();
        let most = self.shared.options.redis.answer_timeout;
        let mut piece = Vec::new();
        for partition in self.held.due(now) {
            let is_late = |asked: &Asked| now.duration_since(asked.waiter.asked_at) >= most;
            let late = self.queue.take_those(partition, is_late);
            self.refuse(late);
            let owner = self.shared.link.owner(partition.slot()).filter(|owner| *owner != self.address);
            match owner {
                Some(owner) => self.hand_over(partition, &owner, orders),
                None => piece.extend(self.held.ask(&mut self.queue, partition)),
            }
        }
        if !piece.is_empty() {
            self.send(piece);
        }
    }

    /// Has another server's lane go on with all that waits of a partition. What was given here before is in it, and what is given
    /// from now on comes after it there.
    fn hand_over(&mut self, partition: Partition, to: &Address, orders: &mut mpsc::Receiver<Order>) {
        let Some(lanes) = self.lanes.upgrade() else {
            let waiting = self.queue.take_those(partition, |_| true);
            self.held.free(&mut self.queue, partition);
            return self.refuse(waiting);
        };
        let mut routes = lanes.routes.lock();
        while let Ok(order) = orders.try_recv() {
            take(&mut self.queue, order);
        }
        let waiting = self.queue.take_those(partition, |_| true);
        self.held.free(&mut self.queue, partition);
        if !routes.moves(partition, &self.address, to) {
            drop(routes);
            return self.refuse(waiting);
        }
        let lane = lanes.lane(&mut routes, to);
        // Gone with the last of them. A fence there would wait for others, that may wait for one here.
        let (untold, all_told) = oneshot::channel();
        let untold = Arc::new(untold);
        let mut eras = Vec::with_capacity(waiting.len());
        for (mut asked, era) in waiting {
            eras.push(era);
            asked.waiter.untold.push(Arc::clone(&untold));
            // Where it is not given to anybody the reply is dropped, and says so.
            drop(give(lane, Order::Commit(Box::new(asked))));
        }
        self.handed_over.push(Box::pin(async move {
            // Nobody sends anything.
            let _ = all_told.await;
            eras
        }));
    }

    /// Answers those who cannot be served now.
    fn refuse(&mut self, asked: Vec<(Asked, Era)>) {
        for (asked, era) in asked {
            finish(&self.shared, &self.outboxes, Settled::from(StoreError::Unavailable), asked.waiter);
            self.queue.finished(era);
        }
    }
}

fn take(queue: &mut Queue<Asked>, order: Order) {
    match order {
        Order::Commit(asked) => {
            if let Some(refused) = queue.put(asked.waiter.partition, *asked) {
                let _ = refused.waiter.reply.send(Err(StoreError::Overloaded.into()));
            }
        }
        Order::Fence(fence) => queue.fence(fence),
    }
}

fn finish(shared: &Arc<Shared>, outboxes: &Outboxes, settled: Settled, waiter: Waiter) {
    let Waiter { partition, effects_are_few, place, under_way, asked_at: _, untold: _untold, reply } = waiter;
    drop((place, under_way));
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
    let applied = outboxes.apply(partition, settled.waits);
    if effects_are_few {
        tokio::spawn(async move {
            // Where it cannot be applied now it waits: it is durable.
            let _ = timeout(EFFECTS_WAIT, applied).await;
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
