//! Several sessions of a user, the rooms that they are in, and which session gives way.

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, JoinReason, LeaveReason, SessionResponse};
use carillon_client::{Code, Event};
use carillon_tests::wire::{Opening, code, greeting, join, request, say};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use carillon_tests::{Person, Wire, hub, seq};

#[tokio::test]
async fn a_newer_session_of_the_same_instance_takes_over() {
    let hub = hub().start().await;
    let tab = |hub: &carillon_tests::TestHub| hub.options("alice").instance("tab-1");
    let mut older = Person::connect("alice", tab(&hub)).await;
    let mut other_tab = Person::connect("alice", hub.options("alice").instance("tab-2")).await;
    let mut nameless = hub.enters("alice").await;
    let newer = Person::connect("alice", tab(&hub)).await;
    let ended = older.waits_for(|event| match event {
        Event::Disconnected(ended) => Some(ended),
        _ => None,
    });
    let ended = ended.await;
    assert_eq!(ended.code, Some(Code::SessionReplaced));
    assert!(!ended.will_reconnect());
    // Nobody else is touched, not even the same instance of another user.
    let bob = Person::connect("bob", hub.options("bob").instance("tab-1")).await;
    for person in [&other_tab, &nameless, &newer, &bob] {
        person.client.ping().await.unwrap();
        person.joins("room:a").await;
    }
    let seq_said = bob.says("room:a", "to all of you").await;
    for listener in [&mut other_tab, &mut nameless] {
        assert_eq!(seq(&listener.hears("room:a").await), seq_said);
    }
    assert_eq!(hub.hub.services().sessions.len(), 4);
}

#[tokio::test]
async fn the_same_instance_many_times_at_once_leaves_one() {
    let hub = hub().start().await;
    let greet = || v1::Hello { token: hub.token("alice"), instance: "tab".to_owned(), ..greeting() };
    let wires = futures::future::join_all((0..20).map(|_| async {
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        wire.send(&[request(1, Command::Hello(greet()))]);
        wire
    }))
    .await;
    let ends = wires.into_iter().map(|mut wire| async move { wire.ends().await.1 });
    let mut ends: FuturesUnordered<_> = ends.collect();
    for _ in 0..19 {
        assert_eq!(ends.next().await.unwrap().reason, "SESSION_REPLACED");
    }
    assert_eq!(hub.hub.services().sessions.len(), 1);
    // The one that is left gives way to the next.
    let (_survivor, last) = tokio::join!(Wire::enters_with(&hub, greet()), ends.next());
    assert_eq!(last.unwrap().reason, "SESSION_REPLACED");
}

#[tokio::test]
async fn automatic_rooms_are_joined_by_themselves() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut rooms = Vec::new();
    while rooms.len() < 2 {
        let frame = alice.next().await.unwrap();
        if let Some(Kind::Joined(joined)) = frame.kind {
            assert_eq!((frame.command_id, joined.reason()), (0, JoinReason::Automatic));
            rooms.push(joined.room);
        }
    }
    rooms.sort();
    assert_eq!(rooms, ["org:acme", "user:alice"]);
    let mut bob = Wire::enters(&hub, "bob").await;
    assert_eq!(code(&bob.asks(Command::Join(join("user:alice"))).await), "ACCESS_DENIED");
    assert!(matches!(bob.asks(say("org:acme", "hello all")).await, Kind::MessageSent(_)));
    let heard = |kind: &Kind| match kind {
        Kind::Message(message) => Some(message.room.clone()),
        _ => None,
    };
    assert_eq!(alice.until(heard).await, "org:acme");
    // Left, it stays left.
    let left = alice.asks(Command::Leave(v1::Leave { room: "org:acme".to_owned() })).await;
    assert!(matches!(left, Kind::Left(left) if left.reason() == LeaveReason::Command));
}

