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

use crate::bus::registry::limits::{Own, Present, Whose};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{SESSION_COUNT_AGAIN, SESSION_COUNTS_AT_ONCE};
use crate::domain::names::UserKey;

use super::limits::SessionLimits;
use super::live::Live;
use super::services::Services;
use super::sessions::Places;

/// After a count could not be said the next waits for so long.
const RETRY: Duration = Duration::from_millis(500);

/// Counts that have changed and were not said yet: no more than there are users, tenants and addresses with sessions.
#[derive(Default)]
pub(super) struct Changed {
    whose: Mutex<FxHashSet<Whose>>,
    notify: Notify,
}

impl Services {
    /// A session has come or gone of which others count.
    pub(super) fn note_count(&self, live: &Live) {
        if self.shared.is_some() {
            self.note_count_of(counted(&self.limits.sessions, live).map(|(whose, _)| whose));
        }
    }

    /// Others are to be told how many there are of these.
    pub(super) fn note_count_of(&self, whose: impl IntoIterator<Item = Whose>) {
        let changed = &self.upkeep.counts;
        changed.whose.lock().extend(whose);
        changed.notify.notify_one();
    }

    /// What this node has of somebody's sessions.
    pub(super) fn own(&self, whose: &Whose) -> Own {
        let sessions = match whose {
            Whose::User(user) => {
                let live = self.of_user(user);
                // Who waits for another place may yet be refused.
                let let_in = live.iter().filter(|live| live.places().has(Places::ADMITTED));
                let instances = let_in.filter_map(|live| {
                    Some(Present { instance: live.instance_from()?, since: live.entered_at() })
                });
                let instances = instances.collect();
                return Own { sessions: live.len() as u32, instances };
            }
            Whose::Tenant(tenant) => self.sessions.of_tenant(tenant),
            Whose::Address(address) => self.sessions.at_address(*address),
        };
        Own { sessions: sessions as u32, instances: Vec::new() }
    }

    /// Sessions of a user here that have a place among them, and were not told to end.
    pub(super) fn of_user(&self, user: &UserKey) -> Vec<Arc<Live>> {
        let mailboxes = self.delivery.registry().sessions_of(user);
        let open = mailboxes.iter().filter(|mailbox| !mailbox.is_closed());
        let live = open.filter_map(|mailbox| self.sessions.get(mailbox.session()));
        live.filter(|live| live.places().has(Places::USER)).collect()
    }

    /// Says how many there are of a user's sessions here, when it is their turn.
    pub(super) async fn say_count(&self, whose: &Whose) -> Result<(), Refusal> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let said = shared.count(whose.clone(), self.own(whose), None).await;
        let said = said.map_err(|_| ErrorCode::Unavailable)?;
        self.replaced_elsewhere(whose, &said.later);
        Ok(())
    }
}

/// Whose sessions are limited of which this one is, and how many there may be; its user's first. Where they are not limited a
/// user's are known all the same, as far as one may take over from another.
pub(super) fn counted(limits: &SessionLimits, live: &Live) -> impl Iterator<Item = (Whose, u32)> + use<> {
    let address = live.counted_at().filter(|_| limits.address > 0).map(Whose::Address);
    let tenant = (limits.tenant > 0).then(|| Whose::Tenant(live.user().tenant.clone()));
    let user = (limits.user > 0 || live.instance.is_some()).then(|| Whose::User(live.user().clone()));
    let limits = *limits;
    let all = [user, tenant, address].into_iter().flatten();
    all.map(move |whose| {
        let most = most(&limits, &whose);
        (whose, most)
    })
}

/// Whether a session is let in where there is room among its user's: nothing else is limited.
pub(super) fn is_all(limits: &SessionLimits, live: &Live) -> bool {
    limits.tenant == 0 && (limits.address == 0 || live.counted_at().is_none())
}

/// How many sessions there may be.
pub(super) fn most(limits: &SessionLimits, whose: &Whose) -> u32 {
    let most = match whose {
        Whose::User(_) => limits.user,
        Whose::Tenant(_) => limits.tenant,
        Whose::Address(_) => limits.address,
    };
    if most == 0 { u32::MAX } else { u32::try_from(most).unwrap_or(u32::MAX) }
}

/// Says how many sessions there are here, as that changes and now and then, until cancelled.
pub async fn tell_counts(services: Arc<Services>, cancel: CancellationToken) {
    if services.shared.is_none() {
        return;
    }
    let mut again = interval(SESSION_COUNT_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            tokio::select! {
                () = services.upkeep.counts.notify.notified() => {}
                _ = again.tick() => services.sessions.all().iter().for_each(|live| services.note_count(live)),
            }
            let whose = std::mem::take(&mut *services.upkeep.counts.whose.lock());
            let failed = say(&services, whose).await;
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
async fn say(services: &Arc<Services>, whose: FxHashSet<Whose>) -> Vec<Whose> {
    let saying = futures::stream::iter(whose).map(|whose| async move {
        let said = services.take_turn(whose.clone(), None).await;
        said.is_err().then_some(whose)
    });
    saying.buffer_unordered(SESSION_COUNTS_AT_ONCE).filter_map(std::future::ready).collect().await
}
