//! Which topics are wanted, by how many, and whether they are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::timeout;

use super::telling::Work;
use super::{Feed, Inner};
use crate::bus::port::{BusError, Calling, Topic};
use crate::domain::limits::BUS_LIMIT;

struct Interest {
    holds: Arc<AtomicUsize>,
    is_open: watch::Sender<bool>,
    was_lost: bool,
}

/// The topics that are wanted.
#[derive(Default)]
pub(super) struct Interests(FxHashMap<Topic, Interest>);

/// Keeps a topic followed; it is let go of some time after the last one is dropped.
pub struct Hold {
    topic: Topic,
    holds: Arc<AtomicUsize>,
    work: Arc<Work>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            let topic = self.topic.clone();
            self.work.add(|waiting| waiting.dropped.push(topic));
        }
    }
}

impl Interests {
    pub(super) fn set_open(&mut self, topic: &Topic, is_open: bool) {
        if let Some(interest) = self.0.get(topic) {
            interest.is_open.send_replace(is_open);
        }
    }

    /// None is open: whoever begins to follow one waits until it is again.
    pub(super) fn close_all(&self) {
        for interest in self.0.values() {
            interest.is_open.send_replace(false);
        }
    }

    /// Notes that a topic is not heard.
    pub(super) fn lose(&mut self, topic: &Topic) {
        if let Some(interest) = self.0.get_mut(topic) {
            interest.was_lost = true;
        }
    }

    /// Whether a topic that is heard was lost before.
    pub(super) fn find_again(&mut self, topic: &Topic) -> bool {
        self.0.get_mut(topic).is_some_and(|interest| std::mem::take(&mut interest.was_lost))
    }
}

impl Feed {
    /// Wants a topic, and does not wait until it is heard.
    pub fn want(&self, topic: Topic) -> Hold {
        self.0.want(topic).0
    }

    /// Wants a topic, and waits until its log is open: everything that is committed after [`Feed::position`] will be
    /// told.
    pub async fn follow(&self, topic: Topic) -> Result<Hold, BusError> {
        let (hold, heard, mut is_open) = self.0.want(topic);
        heard.await?;
        match timeout(BUS_LIMIT, is_open.wait_for(|is_open| *is_open)).await {
            Ok(Ok(_)) => Ok(hold),
            Ok(Err(_)) | Err(_) => Err(BusError::Unavailable),
        }
    }
}

impl Inner {
    pub(super) fn want(&self, topic: Topic) -> (Hold, Calling, watch::Receiver<bool>) {
        let mut interests = self.interests.lock();
        let interest = interests.0.entry(topic.clone()).or_insert_with(|| {
            // Before the bus is asked: what it brings from then on is held.
            self.shard(&topic).lock().open(&topic);
            let (is_open, _) = watch::channel(false);
            Interest { holds: Arc::default(), is_open, was_lost: false }
        });
        interest.holds.fetch_add(1, Ordering::AcqRel);
        let is_open = interest.is_open.subscribe();
        let hold =
            Hold { topic: topic.clone(), holds: Arc::clone(&interest.holds), work: Arc::clone(&self.work) };
        (hold, self.bus.subscribe(topic), is_open)
    }

    /// Lets go of a topic, unless somebody holds it again.
    pub(super) fn let_go(&self, topic: &Topic) {
        let mut interests = self.interests.lock();
        let is_held = |interest: &Interest| interest.holds.load(Ordering::Acquire) > 0;
        if interests.0.get(topic).is_none_or(is_held) {
            return;
        }
        interests.0.remove(topic);
        if interests.0.capacity() > 64 && interests.0.len() < interests.0.capacity() / 4 {
            interests.0.shrink_to_fit();
        }
        self.bus.release(topic);
        self.shard(topic).lock().close(topic);
    }
}
