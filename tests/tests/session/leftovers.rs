//! However sessions end, nothing of them is left.

use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, DisconnectSessionRequest};
use carillon_tests::hub::TENANT;
use carillon_tests::wire::{Opening, greeting, join, request, say};
use carillon_tests::{TestHub, Wire, hub};

/// A session with rooms, presence, typing and watches, that ends in one of many ways.
async fn comes_and_goes(hub: &TestHub, n: usize) {
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let token = hub.token(&format!("user-{}", n % 40));
    let hello = request(1, Command::Hello(v1::Hello { token, ..greeting() }));
    let way = n % 8;
    if way == 0 {
        // Gone before it was there.
        return wire.send(&[hello]);
    }
    wire.send(&[hello]);
    let room = |k: usize| format!("room:{}", (n + k) % 25);
    let presence = v1::Join { presence: true, ..join(&room(0)) };
    wire.send(&[
        request(2, Command::Join(presence)),
        request(3, Command::Join(join(&room(1)))),
        request(4, Command::Join(join("live:x"))),
        request(5, Command::PresenceWatch(v1::PresenceWatch { users: vec!["user-1".to_owned()] })),
        request(6, Command::Typing(v1::TypingSet { room: room(0), active: true })),
        request(7, say(&room(1), "hello")),
        request(8, Command::Join(join("conversation:none"))),
    ]);
    if way == 1 {
        // In the middle of its joins.
        return;
    }
    wire.answer(4).await;
    match way {
        2 => _ = wire.ask(Command::Goodbye(v1::Goodbye {})),
        3 => wire.closes(),
        4 => wire.send(&[request(0, Command::Ping(v1::Ping {}))]),
        5 => _ = wire.asks(Command::Leave(v1::Leave { room: room(0) })).await,
        6 => {
            wire.joins(join(&room(2))).await;
            wire.ask(say(&room(2), "to myself"));
            wire.until(|kind| matches!(kind, Kind::Message(_)).then_some(())).await;
        }
        _ => return,
    }
    if way < 5 {
        wire.ends().await;
    }
}

#[tokio::test]
async fn two_hundred_sessions_leave_nothing_behind() {
    let hub = hub().without_grace().start().await;
    for batch in 0..10 {
        futures::future::join_all((0..20).map(|n| comes_and_goes(&hub, batch * 20 + n))).await;
    }
    hub.is_empty_again().await;
}

#[tokio::test]
async fn a_kicked_user_is_gone_from_every_device() {
    let hub = hub().without_grace().start().await;
    let mut devices = Vec::new();
    for _ in 0..3 {
        let mut device = Wire::enters(&hub, "alice").await;
        device.joins(join("room:a")).await;
        devices.push(device);
    }
    let mut bob = Wire::enters(&hub, "bob").await;
    let user = v1::UserInstance { user: "alice".to_owned(), instance: String::new() };
    let target = Some(v1::disconnect_session_request::Target::User(user));
    let kick = DisconnectSessionRequest { tenant: TENANT.to_owned(), target, code: String::new() };
    let kicked = hub.admin().disconnect_session(kick).await.unwrap();
    assert_eq!(kicked.disconnected, 3);
    for device in &mut devices {
        let (frames, _) = device.ends().await;
        let Some(Kind::Disconnected(last)) = frames.last() else { panic!("{frames:?}") };
        assert_eq!((&*last.code, last.reconnect), ("SESSION_INVALIDATED", false));
    }
    assert!(matches!(bob.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    drop((devices, bob));
    hub.is_empty_again().await;
}

#[tokio::test]
async fn a_lost_device_is_present_for_the_grace_and_a_goodbye_is_not() {
    let grace = Duration::from_millis(600);
    let hub = hub().with(|config| config.presence.grace = grace).start().await;
    let mut alice = hub.enters("alice").await;
    alice.joins("room:a").await;
    for (goodbye, reason) in [(true, v1::PresenceReason::Left), (false, v1::PresenceReason::Disconnected)] {
        let mut bob = Wire::enters(&hub, "bob").await;
        bob.joins(join("room:a")).await;
        let gone = std::time::Instant::now();
        if goodbye {
            bob.ask(Command::Goodbye(v1::Goodbye {}));
            bob.ends().await;
        }
        drop(bob);
        let told = alice.waits_for(|event| match event {
            carillon_client::Event::Presence(presence) if presence.reason() == reason => Some(presence),
            _ => None,
        });
        assert_eq!(told.await.state.unwrap().user, "bob");
        assert_eq!(gone.elapsed() >= grace, !goodbye, "{:?}", gone.elapsed());
    }
}
