//! One at a time of those who change a room's metadata on a node, so that none refuses another.

use crate::domain::command::Stateless;
use crate::domain::limits::ALONE_AT_MOST;
use crate::domain::names::RoomKey;
use crate::session::locks::{Locked, Locks};

/// A change's turn among those of its room; others have none.
///
/// It makes refusals rare, and is no condition: whoever has the turn is polled by its own session alone, whose client may read
/// nothing, so that those behind it wait for [`ALONE_AT_MOST`] and then go on without.
#[derive(Default)]
pub(super) struct Alone<'a> {
    is_wanted: bool,
    held: Option<Locked<'a, RoomKey>>,
}

impl<'a> Alone<'a> {
    pub(super) fn of(command: &Stateless) -> Self {
        Self { is_wanted: matches!(command, Stateless::ConversationUpdate { .. }), held: None }
    }

    /// Waits for the turn where one is wanted and was not waited for yet; whether it did, so that what was read before may be another
    /// now. Only for those who may change the room.
    pub(super) async fn waits(&mut self, updates: &'a Locks<RoomKey>, room: &RoomKey) -> bool {
        let waits = std::mem::take(&mut self.is_wanted);
        if waits {
            self.held = tokio::time::timeout(ALONE_AT_MOST, updates.lock(room)).await.ok();
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{RoomName, TenantId};

    #[tokio::test(start_paused = true)]
    async fn who_hangs_keeps_nobody_waiting_for_long_and_who_goes_none_at_all() {
        let tenant = TenantId::parse("acme").unwrap();
        let room = RoomKey { tenant, room: RoomName::parse("room:a").unwrap() };
        let (locks, wanted) = (Locks::default(), || Alone { is_wanted: true, held: None });
        let mut first = wanted();
        assert!(first.waits(&locks, &room).await && !first.waits(&locks, &room).await);
        let began = tokio::time::Instant::now();
        assert!(wanted().waits(&locks, &room).await);
        assert_eq!(began.elapsed(), ALONE_AT_MOST);
        drop(first);
        assert!(wanted().waits(&locks, &room).await);
        assert_eq!(began.elapsed(), ALONE_AT_MOST);
    }
}
