//! Rooms with many present: how many there are instead of who, and neither marks nor typing.

use std::time::Duration;

use carillon_client::{Event, v1};
use carillon_tests::{Person, hub};

const ROOM: &str = "room:hall";

fn soon_large(config: &mut carillon_hub::config::Config) {
    config.presence.large_room = 3;
    config.presence.huge_room = 5;
    config.presence.occupancy_interval = Duration::from_millis(100);
    config.presence.occupancy_interval_huge = Duration::from_millis(100);
}

async fn counts(person: &mut Person, count: u32) {
    let reached = person.waits_for(|event| match event {
        Event::Occupancy(occupancy) if occupancy.room == ROOM && occupancy.count == count => Some(()),
        Event::Presence(presence) => {
            // Only from when the room was small.
            assert!(presence.state.unwrap().user < "u2".to_owned());
            None
        }
        _ => None,
    });
    reached.await;
}

#[tokio::test]
async fn a_large_room_tells_how_many_are_there() {
    let hub = hub().with(soon_large).start().await;
    let mut alice = hub.enters("alice").await;
    alice.joins(ROOM).await;
    let mut people = Vec::new();
    for n in 0..6 {
        let person = hub.enters(&format!("u{n}")).await;
        let joined = person.joins(ROOM).await;
        assert_eq!(joined.occupancy, n + 2);
        people.push(person);
    }
    counts(&mut alice, 7).await;
    // Neither typing nor marks are passed on; both are answered. What comes after them is seen first.
    let seq = people[0].says(ROOM, "hello").await;
    people[0].client.typing(ROOM, true).await.unwrap();
    assert_eq!(people[1].client.mark_read(ROOM, seq).await.unwrap().read, seq);
    people[1].client.presence_set(v1::PresenceStatus::Busy, "").await.unwrap();
    let watched = vec!["u1".to_owned()];
    alice.client.presence_watch(watched).await.unwrap();
    let (state, reason) = loop {
        match alice.next().await {
            Event::Typing(typing) => panic!("{typing:?}"),
            Event::Marks(marks) => panic!("{marks:?}"),
            Event::Presence(presence) => {
                let reason = presence.reason();
                break (presence.state.unwrap(), reason);
            }
            _ => {}
        }
    };
    // Chosen users are watched in large rooms too.
    assert_eq!((state.user.as_str(), state.status()), ("u1", v1::PresenceStatus::Busy));
    assert_eq!(reason, v1::PresenceReason::Watched);
    for person in people.drain(1..) {
        person.client.close().await;
    }
    // Small again: each is told.
    assert_eq!(alice.sees(ROOM, "u5").await.1, v1::PresenceReason::Left);
    people[0].client.presence_set(v1::PresenceStatus::Away, "").await.unwrap();
    assert_eq!(alice.sees(ROOM, "u0").await.0.status(), v1::PresenceStatus::Away);
    people[0].client.typing(ROOM, true).await.unwrap();
    let typing = alice.waits_for(|event| match event {
        Event::Typing(typing) => Some(typing.user),
        _ => None,
    });
    assert_eq!(typing.await, "u0");
}
