//! What breaks the protocol of WebSockets ends with the right code, and disturbs nobody.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_client::v1::Hello;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_tests::browser::{Beside, Closed, Events, Speaks, WebSocket, hears_all_until_another_is_ended};
use carillon_tests::{TestHub, hub};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

#[expect(clippy::unnecessary_wraps, reason = "as sockets tell it")]
fn closed(code: u16, reason: &str) -> Closed {
    Some((code, reason.to_owned()))
}

/// A masked frame, as a client sends it, of these first two bytes and this payload.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    if payload.len() < 126 {
        bytes.push(0x80 | payload.len() as u8);
    } else {
        bytes.push(0x80 | 0x7e);
        bytes.extend((payload.len() as u16).to_be_bytes());
    }
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_the_wrong_kind_end_with_1003() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let mut binary = WebSocket::enters(bridge.address(), Speaks::Proto, hub.token("alice")).await;
    binary.send(Message::text("{}")).await;
    assert_eq!(binary.ends().await, (closed(1003, "PROTOCOL_ERROR"), vec!["PROTOCOL_ERROR".to_owned()]));
    let mut json = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
    json.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(json.ends().await, (closed(1003, "PROTOCOL_ERROR"), vec!["PROTOCOL_ERROR".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_frame_of_ours_ends_with_4511() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    for text in ["", "{", "hello", "[]", r#"{"commandId": 0, "ping": {}}"#, r#"{"ping": {}, "colour": 1}"#] {
        let mut socket = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
        socket.send(Message::text(text)).await;
        assert_eq!(socket.ends().await.0, closed(4511, "PROTOCOL_ERROR"), "{text}");
    }
    for bytes in [vec![], vec![0xff, 0xff, 0xff], vec![0x08]] {
        let mut socket = WebSocket::enters(bridge.address(), Speaks::Proto, hub.token("alice")).await;
        socket.send(Message::binary(bytes)).await;
        assert_eq!(socket.ends().await.0, closed(4511, "PROTOCOL_ERROR"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_frames_end_with_the_standards_codes_while_others_are_served() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let mut other = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("bob")).await;
    other.joins("room:lobby").await;
    let cases: [(&str, Vec<u8>, u16); 7] = [
        ("not masked", vec![0x81, 2, b'{', b'}'], 1002),
        ("a reserved op-code", frame(0x83, b""), 1002),
        ("a reserved bit", frame(0xc1, b"{}"), 1002),
        ("an oversized ping", frame(0x89, &[7; 126]), 1002),
        ("a ping in pieces", frame(0x09, b"x"), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("text that is no UTF-8", frame(0x81, &[0xc3, 0x28]), 1007),
    ];
    for (what, bytes, code) in cases {
        let mut socket = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
        socket.raw().write_all(&bytes).await.unwrap();
        let (ended, codes) = socket.ends().await;
        assert_eq!(
            (ended, &*codes),
            (closed(code, "PROTOCOL_ERROR"), &["PROTOCOL_ERROR".to_owned()][..]),
            "{what}"
        );
        other.says("room:lobby", what).await;
        assert_eq!(other.hears().await, what);
    }
}

/// What a socket is told when its first frame is this, and how it ends.
async fn first(address: SocketAddr, speaks: Speaks, text: Message) -> (Kind, Closed) {
    let mut socket = WebSocket::open(address, speaks).await;
    socket.send(text).await;
    let told = socket.answer(3).await;
    let (closed, codes) = socket.ends().await;
    assert!(codes.is_empty(), "the answer says it already: {codes:?}");
    (told, closed)
}

/// The same as on a stream of gRPC, but for the form of the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_frame_that_opens_no_session_is_answered_and_ends_the_socket() {
    let beside = Beside::bind(|options| options);
    let hub = hub().start_with(&beside).await;
    let apart = Beside::apart(&[hub.url()], &CancellationToken::new());
    let cases = [
        (r#"{"commandId": 3, "colour": 1}"#, 4507, "INVALID_ARGUMENT"),
        (r#"{"commandId": 3, "hello": {"protocol": 1, "colour": 1}}"#, 4507, "INVALID_ARGUMENT"),
        (r#"{"commandId": 3, "hello": {"protocol": 9}}"#, 4507, "INVALID_ARGUMENT"),
        (r#"{"commandId": 3}"#, 4507, "INVALID_ARGUMENT"),
        (r#"{"commandId": 3, "ping": {}}"#, 4511, "PROTOCOL_ERROR"),
        (r#"{"commandId": 3, "hello": {"protocol": 1}}"#, 4500, "AUTH_REQUIRED"),
        (r#"{"commandId": 3, "hello": {"protocol": 1, "token": "a.b.c"}}"#, 4501, "INVALID_TOKEN"),
    ];
    for address in [beside.address(), apart.address()] {
        for (text, close, code) in cases {
            let (told, ended) = first(address, Speaks::Json, Message::text(text)).await;
            let Kind::Error(error) = told else { panic!("{told:?}") };
            assert_eq!((&*error.code, ended), (code, closed(close, code)), "{text}");
        }
        let hello = Hello { protocol: 1, ..Hello::default() };
        let hello = carillon_tests::wire::request(3, Command::Hello(hello)).encode_to_vec();
        let (told, ended) = first(address, Speaks::Proto, Message::binary(hello)).await;
        assert!(matches!(told, Kind::Error(error) if error.code == "AUTH_REQUIRED"));
        assert_eq!(ended, closed(4500, "AUTH_REQUIRED"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_pings_end_with_1008() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    for (what, first) in [("pings", 0x89), ("pongs", 0x8a)] {
        let mut socket = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
        for _ in 0..1_000 {
            // It may have ended in between.
            let _ = socket.raw().write_all(&frame(first, b"")).await;
        }
        let disconnected = socket.until(|response| match response.kind {
            Some(Kind::Disconnected(disconnected)) => Some(disconnected),
            _ => None,
        });
        let disconnected = disconnected.await;
        // As the table of close codes says.
        assert_eq!((&*disconnected.code, disconnected.reconnect), ("RATE_LIMITED", true), "{what}");
        assert_eq!(socket.ends().await.0, closed(1008, "RATE_LIMITED"), "{what}");
    }
}

/// tungstenite says nothing of them: whoever sends nothing else would never be heard of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_empty_fragments_end_with_1008() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let mut socket = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
    let pieces = [&frame(0x01, b"")[..], &frame(0x00, br#"{"commandId": 9, "#), &frame(0x00, b"")].concat();
    socket.raw().write_all(&pieces).await.unwrap();
    socket.raw().write_all(&frame(0x80, br#""ping": {}}"#)).await.unwrap();
    assert!(matches!(socket.answer(9).await, Kind::Pong(_)), "some are no fault");
    socket.raw().write_all(&frame(0x01, b"")).await.unwrap();
    for _ in 0..1_000 {
        // It may have ended in between.
        let _ = socket.raw().write_all(&frame(0x00, b"")).await;
    }
    assert_eq!(socket.ends().await, (closed(1008, "RATE_LIMITED"), vec!["RATE_LIMITED".to_owned()]));
    // Before hello too.
    let mut stranger = WebSocket::open(bridge.address(), Speaks::Json).await;
    stranger.raw().write_all(&frame(0x01, b"")).await.unwrap();
    for _ in 0..1_000 {
        let _ = stranger.raw().write_all(&frame(0x00, b"")).await;
    }
    assert_eq!(stranger.ends().await.0, closed(1008, "RATE_LIMITED"));
}

/// Whoever goes on all the same is not read for as long as a socket has to take its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_on_after_the_end_is_cut_off() {
    const MEGABYTES: usize = 256;
    let bridge = Beside::bind(|options| options);
    let _hub = hub().start_with(&bridge).await;
    let mut stranger = WebSocket::open(bridge.address(), Speaks::Json).await;
    let megabyte = frame(0x00, b"").repeat((1 << 20) / 6);
    stranger.raw().write_all(&frame(0x01, b"")).await.unwrap();
    let mut written = 0;
    while written < MEGABYTES && stranger.raw().write_all(&megabyte).await.is_ok() {
        written += 1;
    }
    // What the system takes for the bridge is among them.
    assert!(written < MEGABYTES / 4, "{written} MB were taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_ends_with_1009() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    for speaks in [Speaks::Proto, Speaks::Json] {
        let mut socket = WebSocket::enters(bridge.address(), speaks, hub.token("alice")).await;
        let much = "x".repeat(100 * 1024 + 1);
        socket.send(if speaks == Speaks::Json { Message::text(much) } else { Message::binary(much) }).await;
        let (ended, codes) = socket.ends().await;
        assert_eq!(
            (ended, &*codes),
            (closed(1009, "MESSAGE_TOO_LARGE"), &["MESSAGE_TOO_LARGE".to_owned()][..])
        );
    }
    // In pieces without an end it is as much.
    let mut socket = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
    socket.raw().write_all(&frame(0x01, &[b'x'; 1_000])).await.unwrap();
    for _ in 0..110 {
        let _ = socket.raw().write_all(&frame(0x00, &[b'x'; 1_000])).await;
    }
    assert_eq!(socket.ends().await.0, closed(1009, "MESSAGE_TOO_LARGE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_let_go() {
    let bridge = Beside::bind(|mut options| {
        options.handshake_timeout = Duration::from_millis(300);
        options
    });
    let hub =
        hub().with(|config| config.session.hello_timeout = Duration::from_secs(1)).start_with(&bridge).await;
    let mut other = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("bob")).await;
    let mut silent = Vec::new();
    for head in ["", "GET /v1/session HTTP/1.1\r\nhost: a\r\n", "GET /v1/session HT"] {
        let mut socket = TcpStream::connect(bridge.address()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        silent.push(socket);
    }
    for mut socket in silent {
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut rest))
            .await
            .expect("an end")
            .ok();
    }
    // With a good token too: whoever bears it may come again.
    let bearer = format!("Bearer {}", hub.token("alice"));
    for headers in [&[][..], &[("authorization", &*bearer)]] {
        let without_hello = WebSocket::try_open(bridge.address(), Speaks::Json, headers).await;
        let ended = without_hello.expect("a socket").ends().await.0;
        assert_eq!(ended, closed(4004, "DEADLINE_EXCEEDED"));
    }
    other.joins("room:lobby").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_never_ends_is_cut_off() {
    let bridge = Beside::bind(|options| options);
    let _hub = hub().start_with(&bridge).await;
    let mut socket = TcpStream::connect(bridge.address()).await.unwrap();
    socket.write_all(b"GET /v1/session HTTP/1.1\r\nhost: a\r\nx: ").await.unwrap();
    let filler = [b'x'; 4_096];
    while socket.write_all(&filler).await.is_ok() {}
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

/// A socket that stops reading is ended, and whoever reads gets everything meanwhile.
async fn is_ended_and_stalls_nobody(hub: &TestHub, address: SocketAddr) {
    let mut stopped = WebSocket::enters(address, Speaks::Proto, hub.token("mallory")).await;
    stopped.joins("room:busy").await;
    let mut reader = WebSocket::enters(address, Speaks::Proto, hub.token("bob")).await;
    reader.joins("room:busy").await;
    hears_all_until_another_is_ended(hub, reader).await;
    let (ended, codes) = stopped.ends().await;
    assert!(ended.is_none_or(|(code, _)| code == 4005), "not another end: {codes:?}");
    let mut again = WebSocket::open(address, Speaks::Proto).await;
    again.greets(Hello { token: hub.token("mallory"), protocol: 1, ..Hello::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_stops_reading_is_ended_and_stalls_nobody() {
    let bridge = Beside::bind(|options| options);
    let slow_after = Duration::from_secs(1);
    let hub = hub().with(|config| config.session.slow_consumer_after = slow_after).start_with(&bridge).await;
    is_ended_and_stalls_nobody(&hub, bridge.address()).await;
}

/// All sockets share one HTTP/2 connection to the hub.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_shared_connection_a_stopped_socket_stalls_nobody() {
    let hub = hub().start().await;
    let bridge = Beside::apart_with(&[hub.url()], &CancellationToken::new(), |mut options| {
        options.stalled_after = Duration::from_secs(1);
        options
    });
    is_ended_and_stalls_nobody(&hub, bridge.address()).await;
}

/// An event stream that stops reading is dropped too, and so is its session, in time for others behind the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_that_stops_reading_is_dropped() {
    let hub = hub().start().await;
    let bridge = Beside::apart_with(&[hub.url()], &CancellationToken::new(), |mut options| {
        options.stalled_after = Duration::from_secs(1);
        options
    });
    let bearer = format!("Bearer {}", hub.token("mallory"));
    let path = "/v1/events?room=room:busy";
    let _stopped =
        Events::open(bridge.address(), path, &[("authorization", &bearer)]).await.expect("a stream");
    let sender = hub.enters("alice").await;
    let text = "x".repeat(9_000);
    let mut sent = 0;
    while hub.hub.services().sessions.len() == 2 {
        sender.says("room:busy", &text).await;
        sent += 1;
        assert!(sent < 20_000, "it is never dropped");
    }
}
