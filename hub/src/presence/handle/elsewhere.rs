//! What presence across nodes does with a tenant's board.

use std::sync::Arc;

use super::{Board, Nodes, Notice, Presence, SessionId, TenantId};
use crate::bus::sessions::Told;
use crate::domain::time::Now;

/// Sessions that are put on a board at once, so that nobody waits for the lock while thousands are.
const PUT_AT_ONCE: usize = 256;

impl Presence {
    pub(in super::super) fn nodes(&self) -> Option<&Arc<Nodes>> {
        self.inner.nodes.as_ref()
    }

    /// Puts what another node says of its sessions on the board.
    pub(in super::super) fn put(&self, tenant: &TenantId, told: &[Told]) {
        let now = Now::read();
        for some in told.chunks(PUT_AT_ONCE) {
            self.with_board(tenant, |board| some.iter().flat_map(|told| board.put(told, now)).collect());
        }
    }

    pub(in super::super) fn with_board(
        &self,
        tenant: &TenantId,
        change: impl FnOnce(&mut Board) -> Vec<Notice>,
    ) {
        self.change(tenant, change);
    }

    /// Takes sessions of which their nodes may know more than the board does.
    pub(in super::super) fn released(&self, tenant: &TenantId) -> Vec<SessionId> {
        let mut state = self.shard(tenant).state.lock();
        state.boards.get_mut(tenant).map(Board::take_released).unwrap_or_default()
    }

    /// Takes what others are to be told of a tenant, all of it where it is `whole`; with whether there are no sessions left.
    pub(in super::super) fn take_changes(
        &self,
        tenant: &TenantId,
        whole: bool,
        now: Now,
    ) -> (Vec<Told>, bool) {
        let mut state = self.shard(tenant).state.lock();
        let board = state.boards.get_mut(tenant);
        board.map_or_else(|| (Vec::new(), true), |board| (board.take_changes(whole, now), board.own() == 0))
    }

    /// Whether the tenant has no session here, and others know it.
    pub(in super::super) fn is_idle(&self, tenant: &TenantId) -> bool {
        let state = self.shard(tenant).state.lock();
        state.boards.get(tenant).is_none_or(|board| board.own() == 0 && !board.has_changed())
    }

    /// Forgets a tenant that has no session here: nobody is told, as nobody follows anything.
    pub(in super::super) fn remove_board(&self, tenant: &TenantId) {
        let mut state = self.shard(tenant).state.lock();
        if let Some(board) = state.boards.remove(tenant)
            && let Some(when) = board.next_deadline()
        {
            state.due.remove(&(when, tenant.clone()));
        }
    }
}
