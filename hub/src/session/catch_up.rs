//! Reading from the store what a room's tail no longer has: one page at a time for a session, whatever number of its
//! rooms is behind, and none while a page waits to be sent, so that what a session holds is bounded.

use std::collections::VecDeque;
use std::sync::Arc;

use carillon_proto::Frame;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::crowd::Turns;
use crate::delivery::encoder::FrameEncoder;
use crate::delivery::room::ActiveRoom;
use crate::domain::entry::{Entry, EntryBody};
use crate::domain::limits::{CATCH_UP_BYTES, HISTORY_LIMIT, STATE_BYTES, STATE_KEYS};
use crate::domain::names::{RoomKey, RoomName, UserId};
use crate::domain::position::Seq;
use crate::domain::push::Push;
use crate::store::{EntryPage, EntryRange, PageBound, Store, StoreError};

/// A page that is being read.
pub(super) struct CatchUp {
    /// For which of the session's rooms.
    pub(super) slot: u32,
    /// The room. With it and `after` a page is dropped that the slot no longer waits for.
    pub(super) room: Arc<ActiveRoom>,
    /// The place after which it was read.
    pub(super) after: Seq,
    /// The page.
    pub(super) page: BoxFuture<'static, Result<Page, StoreError>>,
}

/// What a session is behind by.
pub(super) struct Page {
    /// What the log has of it.
    log: EntryPage,
    /// The last events of keys that retention took out of the log before that, in order of seq.
    state: Vec<Entry>,
}

impl CatchUp {
    /// Begins to read what is after `after`. Where the room keeps the latest event of each key, those of them that the log
    /// no longer has are read as well. It takes turns with those of all sessions.
    pub(super) fn begin(
        store: &Arc<dyn Store>,
        slot: u32,
        room: Arc<ActiveRoom>,
        after: Seq,
        keeps_latest: bool,
        turns: &Turns,
    ) -> Self {
        let bound = PageBound { items: HISTORY_LIMIT, bytes: CATCH_UP_BYTES };
        let (store, key) = (Arc::clone(store), room.key.clone());
        let page = turns.take(move || async move {
            let log = store.entries(&key, EntryRange::After(after), bound).await?;
            let mut state = Vec::new();
            if keeps_latest && first_kept(&log) > after.next() {
                state = latest_events(&*store, &key).await?;
                // What is newer is in the log, or will be.
                state.retain(|event| event.seq > after && event.seq < first_kept(&log));
            }
            Ok(Page { log, state })
        });
        let page = async move { page.await.unwrap_or(Err(StoreError::Unavailable)) };
        Self { slot, room, after, page: page.boxed() }
    }
}

/// The last event of each key of a room, in order of seq.
pub(super) async fn latest_events(store: &dyn Store, room: &RoomKey) -> Result<Vec<Entry>, StoreError> {
    // All of it: publishing keeps within these bounds.
    let bound = PageBound { items: STATE_KEYS as u32, bytes: 2 * STATE_BYTES };
    store.latest_events(room, bound).await
}

fn first_kept(log: &EntryPage) -> Seq {
    log.entries.first().map_or(log.first, |entry| entry.seq)
}

/// Where a page ends the membership that the session joined under: nothing after it is for the user, though delivery may
/// not have said so yet. `since` is the membership's version.
pub(super) fn removal(page: &Page, user: &UserId, since: Option<Seq>) -> Option<Seq> {
    let since = since?;
    let ends = |entry: &&Entry| match &entry.body {
        EntryBody::Membership { user: whose, change, .. } => {
            whose == user && change.ends() && entry.seq > since
        }
        _ => false,
    };
    page.log.entries.iter().find(ends).map(|entry| entry.seq)
}

/// The frames of a page that was read after `after`, not past `until`, and the new cursor. Where retention removed
/// entries, a `gap` says which, and what is kept of them follows it.
pub(super) fn frames(
    encoder: &dyn FrameEncoder,
    room: &RoomName,
    page: &Page,
    after: Seq,
    until: Seq,
) -> (VecDeque<Frame>, Seq) {
    let Page { log, state } = page;
    let mut frames = VecDeque::with_capacity(state.len() + log.entries.len() + 1);
    let mut cursor = after;
    let first_kept = first_kept(log);
    if first_kept > after.next() {
        let to = Seq(first_kept.0 - 1).min(until);
        if to > after {
            frames.push_back(encoder.push(&Push::Gap { room: room.clone(), from: after.next(), to }));
        }
        cursor = to.max(after);
    }
    frames.extend(state.iter().filter(|event| event.seq <= until).map(|event| encoder.entry(room, event)));
    for entry in log.entries.iter().take_while(|entry| entry.seq <= until) {
        frames.push_back(encoder.entry(room, entry));
        cursor = entry.seq;
    }
    (frames, cursor)
}
