//! Commands by POST: one command, one answer, no session.

use std::time::Duration;

use carillon_bridge::{AddressLimits, Options};
use carillon_hub::config::NamespaceSection;
use carillon_hub::domain::namespace::Who;
use carillon_tests::browser::{Beside, request};
use carillon_tests::{PATIENCE, hub};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_carried_out_without_a_session() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("alice"));
    let body = json!({
        "idempotencyKey": "a2V5LTAwMDAwMQ==",
        "messageSend": {"room": "room:lobby", "content": {"text": "posted"}},
    });
    let headers = [("authorization", &*bearer), ("x-request-id", "trace-1")];
    let first = request(bridge.address(), "POST", "/v1/commands", &headers, &body.to_string()).await;
    assert_eq!((first.status, first.json()["messageSent"]["number"].as_str()), (200, Some("1")));
    assert!(first.head.contains("x-request-id: trace-1"), "{}", first.head);
    let again = request(bridge.address(), "POST", "/v1/commands", &headers, &body.to_string()).await;
    assert_eq!(again.json()["messageSent"]["duplicate"], true);
    let history = json!({"history": {"room": "room:lobby", "limit": 10}});
    let page = request(bridge.address(), "POST", "/v1/commands", &headers, &history.to_string()).await;
    assert_eq!(page.json()["historyPage"]["entries"][0]["message"]["content"]["text"], "posted");
    assert!(hub.hub.services().sessions.is_empty());
    assert!(hub.hub.services().presence.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_with_its_status() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    let bearer = format!("Bearer {}", hub.token("alice"));
    let large =
        json!({"messageSend": {"room": "room:a", "content": {"text": "x".repeat(110_000)}}}).to_string();
    for (token, body, status, code, field) in [
        ("", "{\"rooms\": {}}", 401, "AUTH_REQUIRED", ""),
        ("Bearer a.b.c", "{\"rooms\": {}}", 401, "INVALID_TOKEN", ""),
        ("Bearer a.b.c", "{", 401, "INVALID_TOKEN", ""),
        ("Bearer a.b.c", &*large, 401, "INVALID_TOKEN", ""),
        (&*bearer, "{", 400, "INVALID_ARGUMENT", "body"),
        (&*bearer, "{}", 400, "INVALID_ARGUMENT", "command"),
        (&*bearer, "{\"join\": {\"room\": \"room:a\"}}", 400, "INVALID_ARGUMENT", "join"),
        (&*bearer, "{\"history\": {\"room\": \"no room\"}}", 400, "INVALID_ARGUMENT", "room"),
        (&*bearer, "{\"history\": {\"room\": \"conversation:of-others\"}}", 403, "ACCESS_DENIED", ""),
        (&*bearer, &*large, 413, "MESSAGE_TOO_LARGE", ""),
    ] {
        for bridge in [&beside, &apart] {
            let headers = [("authorization", token)];
            let answer = request(bridge.address(), "POST", "/v1/commands", &headers, body).await;
            let said = answer.json();
            assert_eq!(
                (answer.status, said["code"].as_str()),
                (status, Some(code)),
                "{}",
                &body[..body.len().min(80)]
            );
            assert_eq!(said["violations"][0]["field"].as_str().unwrap_or_default(), field, "{said}");
            assert!(answer.head.contains("x-request-id: "), "{}", answer.head);
        }
    }
    drain.cancel();
}

/// What is far too large is passed over, so that the answer is heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_far_too_large_is_answered() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    let bearer = format!("Bearer {}", hub.token("alice"));
    let text = "x".repeat(5_000_000);
    let large = json!({"messageSend": {"room": "room:a", "content": {"text": text}}}).to_string();
    for bridge in [&beside, &apart] {
        for (bearer, status, code) in
            [(&*bearer, 413, "MESSAGE_TOO_LARGE"), ("Bearer a.b.c", 401, "INVALID_TOKEN")]
        {
            let headers = [("authorization", bearer)];
            let answer = request(bridge.address(), "POST", "/v1/commands", &headers, &large).await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)));
        }
    }
    drain.cancel();
}

/// What one user begins to post and does not end holds so much, and keeps nobody else out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_begins_so_many_and_no_more() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| config.session.frame_bytes = 1 << 20).start_with(&bridge).await;
    let posts = async |user: &str| {
        let bearer = format!("Bearer {}", hub.token(user));
        let headers = [("authorization", &*bearer)];
        request(bridge.address(), "POST", "/v1/commands", &headers, "{\"rooms\": {}}").await.status
    };
    let mut begun = Vec::new();
    for _ in 0..4 {
        let mut socket = TcpStream::connect(bridge.address()).await.unwrap();
        let head = format!(
            "POST /v1/commands HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: 99\r\n\r\n{{",
            hub.token("alice")
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        begun.push(socket);
    }
    let is_answered = async |status| while posts("alice").await != status {};
    tokio::time::timeout(PATIENCE, is_answered(429)).await.expect("all four are read");
    assert_eq!(posts("bob").await, 200);
    drop(begun);
    tokio::time::timeout(PATIENCE, is_answered(200)).await.expect("those that have gone hold nothing");
}

