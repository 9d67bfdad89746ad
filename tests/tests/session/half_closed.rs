//! A client that sends no more: what `joined` has promised comes before the end.

use std::time::Duration;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_tests::wire::{Opening, greeting, join, request, say};
use carillon_tests::{PATIENCE, TestHub, Wire, hub};

const ROOM: &str = "room:a";
/// Several pages of the store, and more than a window of 16 KiB takes.
const COUNT: u64 = 700;

async fn written() -> TestHub {
    let hub = hub().with(|config| config.session.slow_consumer_after = Duration::from_millis(300));
    let hub = hub.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let filler = "x".repeat(400);
    let requests: Vec<_> =
        (1..=COUNT).map(|n| request(1_000 + n as u32, say(ROOM, format!("{n} {filler}")))).collect();
    alice.send(&requests);
    for n in 1..=COUNT {
        assert!(matches!(alice.answer(1_000 + n as u32).await, Kind::MessageSent(_)));
    }
    hub
}

/// Says hello, then this, and sends no more.
async fn says_all(hub: &TestHub, opening: Opening, command: Command) -> Wire {
    let mut bob = Wire::open(hub.hub.grpc_address(), opening).await;
    let hello = v1::Hello { token: hub.token("bob"), ..greeting() };
    bob.send(&[request(1, Command::Hello(hello)), request(2, command)]);
    bob.closes();
    bob
}

fn rewinds() -> Command {
    Command::Join(v1::Join { rewind: 1_000, ..join(ROOM) })
}

#[tokio::test]
async fn what_joined_has_promised_comes_before_the_end() {
    let hub = written().await;
    for _ in 0..5 {
        let mut bob = says_all(&hub, Opening::default(), rewinds()).await;
        let (frames, end) = bob.ends().await;
        assert_eq!(end.grpc, tonic::Code::Ok);
        let joined =
            frames.iter().position(|kind| matches!(kind, Kind::Joined(joined) if joined.room == ROOM));
        let joined = joined.expect("it is answered");
        let seqs = frames[joined..].iter().filter_map(|kind| match kind {
            Kind::Message(message) => message.header.as_ref().map(|header| header.seq),
            _ => None,
        });
        assert_eq!(seqs.collect::<Vec<_>>(), (1..=COUNT).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn who_does_not_read_it_is_not_waited_for() {
    let hub = written().await;
    let opening = Opening { window: Some(16 * 1024), ..Opening::default() };
    let mut bob = says_all(&hub, opening, rewinds()).await;
    let ended = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while hub.hub.services().metrics.counters().slow_consumers.total() == 0 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the session is ended");
    bob.ends_with("SLOW_CONSUMER").await;
}

#[tokio::test]
async fn who_has_not_said_who_they_are_is_told_so() {
    let hub = hub().start().await;
    let mut stranger = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    stranger.closes();
    let (frames, end) = stranger.ends().await;
    assert!(matches!(&frames[..], [Kind::Disconnected(_)]), "{frames:?}");
    assert_eq!((end.grpc, &*end.reason), (tonic::Code::Unauthenticated, "AUTH_REQUIRED"));
}
