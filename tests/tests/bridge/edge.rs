//! Who gets to the door: origins, addresses, and what is served besides.

use carillon_bridge::{AddressLimits, Page};
use carillon_tests::browser::{Beside, Speaks, WebSocket, request};
use carillon_tests::hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_origins_get_403_before_anything_else() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let bearer = format!("Bearer {}", hub.token("alice"));
    for origin in
        ["https://evil.example", "null", "https://app.example.org.evil.example", "http://app.example.org"]
    {
        let refused = WebSocket::try_open(address, Speaks::Json, &[("origin", origin)]).await;
        assert_eq!(refused.err(), Some(403), "{origin}");
        for (method, path) in [
            ("GET", "/v1/events"),
            ("POST", "/v1/commands"),
            ("POST", "/v1/tickets"),
            ("OPTIONS", "/v1/commands"),
        ] {
            let answer =
                request(address, method, path, &[("origin", origin), ("authorization", &bearer)], "{}").await;
            assert_eq!(answer.status, 403, "{method} {path} of {origin}");
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
    for origin in ["https://app.example.org", "http://localhost:5173"] {
        WebSocket::try_open(address, Speaks::Json, &[("origin", origin)]).await.expect("it is allowed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_may_ask_are_told_so() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let origin = ("origin", "https://app.example.org");
    let asked = request(bridge.address(), "OPTIONS", "/v1/commands", &[origin], "").await;
    assert_eq!(asked.status, 204);
    for line in [
        "access-control-allow-origin: https://app.example.org",
        "access-control-allow-methods: GET, POST",
        "access-control-allow-headers: authorization, content-type, last-event-id, traceparent, tracestate, x-request-id",
        "vary: origin",
    ] {
        assert!(asked.head.contains(line), "{line} is not in\n{}", asked.head);
    }
    let bearer = format!("Bearer {}", hub.token("alice"));
    let answer =
        request(bridge.address(), "POST", "/v1/tickets", &[origin, ("authorization", &bearer)], "").await;
    assert!(answer.head.contains("access-control-allow-origin: https://app.example.org"), "{}", answer.head);
}

/// Balancers ask in several ways, and none says more than another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_the_same_in_whatever_way_it_is_asked() {
    let bridge = Beside::bind(|options| options);
    let _hub = hub().start_with(&bridge).await;
    let nowhere = Beside::apart(&["http://127.0.0.1:1".to_owned()], &CancellationToken::new());
    for (at, ready) in [(&bridge, 200), (&nowhere, 503)] {
        for (method, path, status) in [
            ("GET", "/health/ready", ready),
            ("HEAD", "/health/ready", ready),
            ("HEAD", "/health/live", 200),
            ("OPTIONS", "/health/ready", 405),
            ("POST", "/health/live", 405),
            ("OPTIONS", "/", 404),
            ("HEAD", "/nothing", 404),
        ] {
            let answer = request(at.address(), method, path, &[], "").await;
            assert_eq!(answer.status, status, "{method} {path}");
            assert!(method != "HEAD" || answer.body.is_empty(), "{}", answer.body);
        }
    }
}

/// A page whose owner points its name to this machine counts as none of ours, and gets no tokens (DNS rebinding).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_were_pointed_here_are_no_own_pages() {
    let bridge = Beside::bind(|mut options| {
        let tokens = [("alice".to_owned(), "a.b.c".to_owned())].into();
        options.page = Some(Page { tokens: Some(("dev".to_owned(), tokens)) });
        options
    });
    let _hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let own = format!("http://{address}");
    assert_eq!(request(address, "GET", "/dev/tokens", &[("origin", &own)], "").await.status, 200);
    for host in ["evil.example:7422", "127.0.0.1.evil.example"] {
        let origin = format!("http://{host}");
        for (path, headers, status) in [
            ("/dev/tokens", &[("host", host)][..], 403),
            ("/v1/events", &[("host", host), ("origin", &*origin)][..], 403),
        ] {
            assert_eq!(request(address, "GET", path, headers, "").await.status, status, "{path} at {host}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_may_try_so_often() {
    let limits = AddressLimits { unauthenticated: 3, attempts_per_minute: 5 };
    let bridge = Beside::bind(|mut options| {
        options.addresses = Some(limits);
        options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        options
    });
    let hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let from = |client: &'static str| [("x-forwarded-for", client)];
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(WebSocket::try_open(address, Speaks::Json, &from("192.0.2.1")).await.expect("it may try"));
    }
    let bad = [("authorization", "Bearer a.b.c"), ("x-forwarded-for", "192.0.2.1")];
    assert_eq!(request(address, "POST", "/v1/tickets", &bad, "").await.status, 429);
    let mut other = WebSocket::try_open(address, Speaks::Json, &from("192.0.2.2")).await.expect("others may");
    // Whoever has shown who they are is not counted any more.
    let hello = carillon_client::v1::Hello {
        token: hub.token("alice"),
        protocol: 1,
        ..carillon_client::v1::Hello::default()
    };
    held.pop().unwrap().greets(hello.clone()).await;
    other.greets(hello).await;
    held.clear();
    let bad = ("authorization", "Bearer a.b.c");
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let headers = [bad, ("x-forwarded-for", "192.0.2.3")];
        statuses.push(request(address, "POST", "/v1/tickets", &headers, "").await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
}

/// Whoever asks for what anyone may have, and never says who they are, holds no more places than the silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_health_is_no_way_round() {
    let bridge = Beside::bind(|mut options| {
        options.addresses = Some(AddressLimits { unauthenticated: 3, attempts_per_minute: 5 });
        options
    });
    let _hub = hub().start_with(&bridge).await;
    let mut held = Vec::new();
    for turn in 0..5 {
        let mut stream = TcpStream::connect(bridge.address()).await.unwrap();
        // Whoever is turned away is told so, whatever they ask.
        let _ = stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        let wanted: &[u8] = if turn < 3 { b"HTTP/1.1 200" } else { b"HTTP/1.1 429" };
        assert_eq!(head, wanted, "connection {turn}");
        held.push(stream);
    }
}

/// Asks on a connection that goes on, and reads the whole answer: its status.
async fn asks(stream: &mut TcpStream, head: &str) -> u16 {
    let request = format!("{head}\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(answer).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// What is no call of anybody known leaves a connection among those that nobody known uses, whatever its path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_a_good_token_makes_a_connection_known() {
    let bridge = Beside::bind(|mut options| {
        options.addresses = Some(AddressLimits { unauthenticated: 6, attempts_per_minute: 100 });
        options
    });
    let hub = hub().start_with(&bridge).await;
    let tries = [
        ("GET /v1/nothing HTTP/1.1", 404),
        ("PUT /v1/tickets HTTP/1.1", 405),
        ("OPTIONS /v1/commands HTTP/1.1\r\norigin: https://app.example.org", 204),
        ("GET /v1/events HTTP/1.1\r\norigin: https://evil.example", 403),
        ("POST /v1/commands HTTP/1.1", 401),
        ("POST /v1/tickets HTTP/1.1\r\nauthorization: Bearer a.b.c", 401),
    ];
    let mut held = Vec::new();
    for (head, status) in tries {
        let mut stream = TcpStream::connect(bridge.address()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(asks(&mut stream, head).await, status, "{head}");
        }
        held.push(stream);
    }
    let answered = async || request(bridge.address(), "GET", "/health/live", &[], "").await.status;
    assert_eq!(answered().await, 429, "each has its place yet");
    let good = format!("POST /v1/tickets HTTP/1.1\r\nauthorization: Bearer {}", hub.token("alice"));
    assert_eq!(asks(&mut held[5], &good).await, 200);
    assert_eq!(answered().await, 200, "one is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_turns_away_with_503() {
    let bridge = Beside::bind(|mut options| {
        options.connections = 2;
        options
    });
    let hub = hub().start_with(&bridge).await;
    let first = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
    let _second = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("bob")).await;
    let mut third = TcpStream::connect(bridge.address()).await.unwrap();
    let mut answer = String::new();
    third.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(first);
    let freed = async {
        loop {
            let mut socket = TcpStream::connect(bridge.address()).await.unwrap();
            let mut byte = [0];
            // Whoever is turned away is told at once; whoever is not, waits for us.
            let wait = std::time::Duration::from_millis(50);
            if tokio::time::timeout(wait, socket.read(&mut byte)).await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), freed).await.expect("a place is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_served_where_it_is_wanted() {
    let without = Beside::bind(|options| options);
    let _hub = hub().start_with(&without).await;
    for path in ["/", "/dev/tokens", "/nothing"] {
        assert_eq!(request(without.address(), "GET", path, &[], "").await.status, 404, "{path}");
    }
    assert_eq!(request(without.address(), "PUT", "/v1/commands", &[], "").await.status, 405);
    assert_eq!(request(without.address(), "GET", "/v1/session", &[], "").await.status, 426);

    let production = Beside::bind(|mut options| {
        options.page = Some(Page::default());
        options
    });
    let _hub = hub().start_with(&production).await;
    let page = request(production.address(), "GET", "/", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert_eq!(request(production.address(), "GET", "/dev/tokens", &[], "").await.status, 404);
}
