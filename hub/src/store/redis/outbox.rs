//! Effects on other homes: items of a partition's outbox are applied in order at each partition that they concern, each once,
//! and taken off when all have it. Any node may do it; targets know how far each source's were applied. One that is away holds up
//! what is for it alone.
//!
//! Where replicas are waited for nothing is applied before they have the item: a home that fails over could have lost what
//! caused it.

mod effects;
mod item;
mod walk;

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use redis::Value;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::domain::seldom::Seldom;
use crate::domain::time::Moment;
use crate::redis::{Partition, Reader, Server};
use crate::store::StoreError;

use super::answer::{self, Answer};
use super::barrier::Written;
use super::call::Call;
use super::limits::{EFFECTS_WAIT, ITEMS};
use super::script;
use super::shared::Shared;
use item::{Concerned, Item, Kind};
use walk::Walk;

/// Items' numbers go with their server's time: so many for each millisecond, as `lua/outbox.lua` has it.
const PLACES_A_MILLISECOND: u64 = 1_024;

/// How often the log says at most that effects wait.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Who waits for an outbox to be applied up to a number.
type Waiting = Vec<(u64, oneshot::Sender<()>)>;

/// What is for each target, by its item's place among those that were read.
type Queues = FxHashMap<Partition, Vec<(usize, Vec<Concerned>)>>;

/// The outboxes that this node is at work on. A cheap handle; on the store's thread.
#[derive(Clone)]
pub(super) struct Outboxes {
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
    /// Lines that say that effects wait.
    said: Arc<Seldom>,
}

#[derive(Default)]
struct State {
    /// Partitions that are being worked on, with those who wait.
    under_way: FxHashMap<Partition, Work>,
    /// Walks that left something behind: what comes is applied without all that being looked at again.
    walks: FxHashMap<Partition, Walk>,
}

/// One partition's.
#[derive(Default)]
struct Work {
    waiting: Waiting,
    /// Whether it is to go over all once more when it has reached the end.
    once_more: bool,
}

/// What a step came to.
enum Step {
    /// It has gone over all items up to this number.
    Over(u64),
    /// Others have taken items off: it begins again.
    Again,
    /// Nothing is behind what was gone over.
    End,
}

