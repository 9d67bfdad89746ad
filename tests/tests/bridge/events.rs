//! Event streams: the same frames, and nothing lost between two of them.

use std::net::SocketAddr;

use carillon_client::v1;
use carillon_client::v1::hub_service_client::HubServiceClient;
use carillon_client::v1::send_notification_request::Audience;
use carillon_client::v1::session_response::Kind;
use carillon_tests::browser::{Beside, Events, request};
use carillon_tests::hub;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::Endpoint;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_comes_back_with_the_last_id_and_misses_nothing() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let bearer = format!("Bearer {}", hub.token("bob"));
    let alice = hub.enters("alice").await;
    let path = "/v1/events?room=room%3Alobby";
    let mut listener = Events::open(address, path, &[("authorization", &bearer)]).await.expect("a stream");
    loop {
        let response = listener.next().await.expect("the stream goes on");
        if matches!(response.kind, Some(Kind::Joined(joined)) if joined.room == "room:lobby") {
            break;
        }
    }
    alice.says("room:lobby", "one").await;
    assert_eq!(listener.hears().await, "one");
    let last_id = listener.last_id.clone();
    drop(listener);
    alice.says("room:lobby", "two").await;
    let notice = v1::SendNotificationRequest {
        audience: Some(Audience::Users(v1::UserList { users: vec!["bob".to_owned()] })),
        kind: "reminder".to_owned(),
        title: "time to go".to_owned(),
        ..v1::SendNotificationRequest::default()
    };
    hub.admin().send_notification(notice).await.expect("bob is notified");
    let headers = [("authorization", &*bearer), ("last-event-id", &*last_id)];
    let mut listener = Events::open(address, path, &headers).await.expect("a stream");
    let (mut heard, mut notified) = (Vec::new(), 0);
    while heard.is_empty() || notified == 0 {
        match listener.next().await.expect("the stream goes on").kind {
            Some(Kind::Message(message)) => heard.push(carillon_tests::words(&message).to_owned()),
            Some(Kind::Notification(_)) => notified += 1,
            _ => {}
        }
    }
    alice.says("room:lobby", "three").await;
    heard.push(listener.hears().await);
    assert_eq!((heard, notified), (vec!["two".to_owned(), "three".to_owned()], 1));
}

