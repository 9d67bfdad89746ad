//! What has to be waited for: the registry, the bus, and time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use rustc_hash::FxHashSet;
use tokio_util::sync::CancellationToken;

use super::super::Presence;
use super::following::Nodes;
use super::lease::Found;
use super::{Lease, Read, Telling};
use crate::bus::feed::{Feed, Hold};
use crate::bus::registry::{Asking, Kept, Leases, Registry, Writing};
use crate::bus::sessions::Life;
use crate::bus::{BusError, Topic};
use crate::domain::limits::{BUS_READS, NODE_LEASE, PRESENCE_TELLS, SEQUENCE_RETRY};
use crate::domain::names::TenantId;
use crate::domain::time::{Moment, Now};

/// How nodes find out that one is no more.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a node that does not renew its lease is taken to be there.
    pub lease: Duration,
    /// How long those whom a node leaves behind when it ends may come back to another.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease: NODE_LEASE, grace: crate::domain::limits::PRESENCE_GRACE }
    }
}

/// Runs presence across nodes.
pub struct Service {
    presence: Presence,
    nodes: Arc<Nodes>,
    registry: Arc<dyn Registry>,
    feed: Feed,
    options: Options,
    lease: Lease,
    telling: Telling,
    tasks: FuturesUnordered<BoxFuture<'static, Done>>,
    is_renewing: bool,
    is_telling: bool,
    /// When others may be told something again.
    next_tell: Moment,
    under_way: usize,
    /// Lives that are being removed.
    removing: FxHashSet<Life>,
}

/// What was waited for.
enum Done {
    Renewed(Moment, u64, Result<Leases, BusError>),
    Heard(TenantId, Result<Hold, BusError>),
    Read(TenantId, Read, Result<Kept, BusError>),
    Told(Life, Vec<Outcome>),
    Removed(Life),
}

/// What became of a batch.
struct Outcome {
    tenant: TenantId,
    counter: u64,
    is_last: bool,
    result: Result<(), BusError>,
}

impl Service {
    /// Of `presence`, where it is shared; `None` where it is not.
    pub fn new(
        presence: Presence,
        registry: Arc<dyn Registry>,
        feed: Feed,
        options: Options,
    ) -> Option<Self> {
        let nodes = Arc::clone(presence.nodes()?);
        let lease = Lease::new(nodes.node, options.lease);
        Some(Self {
            presence,
            nodes,
            registry,
            feed,
            options,
            lease,
            telling: Telling::default(),
            tasks: FuturesUnordered::new(),
            is_renewing: false,
            is_telling: false,
            next_tell: Moment(0),
            under_way: 0,
            removing: FxHashSet::default(),
        })
    }

    /// Runs it until cancelled; then the others are told what became of the last sessions.
    pub async fn run(mut self, cancel: CancellationToken) {
        let nodes = Arc::clone(&self.nodes);
        loop {
            let next = self.begin(Moment::now());
            tokio::select! {
                () = nodes.notify.notified() => {}
                () = tokio::time::sleep(next) => {}
                Some(done) = self.tasks.next() => self.finish(done, Moment::now()),
                () = cancel.cancelled() => break,
            }
        }
        self.end().await;
    }

    /// Begins what is due. Gives for how long there is nothing else to do.
    fn begin(&mut self, now: Moment) -> Duration {
        let mut next = Duration::from_secs(60);
        if !self.is_renewing && self.lease.next_deadline() <= now {
            self.renew(now);
        }
        if !self.is_renewing {
            next = next.min(self.lease.next_deadline().since(now));
        }
        self.follow();
        if let Some(wait) = self.read(now) {
            next = next.min(wait);
        }
        if !self.is_telling && self.lease.is_good(now) && !self.nodes.work.lock().changed.is_empty() {
            if self.next_tell <= now {
                self.tell(now);
            } else {
                next = next.min(self.next_tell.since(now));
            }
        }
        next.max(Duration::from_millis(1))
    }

