//! How often a user opens sessions, what newer ones take over from older ones, and what they go on with.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, JoinReason};
use carillon_hub::config::{LimitsSection, RateSetting};
use carillon_hub::domain::rate::Rate;
use carillon_tests::wire::{Opening, code, greeting, greets};
use carillon_tests::{PATIENCE, TestHub, Wire, hub};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// So many, and no more within the test.
fn only(burst: u32) -> RateSetting {
    RateSetting(Some(Rate::new(burst, Duration::from_hours(1))))
}

async fn limited(limits: LimitsSection) -> TestHub {
    hub().without_grace().with(|config| config.limits = limits).start().await
}

fn ping() -> Command {
    Command::Ping(v1::Ping {})
}

async fn fills_limits_of(hub: &TestHub, user: &str) -> u32 {
    let reset = v1::ResetLimitsRequest { user: user.to_owned(), ..Default::default() };
    hub.admin().reset_limits(reset).await.unwrap().reset
}

/// What alice is told who comes as this instance, and reads all.
async fn comes_as(hub: &TestHub, instance: &str) -> Kind {
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let hello = v1::Hello { token: hub.token("alice"), instance: instance.to_owned(), ..greeting() };
    wire.asks(Command::Hello(hello)).await
}

#[tokio::test]
async fn a_user_opens_so_many_also_in_the_place_of_others() {
    let hub = limited(LimitsSection { open: only(3), ..LimitsSection::off() }).await;
    let mut last = greets(&hub, "alice", "tab").await;
    for _ in 0..2 {
        last = greets(&hub, "alice", "tab").await;
        assert_eq!(last.1, "connected");
    }
    for instance in ["tab", "another", ""] {
        let Kind::Error(error) = comes_as(&hub, instance).await else { panic!("one more of {instance}") };
        assert_eq!((error.code.as_str(), error.retryable), ("RATE_LIMITED", true));
        assert!((3_500_000..=3_600_000).contains(&error.retry_after_ms), "{}", error.retry_after_ms);
    }
    assert!(matches!(last.0.asks(ping()).await, Kind::Pong(_)), "who is there stays");
    assert_eq!(greets(&hub, "bob", "tab").await.1, "connected");
    assert_eq!(fills_limits_of(&hub, "alice").await, 1);
    assert_eq!(greets(&hub, "alice", "tab").await.1, "connected");
}

/// Whoever's tokens they are.
#[tokio::test]
async fn an_address_opens_so_many() {
    let hub = limited(LimitsSection { open_per_address: only(3), ..LimitsSection::off() }).await;
    for user in ["alice", "bob", "carol"] {
        assert_eq!(greets(&hub, user, "tab").await.1, "connected");
    }
    assert_eq!(greets(&hub, "dave", "tab").await.1, "RATE_LIMITED");
    let Kind::Error(error) = comes_as(&hub, "tab").await else { panic!("one more") };
    assert!((3_500_000..=3_600_000).contains(&error.retry_after_ms), "{}", error.retry_after_ms);
}

