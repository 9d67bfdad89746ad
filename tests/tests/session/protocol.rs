//! What a stream may say, and how each way of breaking the rules ends.

use std::collections::HashMap;

use bytes::Bytes;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionRequest};
use carillon_tests::wire::{Opening, code, framed, greeting, join, request, say};
use carillon_tests::{TestHub, Wire, hub};
use prost::Message;

fn ping(id: u32) -> SessionRequest {
    request(id, Command::Ping(v1::Ping {}))
}

async fn stream(hub: &TestHub) -> Wire {
    Wire::open(hub.hub.grpc_address(), Opening::default()).await
}

/// Fields that no version has: 900 as a message, which is where a later version's command would be.
const UNKNOWN_FIELD: [u8; 5] = [0xa2, 0x38, 2, 8, 1];

#[tokio::test]
async fn broken_frames_end_the_stream_and_say_so() {
    let hub = hub().start().await;
    let mut invalid_utf8 = request(9, say("room:a", "hello")).encode_to_vec();
    let place = invalid_utf8.windows(5).position(|window| window == b"hello").unwrap();
    invalid_utf8[place] = 0xc3;
    let too_large = say("room:a", "x".repeat(100 * 1024));
    let hello = Command::Hello(v1::Hello { token: hub.token("alice"), ..greeting() });
    let twice = [request(9, say("room:a", "one")), request(9, say("room:a", "two"))];
    let twice = twice.map(|request| framed(&request.encode_to_vec())).concat();
    for (what, bytes, reason) in [
        ("id 0", framed(&ping(0).encode_to_vec()), "PROTOCOL_ERROR"),
        ("an id in flight", twice.into(), "PROTOCOL_ERROR"),
        ("a second hello", framed(&request(9, hello).encode_to_vec()), "PROTOCOL_ERROR"),
        ("no message", framed(&[0xff, 0xff]), "PROTOCOL_ERROR"),
        ("an empty frame", framed(&[]), "PROTOCOL_ERROR"),
        ("invalid UTF-8", framed(&invalid_utf8), "PROTOCOL_ERROR"),
        ("a compressed frame", Bytes::from_static(&[1, 0, 0, 0, 0]), "PROTOCOL_ERROR"),
        ("a large frame", framed(&request(9, too_large).encode_to_vec()), "MESSAGE_TOO_LARGE"),
        ("a huge length", Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), "MESSAGE_TOO_LARGE"),
    ] {
        let mut alice = Wire::enters(&hub, "alice").await;
        alice.write(bytes);
        let frames = alice.ends_with(reason).await;
        assert!(frames.iter().all(|kind| !matches!(kind, Kind::MessageSent(_))), "{what}");
    }
    // The first of two commands with one id may have been stored; none of the others was.
    let mut alice = Wire::enters(&hub, "alice").await;
    assert!(alice.joins(join("room:a")).await.position.unwrap().seq <= 1);
}

#[tokio::test]
async fn an_id_in_flight_is_broken_even_where_the_second_command_is_wrong() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.send(&[request(9, say("room:a", "one")), request(9, say("no room", "two"))]);
    let frames = alice.ends_with("PROTOCOL_ERROR").await;
    assert!(frames.iter().all(|kind| code(kind).is_empty()), "{frames:?}");
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_of_a_frame_broke_the_protocol() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.write(Bytes::from_static(&[0, 0, 0, 0, 9, 1]));
    alice.closes();
    alice.ends_with("PROTOCOL_ERROR").await;
}

#[tokio::test]
async fn the_first_frame_must_be_hello() {
    let hub = hub().without_grace().start().await;
    let unset = SessionRequest { command_id: 3, ..SessionRequest::default() };
    for (first, reason) in [
        (ping(3), "PROTOCOL_ERROR"),
        (request(3, Command::Pong(v1::Pong::default())), "PROTOCOL_ERROR"),
        (request(3, say("room:a", "hi")), "PROTOCOL_ERROR"),
        (request(3, say("no room", "hi")), "INVALID_ARGUMENT"),
        (unset, "INVALID_ARGUMENT"),
        (request(3, Command::Hello(v1::Hello { protocol: 2, ..greeting() })), "INVALID_ARGUMENT"),
        (request(3, Command::Hello(greeting())), "AUTH_REQUIRED"),
    ] {
        let mut wire = stream(&hub).await;
        wire.send(&[first]);
        let (frames, end) = wire.ends().await;
        assert_eq!((code(&frames[0]), &*end.reason), (reason, reason), "{frames:?}");
    }
    for (first, reason) in [(ping(0), "PROTOCOL_ERROR"), (unset_id(), "PROTOCOL_ERROR")] {
        let mut wire = stream(&hub).await;
        wire.send(&[first]);
        assert!(wire.ends_with(reason).await.is_empty());
    }
    hub.is_empty_again().await;
}

fn unset_id() -> SessionRequest {
    request(0, Command::Hello(greeting()))
}

#[tokio::test]
async fn connected_is_the_first_frame_however_early_commands_come() {
    let hub = hub().start().await;
    let mut alice = stream(&hub).await;
    let hello = Command::Hello(v1::Hello { token: hub.token("alice"), ..greeting() });
    alice.send(&[
        request(1, hello),
        ping(2),
        request(3, say("room:a", "early")),
        request(4, Command::Join(join("room:b"))),
        request(5, Command::Leave(v1::Leave { room: "room:c".to_owned() })),
    ]);
    let first = alice.next().await.unwrap();
    assert!(matches!(first.kind, Some(Kind::Connected(_))), "{first:?}");
    let mut answered = [false; 4];
    while !answered.iter().all(|done| *done) {
        let id = alice.next().await.unwrap().command_id as usize;
        if id > 0 {
            assert!(!std::mem::replace(&mut answered[id - 2], true));
        }
    }
}

