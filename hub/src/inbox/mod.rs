//! The inbox: notifications, and their state on all devices of a user. What other devices learn of a change they learn
//! from its commit.

use crate::domain::caller::Caller;
use crate::domain::command::Cursor;
use crate::domain::cursor::{self, List};
use crate::domain::error::{ErrorCode, Refusal, Violation};
use crate::domain::inbox::{InboxChange, InboxFilter, InboxSummary};
use crate::domain::limits;
use crate::domain::position::{InboxPosition, Seq};
use crate::domain::reply::Reply;
use crate::store::{Home, InboxPage, InboxQuery, Outcome, PageBound, Store, Write, refuse};

/// Decides on a change of the caller's own inbox. `head` is the inbox's end, which [`needs_head`] says whether to look
/// up: reading up to a place beyond it is `INVALID_ARGUMENT`, and to a place of another epoch CONFLICT.
pub fn change(
    caller: &Caller,
    change: &InboxChange,
    head: Option<InboxPosition>,
) -> Result<Outcome, Refusal> {
    if let (InboxChange::ReadUpTo(up_to), Some(head)) = (change, head) {
        if up_to.epoch != head.epoch {
            return Err(ErrorCode::Conflict.into());
        }
        if up_to.own > head.own || up_to.broadcast > head.broadcast {
            return Err(Refusal::invalid("up_to", "not beyond the head"));
        }
    }
    Ok(Outcome {
        tenant: caller.tenant.clone(),
        home: Home::Inbox(caller.user.clone()),
        actor: caller.user.clone(),
        by_service: caller.service,
        idempotency: None,
        conditions: Vec::new(),
        writes: vec![Write::Inbox(change.clone())],
        effects: Vec::new(),
    })
}

/// Whether [`change`] asks where the inbox ends.
pub fn needs_head(change: &InboxChange) -> bool {
    matches!(change, InboxChange::ReadUpTo(_))
}

/// A page of the caller's inbox, newest first; it may be empty though there are more. The summary is the whole inbox's, whatever the filter; its head is the
/// page's.
pub async fn page(
    store: &dyn Store,
    caller: &Caller,
    cursor: &Cursor,
    filter: &InboxFilter,
    limit: u32,
) -> Result<Reply, Refusal> {
    let user = caller.key();
    let before = cursor::read(List::Notifications, &user, "", cursor)?.map(parse_places).transpose()?;
    let query = InboxQuery::Newest { before, filter: filter.clone() };
    let bound = PageBound { items: limit, bytes: limits::PAGE_BYTES };
    let InboxPage { notifications, head, next } = store.inbox(&user, query, bound).await.map_err(refuse)?;
    let summary = InboxSummary { head, ..store.inbox_summary(&user).await.map_err(refuse)? };
    let next = next.map(|next| cursor::write(List::Notifications, &user, "", &write_places(next)));
    let next = next.unwrap_or_default();
    Ok(Reply::Notifications { notifications, summary, next })
}

/// The places in both logs before which a page begins, as a cursor bears them.
fn write_places(before: InboxPosition) -> String {
    format!("{}.{}", before.own.0, before.broadcast.0)
}

fn parse_places(text: &str) -> Result<InboxPosition, Violation> {
    let place = |text: &str| text.parse().ok().map(Seq).filter(|seq| *seq <= Seq::MAX);
    let places = text.split_once('.').and_then(|(own, broadcast)| place(own).zip(place(broadcast)));
    let (own, broadcast) = places.ok_or(cursor::REFUSED)?;
    Ok(InboxPosition { own, broadcast, ..InboxPosition::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{TenantId, UserId};
    use crate::domain::position::Epoch;
    use crate::domain::time::Timestamp;
    use proptest::prelude::*;

    fn decide(up_to: InboxPosition) -> Result<Outcome, Refusal> {
        let caller = Caller {
            tenant: TenantId::parse("acme").unwrap(),
            user: UserId::parse("alice").unwrap(),
            service: false,
            cross_tenant: false,
            expires: Timestamp(1),
            token: crate::domain::revocation::TokenMark::default(),
            powers: crate::domain::powers::Powers::default(),
        };
        let head = InboxPosition { epoch: Epoch(4), own: Seq(10), broadcast: Seq(3) };
        change(&caller, &InboxChange::ReadUpTo(up_to), Some(head))
    }

    #[test]
    fn reading_up_to_a_place_needs_that_place() {
        let at = |epoch, own, broadcast| InboxPosition {
            epoch: Epoch(epoch),
            own: Seq(own),
            broadcast: Seq(broadcast),
        };
        let outcome = decide(at(4, 10, 3)).unwrap();
        assert_eq!(outcome.home, Home::Inbox(UserId::parse("alice").unwrap()));
        assert_eq!(outcome.writes, [Write::Inbox(InboxChange::ReadUpTo(at(4, 10, 3)))]);
        assert_eq!(decide(at(4, 11, 3)).unwrap_err().code, ErrorCode::InvalidArgument);
        assert_eq!(decide(at(4, 1, 4)).unwrap_err().code, ErrorCode::InvalidArgument);
        assert_eq!(decide(at(3, 1, 1)).unwrap_err().code, ErrorCode::Conflict);
    }

    proptest! {
        #[test]
        fn parsing_places_never_panics(text in ".{0,30}") {
            let _ = parse_places(&text);
        }

        #[test]
        fn places_are_read_as_they_were_written(own in 0..=Seq::MAX.0, broadcast in 0..=Seq::MAX.0) {
            let before = InboxPosition { own: Seq(own), broadcast: Seq(broadcast), ..InboxPosition::default() };
            prop_assert_eq!(parse_places(&write_places(before)), Ok(before));
        }

        #[test]
        fn no_place_is_past_all_others(past in Seq::MAX.0 + 1..) {
            prop_assert_eq!(parse_places(&format!("1.{past}")), Err(cursor::REFUSED));
        }
    }
}
