//! Waiting for replicas: one `WAIT` at a time at each server, for all that was written there before.
//!
//! Whoever comes while one is under way shares the next. `WAIT` holds up what comes after it on its connection, and speaks of
//! what that one has written: so what is waited for has a connection of its own ([`Server::writes`]), over which both go.
//! Before each goes a write of little consequence, so that it also speaks of what others have written until then: a retry that
//! finds its first attempt's work, and a read, are as certain as a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult, Value};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use crate::redis::slots::Address;
use crate::redis::{Durability, Link, Names, Partition, Server, Way, is_moving};
use crate::store::StoreError;

use super::answer::number;
use super::limits::{BEATS, WAITERS};
use super::shared::Shared;

/// Where something was written: `WAIT` there speaks of it.
#[derive(Clone)]
pub(super) struct Written(pub(super) Server);

/// Those who wait, at each server.
#[derive(Default)]
pub(super) struct Barriers(Mutex<FxHashMap<Address, Queue>>);

/// Who is told whether enough replicas have what was written before.
type Waiter = oneshot::Sender<bool>;

#[derive(Clone)]
struct Queue {
    /// The connection's number.
    number: u64,
    waiters: mpsc::Sender<Waiter>,
    /// Whether too few replicas answered the last time.
    is_behind: Arc<AtomicBool>,
}

/// One that waits at a server, over one connection.
struct Barrier {
    server: Server,
    link: Link,
    names: Names,
    wanted: u32,
    /// Milliseconds.
    most: u64,
    is_behind: Arc<AtomicBool>,
}

impl Shared {
    /// Waits until what was written there is as durable as it shall be.
    pub(super) async fn make_durable(&self, at: &Written) -> Result<(), StoreError> {
        let Durability::Replicas(wanted) = self.options.durability else { return Ok(()) };
        let (reply, is_met) = oneshot::channel();
        let queue = self.queue_of(&at.0, wanted);
        queue.waiters.send(reply).await.map_err(|_| StoreError::Unavailable)?;
        // Where it is not it may be kept or not: who asked does not know, and asks again with the same key.
        // So it is with the answer of a connection that was replaced.
        if is_met.await == Ok(true) && !at.0.is_replaced() { Ok(()) } else { Err(StoreError::Unavailable) }
    }

    /// Whether replicas of a server did not have what was waited for last.
    pub(super) fn is_behind(&self, server: &Server) -> bool {
        let queues = self.barriers.0.lock();
        queues.get(&server.address).is_some_and(|queue| queue.is_behind.load(Ordering::Relaxed))
    }

    fn queue_of(&self, server: &Server, wanted: u32) -> Queue {
        let mut queues = self.barriers.0.lock();
        if let Some(queue) = queues.get(&server.address).filter(|queue| queue.number == server.number) {
            return queue.clone();
        }
        let (waiters, waiting) = mpsc::channel(WAITERS);
        let is_behind = Arc::new(AtomicBool::new(false));
        let barrier = Barrier {
            server: server.clone(),
            link: self.link.clone(),
            names: self.names.clone(),
            wanted,
            most: self.options.redis.answer_timeout.as_millis() as u64 / 2,
            is_behind: Arc::clone(&is_behind),
        };
        self.runtime.spawn(barrier.run(waiting));
        let queue = Queue { number: server.number, waiters, is_behind };
        // Who still comes for a connection of before gets one again, whose answer is that connection's.
        queues.insert(server.address.clone(), queue.clone());
        queue
    }
}

impl Barrier {
    /// Answers until nobody can ask any more.
    async fn run(mut self, mut waiting: mpsc::Receiver<Waiter>) {
        while let Some(first) = waiting.recv().await {
            let mut together = vec![first];
            while let Ok(next) = waiting.try_recv() {
                together.push(next);
            }
            let is_met = self.wait().await.unwrap_or(false);
            self.is_behind.store(!is_met, Ordering::Relaxed);
            for waiter in together {
                // They may have given up.
                let _ = waiter.send(is_met);
            }
        }
    }

    /// Whether enough replicas have all that was written; `None` where the server does not say. Where a slot is on its way to
    /// another server the write goes to another slot.
    async fn wait(&mut self) -> Option<bool> {
        for key in beats(&self.link, &self.names, &self.server) {
            let mut commands = Pipeline::with_capacity(2);
            commands.cmd("SET").arg(key).arg(1);
            commands.cmd("WAIT").arg(self.wanted).arg(self.most);
            let asking = async {
                let answers = self.server.writes.req_packed_commands(&commands, 0, 2).await?;
                answers.into_iter().map(Value::extract_error).collect::<RedisResult<Vec<_>>>()
            };
            match self.link.traffic().count(asking).await {
                Ok(answers) => {
                    self.server.answered(Way::Writes);
                    return Some(number(answers.last()?).ok()? >= i64::from(self.wanted));
                }
                Err(error) => {
                    self.link.failed(&self.server, &error, Way::Writes);
                    if !is_moving(&error) {
                        return None;
                    }
                }
            }
        }
        None
    }
}

/// The keys of a server that are written to see whether it can be: in the first partitions that it has, each in another slot.
pub(super) fn beats(link: &Link, names: &Names, server: &Server) -> Vec<String> {
    let there = Partition::all().filter(|partition| link.is_at(&server.address, partition.slot()));
    there.take(BEATS).map(|partition| format!("{}beat", names.partition(partition))).collect()
}