    fn renew(&mut self, now: Moment) {
        self.is_renewing = true;
        let is_new = self.lease.ask();
        let look = self.lease.looks();
        self.nodes.looks.store(look, Ordering::Release);
        let asking = self.registry.renew(self.lease.life(), self.options.lease, is_new);
        self.tasks.push(Box::pin(async move { Done::Renewed(now, look, asking.await) }));
    }

    fn follow(&mut self) {
        while self.under_way < BUS_READS {
            let Some(tenant) = self.nodes.work.lock().begun.pop_front() else { return };
            self.under_way += 1;
            let feed = self.feed.clone();
            self.tasks.push(Box::pin(async move {
                let heard = feed.follow(Topic::Tenant(tenant.clone())).await;
                if heard.is_err() {
                    tokio::time::sleep(SEQUENCE_RETRY).await;
                }
                Done::Heard(tenant, heard)
            }));
        }
    }

    /// Begins reads. Gives after how long there are more.
    fn read(&mut self, now: Moment) -> Option<Duration> {
        let tenants: Vec<_> = self.nodes.work.lock().reads.drain().collect();
        let mut next: Option<Duration> = None;
        let mut later = Vec::new();
        for tenant in tenants {
            let Some(others) = self.nodes.others(&tenant) else { continue };
            let mut known = others.known.lock();
            // Before the topic is heard something might be missed after the read.
            if known.hold.is_none() {
                continue;
            }
            while self.under_way < BUS_READS
                && let Some(read) = known.mirror.next_read(now)
            {
                self.under_way += 1;
                let asking: Asking<Kept> = self.registry.read(&tenant, read.life);
                let tenant = tenant.clone();
                self.tasks.push(Box::pin(async move { Done::Read(tenant, read, asking.await) }));
            }
            if let Some(deadline) = known.mirror.next_deadline() {
                let wait = deadline.since(now);
                next = Some(next.map_or(wait, |next| next.min(wait)));
                later.push(tenant);
            }
        }
        self.nodes.work.lock().reads.extend(later);
        // Where too many are under way, the end of one goes on.
        next.filter(|_| self.under_way < BUS_READS)
    }

    /// Tells the others what has changed.
    fn tell(&mut self, now: Moment) {
        let writings = self.take_changes();
        if writings.is_empty() {
            return;
        }
        self.is_telling = true;
        self.next_tell = now.plus(PRESENCE_TELLS);
        let (life, registry) = (self.lease.life(), Arc::clone(&self.registry));
        self.tasks.push(Box::pin(async move { Done::Told(life, write(&*registry, writings).await) }));
    }

    /// What the others are to be told, of tenants whose others are known.
    fn take_changes(&mut self) -> Vec<Writing> {
        let changed: Vec<_> = {
            let waiting: Vec<_> = self.nodes.work.lock().changed.iter().cloned().collect();
            let is_whole =
                |tenant: &TenantId| self.nodes.others(tenant).is_some_and(|others| others.is_whole());
            let whole: FxHashSet<_> = waiting.into_iter().filter(is_whole).collect();
            self.nodes.work.lock().changed.extract_if(|tenant| whole.contains(tenant)).collect()
        };
        let (life, now) = (self.lease.life(), Now::read());
        let mut writings = Vec::with_capacity(changed.len());
        for tenant in changed {
            let is_whole = self.telling.is_whole(&tenant);
            let (told, is_last) = self.presence.take_changes(&tenant, is_whole, now);
            let feed = &self.feed;
            let message = |batch: &_| feed.message_of_sessions(batch);
            writings.push(self.telling.batch(life, &tenant, told, is_last, message));
        }
        writings
    }

