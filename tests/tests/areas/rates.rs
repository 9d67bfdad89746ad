//! How often each may do what, and how many sessions there may be.

use std::time::Duration;

use carillon_client::v1::send_notification_request::Audience;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{AdminClient, ClientOptions, Executor, text, v1};
use carillon_hub::config::{LimitsSection, RateSetting};
use carillon_hub::domain::rate::Rate;
use carillon_tests::hub::TENANT;
use carillon_tests::story::{message, refusal, verdict};
use carillon_tests::wire::{Opening, code, greeting, greets, join};
use carillon_tests::{TestHub, Wire, hub};
use serde_json::json;

/// A command, by how often it was asked before.
type Asks<'a> = &'a mut dyn FnMut(u32) -> Command;

/// So many, and no more within the test.
fn only(burst: u32) -> RateSetting {
    RateSetting(Some(Rate::new(burst, Duration::from_hours(1))))
}

async fn limited(limits: LimitsSection) -> TestHub {
    hub().with(|config| config.limits = limits).start().await
}

/// How often a command is answered with success before it is refused, and how.
async fn until_refused(wire: &mut Wire, mut command: impl FnMut(u32) -> Command) -> (u32, v1::Error) {
    for done in 0.. {
        if let Kind::Error(error) = wire.asks(command(done)).await {
            return (done, error);
        }
    }
    unreachable!("there are more numbers than commands that are allowed")
}

#[tokio::test]
async fn each_kind_of_command_has_its_limit() {
    let limits = LimitsSection {
        send: only(4),
        edit: only(2),
        delete: only(1),
        publish: only(3),
        join: only(2),
        inbox: only(2),
        mark: only(6),
        ..LimitsSection::off()
    };
    let hub = limited(limits).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let room = || "room:lobby".to_owned();
    let content = || Some(text("words"));
    let no_ids = || v1::NotificationRead { ids: vec!["n1".to_owned()], up_to: None };
    let kinds: [(&str, u32, Asks<'_>); 7] = [
        ("send", 4, &mut |_| Command::MessageSend(message("room:lobby", "words"))),
        ("edit", 2, &mut |_| {
            let edit = v1::MessageEdit { room: room(), seq: 1, content: content(), ..Default::default() };
            Command::MessageEdit(edit)
        }),
        ("delete", 1, &mut |_| Command::MessageDelete(v1::MessageDelete { room: room(), seq: 1 })),
        ("publish", 3, &mut |_| {
            let name = "moved".to_owned();
            Command::EventPublish(v1::EventPublish { room: room(), name, ..Default::default() })
        }),
        ("join", 2, &mut |_| Command::Join(join("room:lobby"))),
        ("mark", 6, &mut |_| Command::MarkRead(v1::MarkRead { room: room(), up_to: 1 })),
        ("inbox", 2, &mut |_| Command::NotificationRead(no_ids())),
    ];
    for (kind, allowed, command) in kinds {
        let (done, error) = until_refused(&mut alice, command).await;
        assert_eq!((done, error.code.as_str(), error.retryable), (allowed, "RATE_LIMITED", true), "{kind}");
        assert!((3_500_000..=3_600_000).contains(&error.retry_after_ms), "{kind}: {}", error.retry_after_ms);
    }
    // Another session of the same user takes from the same buckets; another user from others.
    let mut phone = Wire::enters(&hub, "alice").await;
    let send = || Command::MessageSend(message("room:lobby", "words"));
    assert_eq!(code(&phone.asks(send()).await), "RATE_LIMITED");
    let mut bob = Wire::enters(&hub, "bob").await;
    assert!(matches!(bob.asks(send()).await, Kind::MessageSent(_)));
    assert_eq!(hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap().messages, 5);
}

#[tokio::test]
async fn what_is_no_command_takes_from_them_too() {
    let hub = limited(LimitsSection { commands: only(3), ..LimitsSection::off() }).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(code(&alice.asks(Command::Join(join("no name of a room"))).await).to_owned());
    }
    assert_eq!(codes[..3], ["INVALID_ARGUMENT"; 3]);
    assert_eq!(codes[3..], ["RATE_LIMITED"; 2]);
    let mut bob = Wire::enters(&hub, "bob").await;
    bob.joins(join("room:lobby")).await;
}

