//! What nodes have for each other that is in no log and must not be lost with a connection: it is kept until the bus has taken
//! it, and told in order. What was not confirmed is told again, so that it may come twice.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
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
    messages: VecDeque<(Topic, Bytes)>,
    bytes: usize,
}

impl Kept {
    /// Whether it is the first.
    fn add(&self, topic: Topic, message: Bytes) -> bool {
        let mut waiting = self.0.lock();
        if waiting.messages.len() >= KEPT || waiting.bytes + message.len() > KEPT_BYTES {
            tracing::warn!("too much waits to be told to other nodes: some of it is left out");
            return false;
        }
        waiting.bytes += message.len();
        waiting.messages.push_back((topic, message));
        waiting.messages.len() == 1
    }

    fn first(&self, most: usize) -> Vec<(Topic, Bytes)> {
        self.0.lock().messages.iter().take(most).cloned().collect()
    }

    fn done(&self, many: usize) {
        let mut waiting = self.0.lock();
        let told: usize = waiting.messages.drain(..many).map(|(_, message)| message.len()).sum();
        waiting.bytes -= told;
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
    /// Tells the first of what is kept; after a while where the bus does not take it.
    pub(super) async fn tell_kept(&self) {
        let first = self.kept.first(KEPT_AT_ONCE);
        let telling = first.into_iter().map(|(topic, message)| self.bus.publish(&topic, message));
        let told = join_all(telling).await;
        let taken = told.iter().take_while(|told| told.is_ok()).count();
        self.kept.done(taken);
        if taken < told.len() {
            sleep(SEQUENCE_RETRY).await;
        }
    }
}
