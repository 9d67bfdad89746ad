//! Whether the hub is in service: it looks at the store, and says so to whoever asks for health.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stores::Patience;
use crate::grpc::health::Health;
use crate::session::Services;

/// How often health looks at the store.
const STORE_CHECK: Duration = Duration::from_secs(1);

/// Takes the hub out of service while its store has not committed for a while: whoever watches health sends no one here any
/// more. Where that lasts, sessions end: what was revoked meanwhile is not known.
pub(super) async fn watch_store(
    services: Arc<Services>,
    health: Health,
    patience: Patience,
    cancel: CancellationToken,
) {
    let mut ticks = tokio::time::interval(STORE_CHECK);
    let mut away: Option<Instant> = None;
    let (mut is_out, mut has_ended) = (false, false);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = cancel.cancelled() => return,
        }
        if services.store.figures().healthy {
            away = None;
            if std::mem::take(&mut has_ended) {
                services.set_stale(false);
            }
            if std::mem::take(&mut is_out) {
                services.set_in_service(true);
                tracing::info!("the store is there again: the hub is in service");
                if !services.is_draining() {
                    health.serving().await;
                }
            }
            continue;
        }
        let away = away.get_or_insert_with(Instant::now).elapsed();
        if away >= patience.unready && !is_out {
            is_out = true;
            services.set_in_service(false);
            tracing::error!("the store has stopped: the hub is out of service");
            health.not_serving().await;
        }
        if patience.stale.is_some_and(|stale| away >= stale) && !has_ended {
            has_ended = true;
            tracing::error!("the store is away for too long: sessions end");
            services.set_stale(true);
        }
    }
}
