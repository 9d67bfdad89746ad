//! Who calls from an address that has too many connections or attempts, and is heard all the same: so many at a time, and not for
//! long. With a good token they are let in, whatever others at their address do.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// So many are heard within [`HEARD_FOR`]: each may cost a handshake, and the hub a token to judge. More are told to wait at once.
pub(crate) const HEARD: usize = 64;
/// How long one has to show a good token.
const HEARD_FOR: Duration = Duration::from_secs(5);

/// How many may be heard yet. A clone shares it.
#[derive(Clone)]
pub(crate) struct Hearings(Arc<Semaphore>);

impl Default for Hearings {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(HEARD)))
    }
}

impl Hearings {
    /// Hears one of an address that has to wait for this long; `None` where too many are heard.
    pub(crate) fn hear(&self, wait: Duration) -> Option<Heard> {
        let place = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let now = Instant::now();
        Some(Heard { place: Some(place), until: now + HEARD_FOR, waits_until: now + wait })
    }
}

/// One that is heard. Dropping it says that nobody became known: then its place is taken for the whole time, also where it leaves
/// at once, which bounds how many there are in a time.
pub(crate) struct Heard {
    place: Option<OwnedSemaphorePermit>,
    /// Until when.
    pub(crate) until: Instant,
    /// When its address need not wait any more.
    pub(crate) waits_until: Instant,
}

impl Heard {
    /// How long its address has to wait yet, at least 1 ms.
    pub(crate) fn wait(&self) -> Duration {
        rest(self.waits_until)
    }

    /// It is known whose it is.
    pub(crate) fn succeeded(mut self) {
        self.place = None;
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        // Where no runtime is left nobody is heard any more.
        if let Some(place) = self.place.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let until = self.until;
            runtime.spawn(async move {
                sleep_until(until).await;
                drop(place);
            });
        }
    }
}

/// How long it is until then, at least 1 ms.
pub(crate) fn rest(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_are_heard_in_a_time_and_whoever_is_known_takes_no_place() {
        let hearings = Hearings::default();
        let minute = Duration::from_secs(60);
        for _ in 0..3 * HEARD {
            hearings.hear(minute).expect("those before are known").succeeded();
        }
        let heard: Vec<_> = (0..HEARD).map(|_| hearings.hear(minute)).collect();
        assert!(heard.iter().all(Option::is_some) && hearings.hear(minute).is_none());
        tokio::time::advance(HEARD_FOR / 2).await;
        assert_eq!(heard[0].as_ref().unwrap().wait() + HEARD_FOR / 2, minute);
        drop(heard);
        tokio::task::yield_now().await;
        assert!(hearings.hear(minute).is_none(), "they have left, and are counted yet");
        tokio::time::advance(HEARD_FOR).await;
        for _ in 0..HEARD {
            tokio::task::yield_now().await;
        }
        assert!(hearings.hear(minute).is_some());
    }
}