#[tokio::test]
async fn a_session_has_so_many_commands_and_others_have_theirs() {
    let hub = limited(LimitsSection { commands: only(5), ..LimitsSection::off() }).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.joins(join("room:lobby")).await;
    let (done, error) = until_refused(&mut alice, |_| Command::Ping(v1::Ping {})).await;
    assert_eq!((done, error.code.as_str()), (4, "RATE_LIMITED"));
    for command in [
        Command::Leave(v1::Leave { room: "room:lobby".into() }),
        Command::Rooms(v1::RoomsGet::default()),
        Command::PresenceWatch(v1::PresenceWatch::default()),
        Command::RefreshToken(v1::RefreshToken { token: hub.token("alice") }),
        Command::Typing(v1::TypingSet { room: "room:lobby".into(), active: false }),
    ] {
        let answer = alice.asks(command.clone()).await;
        let is_typing = matches!(command, Command::Typing(_));
        assert_eq!(matches!(answer, Kind::Done(_)), is_typing, "{command:?}: {answer:?}");
    }
    // Marks are exempt, and so is the answer to a ping.
    let marked = alice.asks(Command::MarkRead(v1::MarkRead { room: "room:lobby".into(), up_to: 1 })).await;
    assert!(!matches!(marked, Kind::Error(ref error) if error.code == "RATE_LIMITED"));
    let mut phone = Wire::enters(&hub, "alice").await;
    assert!(matches!(phone.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    // Without a session the user has as many.
    let execute = Executor::new(ClientOptions::new(hub.url()).token(hub.token("alice"))).unwrap();
    for _ in 0..5 {
        let rooms = execute.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await;
        assert_eq!(verdict(rooms), "ok");
    }
    let rooms = execute.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await;
    assert_eq!(verdict(rooms), "RATE_LIMITED");
}

#[tokio::test]
async fn typing_past_the_limit_is_dropped_in_silence() {
    let hub = limited(LimitsSection { typing: only(1), ..LimitsSection::off() }).await;
    let mut bob = Wire::enters(&hub, "bob").await;
    bob.joins(join("room:lobby")).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    alice.joins(join("room:lobby")).await;
    let typing = |active| Command::Typing(v1::TypingSet { room: "room:lobby".into(), active });
    assert!(matches!(alice.asks(typing(true)).await, Kind::Done(_)));
    // Whoever reads late is told the latest alone: the first is waited for.
    bob.until(|kind| matches!(kind, Kind::Typing(typing) if typing.active).then_some(())).await;
    for active in [false, true, true] {
        assert!(matches!(alice.asks(typing(active)).await, Kind::Done(_)));
    }
    alice.asks(Command::MessageSend(message("room:lobby", "done"))).await;
    let mut shown = Vec::new();
    bob.until(|kind| match kind {
        Kind::Typing(typing) => {
            shown.push(typing.active);
            None
        }
        Kind::Message(_) => Some(()),
        _ => None,
    })
    .await;
    assert!(!shown.contains(&true), "{shown:?}");
}

#[tokio::test]
async fn a_namespace_has_limits_of_its_own() {
    let hub = hub().with(|config| {
        config.limits = LimitsSection { send: only(2), ..LimitsSection::off() };
        for namespace in &mut config.namespaces {
            match namespace.name.as_str() {
                "room" => namespace.rates.send = Some(RateSetting(None)),
                "org" => namespace.rates.send = Some(only(1)),
                "state" => namespace.message_bytes = 4,
                _ => {}
            }
        }
    });
    let hub = hub.start().await;
    let alice = hub.enters("alice").await;
    for _ in 0..10 {
        alice.says("room:lobby", "free").await;
    }
    alice.says("org:acme", "one").await;
    assert_eq!(verdict(alice.client.send_message(message("org:acme", "two")).await), "RATE_LIMITED");
    let long = refusal(alice.client.send_message(message("state:a", "12345")).await);
    assert_eq!((long.code.name(), long.violations[0].field.as_str()), ("MESSAGE_TOO_LARGE", "content"));
    alice.says("state:a", "1234").await;
}

#[tokio::test]
async fn a_service_has_its_limit_and_emergencies_have_none() {
    let hub = limited(LimitsSection { service: only(3), ..LimitsSection::off() }).await;
    let admin = hub.admin();
    let notify = |priority: v1::NotificationPriority| v1::SendNotificationRequest {
        audience: Some(Audience::Users(v1::UserList { users: vec!["alice".to_owned()] })),
        kind: "alert".to_owned(),
        title: "leave the building".to_owned(),
        priority: priority.into(),
        ..Default::default()
    };
    for _ in 0..3 {
        assert_eq!(verdict(admin.get_statistics(v1::GetStatisticsRequest::default()).await), "ok");
    }
    let high = notify(v1::NotificationPriority::High);
    assert_eq!(verdict(admin.send_notification(high).await), "RATE_LIMITED");
    for _ in 0..20 {
        let critical = notify(v1::NotificationPriority::Critical);
        assert_eq!(verdict(admin.send_notification(critical).await), "ok");
    }
}

/// A service for all tenants, or for two, has one limit, whichever it names; and what it is refused counts.
#[tokio::test]
async fn a_service_has_one_limit_whatever_it_names_or_is_refused() {
    let hub = limited(LimitsSection { service: only(3), ..LimitsSection::off() }).await;
    let in_tenant = |token: &str, tenant: &str| {
        AdminClient::new(ClientOptions::new(hub.url()).token(token), tenant).unwrap()
    };
    let said = async |token: &str, tenant: &str| {
        verdict(in_tenant(token, tenant).get_statistics(v1::GetStatisticsRequest::default()).await)
    };
    let of = |claims| hub.token_that_says(&claims);
    let of_two = of(json!({"sub": "mailer", "svc": true, "tenants": [TENANT, "globex"]}));
    for (token, tenants) in [
        (hub.operator_token(), ["one", "two", "three", "four", "five"]),
        (of_two, [TENANT, "globex", TENANT, "globex", TENANT]),
    ] {
        let mut codes = Vec::new();
        for tenant in tenants {
            codes.push(said(&token, tenant).await);
        }
        assert_eq!(codes, ["ok", "ok", "ok", "RATE_LIMITED", "RATE_LIMITED"]);
    }
    // Whoever may not read is refused so often, and whoever names tenants that are none of theirs.
    let may_send = of(json!({"sub": "clerk", "svc": true, "tenants": [TENANT], "abilities": ["send"]}));
    let not_for = of(json!({"sub": "stray", "svc": true, "tenants": [TENANT]}));
    for (token, tenants) in [(may_send, [TENANT; 5]), (not_for, ["one", "two", "three", "four", "five"])] {
        let mut codes = Vec::new();
        for tenant in tenants {
            codes.push(said(&token, tenant).await);
        }
        assert_eq!(codes[..3], ["PERMISSION_DENIED"; 3], "{tenants:?}");
        assert_eq!(codes[3..], ["RATE_LIMITED"; 2], "{tenants:?}");
    }
    assert_eq!(said(&hub.service_token(), TENANT).await, "ok", "others have theirs");
    // Nor where only users may ask.
    let lost = of(json!({"sub": "lost", "svc": true, "tenants": [TENANT]}));
    let executor = Executor::new(ClientOptions::new(hub.url()).token(lost.clone())).unwrap();
    let rooms = || executor.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default()));
    let hello = async || {
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        code(&wire.asks(Command::Hello(v1::Hello { token: lost.clone(), ..greeting() })).await).to_owned()
    };
    assert_eq!([verdict(rooms().await), hello().await, hello().await], ["PERMISSION_DENIED"; 3]);
    assert_eq!([verdict(rooms().await), hello().await], ["RATE_LIMITED"; 2]);
}

