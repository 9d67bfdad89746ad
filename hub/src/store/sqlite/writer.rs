//! The writer thread: takes what is queued, commits it as one group, publishes, tells the sink, answers. It alone writes.
//!
//! It ends at the first failure of the engine: what it knows is ahead of what is durable then, so nobody of the group is
//! answered OK and the store takes no more. Damage that is met where a group's outcomes
//! are read for, before its transaction, is no such failure: it ends the outcome that met it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::domain::audit::ChainHead;
use crate::domain::names::UserKey;
use crate::domain::revocation::Revocation;
use crate::store::{CommitSink, Outcome};

use super::apply::Applied;
use super::checkpoint::{Checkpoints, Progress};
use super::engine::{self, EngineError, Result};
use super::erase::{Erasure, ErasureReply, Step};
use super::options::Clock;
use super::outbox::SLICE;
use super::overlay::Overlay;
use super::queue::{Found, Intake, Job, Reply};
use super::state::State;
use super::trim::BATCH;

/// Groups between two steps of what goes on in the background, while outcomes keep coming.
const GROUPS_PER_STEP: u32 = 4;
/// Entries that one step trims at most.
const TRIM_MOST: u64 = 8_192;
/// Entries that one idle step settles.
const IDLE_SETTLE: usize = 2_000;

/// What others may see of the writer.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) committed: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) keys: AtomicU64,
    /// Set when the writer has ended, or fails from now on.
    pub(super) stopped: AtomicBool,
    /// Set when it is closing: nothing new begins.
    pub(super) closing: AtomicBool,
    /// Set when closing failed: what is in the journal alone is recovered by the next opening, as far as that is possible.
    pub(super) is_left_open: AtomicBool,
    /// Whether another program keeps the writer from the database.
    pub(super) is_held_up: AtomicBool,
    /// Checkpoints.
    pub(super) progress: Arc<Progress>,
}

/// What is no outcome, and is written before those of its group.
#[derive(Default)]
struct Aside {
    revocations: Vec<(Box<Revocation>, oneshot::Sender<()>)>,
    heads: Vec<(ChainHead, oneshot::Sender<()>)>,
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) state: State,
    pub(super) checkpoints: Checkpoints,
    pub(super) queue: Intake,
    pub(super) overlay: Arc<Overlay>,
    pub(super) sink: Arc<dyn CommitSink>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Clock,
    pub(super) group: usize,
    pub(super) idle: Duration,
    pub(super) sweep: Duration,
    pub(super) erasures: VecDeque<Box<Erasure>>,
    /// Whose turn is next of what goes on in the background.
    pub(super) turn: Background,
    /// Rows that were appended since the last step of trimming: it removes in proportion.
    pub(super) appended: u64,
}

/// What goes on between groups, a step at a time and in turn.
#[derive(Clone, Copy, Default)]
pub(super) enum Background {
    /// Effects that wait.
    #[default]
    Effects,
    /// Erasures.
    Erasing,
    /// Retention.
    Trimming,
}

/// Says that the store has stopped, however its writer ends.
struct Stop(Arc<Counters>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
    }
}

impl Writer {
    /// Runs until closed, abandoned or failed. Gives the connection, which is to be the store's last: where two close at once,
    /// neither takes the log away.
    pub(super) fn run(mut self) -> Connection {
        let stop = Stop(Arc::clone(&self.counters));
        let end = self.work();
        drop(stop);
        let home = match end {
            Ok(Found::Closed) => self.settle_all(),
            Ok(_) => return self.db,
            Err(error) => {
                tracing::error!(%error, "the store stopped: a commit failed");
                return self.db;
            }
        };
        let Self { db, checkpoints, counters, .. } = self;
        drop(checkpoints);
        let truncated = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = home.and(truncated.map_err(EngineError::from)) {
            counters.is_left_open.store(true, Ordering::Release);
            tracing::error!(%error, "closing the store failed; the next opening recovers");
        }
        db
    }