/// Errors of the hub, where it is elsewhere too, and answers are found again by what the caller knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_known_by_its_own_id_or_by_that_of_its_trace() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    let bearer = format!("Bearer {}", hub.token("alice"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let parent = ("traceparent", &*parent);
    let body = json!({"history": {"room": "conversation:of-others"}}).to_string();
    for bridge in [&beside, &apart] {
        for (headers, id) in [(&[parent][..], trace), (&[parent, ("x-request-id", "order-7")], "order-7")] {
            for (token, code) in [(&*bearer, "ACCESS_DENIED"), ("Bearer a.b.c", "INVALID_TOKEN")] {
                let headers = [headers, &[("authorization", token)]].concat();
                let answer = request(bridge.address(), "POST", "/v1/commands", &headers, &body).await;
                let said = answer.json();
                assert_eq!((said["code"].as_str(), said["requestId"].as_str()), (Some(code), Some(id)));
                assert!(answer.head.contains(&format!("x-request-id: {id}")), "{}", answer.head);
            }
        }
    }
    drain.cancel();
}

/// Begins to post a command of 100 bytes.
async fn post_head(stream: &mut TcpStream, headers: &str) {
    let head = format!("POST /v1/commands HTTP/1.1\r\nhost: hub\r\ncontent-length: 100\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// The next answer's head and body.
async fn next_answer(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut body)).await.unwrap().unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_no_good_token_is_told_so_before_the_command_has_come() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    for (headers, code) in [("", "AUTH_REQUIRED"), ("authorization: Bearer a.b.c\r\n", "INVALID_TOKEN")] {
        for bridge in [&beside, &apart] {
            let mut stream = TcpStream::connect(bridge.address()).await.unwrap();
            // What comes after the answer is passed over, so that nothing cuts the answer off.
            for _ in 0..2 {
                post_head(&mut stream, headers).await;
                let (head, body) = next_answer(&mut stream).await;
                assert!(head.starts_with("HTTP/1.1 401 ") && body.contains(code), "{head}{body}");
                stream.write_all(&[b'x'; 100]).await.unwrap();
            }
        }
        // Nor is it asked for, where the hub is here.
        let mut stream = TcpStream::connect(beside.address()).await.unwrap();
        post_head(&mut stream, &format!("{headers}expect: 100-continue\r\n")).await;
        let (head, _) = next_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    }
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_known_has_not_tried_though_it_cannot_be_done_now() {
    let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 2 };
    let counting = |options| Options { addresses: Some(limits), ..options };
    let beside = Beside::bind(counting);
    // A port where nobody listens any more.
    let office = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hub = hub().with(|config| {
        config.namespaces.push(NamespaceSection {
            name: "case".to_owned(),
            join: Who::Authorizer,
            ..NamespaceSection::default()
        });
        config.authorizer.url = Some(format!("http://{office}"));
    });
    let hub = hub.start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart_with(&[hub.url()], &drain, counting);
    let bearer = format!("Bearer {}", hub.token("alice"));
    let body = json!({"history": {"room": "case:1", "limit": 10}}).to_string();
    for bridge in [&beside, &apart] {
        for _ in 0..6 {
            let headers = [("authorization", &*bearer)];
            let answer = request(bridge.address(), "POST", "/v1/commands", &headers, &body).await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("UNAVAILABLE")));
        }
    }
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_on_its_way_is_answered_before_the_hub_stops() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let token = hub.token("alice");
    let body = json!({"messageSend": {"room": "room:lobby", "content": {"text": "late"}}}).to_string();
    let (sooner, later) = body.split_at(20);
    let mut posted = TcpStream::connect(bridge.address()).await.unwrap();
    let head = format!(
        "POST /v1/commands HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    posted.write_all(head.as_bytes()).await.unwrap();
    // It is being read when the bridge asks for the rest.
    let mut go_on = [0; 25];
    tokio::time::timeout(PATIENCE, posted.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    posted.write_all(sooner.as_bytes()).await.unwrap();
    let mut stopping = tokio::spawn(hub.stops());
    let waited = tokio::time::timeout(Duration::from_millis(1_500), &mut stopping).await;
    assert!(waited.is_err(), "it stopped before the command came");
    assert!(TcpStream::connect(bridge.address()).await.is_err(), "nothing new is taken");
    posted.write_all(later.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, posted.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("messageSent"), "{answer}");
    assert!(answer.contains("content-length: "), "{answer}");
    stopping.await.unwrap();
}

/// Beside a hub and apart from it: a ticket is used up by what can be carried out, and by nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_uses_no_ticket_up() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    for bridge in [&beside, &apart] {
        let posts = async |bearer: &str, path: &str, body: &str| {
            let headers = [("authorization", &*format!("Bearer {bearer}"))];
            request(bridge.address(), "POST", path, &headers, body).await
        };
        let made = posts(&hub.token("alice"), "/v1/tickets", "").await.json();
        let ticket = made["ticket"].as_str().unwrap();
        for wrong in
            ["{", "{}", "{\"join\": {\"room\": \"room:a\"}}", "{\"history\": {\"room\": \"no room\"}}"]
        {
            assert_eq!(posts(ticket, "/v1/commands", wrong).await.status, 400, "{wrong}");
        }
        assert_eq!(posts(ticket, "/v1/commands", "{\"rooms\": {}}").await.status, 200);
        for body in ["{", "{\"rooms\": {}}"] {
            assert_eq!(posts(ticket, "/v1/commands", body).await.status, 401, "it was used");
        }
    }
    drain.cancel();
}
