//! The writer thread: takes what is queued, commits it as one group, publishes, tells the sink, answers. It alone writes.
//!
//! It ends at the first failure of the engine: what it knows is ahead of what is durable then, so nobody of the group is
//! answered OK and the store takes no more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::domain::names::UserKey;
use crate::store::{CommitError, CommitSink, Committed, Erased, Outcome, StoreError};

use super::apply::Applied;
use super::checkpoint::{Checkpoints, Progress};
use super::engine::{EngineError, Result};
use super::erase::{Erasure, Step};
use super::options::Clock;
use super::overlay::Overlay;
use super::state::State;

/// Groups between two steps of trimming or erasing, while outcomes keep coming.
const GROUPS_PER_STEP: u32 = 4;
/// Entries that one idle step settles.
const IDLE_SETTLE: usize = 2_000;

/// What is asked of the writer.
pub(super) enum Job {
    /// Commit this.
    Commit { outcome: Box<Outcome>, reply: oneshot::Sender<std::result::Result<Committed, CommitError>> },
    /// Erase this user.
    Erase { user: UserKey, reply: oneshot::Sender<std::result::Result<Erased, StoreError>> },
    /// Do what is queued before this, write everything home and end.
    Close,
}

/// Where jobs are sent to; empty once nobody takes them any more.
pub(super) type Intake = Arc<Mutex<Option<Sender<Job>>>>;

/// The writer's end of the queue.
pub(super) struct Queue {
    pub(super) jobs: Receiver<Job>,
    pub(super) intake: Intake,
}

impl Drop for Queue {
    /// Answers what is left, by dropping it: a channel alone would keep it for ever.
    fn drop(&mut self) {
        self.intake.lock().take();
        while self.jobs.try_recv().is_ok() {}
    }
}

/// What others may see of the writer.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) committed: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) keys: AtomicU64,
    /// Set when the writer has ended, or fails from now on.
    pub(super) stopped: AtomicBool,
    /// Checkpoints.
    pub(super) progress: Arc<Progress>,
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) state: State,
    pub(super) checkpoints: Checkpoints,
    pub(super) queue: Queue,
    pub(super) overlay: Arc<Overlay>,
    pub(super) sink: Arc<dyn CommitSink>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Clock,
    pub(super) group: usize,
    pub(super) idle: Duration,
    pub(super) sweep: Duration,
    pub(super) erasures: VecDeque<Box<Erasure>>,
}

type Reply = oneshot::Sender<std::result::Result<Committed, CommitError>>;

/// Why the loop ended.
enum End {
    Closed,
    Abandoned,
}

impl Writer {
    /// Runs until closed, abandoned or failed.
    pub(super) fn run(mut self) {
        let end = self.work();
        self.counters.stopped.store(true, Ordering::Release);
        match end {
            Ok(End::Closed) => {
                if let Err(error) = self.go_home() {
                    tracing::error!(%error, "closing the store failed; the next opening recovers");
                }
            }
            Ok(End::Abandoned) => {}
            Err(error) => tracing::error!(%error, "the store stopped: a commit failed"),
        }
    }

