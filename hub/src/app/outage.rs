//! What a hub does while its store is away, what other nodes say is not heard, or its own lease has ended: to the others it is
//! gone then, and it lets nobody in, as it does not know who is there.
//!
//! Whoever watches health sends no one here any more. What was revoked meanwhile is not known: nobody new is let in, also when
//! the store is back, until that has been read; and where it lasts, sessions end. While only the bus is away revocations are
//! read from the store again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::feed::Feed;
use crate::domain::position::Epoch;
use crate::domain::time::Timestamp;
use crate::grpc::health::Health;
use crate::session::Services;
use crate::store::StoreError;

use super::stores::Patience;

/// How often the store is looked at.
const LOOKS: Duration = Duration::from_secs(1);

/// A store that has answered for its upkeep within this time, which is several times as long as it takes, is there.
const FRESH: Duration = Duration::from_secs(3);

/// Revocations that are read at once.
const REVOCATIONS_PAGE: u32 = 10_000;

/// Watches for it.
pub(super) struct Outage {
    services: Arc<Services>,
    health: Health,
    patience: Patience,
    /// Since when something does not work.
    away: Option<Instant>,
    is_out: bool,
    /// All revocations up to this place are known, of this epoch's places.
    revocations_after: (Epoch, u64),
    /// Until when all revocations were known.
    known: Instant,
    has_ended: bool,
    /// Cancelled when the store has failed for good.
    failed: CancellationToken,
}

impl Outage {
    /// Of a hub that knows the revocations up to a place; `failed` is cancelled when its store has failed for good.
    pub(super) fn new(
        services: &Arc<Services>,
        health: &Health,
        patience: Patience,
        revocations_after: u64,
        failed: CancellationToken,
    ) -> Self {
        Self {
            failed,
            services: Arc::clone(services),
            health: health.clone(),
            patience,
            away: None,
            is_out: false,
            revocations_after: (services.store.epoch(), revocations_after),
            known: Instant::now(),
            has_ended: false,
        }
    }

    /// Watches until cancelled.
    pub(super) async fn watch(mut self, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOKS);
        let looking = async {
            loop {
                ticks.tick().await;
                self.look_at_health().await;
                if self.services.store.has_failed() {
                    self.failed.cancel();
                }
                if let Some(stale) = self.patience.stale {
                    self.look_at_revocations(stale).await;
                }
            }
        };
        tokio::select! {
            () = looking => {}
            () = cancel.cancelled() => {}
        }
    }

    /// Takes the hub out of service while its store has not answered or committed for a while, other nodes are not heard, or they
    /// take this one to be gone.
    async fn look_at_health(&mut self) {
        let fault = fault(&self.services);
        if fault.is_none() {
            self.away = None;
            if std::mem::take(&mut self.is_out) {
                self.services.set_in_service(true);
                tracing::info!("the hub is in service again");
                if !self.services.is_draining() {
                    self.health.serving().await;
                }
            }
        } else if self.away.get_or_insert_with(|| since(&self.services)).elapsed() >= self.patience.unready
            && !self.is_out
        {
            self.is_out = true;
            self.services.set_in_service(false);
            tracing::error!(fault, "the hub is out of service");
            self.health.not_serving().await;
        }
    }

    /// Lets nobody in while revocations may be missing, and ends sessions where that lasts.
    async fn look_at_revocations(&mut self, stale: Duration) {
        let (services, now) = (Arc::clone(&self.services), Instant::now());
        let is_heard = services.delivery.feed().is_none_or(Feed::is_connected);
        if !services.store.says_who_is_revoked() {
            services.revocations.set_stale(true);
        } else if is_heard && !services.revocations.are_stale() {
            // One that has just fallen silent is taken to be there for a while.
            let silence = services.store.silence();
            let silence = if silence < FRESH { Duration::ZERO } else { silence };
            self.known = self.known.max(now.checked_sub(silence).unwrap_or(now));
        } else if self.read_revocations().await.is_ok() {
            self.known = now;
            services.revocations.set_stale(false);
        }
        if self.known.elapsed() < stale {
            if std::mem::take(&mut self.has_ended) {
                services.set_stale(false);
            }
        } else if !std::mem::replace(&mut self.has_ended, true) {
            tracing::error!("who was revoked is not known for too long: sessions end");
            services.revocations.set_stale(true);
            services.set_stale(true);
        }
    }

    async fn read_revocations(&mut self) -> Result<(), StoreError> {
        let epoch = self.services.store.epoch();
        if self.revocations_after.0 != epoch {
            // Some were lost, and others may have their places.
            self.revocations_after = (epoch, 0);
        }
        self.revocations_after.1 = learn_revocations(&self.services, self.revocations_after.1).await?;
        Ok(())
    }
}

/// What does not work, in a few words; `None` where all does.
fn fault(services: &Services) -> Option<&'static str> {
    let store = services.store.figures();
    let is_heard = services.delivery.feed().is_none_or(Feed::is_connected);
    let is_there = services.presence.is_among_nodes();
    match (store.healthy, store.writable, is_heard, is_there) {
        (false, ..) => Some("the store does not answer"),
        (_, false, ..) => Some("the store takes no writes"),
        (.., false, _) => Some("other nodes are not heard"),
        (.., false) => Some("this node's lease has ended"),
        _ => None,
    }
}

/// Since when something does not work: of a store that has not answered for a while, for so long.
fn since(services: &Services) -> Instant {
    let now = Instant::now();
    let away = services.store.figures().away_since;
    let silence = away.map_or(Duration::ZERO, |since| Timestamp::now().since(since));
    now.checked_sub(silence).unwrap_or(now)
}

/// Reads which tokens are good no more, after a place. Gives the place of the last.
pub(super) async fn learn_revocations(services: &Services, mut after: u64) -> Result<u64, StoreError> {
    loop {
        let page = services.store.revocations(after, REVOCATIONS_PAGE).await?;
        for revocation in &page.revocations {
            services.revocations.learn(revocation);
        }
        after = after.max(page.last);
        if !page.more {
            return Ok(after);
        }
    }
}
