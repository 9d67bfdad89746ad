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
    waiting: FxHashMap<u64, Awaited>,
}

/// Whose answers are waited for, and where they go.
struct Awaited {
    nodes: Vec<u64>,
    answers: mpsc::Sender<(u64, Bytes)>,
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
    /// This node's id.
    pub fn node(&self) -> u64 {
        self.0.node
    }

    /// Asks these other nodes, and waits for their answers, but no longer than [`NODES_ANSWER`]: what was answered by then, by
    /// whom. Others hear the question too; what they answer is passed over.
    pub async fn ask(&self, question: &[u8], nodes: &[u64]) -> Result<Vec<(u64, Bytes)>, BusError> {
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        let inner = &*self.0;
        let (answers, mut answered) = mpsc::channel(nodes.len());
        let waiting = {
            let mut asked = inner.asked.lock();
            asked.last += 1;
            let id = asked.last;
            asked.waiting.insert(id, Awaited { nodes: nodes.to_vec(), answers });
            Waiting { inner, id }
        };
        let message = envelope::question(inner.head(), waiting.id, question);
        let deadline = Instant::now() + NODES_ANSWER;
        inner.bus.publish(&Topic::Hub, message).await?;
        let mut all = Vec::with_capacity(nodes.len());
        while all.len() < nodes.len()
            && let Ok(Some(answer)) = timeout_at(deadline, answered.recv()).await
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

    /// A node has answered.
    pub(super) fn take_answer(&self, node: u64, (asker, id): (u64, u64), answer: Bytes) {
        if asker == self.node
            && let Some(awaited) = self.asked.lock().waiting.get_mut(&id)
            && let Some(index) = awaited.nodes.iter().position(|awaited| *awaited == node)
        {
            // Each is waited for once, so that there is room.
            awaited.nodes.swap_remove(index);
            let _ = awaited.answers.try_send((node, answer));
        }
    }
}
