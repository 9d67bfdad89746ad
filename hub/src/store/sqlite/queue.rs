//! The writer's queue: a lane for each area, taken in turn, so that a flood of messages holds up no notification.
//!
//! Each lane is bounded; who finds it full is told so at once. Within a lane jobs keep their order, and a home is of one
//! lane alone, so the order of a home's commits is the order in which they were queued.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::domain::audit::ChainHead;
use crate::domain::names::UserKey;
use crate::domain::revocation::Revocation;
use crate::store::{CommitError, Committed, Erased, Home, Outcome, StoreError};

/// Who waits for an outcome.
pub(super) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// What is asked of the writer.
pub(super) enum Job {
    /// Commit this.
    Commit { outcome: Box<Outcome>, reply: Reply },
    /// Revoke these tokens.
    Revoke { revocation: Box<Revocation>, reply: oneshot::Sender<()> },
    /// Note where an audit chain stands.
    Anchor { head: ChainHead, reply: oneshot::Sender<()> },
    /// Erase this user.
    Erase { user: UserKey, reply: oneshot::Sender<Result<Erased, StoreError>> },
}

impl Job {
    /// The lane of its area: rooms, inboxes, tenants.
    fn lane(&self) -> usize {
        match self {
            Self::Commit { outcome, .. } => match outcome.home {
                Home::Room(_) => 0,
                Home::Inbox(_) => 1,
                Home::Tenant => 2,
            },
            Self::Erase { .. } | Self::Revoke { .. } | Self::Anchor { .. } => 2,
        }
    }
}

/// What a look into the queue found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Jobs.
    Jobs,
    /// None came in time.
    Nothing,
    /// None, and none will come any more: go home.
    Closed,
    /// None, and nobody is left who could ask.
    Abandoned,
}

/// Shared by those who ask and the writer.
pub(super) struct Queue {
    lanes: Mutex<Lanes>,
    arrived: Condvar,
    /// Jobs that each lane holds.
    most: usize,
}

#[derive(Default)]
struct Lanes {
    jobs: [VecDeque<Job>; 3],
    /// The lane whose turn it is.
    turn: usize,
    /// Set when no more jobs are taken in; what a writer that finds nothing is told.
    end: Option<Found>,
}

impl Lanes {
    fn next(&mut self) -> Option<Job> {
        for _ in 0..self.jobs.len() {
            let lane = self.turn;
            self.turn = (self.turn + 1) % self.jobs.len();
            if let Some(job) = self.jobs.get_mut(lane).and_then(VecDeque::pop_front) {
                return Some(job);
            }
        }
        None
    }

    fn len(&self) -> usize {
        self.jobs.iter().map(VecDeque::len).sum()
    }
}

impl Queue {
    /// An empty one, whose lanes hold `most` jobs each.
    pub(super) fn new(most: usize) -> Self {
        Self { lanes: Mutex::default(), arrived: Condvar::new(), most }
    }

    /// Queues a job; refused where its lane is full or the queue has ended.
    pub(super) fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut lanes = self.lanes.lock();
        if lanes.end.is_some() {
            return Err(StoreError::Unavailable);
        }
        match lanes.jobs.get_mut(job.lane()) {
            Some(lane) if lane.len() < self.most => lane.push_back(job),
            _ => return Err(StoreError::Overloaded),
        }
        drop(lanes);
        self.arrived.notify_one();
        Ok(())
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.lanes.lock().len()
    }

    /// Takes no more in. The writer does what is queued, then finds [`Found::Closed`] where it is to go home.
    pub(super) fn close(&self, go_home: bool) {
        let end = if go_home { Found::Closed } else { Found::Abandoned };
        self.lanes.lock().end.get_or_insert(end);
        self.arrived.notify_one();
    }

    /// Waits up to `wait` for jobs, then moves what is there to `jobs`, the lanes in turn, while `wants_more` says so of
    /// each.
    pub(super) fn take(
        &self,
        wait: Duration,
        jobs: &mut Vec<Job>,
        mut wants_more: impl FnMut(&Job) -> bool,
    ) -> Found {
        let mut lanes = self.lanes.lock();
        if lanes.len() == 0 && lanes.end.is_none() && !wait.is_zero() {
            self.arrived.wait_for(&mut lanes, wait);
        }
        while let Some(job) = lanes.next() {
            let more = wants_more(&job);
            jobs.push(job);
            if !more {
                break;
            }
        }
        match lanes.end {
            _ if !jobs.is_empty() => Found::Jobs,
            Some(end) => end,
            None => Found::Nothing,
        }
    }
}

/// The writer's end: when it is gone, so is what was queued, and those who wait hear of it.
pub(super) struct Intake(pub(super) std::sync::Arc<Queue>);

impl Drop for Intake {
    fn drop(&mut self) {
        self.0.close(false);
        let left = std::mem::take(&mut self.0.lanes.lock().jobs);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{RoomName, TenantId, UserId};

    fn job(home: Home) -> Job {
        let (reply, _) = oneshot::channel();
        let outcome = Outcome {
            tenant: TenantId::parse("acme").unwrap(),
            home,
            actor: UserId::parse("alice").unwrap(),
            by_service: false,
            idempotency: None,
            conditions: Vec::new(),
            writes: Vec::new(),
            effects: Vec::new(),
        };
        Job::Commit { outcome: Box::new(outcome), reply }
    }

    fn room() -> Job {
        job(Home::Room(RoomName::parse("room:1").unwrap()))
    }

    #[test]
    fn a_full_lane_holds_up_no_other() {
        let queue = Queue::new(100);
        for _ in 0..100 {
            queue.push(room()).unwrap();
        }
        assert!(matches!(queue.push(room()), Err(StoreError::Overloaded)));
        queue.push(job(Home::Tenant)).unwrap();
        queue.push(job(Home::Inbox(UserId::parse("bob").unwrap()))).unwrap();
        let (mut jobs, mut left) = (Vec::new(), 4);
        let found = queue.take(Duration::ZERO, &mut jobs, |_| {
            left -= 1;
            left > 0
        });
        assert_eq!((found, jobs.len(), queue.len()), (Found::Jobs, 4, 98));
        assert_eq!(
            jobs.iter().filter(|job| job.lane() == 0).count(),
            2,
            "rooms got no more than their turns"
        );
    }

    #[test]
    fn what_was_queued_before_the_end_is_still_taken() {
        let queue = Queue::new(10);
        queue.push(room()).unwrap();
        queue.close(true);
        queue.close(false);
        assert!(matches!(queue.push(room()), Err(StoreError::Unavailable)));
        let mut jobs = Vec::new();
        assert_eq!(queue.take(Duration::from_secs(60), &mut jobs, |_| true), Found::Jobs);
        jobs.clear();
        assert_eq!(queue.take(Duration::from_secs(60), &mut jobs, |_| true), Found::Closed);
    }

    #[test]
    fn the_writers_end_answers_those_who_wait() {
        let queue = std::sync::Arc::new(Queue::new(10));
        let (reply, answer) = oneshot::channel();
        let user = UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("bob").unwrap() };
        queue.push(Job::Erase { user, reply }).unwrap();
        drop(Intake(std::sync::Arc::clone(&queue)));
        assert!(answer.blocking_recv().is_err());
        assert!(queue.push(room()).is_err());
    }
}
