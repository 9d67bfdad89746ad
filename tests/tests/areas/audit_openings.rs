//! Who opens no session is written down, and fills no log.

use std::time::Duration;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_hub::config::{AuditTo, LimitsSection, RateSetting};
use carillon_hub::domain::rate::Rate;
use carillon_tests::wire::{Opening, greeting, join};
use carillon_tests::{Wire, hub};

use super::audit::{audited, lines, of};

#[tokio::test]
async fn who_says_hello_in_no_way_that_is_one_is_written_down() {
    let hub = audited().await;
    let long = v1::Hello { token: "a".repeat(8_193), ..greeting() };
    for (command, code) in
        [(Command::Hello(long), "INVALID_ARGUMENT"), (Command::Ping(v1::Ping {}), "PROTOCOL_ERROR")]
    {
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        wire.ask(command);
        assert_eq!(wire.ends().await.1.reason, code);
    }
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    wire.write(vec![1; 5].into());
    assert_eq!(wire.ends().await.1.reason, "PROTOCOL_ERROR");
    let lines = lines(&hub.stops().await);
    let told: Vec<_> = of(&lines, "session.opened").iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(told, ["INVALID_ARGUMENT", "PROTOCOL_ERROR", "PROTOCOL_ERROR"]);
}

/// However many rooms it is of, one line says so, with the first of them.
#[tokio::test]
async fn a_resume_is_one_line() {
    const ROOMS: usize = 30;
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits = LimitsSection::off();
    });
    let hub = hub.start().await;
    let mut before = Wire::enters(&hub, "alice").await;
    let mut rooms = Vec::new();
    for n in 0..ROOMS {
        let room = format!("room:{n:02}");
        let joined = before.joins(join(&room)).await;
        rooms.push(v1::RoomPosition { room, position: joined.position, ..Default::default() });
    }
    drop(before);
    let room = "conversation:none".to_owned();
    rooms.push(v1::RoomPosition { room, position: Some(v1::Position::default()), ..Default::default() });
    let resume = Some(v1::Resume { rooms, ..v1::Resume::default() });
    let mut after = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    after.greets(v1::Hello { token: hub.token("alice"), resume, ..greeting() }).await;
    let (mut joined, mut left) = (0, 0);
    while (joined, left) != (ROOMS, 1) {
        match after.next().await.unwrap().kind.unwrap() {
            Kind::Joined(of) if of.room.starts_with("room:") => joined += 1,
            Kind::Left(of) if of.room == "conversation:none" => left += 1,
            _ => {}
        }
    }
    let session = after.asks(Command::Ping(v1::Ping {})).await;
    assert!(matches!(session, Kind::Pong(_)));
    drop(after);
    let lines = lines(&hub.stops().await);
    let [resumed] = of(&lines, "session.resumed")[..] else { panic!("one line: {lines:?}") };
    assert_eq!((&resumed["user"], &resumed["count"]), (&"alice".into(), &ROOMS.into()));
    let named = resumed["rooms"].as_array().unwrap();
    assert!(named.len() == 10 && named.iter().all(|room| room.as_str().unwrap().starts_with("room:")));
    let joins = of(&lines, "join");
    let refused: Vec<_> = joins.iter().filter(|line| line["outcome"] == "refused").collect();
    assert_eq!(
        (refused.len(), &refused[0]["room"]),
        (1, &"conversation:none".into()),
        "what is denied is a line each"
    );
    assert_eq!(joins.iter().filter(|line| line["room"] == "room:07").count(), 1, "the command's");
}

/// Whoever is known and opens sessions too often is told of as whoever sends too much: once a second.
#[tokio::test]
async fn who_opens_too_often_is_told_of_once_a_second() {
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.limits.open = RateSetting(Some(Rate::new(1, Duration::from_hours(1))));
    });
    let hub = hub.start().await;
    for _ in 0..50 {
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        wire.asks(Command::Hello(v1::Hello { token: hub.token("alice"), ..greeting() })).await;
    }
    let lines = lines(&hub.stops().await);
    assert_eq!(of(&lines, "session.opened").len(), 1);
    let limited = of(&lines, "limit");
    assert!((1..40).contains(&limited.len()), "{limited:?}");
    assert_eq!((&limited[0]["user"], &limited[0]["reason"]), (&"alice".into(), &"RATE_LIMITED".into()));
}