/// As many rooms as there may be, with names as long as they may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_to_many_rooms_with_long_names_comes_back() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let bearer = format!("Bearer {}", hub.token("bob"));
    let rooms: Vec<String> = (0..50).map(|number| format!("room:{number:0>250}")).collect();
    let asked: Vec<_> = rooms.iter().map(|room| format!("room={room}")).collect();
    let path = format!("/v1/events?{}", asked.join("&"));
    let alice = hub.enters("alice").await;
    for room in &rooms {
        alice.says(room, "before").await;
    }
    let mut listener = Events::open(address, &path, &[("authorization", &bearer)]).await.expect("a stream");
    let mut joined = 0;
    while joined < rooms.len() {
        if let Some(Kind::Joined(room)) = listener.next().await.expect("the stream goes on").kind {
            joined += usize::from(rooms.contains(&room.room));
        }
    }
    let last_id = listener.last_id.clone();
    drop(listener);
    for (number, room) in rooms.iter().enumerate() {
        alice.says(room, &format!("meanwhile {number}")).await;
    }
    let in_header = [("authorization", &*bearer), ("last-event-id", &*last_id)];
    let in_address = format!("{path}&lastEventId={last_id}");
    for (path, headers) in [(&path, &in_header[..]), (&in_address, &in_header[..1])] {
        let mut listener = Events::open(address, path, headers).await.expect("a stream");
        let mut heard = Vec::new();
        while heard.len() < rooms.len() {
            heard.push(listener.hears().await);
        }
        heard.sort_unstable();
        let mut expected: Vec<_> = (0..rooms.len()).map(|number| format!("meanwhile {number}")).collect();
        expected.sort_unstable();
        assert_eq!(heard, expected);
    }
    // What would not fit when it comes back is refused from the beginning, in words.
    let escaped: Vec<_> =
        rooms.iter().map(|room| format!("room={}", room.replace("000", "%30%30%30"))).collect();
    let refused =
        request(address, "GET", &format!("/v1/events?{}", escaped.join("&")), &in_header[..1], "").await;
    assert_eq!((refused.status, refused.json()["violations"][0]["field"].as_str()), (400, Some("room")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_opens_one_stream() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("bob"));
    let answer = request(bridge.address(), "POST", "/v1/tickets", &[("authorization", &bearer)], "").await;
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    let path = format!("/v1/events?ticket={ticket}");
    let mut listener = Events::open(bridge.address(), &path, &[]).await.expect("a stream");
    let first = listener.next().await.unwrap();
    assert!(matches!(first.kind, Some(Kind::Connected(connected)) if connected.user == "bob"));
    assert_eq!(Events::open(bridge.address(), &path, &[]).await.err(), Some(401), "once");
    let again = format!("Bearer {ticket}");
    assert_eq!(
        request(bridge.address(), "POST", "/v1/tickets", &[("authorization", &again)], "").await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_get_tickets_over_grpc_as_well() {
    let hub = hub().start().await;
    let mut client =
        HubServiceClient::new(Endpoint::from_shared(hub.url()).unwrap().connect().await.unwrap());
    let several = json!({"sub": "billing", "svc": true, "tenants": ["acme", "umbrella"]});
    let everybodys = json!({"sub": "ops", "svc": true, "tenants": "*"});
    for token in [hub.service_token(), hub.token_that_says(&several), hub.token_that_says(&everybodys)] {
        let mut request = Request::new(v1::CreateTicketRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let made = client.create_ticket(request).await.unwrap().into_inner();
        assert!(made.ticket.starts_with("ticket_"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_listened_to_is_refused_with_its_status() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let bearer = format!("Bearer {}", hub.token("bob"));
    let service = format!("Bearer {}", hub.service_token());
    let bad = "Bearer a.b.c".to_owned();
    let many = format!(
        "/v1/events?{}",
        (0..51).map(|room| format!("room=room:{room}")).collect::<Vec<_>>().join("&")
    );
    let nameless = "/v1/events?room=room:a&room=no+room";
    for (path, token, status) in [
        (nameless, &bearer, 400),
        ("/v1/events", &bad, 401),
        ("/v1/events", &service, 403),
        ("/v1/events?token=a.b.c", &String::new(), 401),
        ("/v1/events?rewind=many", &bearer, 400),
        ("/v1/events?lastEventId=nonsense!", &bearer, 400),
        (&*many, &bearer, 400),
    ] {
        let opened = Events::open(address, path, &[("authorization", token)]).await;
        assert_eq!(opened.err(), Some(status), "{path}");
    }
    let refused = request(address, "GET", nameless, &[("authorization", &bearer)], "").await;
    assert_eq!(refused.json()["violations"][0]["field"], "room");
}

/// Rooms that the hub joins by itself are resumed like those that were asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_joined_automatically_are_resumed_too() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("bob"));
    let alice = hub.enters("alice").await;
    let mut listener =
        Events::open(bridge.address(), "/v1/events", &[("authorization", &bearer)]).await.expect("a stream");
    loop {
        let response = listener.next().await.expect("the stream goes on");
        if matches!(response.kind, Some(Kind::Joined(joined)) if joined.room == "org:acme") {
            break;
        }
    }
    let last_id = listener.last_id.clone();
    drop(listener);
    alice.says("org:acme", "to all").await;
    let headers = [("authorization", &*bearer), ("last-event-id", &*last_id)];
    let mut listener = Events::open(bridge.address(), "/v1/events", &headers).await.expect("a stream");
    assert_eq!(listener.hears().await, "to all");
}

/// Asks for a stream: the status, and the field and rule of a refusal.
async fn asked(address: SocketAddr, query: &str, bearer: &str) -> (u16, String, String) {
    let headers = [("authorization", bearer)];
    let answer = request(address, "GET", &format!("/v1/events?{query}"), &headers, "").await;
    let violation = answer.json()["violations"][0].clone();
    let text = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("field"), text("rule"))
}

/// The hub says so of rooms that are resumed, and the bridge of those that begin before now: in the same words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_a_rule_is_said_before_the_stream_begins() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    let bearer = format!("Bearer {}", hub.token("alice"));
    let long = format!("room:{}", "x".repeat(251));
    for bridge in [&beside, &apart] {
        let address = bridge.address();
        for name in ["", "lobby", ":a", "room:", "room:a%20b", "room:%C3%A9", &*long] {
            let resumed = asked(address, &format!("room={name}"), &bearer).await;
            assert_eq!((resumed.0, &*resumed.1), (400, "room"), "{name}");
            assert_eq!(asked(address, &format!("room={name}&rewind=5"), &bearer).await, resumed, "{name}");
        }
        for (query, field) in [
            ("room=room:a&rewind=1001", "rewind"),
            ("room=room:a&rewind=few", "rewind"),
            ("room=room:a&rewind=-1", "rewind"),
            ("instance=a%20b", "instance"),
        ] {
            let (status, named, rule) = asked(address, query, &bearer).await;
            assert_eq!((status, &*named, rule.is_empty()), (400, field, false), "{query}");
        }
    }
    drain.cancel();
}

/// Waits until the listener is in so many of the rooms that it asked for.
async fn is_in(listener: &mut Events, rooms: usize) {
    let mut joined = 0;
    while joined < rooms {
        let response = listener.next().await.expect("the stream goes on");
        joined +=
            usize::from(matches!(response.kind, Some(Kind::Joined(at)) if at.room.starts_with("room:")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_asked_for_no_more_is_left() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let alice = hub.enters("alice").await;
    let bearer = format!("Bearer {}", hub.token("bob"));
    let headers = [("authorization", &*bearer)];
    let path = "/v1/events?room=room:a&room=room:b";
    let mut listener = Events::open(bridge.address(), path, &headers).await.expect("a stream");
    is_in(&mut listener, 2).await;
    for room in ["room:a", "room:b"] {
        alice.says(room, room).await;
        assert_eq!(listener.hears().await, room);
    }
    let id = listener.last_id.clone();
    drop(listener);
    for room in ["room:a", "room:b"] {
        alice.says(room, &format!("later in {room}")).await;
    }
    let headers = [headers[0], ("last-event-id", &*id)];
    let mut listener =
        Events::open(bridge.address(), "/v1/events?room=room:b", &headers).await.expect("a stream");
    assert_eq!(listener.hears().await, "later in room:b");
    alice.says("room:a", "more").await;
    alice.says("room:b", "the last").await;
    assert_eq!(listener.hears().await, "the last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tab_that_is_loaded_again_takes_over_from_itself() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("bob"));
    let headers = [("authorization", &*bearer)];
    let path = "/v1/events?room=room:a&instance=tab-1";
    let mut first = Events::open(bridge.address(), path, &headers).await.expect("a stream");
    let other = Events::open(bridge.address(), "/v1/events?instance=tab-2", &headers).await;
    let _other = other.expect("another tab is another");
    let mut again = Events::open(bridge.address(), path, &headers).await.expect("a stream");
    is_in(&mut again, 1).await;
    let mut ended = None;
    while let Some(response) = first.next().await {
        if let Some(Kind::Disconnected(end)) = response.kind {
            ended = Some(end.code);
        }
    }
    assert_eq!(ended.as_deref(), Some("SESSION_REPLACED"));
    assert_eq!(first.retry_ms, 86_400_000, "what asks again by itself does not take over in its turn");
    let alice = hub.enters("alice").await;
    alice.says("room:a", "hello").await;
    assert_eq!(again.hears().await, "hello");
}
