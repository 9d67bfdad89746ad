//! Questions that a node asks all others, and what they answer.

use bytes::Bytes;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Feed, Inner};
use crate::bus::envelope;
use crate::bus::port::{BusError, Topic};
use crate::domain::limits::NODES_ANSWER;

/// Questions that wait for answers: no more than calls that ask them.
#[derive(Default)]
pub(super) struct Asked {
    last: u64,
    waiting: FxHashMap<u64, mpsc::Sender<Bytes>>,
}

/// A question that waits. Dropping it lets go of the answers that come later.
struct Waiting<'a> {
    inner: &'a Inner,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.inner.asked.lock().waiting.remove(&self.id);
    }
}

impl Feed {
    /// Asks all other nodes, and waits for so many answers, but no longer than [`NODES_ANSWER`]: what was answered by then.
    pub async fn ask(&self, question: &[u8], nodes: usize) -> Result<Vec<Bytes>, BusError> {
        if nodes == 0 {
            return Ok(Vec::new());
        }
        let inner = &*self.0;
        let (answer, mut answers) = mpsc::channel(nodes);
        let waiting = {
            let mut asked = inner.asked.lock();
            asked.last += 1;
            let id = asked.last;
            asked.waiting.insert(id, answer);
            Waiting { inner, id }
        };
        let message = envelope::question(inner.head(), waiting.id, question);
        let deadline = Instant::now() + NODES_ANSWER;
        inner.bus.publish(&Topic::Hub, message).await?;
        let mut all = Vec::with_capacity(nodes);
        while all.len() < nodes
            && let Ok(Some(answer)) = timeout_at(deadline, answers.recv()).await
        {
            all.push(answer);
        }
        Ok(all)
    }
}

impl Inner {
    /// Another node asks.
    pub(super) fn answer(&self, asker: u64, id: u64, question: &Bytes) {
        if let Some(answer) = self.listener.asked(question) {
            // Where it cannot be published the asker waits in vain, and says so.
            let _ = self.send(&Topic::Hub, envelope::answer(self.head(), (asker, id), &answer));
        }
    }

    /// Another node has answered.
    pub(super) fn take_answer(&self, (asker, id): (u64, u64), answer: Bytes) {
        if asker == self.node
            && let Some(waiting) = self.asked.lock().waiting.get(&id)
        {
            // More nodes than were known have answered: whoever asks has enough.
            let _ = waiting.try_send(answer);
        }
    }
}
