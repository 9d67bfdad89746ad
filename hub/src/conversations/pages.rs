//! Pages: a room's log, a room's members, a user's rooms. Whether the caller may was decided before.

use crate::access::rules::{Permit, may_be_shown};
use crate::domain::caller::Caller;
use crate::domain::command::{Cursor, HistoryBound};
use crate::domain::cursor::{self, List};
use crate::domain::error::Refusal;
use crate::domain::limits;
use crate::domain::names::{RoomKey, RoomName, UserId};
use crate::domain::namespace::{NamespaceRules, Namespaces};
use crate::domain::position::Seq;
use crate::domain::reply::Reply;
use crate::domain::room::RoomSummary;
use crate::store::{EntryPage, EntryRange, PageBound, RoomsQuery, Store, refuse};

/// A page of a room's log, oldest first. `INVALID_ARGUMENT` in a namespace that keeps none and for a place beyond the
/// head to read after. What was before the caller's membership is left out where they may not read it.
pub async fn history(
    store: &dyn Store,
    permit: &Permit,
    rules: &NamespaceRules,
    room: &RoomKey,
    bound: Option<HistoryBound>,
    limit: u32,
) -> Result<Reply, Refusal> {
    if !rules.durable {
        return Err(Refusal::invalid("room", "a durable namespace"));
    }
    let range = range(bound, permit.history_from);
    let size = PageBound { items: limit, bytes: limits::PAGE_BYTES };
    let page = store.entries(room, range, size).await.map_err(refuse)?;
    if let Some(HistoryBound::After(after)) = bound
        && after > page.head.seq
    {
        return Err(Refusal::invalid("after", "not beyond the head"));
    }
    Ok(ordered(room.room.clone(), page, range, permit.history_from))
}

/// What to read: nothing before `from`.
fn range(bound: Option<HistoryBound>, from: Seq) -> EntryRange {
    match bound {
        Some(HistoryBound::After(after)) => {
            EntryRange::After(after.max(Seq(from.0.saturating_sub(1))).min(Seq::MAX))
        }
        Some(HistoryBound::Before(before)) => EntryRange::Before(before.min(Seq::MAX)),
        None => EntryRange::Before(Seq::MAX),
    }
}

/// The page as it is answered: oldest first, without what is before `from`.
fn ordered(room: RoomName, page: EntryPage, range: EntryRange, from: Seq) -> Reply {
    let EntryPage { mut entries, head, mut more, .. } = page;
    if let EntryRange::Before(_) = range {
        entries.reverse();
        let hidden = entries.partition_point(|entry| entry.seq < from);
        more = more && hidden == 0 && entries.first().is_some_and(|entry| entry.seq > from);
        entries.drain(..hidden);
    }
    Reply::History { room, entries, as_of: head, more }
}

/// What a user is shown of their rooms: none of a namespace that there is not any more, and the last message where they may
/// read it.
pub fn shown(namespaces: &Namespaces, caller: &Caller, mut rooms: Vec<RoomSummary>) -> Vec<RoomSummary> {
    rooms.retain(|summary| namespaces.rules(&summary.room.room).is_some());
    for RoomSummary { room, role, last_message, .. } in &mut rooms {
        last_message.take_if(|_| !may_be_shown(namespaces, caller, room, *role));
    }
    rooms
}

/// A page of the caller's rooms, in the store's order.
pub async fn rooms(
    store: &dyn Store,
    namespaces: &Namespaces,
    caller: &Caller,
    cursor: &Cursor,
    limit: u32,
    unread_only: bool,
) -> Result<Reply, Refusal> {
    let user = caller.key();
    let after = cursor::read(List::Rooms, &user, "", cursor)?.map(RoomName::parse).transpose();
    let after = after.map_err(|_| cursor::REFUSED)?;
    let bound = PageBound { items: limit, bytes: limits::PAGE_BYTES };
    let page = store.rooms_of(&user, RoomsQuery { after, bound, unread_only }).await.map_err(refuse)?;
    let next = match page.next {
        Some(last) => cursor::write(List::Rooms, &user, "", last.as_str()),
        None => Cursor::default(),
    };
    Ok(Reply::Rooms { rooms: shown(namespaces, caller, page.rooms), next })
}

