//! Streams that are refused. An `EventSource` takes a status other than 200 for the last word, and asks again by itself for a
//! stream that ends: what cannot succeed has its status, what may is told in a stream.

use std::net::SocketAddr;

use carillon_bridge::AddressLimits;
use carillon_client::v1;
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::token_revocation::Id;
use carillon_hub::domain::time::Timestamp;
use carillon_tests::browser::{Beside, Events, request};
use carillon_tests::hub;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What an `EventSource` says of itself.
const EVENT_SOURCE: (&str, &str) = ("accept", "text/event-stream");

/// Asks for a stream that is refused: the status, and the code.
async fn refused(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = request(address, "GET", path, headers, "").await;
    let error = if answer.status == 200 {
        assert!(answer.head.contains("content-type: text/event-stream"), "{}", answer.head);
        let mut lines = answer.body.lines();
        let retry = lines.next().and_then(|line| line.strip_prefix("retry: ")).map(str::parse::<u32>);
        assert!(retry.is_some_and(|wait| wait.is_ok_and(|wait| wait >= 2_000)), "{}", answer.body);
        let data = lines.find_map(|line| line.strip_prefix("data: ")).expect("an event");
        serde_json::from_str::<Value>(data).expect("a frame")["error"].clone()
    } else {
        answer.json()
    };
    (answer.status, error["code"].as_str().expect("a code").to_owned())
}

/// The same request as an `EventSource` makes it, and as others do.
async fn both(address: SocketAddr, path: &str, token: &str) -> [(u16, String); 2] {
    let bearer = format!("Bearer {token}");
    let authorization = ("authorization", &*bearer);
    [
        refused(address, path, &[authorization, EVENT_SOURCE]).await,
        refused(address, path, &[authorization]).await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_too_long_is_a_bad_one() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    for (name, bridge) in [("beside", &beside), ("apart", &apart)] {
        for bytes in [8_193, 30_000] {
            let bearer = format!("Bearer {}", "x".repeat(bytes));
            let headers = [("authorization", &*bearer)];
            let told = (401, "INVALID_TOKEN".to_owned());
            assert_eq!(refused(bridge.address(), "/v1/events", &headers).await, told, "{name} {bytes}");
            let posted = request(bridge.address(), "POST", "/v1/tickets", &headers, "").await;
            assert_eq!(
                (posted.status, &posted.json()["code"]),
                (401, &json!("INVALID_TOKEN")),
                "{name} {bytes}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_refused_again_has_its_status_so_that_nobody_asks_again() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    let good = hub.token("bob");
    let expired = hub.token_that_says(&json!({"exp": 1_700_000_000}));
    let (revoked, invalidated) = (hub.token_that_says(&json!({"jti": "lost"})), hub.token("dave"));
    let now = Timestamp::now().millis();
    let one = v1::TokenRevocation { id: Some(Id::Jti("lost".to_owned())), expires_ms: now + 3_600_000 };
    // Its second has not passed yet.
    let soon = now + 2_000;
    for (what, before_ms) in [(What::Token(one), 0), (What::User("dave".to_owned()), soon)] {
        let revoke = v1::RevokeTokensRequest { what: Some(what), before_ms, ..Default::default() };
        hub.admin().revoke_tokens(revoke).await.expect("it is revoked");
    }
    for (path, token, status, code) in [
        ("/v1/events", "", 401, "AUTH_REQUIRED"),
        ("/v1/events", "a.b.c", 401, "INVALID_TOKEN"),
        ("/v1/events", &*expired, 401, "TOKEN_EXPIRED"),
        ("/v1/events", &*revoked, 401, "TOKEN_REVOKED"),
        ("/v1/events", &*invalidated, 401, "SESSION_INVALIDATED"),
        ("/v1/events", &*hub.service_token(), 403, "PERMISSION_DENIED"),
        ("/v1/events?rewind=many", &*good, 400, "INVALID_ARGUMENT"),
        ("/v1/events?room=no+room", &*good, 400, "INVALID_ARGUMENT"),
        ("/v1/overview", "a.b.c", 401, "INVALID_TOKEN"),
        ("/v1/overview", &*good, 403, "PERMISSION_DENIED"),
    ] {
        for bridge in [&beside, &apart] {
            let expected = (status, code.to_owned());
            assert_eq!(both(bridge.address(), path, token).await, [expected.clone(), expected], "{path}");
        }
    }
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_by_itself_is_a_stream_that_ends_for_an_event_source() {
    // A user who has as many sessions as they may.
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| config.limits.sessions_per_user = 1).start_with(&bridge).await;
    let bob = hub.token("bob");
    let bearer = format!("Bearer {bob}");
    let headers = [("authorization", &*bearer)];
    let open = Events::open(bridge.address(), "/v1/events", &headers).await.expect("a stream");
    let code = "CONNECTION_LIMIT_EXCEEDED".to_owned();
    assert_eq!(both(bridge.address(), "/v1/events", &bob).await, [(200, code.clone()), (429, code)]);
    drop(open);

    // A hub that is away.
    let nowhere = ["http://127.0.0.1:1".to_owned()];
    let apart = Beside::apart(&nowhere, &CancellationToken::new());
    let code = "UNAVAILABLE".to_owned();
    for path in ["/v1/events", "/v1/overview"] {
        assert_eq!(
            both(apart.address(), path, &bob).await,
            [(200, code.clone()), (503, code.clone())],
            "{path}"
        );
    }

    // An address that has tried too often.
    let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 2 };
    let counting = Beside::bind(|mut options| {
        options.addresses = Some(limits);
        options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        options
    });
    let _hub = carillon_tests::hub().start_with(&counting).await;
    let from = ("x-forwarded-for", "192.0.2.1");
    for _ in 0..2 {
        let bad = [("authorization", "Bearer a.b.c"), from, EVENT_SOURCE];
        assert_eq!(refused(counting.address(), "/v1/events", &bad).await.0, 401);
    }
    let bearer = "Bearer a.b.c";
    let code = "TOO_MANY_CONNECTIONS".to_owned();
    for path in ["/v1/events", "/v1/overview"] {
        for (accept, status) in [(EVENT_SOURCE, 200), (("accept", "*/*"), 429)] {
            let headers = [("authorization", bearer), from, accept];
            assert_eq!(refused(counting.address(), path, &headers).await, (status, code.clone()), "{path}");
        }
    }
}

/// What is not for this page is no error of the protocol, and stays so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_is_not_asked_back() {
    let bridge = Beside::bind(|options| options);
    let _hub = hub().start_with(&bridge).await;
    for path in ["/v1/events", "/v1/overview"] {
        let headers = [("origin", "https://evil.example"), EVENT_SOURCE];
        assert_eq!(request(bridge.address(), "GET", path, &headers, "").await.status, 403, "{path}");
    }
}
