//! What many sessions ask of the store at once when they come back: so much of it is under way at a time, and the rest waits for
//! its turn. The store refuses what is more than its queue holds, and others' commands would be refused with it.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use crate::domain::limits::{CATCH_UPS_AT_ONCE, JOINS_AT_ONCE, OPENINGS_AT_ONCE, TURN_AT_MOST};

/// The turns of one node.
pub(super) struct Crowd {
    /// Sessions that open.
    pub(super) openings: Turns,
    /// Joins of rooms that are resumed, or joined automatically.
    pub(super) joins: Turns,
    /// Pages of rooms that sessions are behind in.
    pub(super) catch_ups: Turns,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            openings: Turns::new(OPENINGS_AT_ONCE),
            joins: Turns::new(JOINS_AT_ONCE),
            catch_ups: Turns::new(CATCH_UPS_AT_ONCE),
        }
    }
}

/// So many at a time, in the order in which they ask. A cheap handle.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Begins `work` when it is its turn: until then it is no larger than what it is made of. Work that takes longer than [`TURN_AT_MOST`], as it waits for something that is away, goes on
    /// without its turn: others come to theirs. It is done whether or not what is returned is polled, as a client that takes nothing would
    /// keep its turn; dropping that ends it. `None` where it panicked.
    pub(super) fn take<T, W, B>(&self, work: B) -> impl Future<Output = Option<T>> + Send + use<T, W, B>
    where
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
        B: FnOnce() -> W + Send + 'static,
    {
        let turns = Arc::clone(&self.0);
        apart(async move {
            // Nobody closes the semaphore.
            let turn = turns.acquire_owned().await;
            let mut work = Box::pin(work());
            match tokio::time::timeout(TURN_AT_MOST, &mut work).await {
                Ok(done) => done,
                Err(_) => {
                    drop(turn);
                    work.await
                }
            }
        })
    }
}

/// Does `work` whether or not what is returned is polled: for what others wait for, as a client that takes nothing would keep them
/// waiting. Dropping that ends it. `None` where it panicked.
pub(super) fn apart<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Option<T>> + Send {
    let task = AbortOnDropHandle::new(tokio::spawn(work));
    async move { task.await.ok() }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn so_many_have_a_turn_and_who_goes_gives_it_up() {
        let turns = Turns::new(2);
        let (first, second) = (turns.take(pending::<()>), turns.take(pending::<()>));
        let mut third = Box::pin(turns.take(|| async { 3 }));
        tokio::task::yield_now().await;
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert_eq!(third.await, Some(3));
        drop(second);
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_keeps_nobody_waiting_for_long() {
        let turns = Turns::new(1);
        let hangs = turns.take(pending::<()>);
        assert_eq!(turns.take(|| async { 2 }).await, Some(2));
        drop(hangs);
    }

    #[tokio::test]
    async fn what_nobody_polls_is_done_and_gives_up_its_turn() {
        let turns = Turns::new(1);
        let (done, is_done) = tokio::sync::oneshot::channel();
        let unpolled = turns.take(|| async { done.send(()) });
        assert_eq!(is_done.await, Ok(()));
        assert_eq!(turns.take(|| async { 2 }).await, Some(2));
        drop(unpolled);
    }
}