/// A page of a room's members, in order of their ids.
pub async fn members(
    store: &dyn Store,
    caller: &Caller,
    room: &RoomKey,
    cursor: &Cursor,
    limit: u32,
) -> Result<Reply, Refusal> {
    let user = caller.key();
    let scope = room.room.as_str();
    let after = cursor::read(List::Members, &user, scope, cursor)?.map(UserId::parse).transpose();
    let after = after.map_err(|_| cursor::REFUSED)?;
    let mut members = store.members(room, after.as_ref(), limit.saturating_add(1)).await.map_err(refuse)?;
    let next = match one_page(&mut members, limit) {
        Some(last) => cursor::write(List::Members, &user, scope, last.user.as_str()),
        None => Cursor::default(),
    };
    Ok(Reply::Members { members, next })
}

/// Cuts what was read, one more than a page, to the page. The page's last item where there was more.
fn one_page<T>(items: &mut Vec<T>, limit: u32) -> Option<&T> {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    if more { items.last() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entry::{Entry, EntryBody};
    use crate::domain::position::{Epoch, Position, Tag};
    use crate::domain::time::Timestamp;
    use proptest::prelude::*;

    fn entry(seq: u64) -> Entry {
        Entry {
            epoch: Epoch(1),
            seq: Seq(seq),
            tag: Tag(0),
            time: Timestamp(0),
            sender: UserId::parse("alice").unwrap(),
            number: 0,
            body: EntryBody::Deletion { target: Seq(1) },
        }
    }

    /// What a store with the entries `first..=head` answers.
    fn read(range: EntryRange, first: u64, head: u64, limit: usize) -> EntryPage {
        let all: Vec<u64> = match range {
            EntryRange::After(seq) => (first..=head).filter(|s| *s > seq.0).collect(),
            EntryRange::Before(seq) => (first..=head).rev().filter(|s| *s < seq.0).collect(),
        };
        EntryPage {
            entries: all.iter().take(limit).copied().map(entry).collect(),
            head: Position { epoch: Epoch(1), seq: Seq(head), tag: Tag(0) },
            head_number: 0,
            first: Seq(first),
            more: all.len() > limit,
        }
    }

    proptest! {
        #[test]
        fn pages_join_without_gap_and_hide_what_was_before(
            first in 1u64..5, length in 0u64..40, from in 1u64..45, limit in 1usize..9, forward: bool
        ) {
            let head = first + length - 1;
            let visible: Vec<u64> = (first.max(from)..=head).collect();
            let mut seen: Vec<u64> = Vec::new();
            let mut bound = forward.then_some(HistoryBound::After(Seq(0)));
            for _ in 0..100 {
                let range = range(bound, Seq(from));
                let page = read(range, first, head, limit);
                let room = RoomName::parse("a:b").unwrap();
                let Reply::History { entries, more, .. } = ordered(room, page, range, Seq(from)) else {
                    panic!("not a history")
                };
                let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq.0).collect();
                prop_assert!(seqs.is_sorted());
                bound = if forward {
                    seen.extend(&seqs);
                    seqs.last().map(|seq| HistoryBound::After(Seq(*seq)))
                } else {
                    seen.splice(0..0, seqs.iter().copied());
                    seqs.first().map(|seq| HistoryBound::Before(Seq(*seq)))
                };
                if !more {
                    break;
                }
                prop_assert!(!seqs.is_empty());
            }
            prop_assert_eq!(seen, visible);
        }
    }

    #[test]
    fn one_more_than_a_page_says_that_there_is_more() {
        let mut items = vec![1, 2, 3];
        assert_eq!(one_page(&mut items, 2), Some(&2));
        assert_eq!(items, [1, 2]);
        assert_eq!(one_page(&mut items, 2), None);
        assert_eq!(one_page(&mut Vec::<u8>::new(), 2), None);
    }
}
