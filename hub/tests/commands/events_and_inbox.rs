//! Events, durable and ephemeral, and the inbox.

use carillon_hub::administration::commands::Audience;
use carillon_hub::domain::command::{Cursor, Stateless};
use carillon_hub::domain::entry::{Event, EventName};
use carillon_hub::domain::error::ErrorCode;
use carillon_hub::domain::inbox::{InboxChange, InboxFilter, InboxSummary, Notification};
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::domain::push::Push;
use carillon_hub::domain::reply::Reply;
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::Store;

use crate::administration::notification;
use crate::harness::{Hub, Person, accepted, code, refused, room, user};

fn event(room_name: &str, exclude_self: bool) -> Stateless {
    let event =
        Event { by_service: false, name: EventName::parse("moved").unwrap(), key: None, payload: None };
    Stateless::EventPublish { room: room(room_name), event, exclude_self }
}

#[tokio::test]
async fn an_ephemeral_event_is_handed_over_and_never_stored() {
    let hub = Hub::start();
    let alice = hub.user("alice").keyed("event-key");
    for _ in 0..2 {
        let answer = alice.asks(event("cursor:1", true)).await.unwrap();
        assert!(matches!(answer.reply, Reply::Done));
        let event = answer.ephemeral.unwrap();
        assert!(event.exclude_self && matches!(event.push, Push::Event { .. }));
    }
    assert_eq!(hub.store.figures().committed, 0);
}

#[tokio::test]
async fn a_durable_event_is_an_entry_once() {
    let hub = Hub::start();
    let alice = hub.user("alice").keyed("event-key");
    let answer = alice.asks(event("open:1", false)).await.unwrap();
    assert!(answer.ephemeral.is_none());
    let again = alice.does(event("open:1", false)).await;
    assert_eq!(accepted(&again), (accepted(&Ok(answer.reply)).0, true));
    let other = hub.user("alice");
    assert_eq!(refused(&other.does(event("open:1", true)).await).1, Some("exclude_self"));
    assert_eq!(code(&other.does(event("conversation:1", false)).await), ErrorCode::AccessDenied);
}

async fn inbox(who: &Person<'_>, cursor: Cursor, limit: u32) -> (Vec<Notification>, InboxSummary, Cursor) {
    let command = Stateless::Notifications { cursor, filter: InboxFilter::default(), limit };
    match who.does(command).await {
        Ok(Reply::Notifications { notifications, summary, next }) => (notifications, summary, next),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_inbox_is_read_page_by_page_and_up_to_what_is_there() {
    let hub = Hub::start();
    let (alice, service) = (hub.user("alice"), hub.service());
    for title in ["one", "two", "three"] {
        let send = notification(title, Audience::Users(vec![user("alice")]));
        hub.administration.notify(&service.caller, &send, Timestamp::now()).await.unwrap();
    }
    let (first, summary, next) = inbox(&alice, Cursor::default(), 2).await;
    let (second, _, end) = inbox(&alice, next.clone(), 2).await;
    let titles: Vec<&str> = first.iter().chain(&second).map(|n| &*n.notice.title).collect();
    assert_eq!(titles, ["three", "two", "one"]);
    assert_eq!((summary.unread, end), (3, Cursor::default()));
    let stolen = Stateless::Notifications { cursor: next, filter: InboxFilter::default(), limit: 2 };
    assert_eq!(refused(&hub.user("bob").does(stolen).await).1, Some("cursor"));

    let up_to = |up_to| alice.does(Stateless::Inbox(InboxChange::ReadUpTo(up_to)));
    let head = summary.head;
    let future = InboxPosition { own: Seq(head.own.0 + 1), ..head };
    assert_eq!(refused(&up_to(future).await), (ErrorCode::InvalidArgument, Some("up_to")));
    assert!(matches!(up_to(InboxPosition { own: Seq(2), ..head }).await, Ok(Reply::Done)));
    assert_eq!(inbox(&alice, Cursor::default(), 5).await.1.unread, 1);
    let gone = vec![first[0].notice.id.clone()];
    alice.does(Stateless::Inbox(InboxChange::Delete(gone))).await.unwrap();
    let (left, summary, _) = inbox(&alice, Cursor::default(), 5).await;
    assert_eq!((left.len(), summary.unread), (2, 0));
}
