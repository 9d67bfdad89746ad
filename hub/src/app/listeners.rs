//! Who hears of commits, here or on other nodes, in this order: the executor forgets what is no longer so, then delivery
//! passes it on.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;

use crate::bus::Topic;
use crate::bus::envelope::{Control, Live};
use crate::bus::feed::Listener;
use crate::delivery::Delivery;
use crate::domain::names::{RoomKey, TenantId, UserKey};
use crate::domain::position::Position;
use crate::domain::time::Now;
use crate::session::Services;
use crate::store::{Change, CommitSink};

/// The store's listeners. The store is opened before the services exist, so they are named later; no commit comes in
/// between.
pub(super) struct Listeners {
    delivery: Arc<Delivery>,
    services: OnceLock<Weak<Services>>,
}

impl Listeners {
    pub(super) fn new(delivery: Arc<Delivery>) -> Self {
        Self { delivery, services: OnceLock::new() }
    }

    pub(super) fn name(&self, services: &Arc<Services>) {
        self.services.get_or_init(|| Arc::downgrade(services));
    }

    fn services(&self) -> Option<Arc<Services>> {
        self.services.get().and_then(Weak::upgrade)
    }
}

impl CommitSink for Listeners {
    fn committed(&self, changes: &[Change]) {
        if let Some(services) = self.services() {
            for change in changes {
                services.executor.invalidate(change);
                match change {
                    Change::Erased { user } => services.forget(user),
                    // The directory may have lost them.
                    Change::Restarted(_) => services.forget_all(),
                    Change::Revoked(revocation) => services.revocations.learn(revocation),
                    _ => {}
                }
            }
        }
        self.delivery.committed(changes);
    }
}

impl Listener for Listeners {
    fn changed(&self, changes: &[Change]) {
        self.committed(changes);
    }

    fn moved_on(&self, room: &RoomKey, head: Position) {
        self.delivery.move_on(room, head);
    }

    fn inbox_grew(&self, topic: &Topic) {
        self.delivery.leave_inbox_to_store(topic);
    }

    fn diverged(&self, topic: &Topic) {
        tracing::error!(topic = ?topic, "the store's log is another one than was told: who follows it begins anew");
        self.delivery.begin_anew(topic);
    }

    fn live(&self, topic: &Topic, live: Live) {
        self.delivery.deliver_live(topic, live);
    }

    fn control(&self, user: &UserKey, control: &Control) {
        match control {
            Control::Member { room, is_member: true } => {
                let room = RoomKey { tenant: user.tenant.clone(), room: room.clone() };
                self.delivery.tell_member(&room, user);
            }
            Control::Member { .. } => {}
            Control::Replaced { instance, by, at } => {
                if let Some(services) = self.services() {
                    services.replaced(user, instance, (*by, *at), Now::read());
                }
            }
        }
    }

    fn sessions(&self, tenant: &TenantId, batch: &Bytes) {
        if let Some(services) = self.services() {
            services.presence.hear(tenant, batch);
        }
    }

    fn asked(&self, question: &Bytes) -> Option<Vec<u8>> {
        self.services()?.answer(question)
    }

    fn may_have_missed(&self, topic: &Topic) {
        self.delivery.catch_up(topic);
        let Some(services) = self.services() else { return };
        match topic {
            Topic::Tenant(tenant) => services.presence.may_have_missed(tenant),
            Topic::User(user) => services.may_be_replaced(user),
            Topic::Hub => services.forget_all(),
            Topic::Room(_) => {}
        }
    }
}
