//! What nodes have for each other that is in no log and must not be lost with a connection: it is kept until the bus has taken
//! it, and told in order on each topic. What was not confirmed is told again, so that it may come twice; a topic that does not
//! take it holds up no other.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::sleep;

use super::{Feed, Inner};
use crate::bus::envelope::{self, Control, Live};
use crate::bus::port::Topic;
use crate::domain::limits::{KEPT, KEPT_AT_ONCE, KEPT_BYTES, SEQUENCE_RETRY};
use crate::domain::names::UserKey;

/// What is to be told, in order. Past [`KEPT`] or [`KEPT_BYTES`] it is left out.
#[derive(Default)]
pub(super) struct Kept(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    /// How many there were so far.
    count: u64,
}

struct Message {
    number: u64,
    topic: Topic,
    text: Bytes,
}

impl Kept {
    /// Whether it was taken.
    fn add(&self, topic: Topic, text: Bytes) -> bool {
        let mut waiting = self.0.lock();
        if waiting.messages.len() >= KEPT || waiting.bytes + text.len() > KEPT_BYTES {
            tracing::warn!("too much waits to be told to other nodes: some of it is left out");
            return false;
        }
        waiting.bytes += text.len();
        waiting.count += 1;
        let number = waiting.count;
        waiting.messages.push_back(Message { number, topic, text });
        true
    }

    /// The first of other topics than these, in order on each.
    fn first(&self, most: usize, but: &FxHashSet<Topic>) -> FxHashMap<Topic, Vec<(u64, Bytes)>> {
        let waiting = self.0.lock();
        let mut first: FxHashMap<Topic, Vec<(u64, Bytes)>> = FxHashMap::default();
        for message in waiting.messages.iter().filter(|message| !but.contains(&message.topic)).take(most) {
            let of_topic = first.entry(message.topic.clone()).or_default();
            of_topic.push((message.number, message.text.clone()));
        }
        first
    }

    fn done(&self, taken: &FxHashSet<u64>) {
        let mut waiting = self.0.lock();
        waiting.messages.retain(|message| !taken.contains(&message.number));
        waiting.bytes = waiting.messages.iter().map(|message| message.text.len()).sum();
    }

    /// Whether nothing is to be told.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().messages.is_empty()
    }
}

impl Feed {
    /// Hands something to a user's sessions on other nodes, as soon as they can be told.
    pub fn send_to_user(&self, user: &UserKey, live: &Live) {
        self.keep(user, || envelope::live(self.0.head(), live));
    }

    /// Tells other nodes something of a user, as soon as they can be told.
    pub fn tell(&self, user: &UserKey, control: &Control) {
        self.keep(user, || envelope::control(self.0.head(), control));
    }

    fn keep(&self, user: &UserKey, message: impl FnOnce() -> Bytes) {
        if self.has_others() && self.0.kept.add(Topic::User(user.clone()), message()) {
            self.0.work.notify.notify_one();
        }
    }
}

impl Inner {
    /// Tells what is kept; after a while what the bus has not taken.
    pub(super) async fn tell_kept(&self) {
        let mut failed = FxHashSet::default();
        loop {
            let first = self.kept.first(KEPT_AT_ONCE, &failed);
            if first.is_empty() {
                break;
            }
            let told =
                join_all(first.into_iter().map(|(topic, texts)| self.tell_in_order(topic, texts))).await;
            let mut taken = FxHashSet::default();
            for (of_topic, failed_at) in told {
                taken.extend(of_topic);
                failed.extend(failed_at);
            }
            self.kept.done(&taken);
        }
        if !failed.is_empty() {
            sleep(SEQUENCE_RETRY).await;
        }
    }

    /// Tells a topic's; gives those that were taken, and the topic where not all were.
    async fn tell_in_order(&self, topic: Topic, texts: Vec<(u64, Bytes)>) -> (Vec<u64>, Option<Topic>) {
        let mut taken = Vec::with_capacity(texts.len());
        for (number, text) in texts {
            if self.bus.publish(&topic, text).await.is_err() {
                return (taken, Some(topic));
            }
            taken.push(number);
        }
        (taken, None)
    }
}