    fn work(&mut self) -> Result<End> {
        let mut jobs: Vec<(Box<Outcome>, Reply)> = Vec::with_capacity(self.group);
        let mut next_sweep = Instant::now() + self.sweep;
        let mut groups = 0_u32;
        let mut settled = self.state.journal.deleted == self.state.journal.next - 1;
        loop {
            if Instant::now() >= next_sweep {
                self.state.trims.begin_sweep();
                next_sweep = Instant::now() + self.sweep;
            }
            let busy = !self.erasures.is_empty() || self.state.trims.is_busy();
            let wait = match (busy, settled) {
                (true, _) => Duration::ZERO,
                (false, false) => self.idle,
                (false, true) => self.sweep,
            };
            match self.queue.jobs.recv_timeout(wait) {
                Ok(first) => {
                    let closing = self.collect(first, &mut jobs)?;
                    if !jobs.is_empty() {
                        self.commit_group(&mut jobs)?;
                        settled = false;
                        groups += 1;
                    }
                    if closing {
                        return Ok(End::Closed);
                    }
                    if busy && groups >= GROUPS_PER_STEP {
                        groups = 0;
                        self.background_step()?;
                    }
                }
                Err(RecvTimeoutError::Timeout) if busy => self.background_step()?,
                Err(RecvTimeoutError::Timeout) => settled = settled || self.idle_settle()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Abandoned),
            }
        }
    }

    /// Takes what is queued, up to a group; whether the store closes.
    fn collect(&mut self, first: Job, jobs: &mut Vec<(Box<Outcome>, Reply)>) -> Result<bool> {
        let (mut next, mut weight) = (Some(first), 0);
        while let Some(job) = next {
            match job {
                Job::Commit { outcome, reply } => {
                    // A fan-out to many weighs as much as it writes.
                    weight += outcome.writes.len().max(1) + outcome.effects.len();
                    jobs.push((outcome, reply));
                }
                Job::Erase { user, reply } => {
                    let erasure = self.state.begin_erasure(&self.db, user, reply)?;
                    self.erasures.push_back(Box::new(erasure));
                }
                Job::Close => return Ok(true),
            }
            next = if weight < self.group { self.queue.jobs.try_recv().ok() } else { None };
        }
        Ok(false)
    }

    /// Commits a group. On an error the replies are dropped, which says that the outcome is unknown.
    fn commit_group(&mut self, jobs: &mut Vec<(Box<Outcome>, Reply)>) -> Result<()> {
        let mut answers: Vec<(Reply, Applied)> = Vec::with_capacity(jobs.len());
        self.begin()?;
        let appended = self.state.journal.next;
        self.state.delete_settled(&self.db, jobs.len())?;
        for (outcome, reply) in jobs.drain(..) {
            let applied = self.state.apply(&self.db, *outcome)?;
            answers.push((reply, applied));
        }
        let now = self.state.now;
        self.state.wrote |= self.state.keys.finish_group(&self.db, now)?;
        let appended = (self.state.journal.next - appended) as usize;
        self.state.settle(&self.db, appended, self.state.unsettled)?;
        self.end(appended > 0)?;
        self.answer(answers);
        Ok(())
    }

    /// Answers a group, after the figures tell of it.
    fn answer(&self, answers: Vec<(Reply, Applied)>) {
        let (mut committed, mut duplicates) = (0, 0);
        for (_, applied) in &answers {
            match applied {
                Ok(done) if done.duplicate => duplicates += 1,
                Ok(_) => committed += 1,
                Err(_) => {}
            }
        }
        self.counters.committed.fetch_add(committed, Ordering::Relaxed);
        self.counters.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        self.counters.groups.fetch_add(1, Ordering::Relaxed);
        self.counters.keys.store(self.state.keys.remembered() as u64, Ordering::Relaxed);
        for (reply, applied) in answers {
            // Nobody may be waiting any more.
            let _ = reply.send(applied);
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.state.now = (self.clock)();
        self.state.wrote = false;
        self.db.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
        Ok(())
    }

    /// Commits, then lets others see it. `counted` where the transaction wrote a row of the journal, which is what
    /// counts commits.
    fn end(&mut self, counted: bool) -> Result<()> {
        if self.state.wrote && !counted {
            self.state.journal.append_nothing(&self.db)?;
        }
        self.db.prepare_cached("COMMIT")?.raw_execute()?;
        self.overlay.publish(&mut self.state.publish);
        if !self.state.changes.is_empty() {
            self.sink.committed(&self.state.changes);
            self.state.changes.clear();
        }
        self.state.shrink();
        self.checkpoints.advance(&self.db, self.state.journal.next - 1)
    }

    /// One step of an erasure, else of trimming.
    fn background_step(&mut self) -> Result<()> {
        self.begin()?;
        let step = if let Some(erasure) = self.erasures.pop_front() {
            Some(self.state.erase_step(&self.db, erasure)?)
        } else {
            self.state.trim_step(&self.db)?;
            None
        };
        self.end(false)?;
        match step {
            Some(Step::More(erasure)) => self.erasures.push_front(erasure),
            Some(Step::Done(erasure)) => erasure.answer(),
            None => {}
        }
        Ok(())
    }

    /// One step of settling while nothing else is to be done; true once all is home.
    fn idle_settle(&mut self) -> Result<bool> {
        loop {
            self.begin()?;
            let done = self.state.settle_idle(&self.db, IDLE_SETTLE)?;
            // Settling is no commit of anything: it needs no row of its own, or it would never end.
            self.state.wrote = false;
            self.end(true)?;
            if done || !self.queue.jobs.is_empty() {
                return Ok(done);
            }
        }
    }

    /// Finishes what is under way and writes everything home.
    fn go_home(mut self) -> Result<()> {
        while !self.erasures.is_empty() {
            self.background_step()?;
        }
        while !self.idle_settle()? {
            // What came after the call to close is not taken any more.
            let _ = self.queue.jobs.try_recv();
        }
        drop(self.checkpoints);
        let truncated = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        truncated.map_err(EngineError::from)
    }
}
