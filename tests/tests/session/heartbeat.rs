//! Who is silent is asked, and ends; who says anything lives on.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, PresenceReason};
use carillon_hub::config::Config;
use carillon_tests::wire::{Opening, greeting, join};
use carillon_tests::{Proxy, Wire, hub};

/// A heart that beats fast: a ping after 0.2 s of silence, the end after 0.8 s.
fn hurried(config: &mut Config) {
    config.session.heartbeat_interval = Duration::from_millis(200);
    config.session.heartbeat_timeout = Duration::from_millis(800);
    config.presence.grace = Duration::from_millis(300);
}

fn is_ping(kind: &Kind) -> Option<()> {
    matches!(kind, Kind::Ping(_)).then_some(())
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_ended() {
    let hub = hub().with(hurried).start().await;
    let mut silent = Wire::enters(&hub, "alice").await;
    silent.until(is_ping).await;
    let frames = silent.ends_with("DEADLINE_EXCEEDED").await;
    assert!(frames.iter().any(|kind| matches!(kind, Kind::Ping(_))), "asked more than once");
    hub.is_empty_again().await;
}

#[tokio::test]
async fn any_frame_keeps_a_client_alive() {
    let hub = hub().with(hurried).start().await;
    let began = std::time::Instant::now();
    let mut alice = Wire::enters(&hub, "alice").await;
    // Answers to the hub's pings are the test's clock: longer than the timeout, with a different frame each time.
    let mut beats = 0;
    while began.elapsed() < Duration::from_millis(1_600) {
        alice.until(is_ping).await;
        match beats % 3 {
            0 => _ = alice.ask(Command::Pong(v1::Pong::default())),
            1 => _ = alice.ask(Command::Typing(v1::TypingSet::default())),
            _ => _ = alice.ask(Command::Ping(v1::Ping {})),
        }
        beats += 1;
    }
    assert!(matches!(alice.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    assert!(beats >= 3, "{beats}");
}

#[tokio::test]
async fn a_stream_without_hello_is_ended() {
    let hub = hub().with(|config| config.session.hello_timeout = Duration::from_millis(200)).start().await;
    // With a good token too: whoever bears it may come again.
    for metadata in [Vec::new(), vec![("authorization", format!("Bearer {}", hub.token("alice")))]] {
        let mut silent = Wire::open(hub.hub.grpc_address(), Opening { metadata, ..Opening::default() }).await;
        let (_, end) = silent.ends().await;
        assert_eq!((end.grpc, &*end.reason), (tonic::Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    }
    // In time, it lives on past the limit.
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut silent = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    silent.ends().await;
    assert!(matches!(alice.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
}

#[tokio::test]
async fn a_client_that_vanishes_is_cleaned_up_and_others_are_told() {
    let hub = hub().with(hurried).start().await;
    let proxy = Proxy::to_address(hub.hub.grpc_address());
    let mut gone = Wire::open(proxy.address(), Opening::default()).await;
    gone.greets(v1::Hello { token: hub.token("bob"), ..greeting() }).await;
    gone.joins(join("room:a")).await;
    let alice = hub.enters("alice").await;
    let mut alice = alice;
    assert_eq!(alice.joins("room:a").await.occupancy, 2);
    proxy.holds();
    let told = alice.waits_for(|event| match event {
        carillon_client::Event::Presence(presence) if presence.room == "room:a" => Some(presence),
        _ => None,
    });
    let told = told.await;
    assert_eq!(told.state.as_ref().unwrap().user, "bob");
    assert_eq!(told.reason(), PresenceReason::Disconnected);
    assert_eq!(hub.hub.services().sessions.len(), 1);
    alice.client.close().await;
    hub.is_empty_again().await;
}