#[tokio::test]
async fn a_session_has_room_for_so_many_rooms() {
    let hub = hub().with(|config| config.session.rooms_per_session = 5).start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    // Those that are automatic take none of the places, be they left and joined again.
    let automatic =
        |kind: &Kind| matches!(kind, Kind::Joined(joined) if joined.room == "org:acme").then_some(());
    alice.until(automatic).await;
    for n in 0..5 {
        alice.joins(join(&format!("room:{n}"))).await;
    }
    alice.asks(Command::Leave(v1::Leave { room: "org:acme".to_owned() })).await;
    let full = alice.asks(Command::Join(join("room:5"))).await;
    assert_eq!(code(&full), "ROOM_LIMIT_EXCEEDED");
    alice.joins(join("org:acme")).await;
    // Joining a joined one again is no more; leaving one makes room.
    alice.joins(join("room:0")).await;
    alice.asks(Command::Leave(v1::Leave { room: "room:0".to_owned() })).await;
    alice.joins(join("room:5")).await;
    // Those that are refused hold no place.
    alice.asks(Command::Leave(v1::Leave { room: "room:5".to_owned() })).await;
    for _ in 0..10 {
        let denied = alice.asks(Command::Join(join("conversation:none"))).await;
        assert_eq!(code(&denied), "ACCESS_DENIED");
    }
    alice.joins(join("room:4")).await;
}

/// As after an operator has lowered the limit: the session opens, with the rooms that there is place for.
#[tokio::test]
async fn a_resume_of_more_rooms_than_a_session_has_place_for_says_which_are_left_out() {
    let hub = hub().with(|config| config.session.rooms_per_session = 5).start().await;
    let named = ["room:0", "room:1", "room:2", "room:3", "org:acme", "room:4", "room:5"];
    let rooms = named.iter().map(|room| v1::RoomPosition { room: (*room).to_owned(), ..Default::default() });
    let resume = Some(v1::Resume { rooms: rooms.collect(), inbox: None });
    let mut wire = Wire::enters_with(&hub, v1::Hello { token: hub.token("bob"), resume, ..greeting() }).await;
    let (mut joined, mut left) = (Vec::new(), Vec::new());
    while joined.len() < 7 || left.is_empty() {
        match wire.next().await.unwrap().kind.unwrap() {
            Kind::Joined(room) => joined.push(room.room),
            Kind::Left(room) => left.push((room.room.clone(), room.reason())),
            _ => {}
        }
    }
    joined.sort();
    // The automatic ones are joined in any case; user:bob was not named.
    assert_eq!(joined, ["org:acme", "room:0", "room:1", "room:2", "room:3", "room:4", "user:bob"]);
    assert_eq!(left, [("room:5".to_owned(), LeaveReason::Unavailable)]);
    // A place that becomes free may be taken.
    assert_eq!(code(&wire.asks(Command::Join(join("room:5"))).await), "ROOM_LIMIT_EXCEEDED");
    wire.asks(Command::Leave(v1::Leave { room: "room:0".to_owned() })).await;
    wire.joins(join("room:5")).await;
}

/// A command that joins a room which is still to be resumed goes after that, and takes nothing away where it fails.
#[tokio::test]
async fn a_room_is_resumed_whatever_joins_it_besides() {
    let hub = hub().start().await;
    let names: Vec<String> = (0..50).map(|n| format!("room:{n}")).collect();
    let rooms = names.iter().map(|room| v1::RoomPosition { room: room.clone(), ..Default::default() });
    let resume = Some(v1::Resume { rooms: rooms.collect(), inbox: None });
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let hello = v1::Hello { token: hub.token("bob"), resume, ..greeting() };
    // The last one that waits for its turn, at once.
    let (last, hello) = ("room:49", Command::Hello(hello));
    wire.send(&[request(1, hello), request(2, Command::Join(join(last)))]);
    let (mut resumed, mut answered) = (0, false);
    while resumed < 50 || !answered {
        match wire.next().await.unwrap() {
            SessionResponse { command_id: 2, kind: Some(Kind::Joined(joined)) } => {
                assert_eq!((&*joined.room, joined.reason()), (last, JoinReason::Command));
                answered = true;
            }
            SessionResponse { kind: Some(Kind::Joined(joined)), .. } => {
                assert!(joined.room != last || !answered, "it is resumed first");
                resumed += usize::from(joined.reason() == JoinReason::Resumed);
            }
            _ => {}
        }
    }
}
