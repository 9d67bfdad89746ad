//! What reads may show where replicas are waited for: nothing that might still be lost with its master.
//!
//! Up to which place a log is known to be durable is remembered from this node's own commits, from what others told of theirs,
//! as they tell it then, and from what was read before. A read that finds more waits, as a commit does; where replicas are known
//! to be behind it is refused at once.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::position::{Epoch, Seq};
use crate::redis::{Durability, Server};
use crate::store::{Change, Log, StoreError};

use super::barrier::Written;
use super::limits::LOGS_KNOWN;
use super::shared::Shared;

/// Up to where logs are known to be durable. Past [`LOGS_KNOWN`] it starts afresh, as it does in another epoch.
#[derive(Default)]
pub(super) struct Durable(Mutex<Known>);

#[derive(Default)]
struct Known {
    epoch: Epoch,
    heads: FxHashMap<Log, Seq>,
}

impl Durable {
    fn note(&self, epoch: Epoch, log: Log, head: Seq) {
        let mut known = self.0.lock();
        if known.epoch != epoch || known.heads.len() >= LOGS_KNOWN {
            *known = Known { epoch, heads: FxHashMap::default() };
        }
        let known = known.heads.entry(log).or_default();
        *known = head.max(*known);
    }

    fn has(&self, epoch: Epoch, log: &Log, head: Seq) -> bool {
        let known = self.0.lock();
        head.0 == 0 || known.epoch == epoch && known.heads.get(log).is_some_and(|known| *known >= head)
    }
}

impl Shared {
    /// Whether commits are acknowledged once replicas have them.
    pub(super) fn waits_for_replicas(&self) -> bool {
        matches!(self.options.durability, Durability::Replicas(_))
    }

    /// A log is durable up to there.
    pub(super) fn note_durable(&self, log: Log, head: Seq) {
        if self.waits_for_replicas() {
            self.durable.note(self.epoch(), log, head);
        }
    }

    /// So is what was told, in its epoch.
    pub(super) fn note_told(&self, epoch: Epoch, change: &Change) {
        if self.waits_for_replicas()
            && let Some((log, seq)) = change.place()
        {
            self.durable.note(epoch, log, seq);
        }
    }

    /// Waits until what was read of a log at a server may be shown, up to its head.
    pub(super) async fn may_show(&self, server: &Server, log: Log, head: Seq) -> Result<(), StoreError> {
        let epoch = self.epoch();
        if !self.waits_for_replicas() || self.durable.has(epoch, &log, head) {
            return Ok(());
        }
        if self.is_behind(server) {
            return Err(StoreError::Unavailable);
        }
        self.make_durable(&Written(server.clone())).await?;
        self.durable.note(epoch, log, head);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{RoomKey, RoomName, TenantId};

    fn room(name: &str) -> Log {
        Log::Room(RoomKey { tenant: TenantId::parse("acme").unwrap(), room: RoomName::parse(name).unwrap() })
    }

    #[test]
    fn a_log_is_durable_as_far_as_was_noted_in_its_epoch() {
        let (durable, room, other) = (Durable::default(), room("conversation:a"), room("conversation:b"));
        durable.note(Epoch(1), room.clone(), Seq(5));
        durable.note(Epoch(1), room.clone(), Seq(3));
        assert!(durable.has(Epoch(1), &room, Seq(5)) && durable.has(Epoch(1), &other, Seq(0)));
        assert!(!durable.has(Epoch(1), &room, Seq(6)) && !durable.has(Epoch(1), &other, Seq(1)));
        durable.note(Epoch(2), other.clone(), Seq(1));
        assert!(!durable.has(Epoch(2), &room, Seq(1)) && durable.has(Epoch(2), &other, Seq(1)));
    }
}
