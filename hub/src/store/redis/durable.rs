//! What reads may show where replicas are waited for: nothing that might still be lost with its master.
//!
//! Up to which place a room's log is known to be durable is remembered from this node's own commits and from what it read
//! before. A read that finds more waits, as a commit does; where replicas are known to be behind it is refused at once.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::names::RoomKey;
use crate::domain::position::{Epoch, Seq};
use crate::redis::{Durability, Server};
use crate::store::StoreError;

use super::barrier::Written;
use super::limits::ROOMS_KNOWN;
use super::shared::Shared;

/// Up to where logs are known to be durable. Past [`ROOMS_KNOWN`] rooms it starts afresh, as it does in another epoch.
#[derive(Default)]
pub(super) struct Durable(Mutex<Known>);

#[derive(Default)]
struct Known {
    epoch: Epoch,
    heads: FxHashMap<RoomKey, Seq>,
}

impl Durable {
    fn note(&self, epoch: Epoch, room: &RoomKey, head: Seq) {
        let mut known = self.0.lock();
        if known.epoch != epoch || known.heads.len() >= ROOMS_KNOWN {
            *known = Known { epoch, heads: FxHashMap::default() };
        }
        let known = known.heads.entry(room.clone()).or_default();
        *known = head.max(*known);
    }

    fn has(&self, epoch: Epoch, room: &RoomKey, head: Seq) -> bool {
        let known = self.0.lock();
        head.0 == 0 || known.epoch == epoch && known.heads.get(room).is_some_and(|known| *known >= head)
    }
}

impl Shared {
    /// Whether commits are acknowledged once replicas have them.
    pub(super) fn waits_for_replicas(&self) -> bool {
        matches!(self.options.durability, Durability::Replicas(_))
    }

    /// A room's log is durable up to there.
    pub(super) fn note_durable(&self, room: &RoomKey, head: Seq) {
        if self.waits_for_replicas() {
            self.durable.note(self.epoch(), room, head);
        }
    }

    /// Waits until what was read of rooms at a server may be shown: up to these heads.
    pub(super) async fn may_show(
        &self,
        server: &Server,
        heads: &[(&RoomKey, Seq)],
    ) -> Result<(), StoreError> {
        let epoch = self.epoch();
        if !self.waits_for_replicas() || heads.iter().all(|(room, head)| self.durable.has(epoch, room, *head))
        {
            return Ok(());
        }
        if self.is_behind(server) {
            return Err(StoreError::Unavailable);
        }
        self.make_durable(&Written(server.clone())).await?;
        for (room, head) in heads {
            self.durable.note(epoch, room, *head);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{RoomName, TenantId};

    fn room(name: &str) -> RoomKey {
        RoomKey { tenant: TenantId::parse("acme").unwrap(), room: RoomName::parse(name).unwrap() }
    }

    #[test]
    fn a_log_is_durable_as_far_as_was_noted_in_its_epoch() {
        let (durable, room, other) = (Durable::default(), room("conversation:a"), room("conversation:b"));
        durable.note(Epoch(1), &room, Seq(5));
        durable.note(Epoch(1), &room, Seq(3));
        assert!(durable.has(Epoch(1), &room, Seq(5)) && durable.has(Epoch(1), &other, Seq(0)));
        assert!(!durable.has(Epoch(1), &room, Seq(6)) && !durable.has(Epoch(1), &other, Seq(1)));
        durable.note(Epoch(2), &other, Seq(1));
        assert!(!durable.has(Epoch(2), &room, Seq(1)) && durable.has(Epoch(2), &other, Seq(1)));
    }
}