    /// Works until nothing more will come; gives why.
    fn work(&mut self) -> Result<Found> {
        let mut jobs = Vec::with_capacity(self.group);
        let mut next_sweep = Instant::now() + self.sweep;
        let mut groups = 0_u32;
        let mut settled = self.state.journal.deleted == self.state.journal.next - 1;
        loop {
            if Instant::now() >= next_sweep {
                self.state.trims.begin_sweep();
                next_sweep = Instant::now() + self.sweep;
            }
            let busy = self.has_background();
            let wait = match (busy, settled) {
                (true, _) => Duration::ZERO,
                (false, false) => self.idle,
                (false, true) => self.sweep,
            };
            match self.take(wait, &mut jobs) {
                Found::Jobs => {
                    self.do_jobs(&mut jobs)?;
                    settled = false;
                    groups += 1;
                    if busy && groups >= GROUPS_PER_STEP {
                        groups = 0;
                        self.background_step()?;
                    }
                }
                Found::Nothing if busy => {
                    self.background_step()?;
                    settled = false;
                }
                Found::Nothing => settled = settled || self.idle_settle()?,
                end => return Ok(end),
            }
        }
    }

    fn has_background(&self) -> bool {
        !self.erasures.is_empty() || !self.state.outbox.is_empty() || self.state.trims.is_busy()
    }

    /// Takes what is queued, up to a group. A fan-out weighs as much as it writes, at most a slice.
    fn take(&self, wait: Duration, jobs: &mut Vec<Job>) -> Found {
        let mut weight = 0;
        self.queue.0.take(wait, jobs, |job| {
            if let Job::Commit { outcome, .. } = job {
                weight += outcome.writes.len().max(1) + outcome.effects.len().min(SLICE);
            }
            weight < self.group
        })
    }

