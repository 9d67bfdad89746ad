//! Whether the hub is in service: its store answers and commits, and other nodes are heard.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::feed::Feed;
use crate::grpc::health::Health;
use crate::session::Services;

use super::stores::Patience;

/// How often health looks at the store.
const STORE_CHECK: Duration = Duration::from_secs(1);

/// What does not work, in a word; `None` where all does.
fn fault(services: &Services) -> Option<&'static str> {
    let store = services.store.figures();
    let is_heard = services.delivery.feed().is_none_or(Feed::is_connected);
    match (store.healthy, store.writable, is_heard) {
        (false, ..) => Some("the store does not answer"),
        (_, false, _) => Some("the store takes no writes"),
        (.., false) => Some("other nodes are not heard"),
        _ => None,
    }
}

/// How long something has been so.
#[derive(Default)]
struct Lasting(Option<Instant>);

impl Lasting {
    fn note(&mut self, is_so: bool) -> Option<Duration> {
        self.0 = is_so.then(|| self.0.unwrap_or_else(Instant::now));
        self.0.map(|since| since.elapsed())
    }
}

/// Takes the hub out of service while its store has not answered or committed for a while, or the bus is away: whoever watches
/// health sends no one here any more. Where the store does not even answer for long, sessions end: what was revoked meanwhile
/// is not known.
pub(super) async fn watch_store(
    services: Arc<Services>,
    health: Health,
    patience: Patience,
    cancel: CancellationToken,
) {
    let mut ticks = tokio::time::interval(STORE_CHECK);
    let (mut faulty, mut silent) = (Lasting::default(), Lasting::default());
    let mut has_ended = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = cancel.cancelled() => return,
        }
        let fault = fault(&services);
        match faulty.note(fault.is_some()) {
            None if !services.is_in_service() => {
                services.set_in_service(true);
                if !services.is_draining() {
                    tracing::info!("the hub is in service again");
                    health.serving().await;
                }
            }
            Some(lasted) if lasted >= patience.unready && services.is_in_service() => {
                services.set_in_service(false);
                tracing::error!(fault, "the hub is out of service");
                health.not_serving().await;
            }
            _ => {}
        }
        match silent.note(!services.store.is_healthy()) {
            None => has_ended = false,
            Some(lasted) if patience.stale.is_some_and(|stale| lasted >= stale) && !has_ended => {
                has_ended = true;
                tracing::error!("the store is away for too long: sessions end");
                services.delivery.end_all();
            }
            Some(_) => {}
        }
    }
}
