//! Who does not read hurts nobody else, and either gets everything in the end or is told to come back.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, EventPublish, RoomPosition};
use carillon_hub::domain::names::TenantId;
use carillon_tests::hub::TENANT;
use carillon_tests::wire::{Opening, greeting, join, join_since, request, say};
use carillon_tests::words as words_of;
use carillon_tests::{PATIENCE, Reader, TestHub, Wire, hub};

const ROOM: &str = "room:busy";
/// More than the windows of both sides and the system's buffers take of a stream with a window of 16 KiB.
const COUNT: u64 = 3_000;

/// A session that reads only when the test does, and for which little may be under way. It has joined the room.
async fn slow(hub: &TestHub, room: &str) -> (Wire, Reader) {
    let opening = Opening { window: Some(16 * 1024), ..Opening::default() };
    let mut wire = Wire::open(hub.hub.grpc_address(), opening).await;
    wire.greets(v1::Hello { token: hub.token("slow"), ..greeting() }).await;
    let joined = wire.joins(join(room)).await;
    (wire, Reader::from(room, joined.position.unwrap_or_default()))
}

/// Sends `count` messages of 200 bytes, and waits until all are stored.
async fn floods(wire: &mut Wire, count: u64) {
    let filler = "x".repeat(190);
    let ids = 1_000..1_000 + count as u32;
    let requests: Vec<_> = ids.map(|id| request(id, say(ROOM, format!("{id} {filler}")))).collect();
    wire.send(&requests);
    for _ in 0..count {
        wire.until(|kind| matches!(kind, Kind::MessageSent(_)).then_some(())).await;
    }
}

/// Waits until the hub has so many sessions.
async fn sessions(hub: &TestHub, count: usize) {
    let fewer = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while hub.hub.services().sessions.len() != count {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, fewer).await.expect("the session is ended");
}

#[tokio::test]
async fn a_reader_that_stops_for_a_while_gets_everything_in_order() {
    let hub = hub().start().await;
    let (mut slow, mut behind) = slow(&hub, ROOM).await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let start = bob.joins(join(ROOM)).await.position.unwrap();
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut prompt = Reader::from(ROOM, start);
    tokio::join!(floods(&mut alice, COUNT), prompt.reads_to(&mut bob, COUNT));
    assert_eq!(hub.hub.services().sessions.len(), 3, "nobody was ended");
    behind.reads_to(&mut slow, COUNT).await;
    assert_eq!(behind.texts, prompt.texts);
    // And goes on live.
    alice.ask(say(ROOM, "now"));
    behind.reads_to(&mut slow, COUNT + 1).await;
}

#[tokio::test]
async fn a_reader_that_stops_for_too_long_is_ended_and_resumes() {
    let hub = hub().without_grace();
    let hub = hub.with(|config| config.session.slow_consumer_after = Duration::from_millis(300));
    let hub = hub.start().await;
    let (mut slow, mut behind) = slow(&hub, ROOM).await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let start = bob.joins(join(ROOM)).await.position.unwrap();
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut prompt = Reader::from(ROOM, start);
    tokio::join!(floods(&mut alice, COUNT), prompt.reads_to(&mut bob, COUNT));
    // Its stream takes nothing, not even the end; it is cleaned up without it.
    sessions(&hub, 2).await;
    assert_eq!(hub.hub.services().metrics.counters().slow_consumers.total(), 1);
    let followed = || hub.hub.services().delivery.rooms().followed(Some(&TenantId::parse(TENANT).unwrap()));
    drop((alice, bob));
    sessions(&hub, 0).await;
    assert_eq!(followed(), 0, "it follows nothing any more");
    // When it reads again, what was on its way comes, then why it ended.
    let frames = slow.ends_with("SLOW_CONSUMER").await;
    for kind in &frames {
        behind.take(kind);
    }
    assert!(behind.position.seq < COUNT);
    let room = RoomPosition { room: ROOM.to_owned(), position: Some(behind.position), presence: false };
    let resume = Some(v1::Resume { rooms: vec![room], inbox: None });
    let hello = v1::Hello { token: hub.token("slow"), resume, ..greeting() };
    let mut again = Wire::enters_with(&hub, hello).await;
    behind.reads_to(&mut again, COUNT).await;
    assert_eq!(behind.texts, prompt.texts);
    drop((slow, again));
    hub.is_empty_again().await;
}

