//! Turns: of whomever sessions are counted with other nodes, this node asks one thing at a time. Those who come meanwhile
//! are asked about together after that, in the order in which they came; and what is said of sessions is never older than what
//! was asked before.
//!
//! Whoever comes first begins a task that takes the turns until nobody waits: it is no session's own, for a session moves only
//! as its client reads, and others wait for the turn.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::bus::registry::limits::Whose;
use crate::domain::error::{ErrorCode, Refusal};

use super::live::Live;
use super::services::Services;

/// Who waits for a turn, by whose: no more than sessions, and counts that are said. Where there is an entry a task takes turns.
#[derive(Default)]
pub(super) struct Doors(Mutex<FxHashMap<Whose, Vec<Waiting>>>);

/// One who waits.
pub(super) struct Waiting {
    /// Who is to be let in; `None` where it is to be said how many there are.
    pub(super) entrant: Option<Arc<Live>>,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

impl Waiting {
    /// Whether nobody waits for the answer any more.
    pub(super) fn has_gone(&self) -> bool {
        self.answer.is_closed()
    }

    /// Answers. One who has gone is not told, and has given up all places.
    pub(super) fn tell(self, answer: Result<(), Refusal>) {
        let _ = self.answer.send(answer);
    }
}

impl Doors {
    /// Adds one who waits. Whether nobody takes turns there yet.
    fn come(&self, whose: &Whose, waiting: Waiting) -> bool {
        let mut doors = self.0.lock();
        let is_first = !doors.contains_key(whose);
        doors.entry(whose.clone()).or_default().push(waiting);
        is_first
    }

    /// Takes those who wait. Where there are none the turns are over.
    fn next(&self, whose: &Whose) -> Option<Vec<Waiting>> {
        let mut doors = self.0.lock();
        match doors.get_mut(whose).map(std::mem::take) {
            Some(waiting) if !waiting.is_empty() => Some(waiting),
            _ => {
                doors.remove(whose);
                None
            }
        }
    }
}

impl Services {
    /// Waits for a turn, and for what comes of it.
    pub(super) async fn take_turn(
        self: &Arc<Self>,
        whose: Whose,
        entrant: Option<Arc<Live>>,
    ) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        if self.upkeep.doors.come(&whose, Waiting { entrant, answer }) {
            tokio::spawn(take_turns(Arc::clone(self), whose));
        }
        // The task ends early where the node does.
        answered.await.unwrap_or_else(|_| Err(ErrorCode::Unavailable.into()))
    }
}

/// Takes turns until nobody waits. Each call to other nodes has a limit of time.
fn take_turns(services: Arc<Services>, whose: Whose) -> BoxFuture<'static, ()> {
    async move {
        while let Some(waiting) = services.upkeep.doors.next(&whose) {
            services.count_waiting(&whose, waiting).await;
        }
    }
    .boxed()
}