#[tokio::test]
async fn a_tenant_sends_so_much_whoever_sends_it() {
    let limits = LimitsSection { messages_per_tenant: only(4), ..LimitsSection::off() };
    let hub = limited(limits).await;
    let admin = hub.admin();
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let left = || async {
        let counts = admin.get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
        counts.tenant_messages.map(|level| (level.left, level.burst))
    };
    assert_eq!(left().await, Some((4, 4)));
    let keyed = alice.client.with_key(&b"one-of-four"[..]);
    for _ in 0..3 {
        keyed.send("room:lobby", "once").await.unwrap();
        assert_eq!(verdict(bob.client.send("user:alice:none", "not mine").await), "INVALID_ARGUMENT");
        assert_eq!(verdict(bob.client.send("none:lobby", "nowhere").await), "ACCESS_DENIED");
    }
    assert_eq!(left().await, Some((3, 4)), "what is refused or sent again takes nothing");
    let event = || v1::EventPublish { room: "live:map".into(), name: "moved".into(), ..Default::default() };
    bob.client.publish(event()).await.unwrap();
    let to_alice = |priority: v1::NotificationPriority| v1::SendNotificationRequest {
        audience: Some(Audience::Users(v1::UserList { users: vec!["alice".to_owned()] })),
        kind: "alert".to_owned(),
        title: "leave the building".to_owned(),
        priority: priority.into(),
        ..Default::default()
    };
    admin.send_notification(to_alice(v1::NotificationPriority::High)).await.unwrap();
    let send = || v1::SendMessageRequest {
        room: "room:lobby".to_owned(),
        content: Some(text("words")),
        ..Default::default()
    };
    admin.send_message(send()).await.unwrap();
    assert_eq!(left().await, Some((0, 4)));
    let refused = refusal(alice.client.send("room:lobby", "more").await);
    assert!(refused.code.name() == "RATE_LIMITED" && refused.retry_after.is_some(), "{refused:?}");
    assert_eq!(verdict(bob.client.publish(event()).await), "RATE_LIMITED");
    assert_eq!(verdict(admin.send_message(send()).await), "RATE_LIMITED");
    assert_eq!(
        verdict(admin.send_notification(to_alice(v1::NotificationPriority::High)).await),
        "RATE_LIMITED"
    );
    admin.send_notification(to_alice(v1::NotificationPriority::Critical)).await.unwrap();
    // Another tenant has its own.
    let token = hub.token_of("globex", "erin", Duration::from_secs(60));
    let mut erin = Wire::enters_with(&hub, v1::Hello { token, ..greeting() }).await;
    let said = erin.asks(Command::MessageSend(message("room:lobby", "words"))).await;
    assert!(matches!(said, Kind::MessageSent(_)), "{said:?}");
    // An administrator fills it.
    assert_eq!(admin.reset_limits(v1::ResetLimitsRequest::default()).await.unwrap().reset, 1);
    assert_eq!(left().await, Some((4, 4)));
}

