//! What a hub does while its store is away, what other nodes say is not heard, or its own lease has ended: to the others it is
//! gone then, and it lets nobody in, as it does not know who is there.
//!
//! Whoever watches health sends no one here any more. What was revoked meanwhile is not known: nobody new is let in, also when
//! the store is back, until that has been read; and where it lasts, sessions end. While only the bus is away revocations are
//! read from the store again and again.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::feed::Feed;
use crate::domain::position::Epoch;
use crate::grpc::health::Health;
use crate::session::Services;
use crate::store::StoreError;

use super::stores::Patience;

/// How often the store is looked at.
const LOOKS: Duration = Duration::from_secs(1);

/// A store that has answered for its upkeep within this time, which is several times as long as it takes, is there: sessions
/// do not end sooner.
const FRESH: Duration = Duration::from_secs(3);

/// One that has not for so long does not work, whatever it may take to answer. Later than one that answers in a second at most says
/// so itself.
const SILENT: Duration = Duration::from_secs(4);

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
    /// They are being read.
    reading: Option<Reading>,
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
            reading: None,
            has_ended: false,
        }
    }

    /// Watches until cancelled.
    pub(super) async fn watch(mut self, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOKS);
        let looking = async {
            loop {
                // Whoever waits for an answer goes on looking meanwhile.
                tokio::select! {
                    _ = ticks.tick() => {}
                    after = answer(&mut self.reading) => {
                        self.take_revocations(after);
                        continue;
                    }
                }
                self.look_at_health().await;
                if self.services.store.has_failed() {
                    self.failed.cancel();
                }
                if let Some(stale) = self.patience.stale {
                    self.look_at_revocations(stale.max(FRESH));
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
        let silence = self.services.store.silence_of_any();
        let is_silent = (silence >= SILENT).then_some("the store has fallen silent");
        let fault = fault(&self.services).or(is_silent);
        if fault.is_none() {
            self.away = None;
            if std::mem::take(&mut self.is_out) {
                self.services.set_in_service(true);
                tracing::info!("the hub is in service again");
                if !self.services.is_draining() {
                    self.health.serving().await;
                }
            }
        } else if self.is_away_since(silence).elapsed() >= self.patience.unready && !self.is_out {
            self.is_out = true;
            self.services.set_in_service(false);
            tracing::error!(fault, "the hub is out of service");
            self.health.not_serving().await;
        }
    }

    /// Since when something does not work: of a store that has fallen silent since it was heard last, also where it is noticed later.
    fn is_away_since(&mut self, silence: Duration) -> Instant {
        let now = Instant::now();
        let heard = now.checked_sub(silence).unwrap_or(now);
        let away = self.away.map_or(heard, |away| away.min(heard));
        *self.away.insert(away)
    }

    /// Lets nobody in while revocations may be missing, and ends sessions where that lasts.
    fn look_at_revocations(&mut self, stale: Duration) {
        let (services, now) = (Arc::clone(&self.services), Instant::now());
        let is_heard = services.delivery.feed().is_none_or(Feed::is_connected);
        if !services.store.says_who_is_revoked() {
            services.revocations.set_stale(true);
        } else if is_heard && !services.revocations.are_stale() {
            let heard = now.checked_sub(services.store.silence());
            self.known = self.known.max(heard.unwrap_or(now));
        } else if self.reading.as_ref().is_none_or(|reading| reading.asked.elapsed() >= stale) {
            // What is answered so late says nothing of now.
            self.reading = Some(self.read_revocations(now));
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

    fn read_revocations(&mut self, asked: Instant) -> Reading {
        let epoch = self.services.store.epoch();
        if self.revocations_after.0 != epoch {
            // Some were lost, and others may have their places.
            self.revocations_after = (epoch, 0);
        }
        let (services, after) = (Arc::clone(&self.services), self.revocations_after.1);
        let answer = Box::pin(async move { learn_revocations(&services, after).await.ok() });
        Reading { asked, epoch, answer }
    }

    /// Revocations are known from when they were asked for, unless that failed, or was in another epoch.
    fn take_revocations(&mut self, after: Option<u64>) {
        let Some(reading) = self.reading.take() else { return };
        if let Some(after) = after
            && self.revocations_after.0 == reading.epoch
        {
            self.revocations_after.1 = after;
            self.known = self.known.max(reading.asked);
            if self.patience.stale.is_some_and(|stale| reading.asked.elapsed() < stale.max(FRESH)) {
                self.services.revocations.set_stale(false);
            }
        }
    }
}

/// Revocations that are being read.
struct Reading {
    asked: Instant,
    epoch: Epoch,
    /// The place of the last; `None` where they could not be read.
    answer: BoxFuture<'static, Option<u64>>,
}

/// What comes of it; never anything where nothing is read.
async fn answer(reading: &mut Option<Reading>) -> Option<u64> {
    match reading {
        Some(reading) => (&mut reading.answer).await,
        None => std::future::pending().await,
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
