//! Sessions on all nodes: before one more is let in, all of them are counted.
//!
//! What a node has of a user's, a tenant's or an address's sessions it says when one is let in, and again when that changes;
//! now and then it says everything, so that what could not be said, or was lost, rights itself.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::bus::registry::limits::{Entrant, Own, SharedLimits, Whose};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{SESSION_COUNT_AGAIN, SESSION_COUNTS_AT_ONCE};
use crate::domain::names::InstanceId;

use super::limits::SessionLimits;
use super::live::Live;
use super::services::Services;

/// After a count could not be said the next waits for so long.
const RETRY: Duration = Duration::from_millis(500);

/// Counts that have changed and were not said yet: no more than there are users, tenants and addresses with sessions.
#[derive(Default)]
pub(super) struct Changed {
    whose: Mutex<FxHashSet<Whose>>,
    notify: Notify,
}

impl Services {
    /// Whether all nodes' sessions leave room for one that this node's do: on top of `before` of its user here, and `None`
    /// where it takes over from another.
    pub(super) async fn enter(&self, live: &Live, before: Option<u32>) -> Result<(), Refusal> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let Some(before) = before else {
            self.note_count(live);
            return Ok(());
        };
        let instance = live.instance.as_ref().map_or(0, InstanceId::mark);
        for (whose, most) in counted(&self.limits.sessions, live) {
            let own = self.own(&whose);
            // Of the user's what was there before is known; of the others' this one is among those that are.
            let (before, refused) = match whose {
                Whose::User(_) => (before, ErrorCode::ConnectionLimitExceeded),
                Whose::Tenant(_) => (own.sessions.saturating_sub(1), ErrorCode::ConnectionLimitExceeded),
                Whose::Address(_) => (own.sessions.saturating_sub(1), ErrorCode::TooManyConnections),
            };
            let entrant = Entrant { before, instance, most };
            if !shared.count(whose, own, Some(entrant)).await.map_err(|_| ErrorCode::Unavailable)? {
                return Err(refused.into());
            }
        }
        Ok(())
    }

    /// A session has come or gone of which others count.
    pub(super) fn note_count(&self, live: &Live) {
        if self.shared.is_some() {
            let changed = &self.upkeep.counts;
            changed.whose.lock().extend(counted(&self.limits.sessions, live).map(|(whose, _)| whose));
            changed.notify.notify_one();
        }
    }

    /// What this node has of somebody's sessions.
    fn own(&self, whose: &Whose) -> Own {
        let registry = self.delivery.registry();
        match whose {
            Whose::User(user) => {
                let open = registry.sessions_of(user).into_iter().filter(|mailbox| !mailbox.is_closed());
                let live: Vec<_> = open.filter_map(|mailbox| self.sessions.get(mailbox.session())).collect();
                let marks = live.iter().filter_map(|live| live.instance.as_ref());
                Own { sessions: live.len() as u32, instances: marks.map(InstanceId::mark).collect() }
            }
            Whose::Tenant(tenant) => {
                let shards = 0..self.delivery.shards().len();
                let sessions = shards.map(|shard| registry.count_in(shard, tenant)).sum::<usize>() as u32;
                Own { sessions, instances: Vec::new() }
            }
            Whose::Address(address) => {
                Own { sessions: self.sessions.at_address(*address) as u32, instances: Vec::new() }
            }
        }
    }
}

/// Whose sessions are limited of which this one is, and how many there may be.
fn counted(limits: &SessionLimits, live: &Live) -> impl Iterator<Item = (Whose, u32)> {
    let address = live.counted_at().map(|address| (Whose::Address(address), limits.address));
    let user = (Whose::User(live.user().clone()), limits.user);
    let tenant = (Whose::Tenant(live.user().tenant.clone()), limits.tenant);
    let all = [Some(user), Some(tenant), address].into_iter().flatten();
    all.filter(|(_, most)| *most > 0).map(|(whose, most)| (whose, u32::try_from(most).unwrap_or(u32::MAX)))
}

/// Says how many sessions there are here, as that changes and now and then, until cancelled.
pub async fn tell_counts(services: Arc<Services>, cancel: CancellationToken) {
    let Some(shared) = &services.shared else { return };
    let mut again = interval(SESSION_COUNT_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            tokio::select! {
                () = services.upkeep.counts.notify.notified() => {}
                _ = again.tick() => services.sessions.all().iter().for_each(|live| services.note_count(live)),
            }
            let whose = std::mem::take(&mut *services.upkeep.counts.whose.lock());
            let failed = say(&services, shared.as_ref(), whose).await;
            if !failed.is_empty() {
                services.upkeep.counts.whose.lock().extend(failed);
                tokio::time::sleep(RETRY).await;
                services.upkeep.counts.notify.notify_one();
            }
        };
        if cancel.run_until_cancelled(next).await.is_none() {
            return;
        }
    }
}

/// Says some counts. Those that could not be said.
async fn say(services: &Services, shared: &dyn SharedLimits, whose: FxHashSet<Whose>) -> Vec<Whose> {
    let saying = futures::stream::iter(whose).map(|whose| async move {
        let said = shared.count(whose.clone(), services.own(&whose), None).await;
        said.is_err().then_some(whose)
    });
    saying.buffer_unordered(SESSION_COUNTS_AT_ONCE).filter_map(std::future::ready).collect().await
}
