//! Rooms that a listener asks for: each is joined, or it is told that it is not.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_client::v1::LeaveReason;
use carillon_client::v1::session_response::Kind;
use carillon_hub::config::RateSetting;
use carillon_hub::domain::rate::Rate;
use carillon_tests::browser::{Beside, Events};
use carillon_tests::hub;
use tokio_util::sync::CancellationToken;

/// A room that is there, and whose members others are.
const OF_OTHERS: &str = "conversation:of-others";

/// What became of each of the rooms, and the codes of errors that were told meanwhile.
async fn until_all_are_told(
    listener: &mut Events,
    rooms: &[String],
) -> (BTreeMap<String, &'static str>, Vec<String>) {
    let (mut told, mut codes) = (BTreeMap::new(), Vec::new());
    while told.len() < rooms.len() {
        match listener.next().await.expect("the stream goes on").kind {
            Some(Kind::Joined(joined)) if rooms.contains(&joined.room) => {
                assert_eq!(told.insert(joined.room, "joined"), None);
            }
            Some(Kind::Left(left)) => {
                assert_eq!(left.reason(), LeaveReason::Denied);
                assert_eq!(told.insert(left.room, "left"), None);
            }
            Some(Kind::Error(error)) => codes.push(error.code),
            _ => {}
        }
    }
    (told, codes)
}

fn asked(rooms: &[String], rewind: u32) -> String {
    let rooms: Vec<_> = rooms.iter().map(|room| format!("room={room}")).collect();
    format!("/v1/events?rewind={rewind}&{}", rooms.join("&"))
}

fn rooms(count: usize) -> Vec<String> {
    (1..count).map(|number| format!("room:{number}")).chain([OF_OTHERS.to_owned()]).collect()
}

fn as_expected(rooms: &[String]) -> BTreeMap<String, &'static str> {
    let told = |room: &str| if room == OF_OTHERS { "left" } else { "joined" };
    rooms.iter().map(|room| (room.clone(), told(room))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_is_in_all_its_rooms_at_once_whatever_joins_are_left() {
    let beside = Beside::bind(|options| options);
    let hub = hub().with(|config| {
        config.limits.join = RateSetting(Some(Rate::new(1, Duration::from_hours(1))));
    });
    let hub = hub.start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart(&[hub.url()], &drain);
    let bearer = format!("Bearer {}", hub.token("bob"));
    let rooms = rooms(50);
    for bridge in [&beside, &apart] {
        let headers = [("authorization", &*bearer)];
        let mut listener =
            Events::open(bridge.address(), &asked(&rooms, 0), &headers).await.expect("a stream");
        let (told, codes) = until_all_are_told(&mut listener, &rooms).await;
        assert_eq!((told, codes), (as_expected(&rooms), Vec::new()));
    }
    drain.cancel();
}

/// Those that there is no place for are told so, and the stream goes on with the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_asks_for_too_many_rooms_is_in_the_first() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| config.session.rooms_per_session = 2).start_with(&bridge).await;
    let bearer = format!("Bearer {}", hub.token("bob"));
    let path = "/v1/events?room=room:1&room=room:2&room=room:3";
    let headers = [("authorization", &*bearer)];
    let mut listener = Events::open(bridge.address(), path, &headers).await.expect("a stream");
    let (mut joined, mut left) = (Vec::new(), Vec::new());
    while joined.len() < 2 || left.is_empty() {
        match listener.next().await.expect("the stream goes on").kind {
            Some(Kind::Joined(room)) if room.room.starts_with("room:") => joined.push(room.room),
            Some(Kind::Left(room)) => left.push((room.room.clone(), room.reason())),
            _ => {}
        }
    }
    joined.sort();
    assert_eq!(joined, ["room:1", "room:2"]);
    assert_eq!(left, [("room:3".to_owned(), LeaveReason::Unavailable)]);
}

/// Each of these takes one of the joins that a user has, and goes out again where none was left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_begin_before_now_are_joined_as_soon_as_may_be() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| {
        config.limits.join = RateSetting(Some(Rate::new(2, Duration::from_millis(50))));
    });
    let hub = hub.start_with(&bridge).await;
    let alice = hub.enters("alice").await;
    let rooms = rooms(12);
    for room in rooms.iter().filter(|room| *room != OF_OTHERS) {
        alice.says(room, "before").await;
    }
    let bearer = format!("Bearer {}", hub.token("bob"));
    let headers = [("authorization", &*bearer)];
    let mut listener = Events::open(bridge.address(), &asked(&rooms, 1), &headers).await.expect("a stream");
    let (told, codes) = until_all_are_told(&mut listener, &rooms).await;
    assert_eq!((told, codes), (as_expected(&rooms), vec!["ACCESS_DENIED".to_owned()]));
    // All are heard from then on.
    for room in rooms.iter().filter(|room| *room != OF_OTHERS) {
        alice.says(room, &format!("in {room}")).await;
        while listener.hears().await != format!("in {room}") {}
    }
}
