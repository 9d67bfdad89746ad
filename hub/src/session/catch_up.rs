//! Reading from the store what a room's tail no longer has: one page at a time for a session, whatever number of its
//! rooms is behind, and none while a page waits to be sent, so that what a session holds is bounded.

use std::collections::VecDeque;
use std::sync::Arc;

use carillon_proto::Frame;
use futures::future::BoxFuture;

use crate::delivery::encoder::FrameEncoder;
use crate::delivery::room::ActiveRoom;
use crate::domain::entry::{Entry, EntryBody};
use crate::domain::limits::{CATCH_UP_BYTES, HISTORY_LIMIT};
use crate::domain::names::{RoomName, UserId};
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
    pub(super) page: BoxFuture<'static, Result<EntryPage, StoreError>>,
}

impl CatchUp {
    /// Begins to read what is after `after`.
    pub(super) fn begin(store: &dyn Store, slot: u32, room: Arc<ActiveRoom>, after: Seq) -> Self {
        let bound = PageBound { items: HISTORY_LIMIT, bytes: CATCH_UP_BYTES };
        let page = store.entries(&room.key, EntryRange::After(after), bound);
        Self { slot, room, after, page }
    }
}

/// Where a page ends the membership that the session joined under: nothing after it is for the user, though delivery may
/// not have said so yet. `since` is the membership's version.
pub(super) fn removal(page: &EntryPage, user: &UserId, since: Option<Seq>) -> Option<Seq> {
    let since = since?;
    let ends = |entry: &&Entry| match &entry.body {
        EntryBody::Membership { user: whose, change, .. } => {
            whose == user && change.ends() && entry.seq > since
        }
        _ => false,
    };
    page.entries.iter().find(ends).map(|entry| entry.seq)
}

/// The frames of a page that was read after `after`, not past `until`, and the new cursor. Where retention removed
/// entries, a `gap` says which.
pub(super) fn frames(
    encoder: &dyn FrameEncoder,
    room: &RoomName,
    page: &EntryPage,
    after: Seq,
    until: Seq,
) -> (VecDeque<Frame>, Seq) {
    let mut frames = VecDeque::with_capacity(page.entries.len() + 1);
    let mut cursor = after;
    let first_kept = page.entries.first().map_or(page.first, |entry| entry.seq);
    if first_kept > after.next() {
        let to = Seq(first_kept.0 - 1).min(until);
        if to > after {
            frames.push_back(encoder.push(&Push::Gap { room: room.clone(), from: after.next(), to }));
        }
        cursor = to.max(after);
    }
    for entry in page.entries.iter().take_while(|entry| entry.seq <= until) {
        frames.push_back(encoder.entry(room, entry));
        cursor = entry.seq;
    }
    (frames, cursor)
}
