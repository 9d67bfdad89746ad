//! Sessions over WebSocket are those of gRPC.

use std::net::SocketAddr;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, Hello, Resume, RoomPosition};
use carillon_tests::browser::{Beside, Speaks, WebSocket, message};
use carillon_tests::{TestHub, hub, words};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

const ROOM: &str = "room:lobby";

/// The same stories before a bridge in the hub's process and before one that is apart.
macro_rules! both_deployments {
    ($($story:ident),+ $(,)?) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let bridge = carillon_tests::browser::Beside::bind(|options| options);
                let hub = carillon_tests::hub().start_with(&bridge).await;
                super::$story(&hub, bridge.address()).await;
            })+
        }
        mod apart {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let hub = carillon_tests::hub().start().await;
                let drain = tokio_util::sync::CancellationToken::new();
                let bridge = carillon_tests::browser::Beside::apart(&[hub.url()], &drain);
                super::$story(&hub, bridge.address()).await;
            })+
        }
    };
}

both_deployments!(
    what_was_sent_before_the_end_is_carried_out,
    answers_keep_coming_however_many_are_asked_for,
    binary_json_and_grpc_are_in_one_room,
    a_broken_socket_resumes_without_loss,
    tokens_come_in_every_permitted_way,
    a_wrong_command_does_not_end_the_stream,
    pings_of_the_protocol_are_answered_between_frames,
    ends_have_the_codes_of_the_table,
);

async fn binary_json_and_grpc_are_in_one_room(hub: &TestHub, address: SocketAddr) {
    let mut binary = WebSocket::enters(address, Speaks::Proto, hub.token("alice")).await;
    let mut json = WebSocket::enters(address, Speaks::Json, hub.token("bob")).await;
    let mut grpc = hub.enters("carol").await;
    binary.joins(ROOM).await;
    json.joins(ROOM).await;
    grpc.joins(ROOM).await;
    assert_eq!(binary.says(ROOM, "from a binary socket").await, 1);
    assert_eq!(json.says(ROOM, "from a JSON socket: «ü»").await, 2);
    assert_eq!(grpc.says(ROOM, "from gRPC").await, 3);
    for expected in ["from a binary socket", "from a JSON socket: «ü»", "from gRPC"] {
        assert_eq!(binary.hears().await, expected);
        assert_eq!(json.hears().await, expected);
        assert_eq!(words(&grpc.hears(ROOM).await), expected);
    }
}

async fn a_broken_socket_resumes_without_loss(hub: &TestHub, address: SocketAddr) {
    for speaks in [Speaks::Proto, Speaks::Json] {
        let room = format!("room:{speaks:?}");
        let alice = hub.enters("alice").await;
        let mut bob = WebSocket::enters(address, speaks, hub.token("bob")).await;
        bob.joins(&room).await;
        alice.says(&room, "one").await;
        let last = bob.until(|response| match response.kind {
            Some(Kind::Message(message)) => message.header,
            _ => None,
        });
        let last = last.await;
        drop(bob);
        alice.says(&room, "two").await;
        alice.says(&room, "three").await;
        let mut bob = WebSocket::open(address, speaks).await;
        let position = Some(v1::Position { epoch: last.epoch, seq: last.seq, tag: last.tag });
        let rooms = vec![RoomPosition { room: room.clone(), position, presence: false }];
        let resume = Some(Resume { rooms, inbox: None });
        bob.greets(Hello { token: hub.token("bob"), protocol: 1, resume, ..Hello::default() }).await;
        alice.says(&room, "four").await;
        for expected in ["two", "three", "four"] {
            assert_eq!(bob.hears().await, expected);
        }
    }
}

async fn tokens_come_in_every_permitted_way(hub: &TestHub, address: SocketAddr) {
    let token = hub.token("alice");
    let bearer = format!("Bearer {token}");
    let offered = format!("carillon.v1.json, bearer.{token}");
    for headers in [("authorization", &*bearer), ("sec-websocket-protocol", &*offered)] {
        let mut socket = WebSocket::try_open(address, Speaks::Json, &[headers]).await.expect("a handshake");
        let connected = socket.greets(Hello { protocol: 1, ..Hello::default() }).await;
        assert_eq!(connected.user, "alice", "{}", headers.0);
    }
}

