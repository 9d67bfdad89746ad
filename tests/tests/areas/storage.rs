//! What the rooms of a tenant hold, and what becomes of what was sent once a limit is reached.

use std::time::Duration;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_hub::config::{LimitsSection, RateSetting};
use carillon_hub::domain::rate::Rate;
use carillon_tests::story::{message, refusal, verdict};
use carillon_tests::wire::greeting;
use carillon_tests::{TestHub, Wire, hub};

async fn limited(limits: LimitsSection) -> TestHub {
    hub().with(|config| config.limits = limits).start().await
}

#[tokio::test]
async fn a_tenants_rooms_hold_so_much() {
    let limits = LimitsSection { bytes_per_tenant: 1_000, ..LimitsSection::off() };
    let mut hub = limited(limits).await;
    let say = |room: &str| message(room, &"x".repeat(200));
    let counts = |hub: &TestHub| {
        let admin = hub.admin();
        async move {
            let counts = admin.get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
            (counts.stored_bytes, counts.stored_bytes_limit)
        }
    };
    {
        let alice = hub.enters("alice").await;
        let keyed = alice.client.with_key(&b"once-alone"[..]);
        for _ in 0..3 {
            keyed.send_message(say("room:a")).await.unwrap();
        }
        alice.client.send_message(say("room:b")).await.unwrap();
        alice.client.send_message(say("org:acme")).await.unwrap();
        assert_eq!(counts(&hub).await, (900, 1_000));
    }
    // It is so after a restart, too.
    for restart in [false, true] {
        if restart {
            hub = hub.stops().await.start().await;
        }
        let alice = hub.enters("alice").await;
        let refused = refusal(alice.client.send_message(say("room:c")).await);
        assert_eq!((refused.code.name(), refused.retryable), ("MESSAGE_TOO_LARGE", false));
        assert_eq!(refused.violations[0].field, "room");
        let longer = alice.client.edit("room:a", 1, "y".repeat(300)).await;
        assert_eq!(verdict(longer), "MESSAGE_TOO_LARGE");
        let service = v1::SendMessageRequest {
            room: "room:c".to_owned(),
            content: say("room:c").content,
            ..Default::default()
        };
        assert_eq!(verdict(hub.admin().send_message(service).await), "MESSAGE_TOO_LARGE");
        // What keeps nothing, and what takes away, goes on; so does another tenant.
        let event = v1::EventPublish { room: "live:a".into(), name: "moved".into(), ..Default::default() };
        alice.client.publish(event).await.unwrap();
        alice.client.mark_read("room:a", 1).await.unwrap();
        let token = hub.token_of("globex", "erin", Duration::from_secs(60));
        let mut erin = Wire::enters_with(&hub, v1::Hello { token, ..greeting() }).await;
        let said = erin.asks(Command::MessageSend(say("room:c"))).await;
        assert!(matches!(said, Kind::MessageSent(_)), "{said:?}");
    }
    let alice = hub.enters("alice").await;
    for room in ["room:a", "room:b", "org:acme"] {
        alice.client.delete(room, 1).await.unwrap();
    }
    assert_eq!(counts(&hub).await, (600, 1_000));
    // Which is seen within a second.
    let again = async {
        while verdict(alice.client.send_message(say("room:c")).await) != "ok" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(carillon_tests::PATIENCE, again).await.expect("there is room again");
}

#[tokio::test]
async fn a_retry_of_what_was_sent_is_confirmed_past_the_limits() {
    let only = |burst| RateSetting(Some(Rate::new(burst, Duration::from_hours(1))));
    let limits = LimitsSection { send: only(2), messages_per_tenant: only(1), ..LimitsSection::off() };
    let hub = limited(limits).await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let keyed = alice.client.with_key(&b"one-and-only"[..]);
    let sent = keyed.send("room:lobby", "once").await.unwrap();
    // First the tenant's limit is reached, then her own as well.
    for _ in 0..3 {
        let again = keyed.send("room:lobby", "once").await.unwrap();
        assert_eq!((again.position, again.duplicate), (sent.position, true));
        assert_eq!(verdict(alice.client.send("room:lobby", "more").await), "RATE_LIMITED");
        // It says nothing to anybody else, nor of anything else.
        let bobs = bob.client.with_key(&b"one-and-only"[..]).send("room:lobby", "once").await;
        assert_eq!(verdict(bobs), "RATE_LIMITED");
        assert_eq!(verdict(keyed.send("room:other", "once").await), "RATE_LIMITED");
    }
    assert_eq!(hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap().messages, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_send_at_once_stay_within_what_a_tenant_holds() {
    let hub = limited(LimitsSection { bytes_per_tenant: 3_000, ..LimitsSection::off() }).await;
    let mut wires = Vec::new();
    for number in 0..4 {
        wires.push(Wire::enters(&hub, &format!("user-{number}")).await);
    }
    let words = "x".repeat(200);
    let sends = wires.iter_mut().enumerate().map(|(number, wire)| {
        let commands = (0..16).map(|room| message(&format!("room:{room}-{number}"), &words));
        let asked: Vec<_> = commands.map(|send| wire.ask(Command::MessageSend(send))).collect();
        async move {
            let mut sent = 0;
            for id in asked {
                match wire.answer(id).await {
                    Kind::MessageSent(_) => sent += 1,
                    refused => assert_eq!(carillon_tests::wire::code(&refused), "MESSAGE_TOO_LARGE"),
                }
            }
            sent
        }
    });
    let sent: u64 = futures::future::join_all(sends).await.into_iter().sum();
    let counts = hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    assert_eq!(counts.stored_bytes, 300 * sent);
    assert!((1..=10).contains(&sent), "{sent}");
}
