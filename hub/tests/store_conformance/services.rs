//! Services, whose names users may have too.

use std::time::Duration;

use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::inbox::{InboxChange, Priority};
use carillon_hub::domain::limits::IDEMPOTENCY_WINDOW;
use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::member::Role;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, CommitError, Home, Outcome, PageBound, Store, Write};

use crate::harness::*;

const ROOM: &str = "conversation:a";

fn broadcast(by_service: bool, key: u64) -> Outcome {
    let write = Write::Broadcast(notice(&format!("n{key}"), Priority::Normal));
    Outcome { by_service, ..outcome(Home::Tenant, "mailer").writing(write).keyed("b", key) }
}

pub(crate) async fn have_keys_of_their_own<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let of_user = send(ROOM, "mailer", "a user's").keyed("k", 7);
    let of_service = send_by_service(ROOM, "mailer", "a service's").keyed("k", 8);
    let all = [of_user, of_service, broadcast(false, 9), broadcast(true, 10)];
    for (outcome, seq) in all.iter().zip([1, 2, 1, 2]) {
        let committed = scene.commit(outcome.clone()).await;
        assert_eq!((committed.duplicate, committed.position.seq), (false, Seq(seq)));
    }
    for _ in 0..2 {
        for (outcome, seq) in all.iter().zip([1, 2, 1, 2]) {
            let again = scene.commit(outcome.clone()).await;
            assert_eq!((again.duplicate, again.position.seq), (true, Seq(seq)));
        }
        scene.reopen();
    }
    let other = send_by_service(ROOM, "mailer", "another").keyed("k", 11);
    assert!(matches!(scene.refused(other).await, CommitError::KeyReused));
    // One that the service used first is not the user's either, though the content be the same.
    scene.commit(send_by_service(ROOM, "mailer", "first").keyed("l", 12)).await;
    assert!(!scene.commit(send(ROOM, "mailer", "first").keyed("l", 12)).await.duplicate);
    assert_eq!(scene.log(ROOM).await.len(), 4);
}

/// Where kinds of actors were not told apart, a service's key was kept as that of the user of its name.
pub(crate) async fn find_what_was_kept_as_a_users<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let service = |content, fingerprint| send_by_service(ROOM, "mailer", content).keyed("k", fingerprint);
    let kept = scene.commit(Outcome { by_service: false, ..service("before", 7) }).await;
    scene.commit(broadcast(false, 9)).await;
    for _ in 0..2 {
        let again = scene.commit(service("before", 7)).await;
        assert_eq!((again.duplicate, again.position, again.time), (true, kept.position, kept.time));
        assert!(scene.commit(broadcast(true, 9)).await.duplicate);
        scene.reopen();
    }
    assert!(!scene.commit(service("other content, so not the service's", 8)).await.duplicate);
    let again = scene.commit(service("other content, so not the service's", 8)).await;
    assert_eq!((again.duplicate, again.position.seq), (true, Seq(2)));

    let scene = Scene::<F>::new();
    scene.commit(Outcome { by_service: false, ..service("before", 7) }).await;
    scene.setup.clock.advance(IDEMPOTENCY_WINDOW + Duration::from_secs(10));
    scene.commit(send(ROOM, "alice", "any")).await;
    assert!(!scene.commit(service("before", 7)).await.duplicate, "its window is over");
}

pub(crate) async fn have_no_marks<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    scene.commit(append(ROOM, "alice", added("mailer", Role::Member))).await;
    scene.commit(send(ROOM, "mailer", "a user's")).await;
    let read = Marks { delivered: Seq(2), read: Seq(2), read_number: 1 };
    scene.commit(send(ROOM, "alice", "unread")).await;
    let sent = send_by_service(ROOM, "mailer", "a service's").keyed("k", 1);
    for duplicate in [false, true] {
        let committed = scene.commit(sent.clone()).await;
        assert_eq!((committed.duplicate, committed.marks), (duplicate, None));
    }
    scene.commit(send_by_service("conversation:b", "mailer", "where the user never was")).await;
    for closes in [false, true, true] {
        let (a, b) = (room_key(ROOM), room_key("conversation:b"));
        assert_eq!(scene.store().marks(&a, &user("mailer")).await.unwrap(), read);
        assert_eq!(scene.store().marks(&b, &user("mailer")).await.unwrap(), Marks::default());
        let number = scene.store().room(&a).await.unwrap().unwrap().head_number;
        assert_eq!(read.unread(number), 2);
        if closes {
            scene.close_and_open().await;
        } else {
            scene.reopen();
        }
    }
    let told = scene.setup.sink.changes();
    assert!(!told.iter().any(|change| matches!(change, Change::Marks { .. })));
}