/// Waits until so many have tried to open a session.
async fn tried(hub: &TestHub, many: u64) {
    let attempts = &hub.hub.services().metrics.counters().attempts;
    let tries = async {
        while attempts.total() < many {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, tries).await.expect("they are heard");
}

/// A client that takes over from itself, and never reads.
#[tokio::test]
async fn sessions_that_were_taken_over_from_keep_nobody_out_and_are_few() {
    const MANY: usize = 12;
    const HELD: usize = 5;
    let hub = limited(LimitsSection { sessions_per_node: 2, ..LimitsSection::off() }).await;
    let mut wires = Vec::new();
    for tries in 1..=MANY {
        let shut = Opening { window: Some(0), ..Opening::default() };
        let mut wire = Wire::open(hub.hub.grpc_address(), shut).await;
        let hello = v1::Hello { token: hub.token("alice"), instance: "tab".to_owned(), ..greeting() };
        wire.ask(Command::Hello(hello));
        tried(&hub, tries as u64).await;
        wires.push(wire);
    }
    assert_eq!(greets(&hub, "bob", "").await.1, "connected", "alice has one");
    // All but one were taken over from, in whatever order they came in, and few of those may still be held.
    let mut ends: FuturesUnordered<_> = wires.iter_mut().map(Wire::next).collect();
    for _ in 0..MANY - 1 - HELD {
        assert_eq!(ends.next().await, Some(None), "it is broken off");
    }
    let of_alice = v1::ListSessionsRequest { user: "alice".to_owned(), ..Default::default() };
    let sessions = hub.admin().list_sessions(of_alice).await.unwrap().sessions;
    assert!((1..=1 + HELD).contains(&sessions.len()), "the last one stays: {}", sessions.len());
}

#[tokio::test]
async fn to_open_another_session_brings_no_more_commands() {
    let hub = limited(LimitsSection { commands: only(5), ..LimitsSection::off() }).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    for _ in 0..4 {
        assert!(matches!(alice.asks(ping()).await, Kind::Pong(_)));
    }
    // Whoever is there beside has their own.
    let (mut tab, _) = greets(&hub, "alice", "tab").await;
    for _ in 0..3 {
        assert!(matches!(tab.asks(ping()).await, Kind::Pong(_)));
    }
    let (mut newer, _) = greets(&hub, "alice", "tab").await;
    for _ in 0..2 {
        assert!(matches!(newer.asks(ping()).await, Kind::Pong(_)));
    }
    assert_eq!(code(&newer.asks(ping()).await), "RATE_LIMITED", "it goes on with what the older one left");
    drop((alice, tab, newer));
    hub.is_empty_again().await;
    let mut bob = Wire::enters(&hub, "bob").await;
    assert!(matches!(bob.asks(ping()).await, Kind::Pong(_)));
    let mut first = Wire::enters(&hub, "alice").await;
    assert_eq!(code(&first.asks(ping()).await), "RATE_LIMITED", "the emptiest comes first");
    let mut second = Wire::enters(&hub, "alice").await;
    assert!(matches!(second.asks(ping()).await, Kind::Pong(_)));
    assert_eq!(code(&second.asks(ping()).await), "RATE_LIMITED");
    assert!(fills_limits_of(&hub, "alice").await >= 2);
    assert!(matches!(first.asks(ping()).await, Kind::Pong(_)));
}

#[tokio::test]
async fn a_pong_that_nobody_asked_for_is_a_command() {
    let hub = hub().with(|config| {
        config.limits = LimitsSection { commands: only(2), ..LimitsSection::off() };
        config.session.heartbeat_interval = Duration::from_millis(100);
    });
    let hub = hub.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    for _ in 0..4 {
        alice.until(|kind| matches!(kind, Kind::Ping(_)).then_some(())).await;
        alice.ask(Command::Pong(v1::Pong::default()));
    }
    assert!(matches!(alice.asks(ping()).await, Kind::Pong(_)), "answers were free");
    // Of these one may answer a ping that is under way.
    let unasked: Vec<_> = (0..8).map(|_| alice.ask(Command::Pong(v1::Pong::default()))).collect();
    let refused = alice.answer(unasked[7]).await;
    assert_eq!(code(&refused), "RATE_LIMITED");
}

fn rooms(named: std::ops::Range<usize>) -> v1::Resume {
    let room = |n| v1::RoomPosition { room: format!("room:{n}"), ..Default::default() };
    v1::Resume { rooms: named.map(room).collect(), inbox: None }
}

/// The names of the next rooms that were resumed, once so many were joined by themselves too.
async fn resumed(wire: &mut Wire, many: usize, mut automatic: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < many || automatic > 0 {
        let joined = wire.until(|kind| match kind {
            Kind::Joined(joined) => Some(joined.clone()),
            _ => None,
        });
        let joined = joined.await;
        match joined.reason() {
            JoinReason::Resumed => all.push(joined.room),
            _ => automatic -= 1,
        }
    }
    all
}

#[tokio::test]
async fn rooms_past_what_a_user_may_resume_are_joined_later() {
    let hub = limited(LimitsSection { resume: only(6), ..LimitsSection::off() }).await;
    let enters = |user: &str, named| {
        let resume = Some(rooms(named));
        Wire::enters_with(&hub, v1::Hello { token: hub.token(user), resume, ..greeting() })
    };
    // Each joins its tenant's room and its user's by itself.
    let mut first = enters("alice", 0..4).await;
    resumed(&mut first, 4, 2).await;
    let mut second = enters("alice", 0..5).await;
    let mut all = resumed(&mut second, 2, 2).await;
    // A session that waits does everything else, and what it joins by a command it need not resume.
    second.joins(carillon_tests::wire::join("room:4")).await;
    let mut third = enters("alice", 0..3).await;
    resumed(&mut third, 0, 2).await;
    let mut bob = enters("bob", 0..3).await;
    resumed(&mut bob, 3, 2).await;
    let is_waiting = || async {
        let admin = hub.admin();
        let of_alice = v1::ListSessionsRequest { user: "alice".to_owned(), ..Default::default() };
        let sessions = admin.list_sessions(of_alice).await.unwrap().sessions;
        let mut rooms: Vec<_> = sessions.iter().map(|session| session.rooms).collect();
        rooms.sort_unstable();
        rooms
    };
    assert_eq!(is_waiting().await, [2, 5, 6]);
    assert!(matches!(third.asks(ping()).await, Kind::Pong(_)));
    fills_limits_of(&hub, "alice").await;
    all.extend(resumed(&mut second, 2, 0).await);
    all.sort_unstable();
    assert_eq!(all, ["room:0", "room:1", "room:2", "room:3"]);
    resumed(&mut third, 3, 0).await;
}

#[tokio::test]
async fn who_finds_too_many_sessions_is_told_when_to_come_again() {
    for limits in [
        LimitsSection { sessions_per_user: 1, ..LimitsSection::off() },
        LimitsSection { sessions_per_tenant: 1, ..LimitsSection::off() },
        LimitsSection { sessions_per_address: 1, ..LimitsSection::off() },
        LimitsSection { sessions_per_node: 1, ..LimitsSection::off() },
    ] {
        let hub = limited(limits.clone()).await;
        let _first = Wire::enters(&hub, "alice").await;
        let Kind::Error(error) = comes_as(&hub, "").await else { panic!("two with {limits:?}") };
        assert_eq!(error.retry_after_ms, 5_000, "{error:?}");
    }
}
