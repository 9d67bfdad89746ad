//! Turns for answers as large as a page.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::limits::PAGES_IN_FLIGHT;

/// The turns of one session: [`PAGES_IN_FLIGHT`] at a time. What is done but not answered keeps its turn, so that a
/// client which asks for many pages and reads none makes the hub hold no more.
pub(super) struct Pages(Arc<Semaphore>);

/// A turn; dropping it gives it to the next.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

impl Default for Pages {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PAGES_IN_FLIGHT)))
    }
}

impl Pages {
    /// Begins `reading` when it is its turn, and keeps the turn with what was read.
    pub(super) fn read<F: Future>(&self, reading: F) -> impl Future<Output = (F::Output, Turn)> + use<F> {
        let turns = Arc::clone(&self.0);
        async move {
            // Nobody closes the semaphore.
            let turn = turns.acquire_owned().await.ok();
            (reading.await, turn)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::StreamExt;
    use futures::stream::FuturesUnordered;

    use super::*;

    #[tokio::test]
    async fn no_page_is_read_before_an_earlier_one_is_answered() {
        let (pages, read) = (Pages::default(), AtomicUsize::new(0));
        let mut asked: FuturesUnordered<_> =
            (0..64).map(|_| pages.read(async { read.fetch_add(1, Ordering::Relaxed) })).collect();
        let mut held = Vec::new();
        for _ in 0..PAGES_IN_FLIGHT {
            held.push(asked.next().await.unwrap().1);
        }
        assert!(futures::poll!(asked.next()).is_pending());
        assert_eq!(read.load(Ordering::Relaxed), PAGES_IN_FLIGHT);
        held.clear();
        while asked.next().await.is_some() {}
        assert_eq!(read.load(Ordering::Relaxed), 64);
    }
}
