//! A user and what they are told.

use std::collections::BTreeMap;

use carillon_hub::domain::inbox::{InboxChange, InboxPlace};
use carillon_hub::domain::names::NotificationId;
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::store::sqlite::SqliteStore;
use carillon_hub::store::{Home, Store, Write};

use super::{inbox_of, notice, notify, now};
use crate::disk::Random;
use crate::lanes::{Ask, Model, Tenant, user};

/// A user's inbox, with the tenant's broadcasts in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inbox {
    is_known: bool,
    own: u64,
    broadcast: u64,
    /// Whether each is read.
    listed: BTreeMap<String, bool>,
}

#[derive(Clone, Debug)]
pub(crate) enum InboxStep {
    Know,
    Notify,
    Broadcast,
    Read(String),
    Delete(String),
    ReadUpTo(u64, u64),
}

impl Model for Inbox {
    type Step = InboxStep;

    fn next(&self, random: &mut Random) -> InboxStep {
        let count = self.listed.len() as u64;
        match random.below(10) {
            _ if !self.is_known => InboxStep::Know,
            0..3 => InboxStep::Notify,
            3..6 => InboxStep::Broadcast,
            9 => InboxStep::ReadUpTo(random.below(self.own + 1), random.below(self.broadcast + 1)),
            kind if count > 0 => {
                let chosen = self.listed.keys().nth(random.below(count) as usize).unwrap().clone();
                if kind == 8 { InboxStep::Delete(chosen) } else { InboxStep::Read(chosen) }
            }
            _ => InboxStep::Notify,
        }
    }

    fn ask(&self, tenant: &Tenant, step: &InboxStep) -> Ask {
        let ids = |id: &str| vec![NotificationId::parse(id).unwrap()];
        let change = match step {
            InboxStep::Know => return Ask::Commit(tenant.outcome(Home::Tenant, "bob", vec![Write::Know])),
            InboxStep::Notify => return notify(tenant, &format!("own{}", self.own + 1), ["bob".to_owned()]),
            InboxStep::Broadcast => {
                let write = Write::Broadcast(notice(&format!("all{}", self.broadcast + 1)));
                return Ask::Commit(tenant.outcome(Home::Tenant, "robot", vec![write]));
            }
            InboxStep::Read(id) => InboxChange::Read(ids(id)),
            InboxStep::Delete(id) => InboxChange::Delete(ids(id)),
            InboxStep::ReadUpTo(own, broadcast) => InboxChange::ReadUpTo(InboxPosition {
                own: Seq(*own),
                broadcast: Seq(*broadcast),
                ..InboxPosition::default()
            }),
        };
        Ask::Commit(tenant.outcome(Home::Inbox(user("bob")), "bob", vec![Write::Inbox(change)]))
    }

    fn apply(&mut self, step: &InboxStep) {
        match step {
            InboxStep::Know => self.is_known = true,
            InboxStep::Notify => {
                self.own += 1;
                self.listed.insert(format!("own{}", self.own), false);
            }
            InboxStep::Broadcast => {
                self.broadcast += 1;
                self.listed.insert(format!("all{}", self.broadcast), false);
            }
            InboxStep::Read(id) => _ = self.listed.insert(id.clone(), true),
            InboxStep::Delete(id) => _ = self.listed.remove(id),
            InboxStep::ReadUpTo(own, broadcast) => {
                let names = (1..=*own).map(|n| format!("own{n}"));
                for id in names.chain((1..=*broadcast).map(|n| format!("all{n}"))) {
                    self.listed.entry(id).and_modify(|read| *read = true);
                }
            }
        }
    }

    fn read(store: &SqliteStore, tenant: &Tenant) -> Result<Self, String> {
        let page = inbox_of(store, tenant, "bob")?;
        let mut listed = BTreeMap::new();
        for notification in &page.notifications {
            let id = match notification.place {
                InboxPlace::Own(seq) => format!("own{}", seq.0),
                InboxPlace::Broadcast(seq) => format!("all{}", seq.0),
            };
            if id != notification.notice.id.as_str() {
                return Err(format!("{} is at {:?}", notification.notice.id, notification.place));
            }
            listed.insert(id, notification.read);
        }
        let unread = listed.values().filter(|read| !**read).count() as u64;
        let summary = now(store.inbox_summary(&tenant.user("bob")))?;
        if summary.unread != unread {
            return Err(format!("{} are counted as unread, and {unread} are", summary.unread));
        }
        let is_known = now(store.known_users(&tenant.user("bob").tenant))? == 1;
        Ok(Self { is_known, own: page.head.own.0, broadcast: page.head.broadcast.0, listed })
    }
}