#[tokio::test]
async fn a_user_a_tenant_and_a_node_have_so_many_sessions() {
    let limits = LimitsSection {
        sessions_per_user: 2,
        sessions_per_tenant: 3,
        sessions_per_node: 4,
        ..LimitsSection::off()
    };
    let hub = limited(limits).await;
    let mut phone = Wire::enters(&hub, "alice").await;
    let (laptop, said) = greets(&hub, "alice", "laptop").await;
    assert_eq!(said, "connected");
    assert_eq!(greets(&hub, "alice", "").await.1, "CONNECTION_LIMIT_EXCEEDED");
    // One that takes over is none more, and the others stay.
    let (mut newer, said) = greets(&hub, "alice", "laptop").await;
    assert_eq!(said, "connected");
    let mut laptop = laptop;
    laptop.ends_with("SESSION_REPLACED").await;
    assert!(matches!(phone.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    let (bob, said) = greets(&hub, "bob", "").await;
    assert_eq!(said, "connected");
    assert_eq!(greets(&hub, "carol", "").await.1, "CONNECTION_LIMIT_EXCEEDED", "the tenant has three");
    let elsewhere = |user| hub.token_of("other", user, Duration::from_secs(60));
    let enters = |token| Wire::enters_with(&hub, v1::Hello { token, ..greeting() });
    let _dave = enters(elsewhere("dave")).await;
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let refused = wire.asks(Command::Hello(v1::Hello { token: elsewhere("erin"), ..greeting() })).await;
    assert_eq!(code(&refused), "TOO_MANY_CONNECTIONS", "the node has four");
    assert!(matches!(newer.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    // Who was refused has left nothing: the place of one who goes is free again.
    drop(bob);
    while greets(&hub, "carol", "").await.1 != "connected" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_administrator_reads_levels_and_fills_them() {
    let limits = LimitsSection { send: only(2), commands: only(10), ..LimitsSection::off() };
    let hub = limited(limits).await;
    let admin = hub.admin();
    let alice = hub.enters("alice").await;
    let get = |user: &str| v1::GetLimitsRequest { user: user.into(), ..Default::default() };
    for _ in 0..2 {
        alice.says("room:lobby", "words").await;
    }
    assert_eq!(verdict(alice.client.send_message(message("room:lobby", "more")).await), "RATE_LIMITED");
    let levels = admin.get_limits(get("alice")).await.unwrap().levels;
    let of = |kind: &str| levels.iter().find(|level| level.kind == kind).map(|l| (l.left, l.burst));
    assert_eq!((of("send"), of("commands")), (Some((0, 2)), Some((7, 10))));
    assert_eq!(levels[1].session, alice.client.connected().session);
    assert!(admin.get_limits(get("nobody")).await.unwrap().levels.is_empty());
    let statistics = admin.get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    assert_eq!(statistics.limits_hit, [v1::LimitHits { kind: "send".into(), refused: 1 }]);
    assert_eq!(statistics.limits_in_use, 1);
    let reset = v1::ResetLimitsRequest { user: "alice".into(), ..Default::default() };
    assert_eq!(admin.reset_limits(reset.clone()).await.unwrap().reset, 2);
    alice.says("room:lobby", "more").await;
    // Another tenant's service fills nothing here, and a user no bucket at all.
    let of_alice = AdminClient::new(ClientOptions::new(hub.url()).token(hub.token("alice")), TENANT).unwrap();
    assert_eq!(verdict(of_alice.reset_limits(reset).await), "PERMISSION_DENIED");
}