impl Outboxes {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, state: Arc::default(), said: Arc::default() }
    }

    /// Has a partition's outbox applied; the answer comes when that is done up to `number`, or is dropped where not all of it
    /// can be done now.
    pub(super) fn apply(&self, partition: Partition, number: u64) -> oneshot::Receiver<()> {
        let (reply, applied) = oneshot::channel();
        let mut state = self.state.lock();
        let work = state.under_way.entry(partition);
        let is_idle = matches!(work, Entry::Vacant(_));
        work.or_default().waiting.push((number, reply));
        drop(state);
        if is_idle {
            self.begin(partition);
        }
        applied
    }

    /// Has all of a partition's outbox looked at, also what is for targets that were away.
    fn apply_from_the_beginning(&self, partition: Partition) {
        let mut state = self.state.lock();
        if let Some(work) = state.under_way.get_mut(&partition) {
            work.once_more = true;
            return;
        }
        state.under_way.insert(partition, Work::default());
        if let Some(walk) = state.walks.get_mut(&partition) {
            walk.begin_again();
        }
        drop(state);
        self.begin(partition);
    }

    fn begin(&self, partition: Partition) {
        let outboxes = self.clone();
        tokio::spawn(async move { outboxes.work(partition).await });
    }

    /// Has those outboxes of a server applied whose first item has waited for [`EFFECTS_WAIT`], by that server's time, in which
    /// it was put in.
    pub(super) async fn apply_late(
        &self,
        server: &Server,
        partitions: &[Partition],
    ) -> Result<(), StoreError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let now = self.shared.time_of(server).await?.millis();
        let firsts = self.shared.ask_server(server, partitions, |names, pipeline| {
            pipeline.cmd("LINDEX").arg(format!("{names}out")).arg(0);
        });
        for (partition, first) in firsts.await? {
            let first = answer::bytes(first?)?.unwrap_or_default();
            let put_in =
                Reader::new(&first).u64().map(|number| (number / PLACES_A_MILLISECOND).cast_signed());
            let is_new = |put_in| (0..EFFECTS_WAIT.as_millis() as i64).contains(&(now - put_in));
            if !put_in.is_ok_and(is_new) {
                self.apply_from_the_beginning(partition);
            }
        }
        Ok(())
    }

    /// Applies all there is, and all that somebody waits for.
    async fn work(&self, partition: Partition) {
        let mut walk = self.state.lock().walks.remove(&partition).unwrap_or_default();
        loop {
            // Who comes from here on may wait for what the step does not see yet.
            let before = self.state.lock().under_way.get(&partition).map_or(0, |work| work.waiting.len());
            let step = self.step(partition, &mut walk).await;
            let mut state = self.state.lock();
            let Some(work) = state.under_way.get_mut(&partition) else { return };
            match step {
                Ok(Step::Over(up_to)) => {
                    let (gone_over, others) =
                        std::mem::take(&mut work.waiting).into_iter().partition(|(n, _)| *n <= up_to);
                    work.waiting = others;
                    answer(gone_over, &walk);
                }
                Ok(Step::Again) => {}
                // Whoever waited before then waits for what others have applied.
                Ok(Step::End) => {
                    let others = work.waiting.split_off(before.min(work.waiting.len()));
                    answer(std::mem::replace(&mut work.waiting, others), &walk);
                    if std::mem::take(&mut work.once_more) {
                        walk.begin_again();
                    } else if work.waiting.is_empty() {
                        state.under_way.remove(&partition);
                        if !walk.is_whole() {
                            state.walks.insert(partition, walk);
                        }
                        return;
                    }
                }
                Err(error) => {
                    if let Some(left_out) = self.said.admit_every(SAY_AGAIN, Moment::now()) {
                        tracing::warn!(%error, left_out, "effects wait");
                    }
                    state.under_way.remove(&partition);
                    walk.begin_again();
                    state.walks.insert(partition, walk);
                    return;
                }
            }
        }
    }

    /// Goes over the next items.
    async fn step(&self, source: Partition, walk: &mut Walk) -> Result<Step, StoreError> {
        let shared = &self.shared;
        walk.go_on_in(shared.epoch());
        let mut command = redis::cmd("LRANGE");
        command.arg(format!("{}out", shared.names.partition(source))).arg(walk.from());
        command.arg(walk.from() + ITEMS);
        let (items, server) = shared.send_at(&command).await?;
        let items = Answer::new(items).all_bytes()?.into_iter().map(Item::read);
        let mut items = items.collect::<Result<Vec<_>, _>>()?;
        if !walk.has_its_place(&mut items) {
            return Ok(Step::Again);
        }
        let Some(up_to) = items.last().map(|item| item.number) else { return Ok(Step::End) };
        shared.make_durable(&Written(server)).await?;
        let left = self.carry_out(source, &items, walk).await;
        let mut applied = Call::new(&script::APPLIED, shared, source);
        for (item, left) in items.iter().zip(&left) {
            if *left == 0 {
                applied.push(&item.bytes[..]);
            } else {
                walk.leaves(item);
            }
        }
        if left.contains(&0) {
            applied.ask(shared).await?;
        }
        Ok(Step::Over(up_to))
    }

    /// Applies items at all targets that are there and do not have them, each target's in order and beside the others'. Gives how
    /// many targets each is still to be applied at.
    async fn carry_out(&self, source: Partition, items: &[Item], walk: &mut Walk) -> Vec<usize> {
        let mut left = vec![0; items.len()];
        let mut queues = Queues::default();
        for (place, item) in items.iter().enumerate() {
            for (target, users) in item.by_target() {
                if !walk.is_done(target, item) {
                    left[place] += 1;
                    queues.entry(target).or_default().push((place, users));
                }
            }
        }
        let mut away: FxHashSet<_> = queues.keys().copied().collect();
        queues.retain(|target, _| !walk.away.contains(target) && self.is_there(*target));
        for (target, place) in self.apply_each(source, items, &queues).await {
            left[place] -= 1;
            walk.has.insert(target, (items[place].epoch, items[place].number));
            if queues[&target].last().is_some_and(|(last, _)| *last == place) {
                away.remove(&target);
            }
        }
        walk.away.extend(away);
        left
    }

    /// Applies what is for each target; gives what was done at whom by when others need not wait for one any more.
    async fn apply_each(
        &self,
        source: Partition,
        items: &[Item],
        queues: &Queues,
    ) -> Vec<(Partition, usize)> {
        let done = Mutex::new(Vec::new());
        let is_done = &done;
        let applying = queues.iter().map(|(target, queue)| async move {
            for (place, users) in queue {
                if let Err(error) = self.apply_at(*target, source, &items[*place], users).await {
                    if let Some(left_out) = self.said.admit_every(SAY_AGAIN, Moment::now()) {
                        tracing::warn!(%error, left_out, "effects wait");
                    }
                    return;
                }
                is_done.lock().push((*target, *place));
            }
        });
        // Who does not answer by then is away: what has been done there is found to be when it is asked again.
        let _ = timeout(EFFECTS_WAIT, join_all(applying)).await;
        done.into_inner()
    }

    fn is_there(&self, target: Partition) -> bool {
        self.shared.link.answers(self.shared.names.partition(target).as_bytes())
    }

    async fn apply_at(
        &self,
        target: Partition,
        source: Partition,
        item: &Item,
        users: &[Concerned],
    ) -> Result<(), StoreError> {
        let shared = &self.shared;
        let head = match item.kind {
            Kind::Notify(..) => shared.head(),
            // Whoever applies it may not be who committed it, and is to hear it as the others.
            Kind::Index(..) => shared.head_of_nobody(),
        };
        let call = Call::new(&script::APPLY, shared, target)
            .arg(source.number())
            .arg(&item.epoch[..])
            .arg(item.number)
            .arg(shared.now().millis())
            .arg(shared.scripts_publish_with())
            .arg(&head.to_bytes()[..]);
        match &item.kind {
            Kind::Notify(notice) => {
                let users: Vec<_> = users.iter().map(|(_, user)| user.clone()).collect();
                let changes = effects::notify(shared, call, &item.tenant, notice, &users).await?;
                shared.acknowledged.note(&changes);
                shared.tell(&changes);
                Ok(())
            }
            Kind::Index(room) => effects::index(shared, call, &item.tenant, room, users).await,
        }
    }

    /// Has everything applied that waits in any partition now.
    pub(super) async fn apply_all(&self) -> Result<(), StoreError> {
        let last = self.shared.ask_partitions(|names, pipeline| {
            pipeline.cmd("LINDEX").arg(format!("{names}out")).arg(-1);
        });
        let mut applied = Vec::new();
        for (partition, value) in last.await? {
            if let Value::BulkString(item) = value {
                applied.push(self.apply(partition, Item::read(item)?.number));
            }
        }
        for applied in applied {
            applied.await.map_err(|_| StoreError::Unavailable)?;
        }
        Ok(())
    }
}

/// Answers those who wait for what a walk has gone over.
fn answer(waiting: Waiting, walk: &Walk) {
    for (_, reply) in waiting.into_iter().filter(|_| walk.is_whole()) {
        // Nobody may be waiting any more.
        let _ = reply.send(());
    }
}
