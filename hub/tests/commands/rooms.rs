//! Lists, pages and metadata.

use carillon_hub::domain::command::{Cursor, HistoryBound, Stateless};
use carillon_hub::domain::content::Pairs;
use carillon_hub::domain::error::ErrorCode;
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::reply::Reply;
use futures::future::join;

use crate::harness::{Answered, Hub, Person, accepted, code, created, refused};

async fn lists(who: &Person<'_>, cursor: Cursor, unread_only: bool) -> Answered {
    who.does(Stateless::Rooms { cursor, limit: 2, unread_only }).await
}

#[tokio::test]
async fn rooms_are_listed_page_by_page_to_their_members_only() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(alice.converses(&["bob"]).await);
    }
    alice.sends(&made[3], "news").await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        let Ok(Reply::Rooms { rooms, next }) = lists(&bob, cursor, false).await else { panic!("no page") };
        assert!(rooms.len() <= 2);
        seen.extend(rooms.into_iter().map(|summary| summary.room.room));
        if next == Cursor::default() {
            break;
        }
        assert_eq!(refused(&lists(&alice, next.clone(), false).await).1, Some("cursor"));
        cursor = next;
    }
    assert_eq!(seen, made);
    let Ok(Reply::Rooms { rooms, next }) = lists(&bob, Cursor::default(), true).await else {
        panic!("no page")
    };
    assert_eq!((rooms.len(), next), (1, Cursor::default()));
    assert_eq!((&rooms[0].room.room, rooms[0].unread()), (&made[3], 1));
}

#[tokio::test]
async fn members_are_listed_page_by_page() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let room = alice.converses(&["bob", "carol", "dave"]).await;
    let (mut seen, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        let command = Stateless::Members { room: room.clone(), cursor, limit: 3 };
        let Ok(Reply::Members { members, next }) = alice.does(command).await else { panic!("no page") };
        seen.extend(members.into_iter().map(|member| member.user.to_string()));
        if next == Cursor::default() {
            break;
        }
        let other = alice.converses(&[]).await;
        let elsewhere = Stateless::Members { room: other, cursor: next.clone(), limit: 3 };
        assert_eq!(refused(&alice.does(elsewhere).await).1, Some("cursor"));
        cursor = next;
    }
    assert_eq!(seen, ["alice", "bob", "carol", "dave"]);
}

#[tokio::test]
async fn history_joins_page_to_page_both_ways() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let room = alice.converses(&[]).await;
    for number in 0..7 {
        alice.sends(&room, &format!("message {number}")).await.unwrap();
    }
    for forward in [true, false] {
        let mut seen: Vec<Seq> = Vec::new();
        let mut bound = forward.then_some(HistoryBound::After(Seq(0)));
        loop {
            let Ok(Reply::History { entries, as_of, more, .. }) = alice.reads(&room, bound, 4).await else {
                panic!("no page")
            };
            assert_eq!(as_of.seq, Seq(9));
            let page: Vec<Seq> = entries.iter().map(|entry| entry.seq).collect();
            assert!(page.is_sorted());
            bound = if forward {
                page.last().map(|seq| HistoryBound::After(*seq))
            } else {
                page.first().map(|seq| HistoryBound::Before(*seq))
            };
            let at = if forward { seen.len() } else { 0 };
            seen.splice(at..at, page);
            if !more {
                break;
            }
        }
        assert_eq!(seen, (1..=9).map(Seq).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn metadata_changes_under_its_version() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let room = alice.converses(&["bob"]).await;
    let update = |title: &str, expected: Option<Seq>| {
        let pairs = [("title".to_owned(), title.to_owned())].into_iter().collect();
        Stateless::ConversationUpdate {
            room: room.clone(),
            metadata: Pairs::stored(pairs),
            remove_keys: Vec::new(),
            expected_version: expected,
        }
    };
    assert_eq!(code(&bob.does(update("mine", None)).await), ErrorCode::PermissionDenied);
    let version = accepted(&alice.does(update("one", Some(Seq(1)))).await).0.seq;
    assert_eq!(code(&alice.does(update("two", Some(Seq(1)))).await), ErrorCode::Conflict);
    assert!(alice.does(update("two", Some(version))).await.is_ok());
    // Without an expected version all of them pass, one after the other.
    let racing = futures::future::join_all((0..3).map(|_| alice.does(update("three", None)))).await;
    assert!(racing.iter().all(Result::is_ok), "{racing:?}");
}

#[tokio::test]
async fn a_pair_has_one_direct_conversation_whatever_their_tokens_say() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let nurse = alice.as_nurse();
    let (hers, his) = join(nurse.creates(&["bob"], true), bob.creates(&["alice"], true)).await;
    let ((nurses, first), (bobs, second)) = (created(&hers), created(&his));
    assert_eq!((nurses.namespace(), first ^ second), ("conversation", true));
    assert_eq!(nurses, bobs);
    assert_eq!(created(&alice.creates(&["bob"], true).await), (bobs, true));
}

#[tokio::test]
async fn a_retry_finds_its_room_where_the_first_attempt_made_it() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let made = created(&alice.as_nurse().keyed("as-a-nurse").creates(&["bob"], false).await);
    assert_eq!((made.0.namespace(), made.1), ("ward", false));
    assert_eq!(created(&alice.keyed("as-a-nurse").creates(&["bob"], false).await), (made.0, true));
    assert_eq!(code(&alice.keyed("as-a-nurse").creates(&["carol"], false).await), ErrorCode::Conflict);
    let other = created(&alice.keyed("as-herself").creates(&["bob"], false).await);
    assert_eq!((other.0.namespace(), other.1), ("conversation", false));
    assert_eq!(
        created(&alice.as_nurse().keyed("as-herself").creates(&["bob"], false).await),
        (other.0, true)
    );
}
