//! Much at once, for sessions that cannot take it at once.

use std::collections::HashSet;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, send_notification_request::Audience};
use carillon_tests::wire::{Opening, greeting, join, request};
use carillon_tests::{Wire, hub};

fn notice(number: usize) -> v1::SendNotificationRequest {
    v1::SendNotificationRequest {
        audience: Some(Audience::AllUsers(true)),
        kind: "news".to_owned(),
        title: format!("{number}"),
        body: Some(carillon_client::text("x".repeat(1_000))),
        ..v1::SendNotificationRequest::default()
    }
}

#[tokio::test]
async fn a_burst_of_notifications_ends_nobody_and_comes_in_full_and_in_order() {
    const COUNT: usize = 300;
    let hub = hub().with(|config| config.session.mailbox_bytes = 16 * 1024).start().await;
    let narrow = Opening { window: Some(16 * 1024), ..Opening::default() };
    let mut late = Wire::open(hub.hub.grpc_address(), narrow).await;
    late.greets(v1::Hello { token: hub.token("late"), ..greeting() }).await;
    let mut prompt = Wire::enters(&hub, "prompt").await;
    let admin = hub.admin();
    let sent = futures::future::join_all((0..COUNT).map(|number| admin.send_notification(notice(number))));
    let notified = |kind: &Kind| match kind {
        Kind::Notification(notification) => Some(notification.clone()),
        _ => None,
    };
    let hears = async |wire: &mut Wire| {
        let (mut titles, mut last) = (HashSet::new(), 0);
        while titles.len() < COUNT {
            let notification = wire.until(notified).await;
            let place = notification.position.unwrap().broadcast;
            assert!(place > last, "{place} after {last}");
            last = place;
            assert!(titles.insert(notification.title), "each once");
        }
    };
    let (sent, ()) = tokio::join!(sent, hears(&mut prompt));
    assert!(sent.iter().all(Result::is_ok));
    hears(&mut late).await;
}

#[tokio::test]
async fn a_burst_of_events_ends_nobody_who_reads() {
    const COUNT: u32 = 2_000;
    let hub = hub().with(|config| config.grpc.workers = 1).start().await;
    let mut readers = Vec::new();
    for name in ["bob", "carol", "dave"] {
        let mut reader = Wire::enters(&hub, name).await;
        reader.joins(join("live:x")).await;
        readers.push(reader);
    }
    let mut alice = Wire::enters(&hub, "alice").await;
    let event = |text: String| {
        let (room, name, payload) =
            ("live:x".to_owned(), "tick".to_owned(), Some(carillon_client::text(text)));
        Command::EventPublish(v1::EventPublish { room, name, payload, ..Default::default() })
    };
    let requests: Vec<_> =
        (1_000..1_000 + COUNT).map(|id| request(id, event(format!("{id} {}", "x".repeat(800))))).collect();
    alice.send(&requests);
    let publishes = async {
        let mut taken = 0;
        for id in 1_000..1_000 + COUNT {
            taken += usize::from(matches!(alice.answer(id).await, Kind::Done(_)));
        }
        while !matches!(alice.asks(event("last".to_owned())).await, Kind::Done(_)) {}
        taken
    };
    let heard = |kind: &Kind| match kind {
        Kind::Event(event) => Some(event.payload == Some(carillon_client::text("last"))),
        _ => None,
    };
    let hears = async |reader: &mut Wire| {
        let mut count = 0;
        while !reader.until(heard).await {
            count += 1;
        }
        count
    };
    let [bob, carol, dave] = &mut readers[..] else { panic!("three") };
    // Whoever reads gets all that was taken; who publishes faster than that would be told.
    let (taken, bob, carol, dave) = tokio::join!(publishes, hears(bob), hears(carol), hears(dave));
    assert!(taken > 0);
    assert_eq!([bob, carol, dave], [taken; 3]);
}