/// What a session that has not been asked for anything yet is told of messages that were changed meanwhile.
#[tokio::test]
async fn what_is_edited_or_deleted_at_once_sends_nobody_to_the_store() {
    const MESSAGES: u64 = 40;
    let hub = hub().start().await;
    let (mut slow, _) = slow(&hub, ROOM).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    // What fills the reader's window is in nobody's way.
    let filler = "x".repeat(8_000);
    for _ in 0..10 {
        alice.asks(say(ROOM, filler.clone())).await;
    }
    for seq in (11..).step_by(4).take(MESSAGES as usize) {
        alice.asks(say(ROOM, "a secret")).await;
        for words in ["another secret", "no secret"] {
            let content = Some(carillon_client::text(words));
            let edit = v1::MessageEdit { room: ROOM.to_owned(), seq, content, ..Default::default() };
            alice.asks(Command::MessageEdit(edit)).await;
        }
        alice.asks(Command::MessageDelete(v1::MessageDelete { room: ROOM.to_owned(), seq })).await;
    }
    let (mut messages, mut deleted) = (0, 0);
    while deleted < MESSAGES {
        match slow.next().await.unwrap().kind.unwrap() {
            Kind::Message(message) if message.deleted => {
                assert_eq!((message.version, message.content), (3, None));
                messages += 1;
            }
            Kind::Message(message) => assert_eq!(words_of(&message), filler),
            Kind::MessageEdited(edited) => assert_eq!(edited.content, None),
            Kind::MessageDeleted(_) => deleted += 1,
            _ => {}
        }
    }
    assert_eq!(messages, MESSAGES);
    assert_eq!(hub.hub.services().metrics.counters().catch_ups.total(), 0);
}

fn event(room: &str, key: &str, words: String) -> Command {
    Command::EventPublish(EventPublish {
        room: room.to_owned(),
        name: "tick".to_owned(),
        key: key.to_owned(),
        payload: Some(carillon_client::text(words)),
        exclude_self: false,
    })
}

/// The text of an event.
fn words(kind: &Kind) -> Option<String> {
    let Kind::Event(event) = kind else { return None };
    match event.payload.as_ref()?.body.as_ref()? {
        v1::content::Body::Text(text) => Some(text.clone()),
        v1::content::Body::Data(_) => None,
    }
}

#[tokio::test]
async fn ephemeral_events_of_one_key_merge_while_nobody_reads() {
    let hub = hub().start().await;
    let (mut slow, _) = slow(&hub, "live:x").await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let filler = "x".repeat(400);
    let ids = 1_000..1_000 + COUNT as u32;
    let requests: Vec<_> =
        ids.clone().map(|id| request(id, event("live:x", "clock", format!("{id:05} {filler}")))).collect();
    alice.send(&requests);
    for _ in ids.clone() {
        alice.until(|kind| matches!(kind, Kind::Done(_)).then_some(())).await;
    }
    let (mut seen, mut last) = (0, 0);
    while last < ids.end - 1 {
        let text = slow.until(words).await;
        let number: u32 = text[..5].parse().unwrap();
        assert!(number > last, "never an older one after a newer one");
        (seen, last) = (seen + 1, number);
    }
    assert!(seen < COUNT, "{seen}");
    drop((slow, alice));
    sessions(&hub, 0).await;
    assert!(hub.hub.services().metrics.counters().dropped.total() > 0, "what was merged is counted");
}

#[tokio::test]
async fn ephemeral_events_without_a_key_are_bounded_for_who_does_not_read() {
    let hub = hub().with(|config| config.session.mailbox_bytes = 64 * 1024).start().await;
    let (mut slow, _) = slow(&hub, "live:x").await;
    let mut bob = Wire::enters(&hub, "bob").await;
    bob.joins(join("live:x")).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let filler = "x".repeat(400);
    for n in 0..COUNT {
        alice.asks(event("live:x", "", format!("{n} {filler}"))).await;
        assert!(bob.until(words).await.starts_with(&format!("{n} ")), "bob gets every one, in order");
    }
    let frames = slow.ends_with("SLOW_CONSUMER").await;
    sessions(&hub, 2).await;
    let counters = hub.hub.services().metrics.counters();
    assert_eq!(counters.slow_consumers.total(), 1);
    let got: Vec<_> = frames.iter().filter_map(words).collect();
    assert!(got.iter().enumerate().all(|(n, text)| text.starts_with(&format!("{n} "))), "a beginning");
    assert!((got.len() as u64) < COUNT);
}

#[tokio::test]
async fn many_rooms_behind_take_turns() {
    const ROOMS: usize = 20;
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut requests = Vec::new();
    for n in 0..ROOMS * 300 {
        requests.push(request(1_000 + n as u32, say(&format!("room:{}", n % ROOMS), format!("{n}"))));
    }
    alice.send(&requests);
    let mut epoch = 0;
    for _ in 0..requests.len() {
        let sent = |kind: &Kind| match kind {
            Kind::MessageSent(sent) => sent.position,
            _ => None,
        };
        epoch = alice.until(sent).await.epoch;
    }
    let (mut bob, _) = slow(&hub, ROOM).await;
    let start = v1::Position { epoch, seq: 0, tag: 0 };
    let mut readers: Vec<_> = (0..ROOMS).map(|n| Reader::from(&format!("room:{n}"), start)).collect();
    for (n, reader) in readers.iter().enumerate() {
        bob.ask(Command::Join(join_since(&format!("room:{n}"), reader.position)));
    }
    while readers.iter().any(|reader| reader.position.seq < 300) {
        let kind = bob.next().await.unwrap().kind.unwrap();
        for reader in &mut readers {
            reader.take(&kind);
        }
    }
}
