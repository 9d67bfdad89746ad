//! What a bridge says of its hubs in its log: once for all workers of a process, each of which watches each hub.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::turned_away::Telling;

/// What was said of each hub, and of browsers that were turned away. A clone shares it.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    hubs: Arc<Mutex<HashMap<String, Said>>>,
    pub(super) turned_away: Arc<Telling>,
}

#[derive(Debug, Default)]
struct Said {
    /// Workers that cannot reach it.
    away_from: usize,
    /// Whether it does not know the bridge's key.
    is_key_wrong: bool,
}

impl Notices {
    /// A worker cannot reach the hub any more, or at its start.
    pub(super) fn lost(&self, hub: &str, reason: &str) {
        if self.note(hub, |said| {
            said.away_from += 1;
            said.away_from == 1
        }) {
            tracing::warn!(hub, reason, "a hub cannot be reached");
        }
    }

    /// A worker that could not reaches it again.
    pub(super) fn found(&self, hub: &str) {
        if self.note(hub, |said| {
            said.away_from = said.away_from.saturating_sub(1);
            said.away_from == 0
        }) {
            tracing::info!(hub, "a hub is reached again");
        }
    }

    /// The hub has said whether it knows the key that was shown to it.
    pub(super) fn shown_key(&self, hub: &str, is_wrong: bool) {
        if self.note(hub, |said| !std::mem::replace(&mut said.is_key_wrong, is_wrong) && is_wrong) {
            tracing::warn!(
                hub,
                "a hub does not know the bridge's key: it takes all clients for one address, and nobody's word for theirs"
            );
        }
    }

    fn note(&self, hub: &str, change: impl FnOnce(&mut Said) -> bool) -> bool {
        change(self.hubs.lock().entry(hub.to_owned()).or_default())
    }
}
