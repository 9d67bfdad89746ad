//! `carillon bridge`: what is said of it holds, as it does of a bridge in the hub's own process.

use std::net::SocketAddr;
use std::path::Path;

use carillon_tests::browser::{Events, request};
use carillon_tests::command::{Running, carillon};
use carillon_tests::hub;
use carillon_tests::hub::TestHub;

/// A bridge's process in front of the hub, and where it listens.
fn bridge(hub: &TestHub, arguments: &[&str]) -> (Running, SocketAddr) {
    let common = ["bridge", "--json", "--listen", "127.0.0.1:0", "--origin", "https://app.example"];
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

    let (running, address) = bridge(&hub, &["--workers", "1"]);
    assert_eq!(page(address).await, 404, "in production there is no page unless one is asked for");
    assert_eq!(Events::open(address, &by_query, &[]).await.err(), Some(401));
    assert_eq!(running.signalled("TERM").code, Some(0));

    let (running, address) = bridge(
        &hub,
        &[
            "--workers",
            "1",
            "--page",
            "--query-tokens",
            "--attempts-per-address",
            "2",
            "--frame-bytes",
            "20000",
        ],
    );
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

    let (running, address) = bridge(&hub, &["--workers", "1", "--dev", "--page=false"]);
    assert_eq!(page(address).await, 404);
    assert_eq!(running.signalled("TERM").code, Some(0));
}

/// A development hub, where it listens, and where its metrics are.
fn serves(data: &Path, grpc: &str) -> (Running, String, SocketAddr) {
    let ports = ["--grpc", grpc, "--http", "127.0.0.1:0", "--bridge", "127.0.0.1:0"];
    let mut hub = carillon(["serve", "--dev", "--json"].iter().chain(&ports)).arg("--data").arg(data).start();
    let ready: serde_json::Value = serde_json::from_str(&hub.line()).unwrap();
    let text = |name: &str| ready[name].as_str().unwrap().to_owned();
    (hub, text("grpc"), text("http").parse().unwrap())
}

/// A bridge of two workers in front of it.
fn in_front_of(grpc: &str, arguments: &[&str]) -> Running {
    let url = format!("http://{grpc}");
    let common = ["bridge", "--dev", "--json", "--workers", "2", "--listen", "127.0.0.1:0", "--hub", &url];
    let mut bridge = carillon(common.iter().chain(arguments)).start();
    bridge.line();
    bridge
}

/// How often a process has said this in its life.
fn times(running: Running, said: &str) -> usize {
    running.signalled("TERM").err.matches(said).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_the_hubs_is_said_once_on_both_sides() {
    let data = tempfile::tempdir().unwrap();
    let (hub, grpc, http) = serves(data.path(), "127.0.0.1:0");
    let bridge = in_front_of(&grpc, &["--key", "0123456789abcdef0123456789abcdef"]);
    let (at_bridge, at_hub) = ("does not know the bridge's key", "shows a key that is not grpc.bridge_key");
    bridge.warns(at_bridge);
    hub.warns(at_hub);
    let metrics = request(http, "GET", "/metrics", &[], "").await.body;
    let counted = metrics.lines().find_map(|line| line.strip_prefix("carillon_bridge_keys_refused_total "));
    assert!(counted.is_some_and(|count| count != "0"), "{counted:?}");
    assert_eq!((times(bridge, at_bridge), times(hub, at_hub)), (1, 1));
}

#[test]
fn a_key_that_no_hub_takes_is_refused_at_once() {
    let line = ["bridge", "--dev", "--hub", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--key"];
    for key in ["too-short", "0123456789abcdef 0123456789abcdef"] {
        let why = "the bridge's key: at least 32 bytes, visible ASCII characters alone";
        carillon(line).arg(key).run().fails(why);
    }
}

#[test]
fn a_hub_that_goes_and_comes_is_said_once_each() {
    let data = tempfile::tempdir().unwrap();
    let (hub, grpc, _) = serves(data.path(), "127.0.0.1:0");
    let bridge = in_front_of(&grpc, &[]);
    let (gone, back) = ("a hub cannot be reached", "a hub is reached again");
    // Both workers have seen it.
    hub.signalled("TERM");
    bridge.warns(gone);
    let (hub, ..) = serves(data.path(), &grpc);
    bridge.warns(back);
    let said = bridge.signalled("TERM").err;
    assert_eq!((said.matches(gone).count(), said.matches(back).count()), (1, 1), "{said}");
    hub.signalled("TERM");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_apart_tells_of_each_browser_that_it_turned_away() {
    let hub = hub().start().await;
    let (running, address) = bridge(&hub, &["--workers", "2"]);
    for _ in 0..20 {
        let forged = [("origin", "https://evil.example")];
        assert_eq!(request(address, "POST", "/v1/tickets", &forged, "").await.status, 403);
    }
    let log = running.signalled("TERM").err;
    let told = log.split("\"origin\":").skip(1).map(|rest| {
        rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(told.sum::<u64>(), 20, "{log}");
}
