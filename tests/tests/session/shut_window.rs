//! Whoever does not let a stream end loses the connection; whoever merely reads late gets every answer.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, Ping};
use carillon_tests::wire::{Opening, greeting, request};
use carillon_tests::{Wire, hub};

#[tokio::test]
async fn without_hello_a_shut_window_holds_a_stream_no_longer_than_an_open_one() {
    let hub = hub().with(|config| config.session.hello_timeout = Duration::from_millis(200)).start().await;
    let shut = Opening { window: Some(0), ..Opening::default() };
    let mut wire = Wire::open(hub.hub.grpc_address(), shut).await;
    assert_eq!(wire.next().await, None, "the connection is closed");
}

#[tokio::test]
async fn who_asks_much_and_reads_late_is_answered_in_full() {
    const ASKED: u32 = 60_000;
    let hub = hub().start().await;
    let narrow = Opening { window: Some(16 * 1024), ..Opening::default() };
    let mut wire = Wire::open(hub.hub.grpc_address(), narrow).await;
    wire.greets(v1::Hello { token: hub.token("alice"), ..greeting() }).await;
    let pings: Vec<_> = (0..ASKED).map(|n| request(1_000 + n, Command::Ping(Ping {}))).collect();
    wire.send(&pings);
    for _ in 0..ASKED {
        wire.until(|kind| matches!(kind, Kind::Pong(_)).then_some(())).await;
    }
}

/// Streams that bear a user's token, and whose first message has begun and does not end.
#[tokio::test]
async fn what_one_user_begins_and_does_not_end_is_bounded_over_all_streams() {
    const MESSAGE: u32 = 1024 * 1024;
    let hub = hub().with(|config| config.session.frame_bytes = MESSAGE as usize).start().await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        let bears = Opening { token: Some(hub.token("alice")), ..Opening::default() };
        let mut wire = Wire::open(hub.hub.grpc_address(), bears).await;
        wire.write([&[0][..], &MESSAGE.to_be_bytes(), b"the beginning"].concat().into());
        begun.push(wire);
    }
    let ends = begun.iter_mut().map(|wire| Box::pin(wire.ends()));
    let ((_, end), ..) = futures::future::select_all(ends).await;
    assert_eq!((&*end.reason, end.grpc), ("RATE_LIMITED", tonic::Code::ResourceExhausted));
    let _bob = Wire::enters(&hub, "bob").await;
}