    /// Commits the outcomes among `jobs` as one group, after which their erasures begin.
    fn do_jobs(&mut self, jobs: &mut Vec<Job>) -> Result<()> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut aside = Aside::default();
        for job in jobs.drain(..) {
            match job {
                Job::Commit { outcome, reply } => outcomes.push((outcome, reply)),
                Job::Erase { user, reply } => self.erase(user, reply),
                Job::Revoke { revocation, reply } => aside.revocations.push((revocation, reply)),
                Job::Anchor { head, reply } => aside.heads.push((head, reply)),
            }
        }
        self.do_aside(aside)?;
        if outcomes.is_empty() { Ok(()) } else { self.commit_group(outcomes) }
    }

    /// Begins an erasure, or joins the one of the same user.
    fn erase(&mut self, user: UserKey, reply: ErasureReply) {
        match self.erasures.iter_mut().find(|erasure| erasure.is_of(&user)) {
            Some(erasure) => erasure.join(reply),
            None => self.erasures.push_back(Box::new(Erasure::new(user, reply))),
        }
    }

    /// Revokes and notes before the group's outcomes, in a transaction of its own.
    fn do_aside(&mut self, aside: Aside) -> Result<()> {
        if aside.revocations.is_empty() && aside.heads.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let mut replies = Vec::with_capacity(aside.revocations.len() + aside.heads.len());
        for (revocation, reply) in aside.revocations {
            self.state.revoke(&self.db, *revocation)?;
            replies.push(reply);
        }
        for (head, reply) in aside.heads {
            self.state.anchor_audit(&self.db, head)?;
            replies.push(reply);
        }
        self.end(false)?;
        for reply in replies {
            // Nobody may be waiting any more.
            let _ = reply.send(());
        }
        Ok(())
    }

    /// Commits a group. On an error the replies are dropped, which says that the outcome is unknown.
    fn commit_group(&mut self, outcomes: Vec<(Box<Outcome>, Reply)>) -> Result<()> {
        let outcomes = self.state.look_ahead(&self.db, outcomes)?;
        if outcomes.is_empty() {
            return Ok(());
        }
        let mut answers: Vec<(Reply, Applied)> = Vec::with_capacity(outcomes.len());
        self.begin()?;
        let (appended, bytes) = (self.state.journal.next, self.state.journal.appended_bytes);
        self.state.delete_settled(&self.db, outcomes.len())?;
        for (outcome, reply, ahead) in outcomes {
            let applied = self.state.apply(&self.db, *outcome, ahead)?;
            answers.push((reply, applied));
        }
        self.state.apply_slice(&self.db)?;
        let now = self.state.now;
        self.state.wrote |= self.state.keys.finish_group(&self.db, now)?;
        let appended = (self.state.journal.next - appended) as usize;
        self.appended += appended as u64;
        let bytes = self.state.journal.appended_bytes.wrapping_sub(bytes);
        self.state.settle(&self.db, appended, bytes)?;
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
        self.state.wrote = false;
        let held_up = &self.counters.is_held_up;
        loop {
            match self.db.prepare_cached("BEGIN IMMEDIATE")?.raw_execute() {
                Ok(_) => break,
                // Nothing is written yet: what there is to commit waits.
                Err(error) if engine::is_busy(&error) && !self.counters.closing.load(Ordering::Acquire) => {
                    if !held_up.swap(true, Ordering::AcqRel) {
                        tracing::error!(
                            "another program has locked the database: nothing is committed until it lets go"
                        );
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        if held_up.swap(false, Ordering::AcqRel) {
            tracing::info!("the database is not locked any longer");
        }
        // What waited is of now.
        self.state.now = (self.clock)();
        Ok(())
    }

    /// Commits, then lets others see it. `counted` where the transaction wrote a row of the journal, which is what
    /// counts commits.
    fn end(&mut self, counted: bool) -> Result<()> {
        self.state.save_stored(&self.db)?;
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

    /// One step of what waits and has its turn.
    fn background_step(&mut self) -> Result<()> {
        let Some(turn) = self.next_turn() else { return Ok(()) };
        self.begin()?;
        let mut step = None;
        match turn {
            Background::Effects => self.state.apply_slice(&self.db)?,
            Background::Erasing => {
                if let Some(erasure) = self.erasures.pop_front() {
                    step = Some(self.state.erase_step(&self.db, erasure)?);
                }
            }
            Background::Trimming => {
                let most = (2 * self.appended).clamp(BATCH, TRIM_MOST);
                self.appended = 0;
                self.state.trim_step(&self.db, most)?;
            }
        }
        self.end(false)?;
        match step {
            Some(Step::More(erasure)) => self.erasures.push_front(erasure),
            Some(Step::Done(erasure)) => erasure.answer(),
            None => {}
        }
        Ok(())
    }

    /// The next in turn that has something to do.
    fn next_turn(&mut self) -> Option<Background> {
        for _ in 0..3 {
            let turn = self.turn;
            let (next, busy) = match turn {
                Background::Effects => (Background::Erasing, !self.state.outbox.is_empty()),
                Background::Erasing => (Background::Trimming, !self.erasures.is_empty()),
                Background::Trimming => (Background::Effects, self.state.trims.is_busy()),
            };
            self.turn = next;
            if busy {
                return Some(turn);
            }
        }
        None
    }

    /// One step of settling while nothing else is to be done; true once all is home.
    fn idle_settle(&mut self) -> Result<bool> {
        loop {
            self.begin()?;
            let done = self.state.settle_idle(&self.db, IDLE_SETTLE)?;
            // Settling is no commit of anything: it needs no row of its own, or it would never end.
            self.state.wrote = false;
            self.end(true)?;
            if done || self.queue.0.len() > 0 {
                return Ok(done);
            }
        }
    }

    /// Writes everything home. Erasures end where they are, so that closing takes no longer than that: who waits is told
    /// that the store is not available, and repeating one carries on.
    fn settle_all(&mut self) -> Result<()> {
        self.erasures.clear();
        while !self.idle_settle()? {}
        Ok(())
    }
}