async fn a_wrong_command_does_not_end_the_stream(hub: &TestHub, address: SocketAddr) {
    let mut socket = WebSocket::enters(address, Speaks::Json, hub.token("alice")).await;
    for (id, text, field) in [
        (70, r#"{"commandId": 70, "messageSend": {"room": "room:a", "colour": "red"}}"#, "colour"),
        (71, r#"{"commandId": "71", "join": {"room": 7}}"#, "command"),
        (72, r#"{"commandId": 72, "join": {"room": "no room"}}"#, "room"),
        (73, r#"{"commandId": 73}"#, "command"),
    ] {
        socket.send(Message::text(text)).await;
        let Kind::Error(error) = socket.answer(id).await else { panic!("{text} was accepted") };
        assert_eq!((&*error.code, &*error.violations[0].field), ("INVALID_ARGUMENT", field), "{text}");
    }
    assert!(matches!(socket.does(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
}

async fn pings_of_the_protocol_are_answered_between_frames(hub: &TestHub, address: SocketAddr) {
    let mut socket = WebSocket::enters(address, Speaks::Proto, hub.token("alice")).await;
    socket.joins(ROOM).await;
    for round in 0..200 {
        socket.send(Message::Ping(vec![round as u8; 100].into())).await;
        socket.ask(message(ROOM, &format!("message {round}"))).await;
    }
    // Whatever was mixed up between pongs and frames would break the stream.
    for round in 0..200 {
        assert_eq!(socket.hears().await, format!("message {round}"));
    }
}

async fn ends_have_the_codes_of_the_table(hub: &TestHub, address: SocketAddr) {
    for speaks in [Speaks::Proto, Speaks::Json] {
        let mut nobody = WebSocket::open(address, speaks).await;
        nobody.ask(Command::Hello(Hello { protocol: 1, ..Hello::default() })).await;
        assert_eq!(nobody.ends().await.0, Some((4500, "AUTH_REQUIRED".to_owned())));

        let mut liar = WebSocket::open(address, speaks).await;
        liar.ask(Command::Hello(Hello { token: "a.b.c".to_owned(), protocol: 1, ..Hello::default() })).await;
        assert_eq!(liar.ends().await.0, Some((4501, "INVALID_TOKEN".to_owned())));

        let hello = || Hello {
            token: hub.token("alice"),
            protocol: 1,
            instance: "tab-1".to_owned(),
            ..Hello::default()
        };
        let mut first = WebSocket::open(address, speaks).await;
        first.greets(hello()).await;
        let mut second = WebSocket::open(address, speaks).await;
        second.greets(hello()).await;
        let (closed, codes) = first.ends().await;
        assert_eq!(
            (closed, codes),
            (Some((4504, "SESSION_REPLACED".to_owned())), vec!["SESSION_REPLACED".to_owned()])
        );

        second.ask(Command::Hello(hello())).await;
        assert_eq!(second.ends().await.0, Some((4511, "PROTOCOL_ERROR".to_owned())));

        let mut leaver = WebSocket::enters(address, speaks, hub.token("bob")).await;
        leaver.ask(Command::Goodbye(v1::Goodbye {})).await;
        assert_eq!(leaver.ends().await.0, Some((1000, String::new())));
    }
}

async fn what_was_sent_before_the_end_is_carried_out(hub: &TestHub, address: SocketAddr) {
    let mut leaver = WebSocket::enters(address, Speaks::Json, hub.token("alice")).await;
    for number in 0..20 {
        leaver.ask(message("room:last-words", &format!("word {number}"))).await;
    }
    leaver.send(Message::Close(None)).await;
    leaver.ends().await;
    let mut reader = WebSocket::enters(address, Speaks::Json, hub.token("bob")).await;
    let rewind = v1::Join { room: "room:last-words".to_owned(), rewind: 20, ..v1::Join::default() };
    reader.ask(Command::Join(rewind)).await;
    for number in 0..20 {
        assert_eq!(reader.hears().await, format!("word {number}"));
    }
}

/// More answers than the bridge holds at once, without anything else that would wake it.
async fn answers_keep_coming_however_many_are_asked_for(hub: &TestHub, address: SocketAddr) {
    let mut socket = WebSocket::enters(address, Speaks::Json, hub.token("alice")).await;
    for id in 1_000..2_000 {
        socket.send(Message::text(format!(r#"{{"commandId": {id}, "colour": 1}}"#))).await;
    }
    for id in 1_000..2_000 {
        assert!(matches!(socket.answer(id).await, Kind::Error(_)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_stops_says_so_and_closes_with_1001() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let mut sockets = Vec::new();
    for speaks in [Speaks::Proto, Speaks::Json] {
        sockets.push(WebSocket::enters(bridge.address(), speaks, hub.token("alice")).await);
    }
    let stopping = tokio::spawn(hub.stops());
    for mut socket in sockets {
        let told = socket.until(|response| match response.kind {
            Some(Kind::GoingAway(away)) => Some(away),
            _ => None,
        });
        told.await;
        assert_eq!(socket.ends().await.0, Some((1001, "GOING_AWAY".to_owned())));
    }
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_apart_that_stops_says_so_and_closes_with_1001() {
    let hub = hub().start().await;
    let drain = CancellationToken::new();
    let bridge = Beside::apart(&[hub.url()], &drain);
    let mut socket = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
    drain.cancel();
    let told = socket.until(|response| match response.kind {
        Some(Kind::GoingAway(away)) => Some(away),
        _ => None,
    });
    told.await;
    assert_eq!(socket.ends().await.0, Some((1001, "GOING_AWAY".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubs_that_cannot_be_reached_are_passed_over() {
    let hub = hub().start().await;
    let hubs = ["http://127.0.0.1:1".to_owned(), hub.url()];
    let bridge = Beside::apart(&hubs, &CancellationToken::new());
    for _ in 0..4 {
        let mut socket = WebSocket::enters(bridge.address(), Speaks::Proto, hub.token("alice")).await;
        socket.joins(ROOM).await;
    }
    let nowhere = Beside::apart(&hubs[..1], &CancellationToken::new());
    let mut socket = WebSocket::open(nowhere.address(), Speaks::Json).await;
    let (ended, codes) = socket.ends().await;
    assert_eq!((ended, codes), (Some((1013, "UNAVAILABLE".to_owned())), vec!["UNAVAILABLE".to_owned()]));
}
