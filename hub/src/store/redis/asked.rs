//! An outcome that a lane is asked to commit: its call, what its answer is settled with, and who waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::domain::names::RoomKey;
use crate::redis::Partition;
use crate::store::{CommitError, Committed, Home, Outcome, StoreError};

use super::answer::Answer;
use super::call::Call;
use super::commit::{self, Settled, Tags};
use super::inbox;
use super::limits::{QUEUES, SLICE};
use super::publish::Addressed;
use super::shared::{Shared, partition_of};

/// Who waits for an outcome.
pub(super) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// One outcome on its way.
pub(super) struct Asked {
    pub(super) partition: Partition,
    pub(super) call: Call,
    pub(super) what: What,
    pub(super) effects: Effects,
    pub(super) place: Place,
    pub(super) reply: Reply,
}

/// What an answer is settled with.
pub(super) enum What {
    Room(RoomKey, Outcome, Tags),
    Tenant(Outcome),
    Inbox(inbox::Asked),
}

/// What an outcome causes elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Effects {
    pub(super) partition: Partition,
    pub(super) are_few: bool,
}

/// A place among those that may wait and be on their way in all.
pub(super) struct Place(Arc<Shared>);

impl Place {
    /// Takes one, where there is any.
    pub(super) fn take(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let place = Self(Arc::clone(shared));
        let most = shared.options.queue as u64 * QUEUES;
        let before = shared.counters.queued.fetch_add(1, Ordering::Relaxed);
        // A place that is given back at once counts no longer.
        if before < most { Ok(place) } else { Err(StoreError::Overloaded) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.counters.queued.fetch_sub(1, Ordering::Relaxed);
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
        let effects = Effects { partition, are_few: outcome.effects.len() <= SLICE };
        Self { partition, call, what, effects, place, reply }
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
