//! A lane: a partition's outcomes on their way, told in the order in which they were asked for. Partitions do not wait for each
//! other: one may be on a server that stands still.
//!
//! A lane sends an outcome without waiting for the answers to those before, up to [`IN_FLIGHT`] at a time; the connection
//! keeps their order. An answer is told to the sink, then to who asked. Where an outcome causes little elsewhere, who asked
//! is told when that has happened, so that they find it there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use tokio::sync::{mpsc, oneshot};

use crate::domain::names::RoomKey;
use crate::store::{CommitError, Committed, Home, Outcome, StoreError};

use super::commit::{self, Settled};
use super::inbox;
use super::limits::{IN_FLIGHT, SLICE};
use super::outbox::Outboxes;
use super::publish;
use super::shared::{Shared, partition_of};

/// Who waits for an outcome.
pub(super) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// What a lane is asked.
pub(super) enum Job {
    /// Commit this.
    Commit(Box<Outcome>, Reply),
    /// Say when everything asked before has been told.
    Fence(oneshot::Sender<()>),
}

/// What is on its way.
enum Arrived {
    Commit { settled: Settled, effects: Effects, reply: Reply },
    Fence(oneshot::Sender<()>),
}

/// What an outcome causes elsewhere.
#[derive(Clone, Copy)]
struct Effects {
    partition: crate::redis::Partition,
    are_few: bool,
}

/// Runs a lane until nobody can ask any more, and then what is on its way.
pub(super) async fn run(shared: Arc<Shared>, outboxes: Outboxes, mut jobs: mpsc::Receiver<Job>) {
    let mut under_way: FuturesOrdered<BoxFuture<'static, Arrived>> = FuturesOrdered::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            biased;
            Some(arrived) = under_way.next() => finish(&shared, &outboxes, arrived),
            job = jobs.recv(), if open && under_way.len() < IN_FLIGHT => match job {
                Some(job) => under_way.push_back(begin(&shared, job)),
                None => open = false,
            },
        }
    }
}

fn begin(shared: &Arc<Shared>, job: Job) -> BoxFuture<'static, Arrived> {
    let (outcome, reply) = match job {
        Job::Commit(outcome, reply) => (*outcome, reply),
        Job::Fence(reply) => return Box::pin(std::future::ready(Arrived::Fence(reply))),
    };
    let effects = Effects {
        partition: partition_of(&outcome.tenant, &outcome.home),
        are_few: outcome.effects.len() <= SLICE,
    };
    let shared = Arc::clone(shared);
    Box::pin(async move {
        let settled = commit_one(&shared, outcome).await.unwrap_or_else(Settled::from);
        Arrived::Commit { settled, effects, reply }
    })
}

async fn commit_one(shared: &Shared, outcome: Outcome) -> Result<Settled, StoreError> {
    let addressed = publish::Addressed::from(&outcome);
    let mut in_room = None;
    let (settled, written) = match outcome.home.clone() {
        Home::Room(room) => {
            let (call, tags) = commit::room(shared, &room, &outcome);
            let key = in_room.insert(RoomKey { tenant: outcome.tenant.clone(), room });
            let (answer, written) = call.write(shared).await?;
            (commit::settle_room(shared, key, (outcome, tags), answer)?, written)
        }
        Home::Inbox(user) => inbox::commit(shared, user, outcome).await?,
        Home::Tenant => {
            let (answer, written) = commit::tenant(shared, &outcome).write(shared).await?;
            (commit::settle_tenant(shared, &outcome, answer)?, written)
        }
    };
    if let Ok(committed) = &settled.result {
        shared.make_durable(&written).await?;
        if let Some(room) = &in_room {
            shared.note_durable(room, committed.position.seq);
        }
        publish::publish(shared, &settled.changes, settled.previous).await?;
        if committed.duplicate {
            publish::publish_again(shared, &addressed, committed).await?;
        }
    }
    Ok(settled)
}

fn finish(shared: &Arc<Shared>, outboxes: &Outboxes, arrived: Arrived) {
    let (settled, effects, reply) = match arrived {
        Arrived::Commit { settled, effects, reply } => (settled, effects, reply),
        Arrived::Fence(reply) => {
            // Nobody may be waiting any more.
            let _ = reply.send(());
            return;
        }
    };
    shared.counters.queued.fetch_sub(1, Ordering::Relaxed);
    if let Ok(committed) = &settled.result {
        let counter =
            if committed.duplicate { &shared.counters.duplicates } else { &shared.counters.committed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
    shared.acknowledged.note(&settled.changes);
    shared.tell_after(&settled.changes, settled.previous);
    if settled.waits == 0 {
        let _ = reply.send(settled.result);
        return;
    }
    let applied = outboxes.apply(effects.partition, settled.waits);
    if effects.are_few {
        tokio::spawn(async move {
            // Where it cannot be applied now it waits: it is durable.
            let _ = applied.await;
            let _ = reply.send(settled.result);
        });
    } else {
        let _ = reply.send(settled.result);
    }
}
