//! Who opens no session is written down, and fills no log.

use std::time::Duration;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_hub::config::{AuditTo, RateSetting};
use carillon_hub::domain::rate::Rate;
use carillon_tests::wire::{Opening, greeting};
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