    fn finish(&mut self, done: Done, now: Moment) {
        match done {
            Done::Renewed(asked, look, result) => self.finish_renewing(asked, look, result, now),
            Done::Heard(tenant, result) => {
                self.under_way -= 1;
                self.finish_following(tenant, result);
            }
            Done::Read(tenant, read, result) => {
                self.under_way -= 1;
                self.nodes.counters.reads.fetch_add(1, Ordering::Relaxed);
                self.presence.follow_up(&tenant, |mirror, _| mirror.was_read(read, result.ok(), now));
            }
            Done::Told(life, outcomes) => self.finish_telling(life, outcomes, now),
            Done::Removed(life) => drop(self.removing.remove(&life)),
        }
    }

    fn finish_following(&mut self, tenant: TenantId, result: Result<Hold, BusError>) {
        match result {
            Ok(hold) => {
                if let Some(others) = self.nodes.others(&tenant) {
                    let mut known = others.known.lock();
                    known.hold = Some(hold);
                    known.mirror.begin(self.lease.looks());
                    drop(known);
                    self.nodes.work.lock().reads.insert(tenant);
                }
                self.lease.look_now();
            }
            Err(_) => self.nodes.work.lock().begun.push_back(tenant),
        }
    }

    fn finish_renewing(&mut self, asked: Moment, look: u64, result: Result<Leases, BusError>, now: Moment) {
        self.is_renewing = false;
        let Ok(leases) = result else { return self.lease.failed(now, SEQUENCE_RETRY) };
        let Found { alive, ended, is_reborn } = self.lease.answered(&leases, asked, now);
        self.nodes.note_lease(self.lease.good_until());
        if is_reborn {
            self.nodes.counters.lives.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("the lease of this node had ended: its sessions are told anew");
            for tenant in self.telling.begin_anew() {
                self.nodes.note_changed(&tenant);
            }
        }
        let others = alive.iter().filter(|life| life.node != self.nodes.node).count();
        self.nodes.counters.others.store(others as u64, Ordering::Relaxed);
        self.presence.look(&alive, look);
        for life in ended {
            if self.removing.insert(life) {
                let asking = self.registry.remove(life);
                self.tasks.push(Box::pin(async move {
                    // Where it failed it is found again by the next look.
                    let _ = asking.await;
                    Done::Removed(life)
                }));
            }
        }
        self.presence.forget_idle(now);
    }

    fn finish_telling(&mut self, life: Life, outcomes: Vec<Outcome>, now: Moment) {
        self.is_telling = false;
        for Outcome { tenant, counter, is_last, result } in outcomes {
            let counters = &self.nodes.counters;
            let counted = if result.is_ok() { &counters.told } else { &counters.untold };
            counted.fetch_add(1, Ordering::Relaxed);
            match result {
                Ok(()) if life == self.lease.life() => self.telling.was_told(&tenant, counter, is_last),
                Ok(()) => {}
                Err(_) => {
                    self.next_tell = now.plus(SEQUENCE_RETRY);
                    self.nodes.note_changed(&tenant);
                }
            }
        }
        if self.nodes.work.lock().changed.is_empty() {
            self.nodes.is_told.send_replace(true);
        }
    }

    /// The last words: sessions that ended lately may still come back to another node, for which the lease stays a while.
    async fn end(mut self) {
        let life = self.lease.life();
        while self.is_telling || self.is_renewing {
            let Some(done) = self.tasks.next().await else { break };
            self.finish(done, Moment::now());
        }
        if life != self.lease.life() || !self.lease.is_good(Moment::now()) {
            return;
        }
        let writings = self.take_changes();
        write(&*self.registry, writings).await;
        let _ = match self.options.grace {
            Duration::ZERO => self.registry.remove(life).await,
            grace => self.registry.leave(life, grace).await,
        };
    }
}

/// Writes all of it, of one tenant each.
async fn write(registry: &dyn Registry, writings: Vec<Writing>) -> Vec<Outcome> {
    let writing = |writing: Writing| async move {
        let (tenant, counter, is_last) = (writing.tenant.clone(), writing.counter, writing.is_last);
        Outcome { tenant, counter, is_last, result: registry.write(writing).await }
    };
    join_all(writings.into_iter().map(writing)).await
}
