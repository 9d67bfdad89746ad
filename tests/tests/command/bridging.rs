//! `carillon bridge`: what is said of it holds, as it does of a bridge in the hub's own process.

use std::net::SocketAddr;

use carillon_tests::browser::{Events, request};
use carillon_tests::command::{Running, carillon};
use carillon_tests::hub;
use carillon_tests::hub::TestHub;

/// A bridge's process in front of the hub, and where it listens.
fn bridge(hub: &TestHub, arguments: &[&str]) -> (Running, SocketAddr) {
    let common =
        ["bridge", "--json", "--workers", "1", "--listen", "127.0.0.1:0", "--origin", "https://app.example"];
    let mut started = carillon(common).arg("--hub").arg(hub.url());
    for argument in arguments {
        started = started.arg(argument);
    }
    let mut running = started.start_typing();
    let ready: serde_json::Value = serde_json::from_str(&running.line()).unwrap();
    let address = ready["bridge"].as_str().unwrap().parse().unwrap();
    (running, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_apart_has_the_settings_of_one_beside() {
    let hub = hub().start().await;
    let by_query = format!("/v1/events?token={}", hub.token("bob"));
    let bad = [("authorization", "Bearer a.b.c")];
    let page = async |address| request(address, "GET", "/", &[], "").await.status;

    let (running, address) = bridge(&hub, &[]);
    assert_eq!(page(address).await, 404, "in production there is no page unless one is asked for");
    assert_eq!(Events::open(address, &by_query, &[]).await.err(), Some(401));
    assert_eq!(running.signalled("TERM").code, Some(0));

    let (running, address) =
        bridge(&hub, &["--page", "--query-tokens", "--attempts-per-address", "2", "--frame-bytes", "20000"]);
    assert_eq!(page(address).await, 200);
    assert_eq!(request(address, "GET", "/dev/tokens", &[], "").await.status, 404, "tokens are nobody's");
    let listener = Events::open(address, &by_query, &[]).await;
    drop(listener.expect("a stream"));
    let bearer = format!("Bearer {}", hub.token("bob"));
    let large = "x".repeat(20_001);
    let posted = request(address, "POST", "/v1/commands", &[("authorization", &bearer)], &large).await;
    assert_eq!(posted.status, 413);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(request(address, "POST", "/v1/tickets", &bad, "").await.status);
    }
    assert_eq!(statuses, [401, 401, 429], "the third is turned away");
    assert_eq!(running.signalled("TERM").code, Some(0));

    let (running, address) = bridge(&hub, &["--dev", "--page=false"]);
    assert_eq!(page(address).await, 404);
    assert_eq!(running.signalled("TERM").code, Some(0));
}

#[test]
fn what_is_out_of_bounds_is_refused_in_the_same_words() {
    for (arguments, why) in [
        (&["--connections", "0"][..], "bridge.connections: 1 to 1000000"),
        (&["--handshake-timeout", "2m"], "bridge.handshake_timeout: 1s to 1m"),
        (&["--frame-bytes", "99"], "session.frame_bytes: 16384 to 1048576"),
        (&["--heartbeat-interval", "1ms"], "session.heartbeat_interval: 100ms to 1h"),
    ] {
        let line = ["bridge", "--dev", "--hub", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"];
        carillon(line.iter().chain(arguments)).run().fails(why);
    }
    let nobody = ["bridge", "--hub", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"];
    carillon(nobody).run().fails("bridge.origins: at least one origin");
}
