//! What many are told at once.

use std::collections::BTreeSet;

use carillon_hub::store::sqlite::SqliteStore;

use super::{arrived, inbox_of, name, notify};
use crate::disk::Random;
use crate::lanes::{Ask, Model, Tenant};

/// Notifications to many at once: each reaches all or none, once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ToMany {
    sent: u64,
}

impl ToMany {
    const USERS: u64 = 300;
}

impl Model for ToMany {
    type Step = ();

    fn next(&self, _random: &mut Random) {}

    fn ask(&self, tenant: &Tenant, (): &()) -> Ask {
        notify(tenant, &format!("n{}", self.sent + 1), (0..Self::USERS).map(name))
    }

    fn apply(&mut self, (): &()) {
        self.sent += 1;
    }

    fn read(store: &SqliteStore, tenant: &Tenant) -> Result<Self, String> {
        arrived(store, tenant)?;
        let mut counts = BTreeSet::new();
        for who in 0..Self::USERS {
            let page = inbox_of(store, tenant, &name(who))?;
            let heads: BTreeSet<_> = page.notifications.iter().map(|n| n.notice.id.as_str()).collect();
            if heads.len() as u64 != page.head.own.0 {
                return Err(format!("{} was notified twice", name(who)));
            }
            counts.insert(page.head.own.0);
        }
        match counts.len() {
            1 => Ok(Self { sent: counts.first().copied().unwrap_or(0) }),
            _ => Err(format!("some were notified more often than others: {counts:?}")),
        }
    }
}