#[tokio::test]
async fn a_wrong_command_is_answered_and_nothing_else_happens() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let unset = SessionRequest { command_id: 7, ..SessionRequest::default() }.encode_to_vec();
    let unknown = [&unset[..], &UNKNOWN_FIELD].concat();
    let control = request(7, say("room:a", "bell \u{7}")).encode_to_vec();
    let short_key = SessionRequest { idempotency_key: Bytes::from_static(b"short"), ..ping(7) };
    let future = v1::Position { epoch: 1, seq: u64::MAX, tag: 1 };
    let future = request(7, Command::Join(carillon_tests::wire::join_since("room:a", future)));
    let cursor = v1::RoomsGet { cursor: "somebody else's".to_owned(), ..v1::RoomsGet::default() };
    for (what, frame, expected) in [
        ("unset", unset, "INVALID_ARGUMENT"),
        ("a command of a later version", unknown, "INVALID_ARGUMENT"),
        ("a bad room name", request(7, say("no room", "hi")).encode_to_vec(), "INVALID_ARGUMENT"),
        ("a control character", control, "INVALID_ARGUMENT"),
        ("no content", request(7, say("room:a", "")).encode_to_vec(), "INVALID_ARGUMENT"),
        ("a key of five bytes", short_key.encode_to_vec(), "INVALID_ARGUMENT"),
        ("a seq out of bounds", future.encode_to_vec(), "INVALID_ARGUMENT"),
        ("a cursor of nobody", request(7, Command::Rooms(cursor)).encode_to_vec(), "INVALID_ARGUMENT"),
        ("another namespace", request(7, say("nowhere:a", "hi")).encode_to_vec(), "ACCESS_DENIED"),
        ("not a member", request(7, say("conversation:a", "hi")).encode_to_vec(), "ACCESS_DENIED"),
    ] {
        alice.write(framed(&frame));
        let Kind::Error(error) = alice.answer(7).await else { panic!("{what}") };
        assert_eq!(error.code, expected, "{what}: {error:?}");
        assert!(!error.request_id.is_empty() && error.time_ms > 0 && !error.message.is_empty());
        assert_eq!(error.violations.is_empty(), expected != "INVALID_ARGUMENT", "{what}");
    }
    // A ping ignores what a later version adds to it.
    alice.write(framed(&[&ping(8).encode_to_vec()[..], &UNKNOWN_FIELD].concat()));
    assert!(matches!(alice.answer(8).await, Kind::Pong(pong) if pong.time_ms > 0));
    assert_eq!(alice.joins(join("room:a")).await.position.unwrap().seq, 0);
}

#[tokio::test]
async fn every_command_of_a_flood_is_answered_once() {
    const SENDS: u32 = 1_000;
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let commands = |id| match id % 4 {
        0 => request(id, Command::Ping(v1::Ping {})),
        1 => request(id, say("no room", "wrong")),
        _ => request(id, say("room:a", format!("{id}"))),
    };
    let requests: Vec<_> = (10..10 + SENDS).map(commands).collect();
    alice.send(&requests);
    let mut answers: HashMap<u32, Kind> = HashMap::new();
    while answers.len() < SENDS as usize {
        let frame = alice.next().await.expect("the stream goes on");
        if frame.command_id > 0 {
            let again = answers.insert(frame.command_id, frame.kind.unwrap());
            assert!(again.is_none(), "{} was answered twice", frame.command_id);
        }
    }
    let mut last = 0;
    for id in 10..10 + SENDS {
        match (id % 4, &answers[&id]) {
            (0, Kind::Pong(_)) => {}
            (1, error) if code(error) == "INVALID_ARGUMENT" => {}
            (2 | 3, Kind::MessageSent(sent)) => {
                // A session's messages are stored in the order in which it sent them.
                let seq = sent.position.unwrap().seq;
                assert_eq!(seq, last + 1);
                last = seq;
            }
            (_, other) => panic!("{id}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_request_id_is_in_errors_and_in_the_end() {
    let hub = hub().start().await;
    let opening = Opening { request_id: Some("trace-7".to_owned()), ..Opening::default() };
    let mut alice = Wire::open(hub.hub.grpc_address(), opening).await;
    alice.greets(v1::Hello { token: hub.token("alice"), ..greeting() }).await;
    let Kind::Error(error) = alice.asks(say("no room", "hi")).await else { panic!("refused") };
    assert_eq!(error.request_id, "trace-7");
    alice.send(&[ping(0)]);
    let (_, end) = alice.ends().await;
    assert_eq!((&*end.request_id, &*end.reason), ("trace-7", "PROTOCOL_ERROR"));
    assert_eq!(end.grpc, tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_client_may_end_with_goodbye_or_by_closing_its_half() {
    let hub = hub().start().await;
    for goodbye in [true, false] {
        let mut alice = Wire::enters(&hub, "alice").await;
        // What is in flight is still answered.
        let id = alice.ask(say("room:a", "last words"));
        if goodbye {
            alice.ask(Command::Goodbye(v1::Goodbye {}));
        } else {
            alice.closes();
        }
        assert!(matches!(alice.answer(id).await, Kind::MessageSent(_)));
        let (frames, end) = alice.ends().await;
        assert_eq!(end.grpc, tonic::Code::Ok);
        assert!(frames.iter().all(|kind| !matches!(kind, Kind::Disconnected(_))), "{frames:?}");
    }
}
