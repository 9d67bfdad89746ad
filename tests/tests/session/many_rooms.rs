//! A client in more rooms than one frame can name: all of them are resumed.

use std::collections::{BTreeMap, BTreeSet};

use carillon_client::{Event, v1};
use carillon_tests::{Person, hub};
use prost::Message;

const ROOMS: usize = 150;

/// As long as a name may be.
fn name(n: usize) -> String {
    format!("room:{n:0250}")
}

/// Takes events until the messages `1` to `count` have come in each room, once and in order.
async fn hears(person: &mut Person, rooms: &BTreeSet<String>, count: usize) {
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while heard.len() < rooms.len() || heard.values().any(|words| words.len() < count) {
        match person.next().await {
            Event::Message(message) => {
                let words = carillon_tests::words(&message).to_owned();
                heard.entry(message.room).or_default().push(words);
            }
            Event::Truncated { room } => panic!("{room} was truncated"),
            Event::Gap(gap) => panic!("{gap:?}"),
            Event::Left(left) => panic!("{left:?}"),
            _ => {}
        }
    }
    let expected: Vec<_> = (1..=count).map(|n| n.to_string()).collect();
    assert!(rooms.iter().all(|room| heard[room] == expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_that_is_larger_than_a_frame_misses_no_room() {
    let hub = hub()
        .with(|config| {
            config.session.frame_bytes = 16 * 1024;
            config.session.rooms_per_session = 1_000;
        })
        .start()
        .await;
    // One that the hub joins by itself is among them.
    let rooms: BTreeSet<_> = (0..ROOMS).map(name).chain(["org:acme".to_owned()]).collect();
    let alice = hub.enters("alice").await;
    let mut bob = hub.enters("bob").await;
    for room in &rooms {
        bob.joins(room).await;
    }
    let positions = loop {
        let positions = bob.client.positions();
        if rooms.iter().all(|room| positions.rooms.contains_key(room)) {
            break positions;
        }
        bob.next().await;
    };
    bob.client.close().await;
    let places = positions.rooms.iter().map(|(room, place)| v1::RoomPosition {
        room: room.clone(),
        position: place.position,
        presence: place.presence,
    });
    let resume = v1::Resume { rooms: places.collect(), inbox: positions.inbox };
    assert!(resume.encoded_len() > 2 * 16 * 1024, "more than fits");

    for room in &rooms {
        alice.says(room, "1").await;
    }
    let mut bob = Person::connect("bob", hub.options("bob").resume(positions)).await;
    // While rooms are still being joined more comes in all of them.
    for room in &rooms {
        alice.says(room, "2").await;
    }
    hears(&mut bob, &rooms, 2).await;
}
