//! An outcome that a lane is asked to commit: its call, what its answer is settled with, and who waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::domain::inbox::Notice;
use crate::domain::names::RoomKey;
use crate::redis::Partition;
use crate::store::{CommitError, Committed, Effect, Home, Outcome, StoreError, Write};

use super::answer::Answer;
use super::arguments::groups;
use super::call::Call;
use super::commit::{self, Settled, Tags};
use super::inbox;
use super::limits::{QUEUED_BYTES, QUEUES, SLICE};
use super::publish::Addressed;
use super::routes::UnderWay;
use super::shared::{Shared, partition_of};

/// Where the answer to an outcome goes.
pub(super) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// What a part of an outcome takes beside its content, about.
const PART_BYTES: u64 = 128;

/// One outcome on its way.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) what: What,
    pub(super) waiter: Waiter,
}

/// Who waits for an outcome, and for how long: where it belongs, and whether it causes so little elsewhere that its reply waits
/// for that as well.
pub(super) struct Waiter {
    pub(super) partition: Partition,
    pub(super) effects_are_few: bool,
    pub(super) place: Place,
    /// Once it is in a lane: the lane is its partition's until it is told.
    pub(super) under_way: Option<UnderWay>,
    pub(super) asked_at: Instant,
    /// Of lanes that have handed it over: there it counts as told once this is gone.
    pub(super) untold: Vec<Arc<oneshot::Sender<()>>>,
    pub(super) reply: Reply,
}

/// What an answer is settled with.
pub(super) enum What {
    Room(RoomKey, Outcome, Tags),
    Tenant(Outcome),
    Inbox(inbox::Asked),
}

/// A place among those that may wait and be on their way in all, for so many bytes.
pub(super) struct Place(Arc<Shared>, u64);

impl Place {
    /// Takes one for an outcome, where there is any.
    pub(super) fn take(shared: &Arc<Shared>, outcome: &Outcome) -> Result<Self, StoreError> {
        let bytes = bytes_of(outcome);
        let place = Self(Arc::clone(shared), bytes);
        let most = shared.options.queue as u64 * QUEUES;
        let before = shared.counters.queued.fetch_add(1, Ordering::Relaxed);
        let bytes_before = shared.counters.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        // A place that is given back at once counts no longer.
        if before < most && bytes_before < QUEUED_BYTES { Ok(place) } else { Err(StoreError::Overloaded) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.counters.queued.fetch_sub(1, Ordering::Relaxed);
        self.0.counters.queued_bytes.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Asked {
    /// The call of an outcome of a room or a tenant, which needs nothing to be read before.
    pub(super) fn at_once(shared: &Shared, outcome: Outcome) -> (Call, What) {
        let Home::Room(room) = outcome.home.clone() else {
            return (commit::tenant(shared, &outcome), What::Tenant(outcome));
        };
        let (call, tags) = commit::room(shared, &room, &outcome);
        let key = RoomKey { tenant: outcome.tenant.clone(), room };
        (call, What::Room(key, outcome, tags))
    }

    pub(super) fn new((call, what): (Call, What), place: Place, reply: Reply) -> Self {
        let outcome = what.outcome();
        let partition = partition_of(&outcome.tenant, &outcome.home);
        let effects_are_few = outcome.effects.len() <= SLICE;
        Self {
            call,
            what,
            waiter: Waiter {
                partition,
                effects_are_few,
                place,
                under_way: None,
                asked_at: Instant::now(),
                untold: Vec::new(),
                reply,
            },
        }
    }
}

impl What {
    fn outcome(&self) -> &Outcome {
        match self {
            Self::Room(_, outcome, _) | Self::Tenant(outcome) => outcome,
            Self::Inbox(asked) => &asked.outcome,
        }
    }

    /// Where it belongs, and whose it is.
    pub(super) fn addressed(&self) -> Addressed {
        Addressed::from(self.outcome())
    }

    /// What the answer means.
    pub(super) fn settle(self, shared: &Shared, answer: Answer) -> Result<Settled, StoreError> {
        match self {
            Self::Room(key, outcome, tags) => commit::settle_room(shared, &key, (outcome, tags), answer),
            Self::Tenant(outcome) => commit::settle_tenant(shared, &outcome, answer),
            Self::Inbox(asked) => asked.settle(shared, answer),
        }
    }
}

/// How large an outcome is, about: what it writes and causes, and a little for each of its parts.
fn bytes_of(outcome: &Outcome) -> u64 {
    let written = outcome.writes.iter().map(|write| match write {
        Write::Append(body) => body.stored_bytes(),
        Write::Broadcast(notice) => notice_bytes(notice),
        _ => PART_BYTES,
    });
    let caused = groups(&outcome.effects).map(|group| match group {
        [Effect::Notify { notice, .. }, ..] => notice_bytes(notice) + group.len() as u64 * PART_BYTES,
        [] => 0,
    });
    PART_BYTES + written.sum::<u64>() + caused.sum::<u64>()
}

fn notice_bytes(notice: &Notice) -> u64 {
    let body = notice.body.as_ref().map_or(0, |body| body.as_bytes().len());
    let data: usize = notice.data.as_map().iter().map(|(key, value)| key.len() + value.len()).sum();
    PART_BYTES + (notice.title.len() + body + data) as u64
}
