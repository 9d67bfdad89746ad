//! Another epoch begins: something that was acknowledged is lost, and logs are other ones.

use std::sync::atomic::Ordering;

use crate::domain::error::ErrorCode;
use crate::domain::position::Epoch;

use super::Delivery;
use super::mailbox::Signal;

impl Delivery {
    /// What is known of rooms is forgotten, and every session ends, to resume: what its client has is of an epoch that has
    /// ended, and it is told so then.
    pub(super) fn restart(&self, epoch: Epoch) {
        self.set_epoch(epoch);
        self.rooms.clear();
        self.end_all();
    }

    /// Ends every session, to resume here or elsewhere.
    pub fn end_all(&self) {
        for mailbox in self.registry.all() {
            mailbox.signal(Signal::Close(ErrorCode::Unavailable.into()));
        }
    }

    /// The store's epoch, known once it is open.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }
}
