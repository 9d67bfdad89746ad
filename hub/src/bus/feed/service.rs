//! What has to be waited for: the bus, the store, and time.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::reads::Done;
use super::telling::Waiting;
use super::{Feed, Inner};
use crate::bus::events::Events;
use crate::bus::port::{Event, Topic};
use crate::domain::limits::{BUS_READS, BUS_WALKS, SEQUENCE_RETRY};
use crate::domain::names::UserKey;
use crate::store::{Change, Store, StoreError};

/// Revocations that are read at once.
const REVOCATIONS_PAGE: u32 = 1_000;

/// Runs a feed.
pub struct Service {
    feed: Feed,
    events: Events,
    store: Arc<dyn Store>,
    /// The place of the last revocation that is known here.
    revocations_after: u64,
}

/// Something that was waited for.
enum Finished {
    Read(Done),
    /// Whether somebody was looked up; if not, who is to be again.
    Walked(Option<UserKey>),
    /// Up to where they are known; `None` where they must be read again.
    Revocations(Option<u64>),
    /// Some of what is kept for the others was told, perhaps.
    Told,
}

/// What is under way. Reads and walks are bounded; revocations are read one page after the other.
#[derive(Default)]
struct UnderWay {
    tasks: FuturesUnordered<BoxFuture<'static, Finished>>,
    reads: usize,
    walks: usize,
    tells: bool,
    revocations: Revocations,
    /// The page that is being read says nothing of up to where revocations are known.
    is_void: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Revocations {
    #[default]
    Known,
    Wanted,
    Reading,
    /// More were made meanwhile.
    ReadingAgain,
}

impl Service {
    /// Of `feed`, with what its bus brings. Revocations up to `revocations_after` are known.
    pub fn new(feed: Feed, events: Events, store: Arc<dyn Store>, revocations_after: u64) -> Self {
        feed.name(&store);
        Self { feed, events, store, revocations_after }
    }

    /// Runs it until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        if !self.feed.has_others() {
            return cancel.cancelled().await;
        }
        let hub = self.feed.want(Topic::Hub);
        tokio::select! {
            () = self.go_on() => {}
            () = cancel.cancelled() => {}
        }
        drop(hub);
    }

    async fn go_on(&mut self) {
        let inner = Arc::clone(&self.feed.0);
        let mut under_way = UnderWay::default();
        let mut waiting = Waiting::default();
        let mut part = Vec::new();
        loop {
            let deadline = next_deadline(&inner);
            let is_late = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.events.take(&mut part) => {
                    for event in part.drain(..) {
                        if inner.take_event(event) {
                            under_way.revocations.want();
                        }
                    }
                }
                () = inner.work.notify.notified() => {}
                () = is_late => inner.tick(),
                Some(finished) = under_way.tasks.next() => self.finish(&mut under_way, finished),
            }
            take_work(&inner, &mut waiting);
            if std::mem::take(&mut waiting.restarted) {
                self.read_revocations_anew(&mut under_way);
            }
            self.begin(&inner, &mut under_way, &mut waiting);
        }
    }

    fn finish(&mut self, under_way: &mut UnderWay, finished: Finished) {
        match finished {
            Finished::Read(done) => {
                under_way.reads -= 1;
                self.feed.0.take_read(done);
            }
            Finished::Walked(failed) => {
                under_way.walks -= 1;
                if let Some(user) = failed {
                    self.feed.0.work.add(|waiting| waiting.walks.add(user));
                }
            }
            Finished::Told => under_way.tells = false,
            Finished::Revocations(result) => {
                let again = under_way.revocations == Revocations::ReadingAgain || result.is_none();
                under_way.revocations = if again { Revocations::Wanted } else { Revocations::Known };
                let known = result.filter(|_| !std::mem::take(&mut under_way.is_void));
                self.revocations_after = known.unwrap_or(self.revocations_after);
            }
        }
    }

    /// All revocations are read again.
    fn read_revocations_anew(&mut self, under_way: &mut UnderWay) {
        self.revocations_after = 0;
        let is_reading = matches!(under_way.revocations, Revocations::Reading | Revocations::ReadingAgain);
        under_way.is_void = is_reading;
        under_way.revocations.want();
    }

    fn begin(&self, inner: &Arc<Inner>, under_way: &mut UnderWay, waiting: &mut Waiting) {
        while under_way.reads < BUS_READS
            && let Some((topic, read)) = waiting.reads.pop_front()
        {
            match Inner::read(&self.store, topic.clone(), read) {
                Some(reading) => {
                    under_way.reads += 1;
                    under_way.tasks.push(Box::pin(async move { Finished::Read(reading.await) }));
                }
                None => inner.read_failed(&topic, read.id),
            }
        }
        while under_way.walks < BUS_WALKS
            && let Some(user) = waiting.walks.take()
        {
            under_way.walks += 1;
            let (inner, store) = (Arc::clone(inner), Arc::clone(&self.store));
            under_way.tasks.push(Box::pin(async move {
                let result = inner.walk(&*store, &user).await;
                let failed = or_later("a user's rooms could not be looked up", result).await.is_none();
                Finished::Walked(failed.then_some(user))
            }));
        }
        if !under_way.tells && !inner.kept.is_empty() {
            under_way.tells = true;
            let inner = Arc::clone(inner);
            under_way.tasks.push(Box::pin(async move {
                inner.tell_kept().await;
                Finished::Told
            }));
        }
        if under_way.revocations == Revocations::Wanted {
            under_way.revocations = Revocations::Reading;
            let (inner, store, after) = (Arc::clone(inner), Arc::clone(&self.store), self.revocations_after);
            under_way.tasks.push(Box::pin(async move {
                let result = inner.learn_revocations(&*store, after).await;
                Finished::Revocations(or_later("revocations could not be read", result).await)
            }));
        }
    }
}

