//! All that Redis had is gone while nodes stay connected: what they remember of it is gone as well.

use carillon_client::{Event, v1};
use carillon_tests::Person;
use v1::send_notification_request::Audience;

use crate::nodes::{Nodes, two};

async fn is_back(person: &mut Person) {
    person.waits_for(|event| matches!(event, Event::Disconnected(_)).then_some(())).await;
    person.waits_for(|event| matches!(event, Event::Connected(_)).then_some(())).await;
}

/// Who is there is among all users again, and is told once that logs are other ones.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_is_known_again_to_who_notifies_all() {
    let Nodes { redis, one, other } = two().await;
    let (mut alice, mut bob) = (one.enters("alice").await, other.enters("bob").await);
    let to_all = |title: &str| v1::SendNotificationRequest {
        audience: Some(Audience::AllUsers(true)),
        kind: "news".into(),
        title: title.into(),
        ..Default::default()
    };
    let sent = one.admin().send_notification(to_all("before it")).await.unwrap();
    assert_eq!(sent.recipients, 2);
    tokio::task::block_in_place(|| redis.command::<()>("FLUSHALL"));
    is_back(&mut alice).await;
    is_back(&mut bob).await;
    let sent = other.admin().send_notification(to_all("after it")).await.unwrap();
    assert_eq!(sent.recipients, 2);
    for person in [&mut alice, &mut bob] {
        let title = person
            .waits_for(|event| match event {
                Event::Disconnected(how) => panic!("it ended once more: {how:?}"),
                Event::Notification(notification) => Some(notification.title.clone()),
                _ => None,
            })
            .await;
        assert_eq!(title, "after it");
    }
}