pub(crate) async fn have_nothing_else_that_is_a_users<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(send(ROOM, "alice", "one")).await;
    let by_service = |outcome: Outcome| Outcome { by_service: true, ..outcome };
    let marks = Write::Marks { delivered: Seq(1), read: Seq(1) };
    let inbox = Write::Inbox(InboxChange::Read(Vec::new()));
    for outcome in [
        in_room(ROOM, "mailer").writing(marks),
        outcome(Home::Inbox(user("mailer")), "mailer").writing(inbox),
        outcome(Home::Tenant, "mailer").writing(Write::Know),
    ] {
        scene.commit(outcome.clone()).await;
        let refused = scene.refused(by_service(outcome)).await;
        assert!(matches!(refused, CommitError::Store(_)), "{refused:?}");
    }
}

/// Their messages are not those of an erased user of their name, wherever they are stored.
pub(crate) async fn are_not_erased_with_a_user<F: Fixture>() {
    for settles in [false, true] {
        let mut scene = Scene::<F>::new();
        for turn in 0..40 {
            scene.commit(send_by_service(ROOM, "mailer", &format!("a service's {turn}"))).await;
            scene.commit(send(ROOM, "mailer", "a user's")).await;
        }
        if settles {
            scene.close_and_open().await;
        }
        let erased = scene.store().erase(&user_key("mailer")).await.unwrap();
        assert_eq!(erased.entries, 40);
        for _ in 0..2 {
            let left = scene.log(ROOM).await.into_iter().filter(|entry| match &entry.body {
                EntryBody::Message(message) => {
                    assert_eq!(message.by_service, message.content.is_some());
                    message.by_service
                }
                _ => false,
            });
            assert_eq!(left.count(), 40);
            scene.reopen();
        }
    }
}

/// Nor are their events, and what is kept of those as a room's state.
pub(crate) async fn keep_their_events_where_a_user_is_erased<F: Fixture>() {
    const STATE: &str = "state:board";
    for settles in [false, true] {
        let mut scene = Scene::<F>::new();
        for turn in 0..4 {
            let (of_user, key) = (event("moved", Some(&format!("user{turn}")), "secret"), format!("k{turn}"));
            let of_service = of_service(event("moved", Some(&key), "a service's"));
            for room in [ROOM, STATE] {
                scene.commit(append(room, "mailer", of_user.clone())).await;
                let outcome = append(room, "mailer", of_service.clone());
                scene.commit(Outcome { by_service: true, ..outcome }).await;
            }
        }
        if settles {
            scene.close_and_open().await;
        }
        assert_eq!(scene.store().erase(&user_key("mailer")).await.unwrap().entries, 8);
        for _ in 0..2 {
            let bound = PageBound { items: 100, bytes: usize::MAX };
            let state = scene.store().latest_events(&room_key(STATE), bound).await.unwrap();
            for log in [scene.log(ROOM).await, scene.log(STATE).await, state] {
                let read = log.iter().map(|entry| match &entry.body {
                    EntryBody::Event(event) => (event.by_service, event.payload.is_some()),
                    other => panic!("{other:?}"),
                });
                assert_eq!(read.collect::<Vec<_>>(), [(false, false), (true, true)].repeat(4));
            }
            scene.reopen();
        }
    }
}

/// A service of the user's name has sent it, and it stays a service's whatever is done to it.
pub(crate) async fn keep_their_messages_whatever_is_done_to_them<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for content in ["told", "wrong", "told too", "wrong too"] {
        scene.commit(send_by_service(ROOM, "bob", content)).await;
    }
    scene.commit(append(ROOM, "bob", edit(1, "told anew"))).await;
    scene.commit(append(ROOM, "alice", deletion(2))).await;
    scene.commit(send(ROOM, "bob", "secret")).await;
    for turn in 0..2 {
        assert_eq!(scene.store().erase(&user_key("bob")).await.unwrap().entries, 1 - turn);
        for (seq, content) in
            [(1, Some("told anew")), (2, None), (3, Some("told too")), (4, Some("wrong too"))]
        {
            let message = scene.message(ROOM, seq).await;
            assert_eq!((message.content, message.by_service), (content.map(text), true), "{turn}: {seq}");
        }
        let own = scene.message(ROOM, 7).await;
        assert_eq!((own.content, own.by_service), (None, false));
        scene.close_and_open().await;
    }
    // What has been in the log for a while.
    scene.commit(append(ROOM, "bob", edit(3, "told at last"))).await;
    scene.commit(append(ROOM, "alice", deletion(4))).await;
    for _ in 0..2 {
        for (seq, content) in [(3, Some("told at last")), (4, None)] {
            let message = scene.message(ROOM, seq).await;
            assert_eq!((message.content, message.by_service), (content.map(text), true), "{seq}");
        }
        scene.close_and_open().await;
    }
}