/// What there is; where it failed, `None` after a while, so that it is not asked for without end.
async fn or_later<T>(what: &str, result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(result) => Some(result),
        Err(error) => {
            tracing::warn!(%error, "{what}");
            sleep(SEQUENCE_RETRY).await;
            None
        }
    }
}

impl Revocations {
    fn want(&mut self) {
        *self = match self {
            Self::Known | Self::Wanted => Self::Wanted,
            Self::Reading | Self::ReadingAgain => Self::ReadingAgain,
        };
    }
}

/// Takes what waits; of it the short work is done at once.
fn take_work(inner: &Inner, waiting: &mut Waiting) {
    let new = std::mem::take(&mut *inner.work.waiting.lock());
    waiting.reads.extend(new.reads);
    waiting.walks.extend(new.walks);
    waiting.restarted |= new.restarted;
    for user in new.left {
        inner.leave(&user);
    }
    for of in new.memberships {
        inner.note_membership(&of);
    }
    for topic in new.dropped {
        inner.let_go(&topic);
    }
}

fn next_deadline(inner: &Inner) -> Option<Instant> {
    inner.shards.iter().filter_map(|shard| shard.lock().next_deadline()).min()
}

impl Inner {
    /// Whether revocations are to be read.
    fn take_event(&self, event: Event) -> bool {
        match event {
            Event::Message(topic, message) => self.hear(&topic, &message),
            Event::Brings(topics) => self.brings(&topics),
            Event::Lost(topics) => {
                self.loses(&topics);
                false
            }
        }
    }

    /// Reads the revocations after a place, and gives the last one's.
    async fn learn_revocations(&self, store: &dyn Store, mut after: u64) -> Result<u64, StoreError> {
        loop {
            let page = store.revocations(after, REVOCATIONS_PAGE).await?;
            let changes: Vec<_> = page.revocations.into_iter().map(Change::Revoked).collect();
            if !changes.is_empty() {
                self.listener.changed(&changes);
            }
            after = after.max(page.last);
            if !page.more {
                return Ok(after);
            }
        }
    }
}
