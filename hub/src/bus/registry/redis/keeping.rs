//! How long what is kept of a life lasts.

use std::time::Duration;

use futures::future::try_join_all;
use parking_lot::Mutex;
use redis::cmd;
use rustc_hash::FxHashSet;

use super::Inner;
use crate::bus::port::BusError;
use crate::bus::sessions::Life;
use crate::domain::limits::NODE_LEASE;
use crate::domain::names::TenantId;
use crate::domain::time::Moment;

/// What is kept of a life lasts for so many leases after it was written, or after it was last given as much again.
pub(super) const LASTS: u32 = 8;
/// It is given as much again after so many.
const AGAIN: u32 = 2;
/// Keys that are given it at a time.
const AT_A_TIME: usize = 32;

struct State {
    lease: Duration,
    life: Option<Life>,
    /// The tenants of which something is kept. Bounded by those that have sessions here.
    tenants: FxHashSet<TenantId>,
    /// When all was given its time again.
    again: Moment,
}

/// What this node keeps, and since when.
pub(super) struct Keeping(Mutex<State>);

impl Default for Keeping {
    fn default() -> Self {
        let (life, tenants) = (None, FxHashSet::default());
        Self(Mutex::new(State { lease: NODE_LEASE, life, tenants, again: Moment(0) }))
    }
}

impl Keeping {
    /// How long leases last.
    pub(super) fn lease(&self) -> Duration {
        self.0.lock().lease
    }

    /// How long a key lasts that is written now, milliseconds.
    pub(super) fn lasts(&self) -> u64 {
        u64::try_from((self.lease() * LASTS).as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether something of a tenant is kept in a life from now on. Of lives before nothing is renewed.
    pub(super) fn note(&self, life: Life, tenant: &TenantId, is_kept: bool) {
        let mut state = self.0.lock();
        if state.life != Some(life) {
            state.life = Some(life);
            state.tenants.clear();
        }
        if is_kept {
            if !state.tenants.contains(tenant) {
                state.tenants.insert(tenant.clone());
            }
        } else {
            state.tenants.remove(tenant);
        }
    }

    /// How long leases last from now on.
    pub(super) fn last_for(&self, lease: Duration) {
        let mut state = self.0.lock();
        if lease > state.lease {
            state.again = Moment(0);
        }
        state.lease = lease;
    }

    /// The tenants of which what is kept is to be given its time again; none where that is not due.
    fn due(&self, life: Life, now: Moment) -> Vec<TenantId> {
        let state = self.0.lock();
        let is_due = state.life == Some(life) && now >= state.again;
        state.tenants.iter().filter(|_| is_due).cloned().collect()
    }

    fn done(&self, now: Moment) {
        let mut state = self.0.lock();
        state.again = now.plus(state.lease * AGAIN);
    }
}

impl Inner {
    /// A life's lease was renewed: what is kept of it lasts as much longer, where it was not told so for a while. What fails is
    /// due again with the next renewal.
    pub(super) async fn keep_what_is_kept(&self, life: Life) {
        let now = Moment::now();
        let tenants = self.keeping.due(life, now);
        if tenants.is_empty() {
            return;
        }
        let mut keys = vec![self.tenants(life)];
        keys.extend(tenants.iter().map(|tenant| self.sessions(tenant, life)));
        let lasts = self.keeping.lasts();
        for keys in keys.chunks(AT_A_TIME) {
            if try_join_all(keys.iter().map(|key| self.keep_key(key, lasts))).await.is_err() {
                return;
            }
        }
        self.keeping.done(now);
    }

    async fn keep_key(&self, key: &str, lasts: u64) -> Result<(), BusError> {
        let mut expire = cmd("PEXPIRE");
        expire.arg(key).arg(lasts);
        self.ask::<()>(key, &expire).await
    }
}
