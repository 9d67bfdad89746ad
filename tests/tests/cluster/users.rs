//! What concerns a user reaches them on whichever node they are.

use std::time::{Duration, SystemTime};

use carillon_client::{Code, Event, v1};
use carillon_tests::{Person, TestHub};
use v1::revoke_tokens_request::What;
use v1::send_notification_request::Audience;
use v1::{Role, UserList};

use crate::nodes::two;

#[tokio::test]
async fn members_on_the_other_node_learn_of_unread_messages() {
    let nodes = two().await;
    let alice = nodes.one.enters("alice").await;
    let before = alice.creates(&[("bob", Role::Member)]).await;
    let mut bob = nodes.other.enters("bob").await;
    // Of a room that they were a member of, and of one that they become a member of while they are there.
    alice.says(&before, "hello").await;
    assert_eq!(bob.hears_unread(&before, 1).await.count, 1);
    let after = alice.creates(&[("bob", Role::Member)]).await;
    bob.hears_unread(&after, 0).await;
    alice.says(&after, "hello").await;
    assert_eq!(bob.hears_unread(&after, 1).await.count, 1);
}

async fn notify(hub: &TestHub, audience: Audience, title: &str) -> String {
    let request = v1::SendNotificationRequest {
        audience: Some(audience),
        kind: "reminder".into(),
        title: title.into(),
        ..Default::default()
    };
    hub.admin().send_notification(request).await.expect("it is accepted").id
}

#[tokio::test]
async fn notifications_come_in_order_and_inboxes_stay_in_step() {
    let nodes = two().await;
    let (mut phone, mut laptop) = (nodes.one.enters("bob").await, nodes.other.enters("bob").await);
    let to_bob = || Audience::Users(UserList { users: vec!["bob".to_owned()] });
    let mut ids = Vec::new();
    for n in 0..20 {
        let hub = if n % 2 == 0 { &nodes.one } else { &nodes.other };
        ids.push(notify(hub, to_bob(), &format!("{n}")).await);
    }
    for device in [&mut phone, &mut laptop] {
        for n in 0..20 {
            assert_eq!(device.is_notified().await.title, format!("{n}"));
        }
    }
    notify(&nodes.one, Audience::AllUsers(true), "all").await;
    for device in [&mut phone, &mut laptop] {
        assert_eq!(device.is_notified().await.title, "all");
    }
    phone.client.notification_read(vec![ids[0].clone()]).await.unwrap();
    let state = laptop.waits_for(|event| match event {
        Event::NotificationState(state) => Some(state),
        _ => None,
    });
    let state = state.await;
    assert_eq!((state.ids, state.read), (ids[..1].to_vec(), true));
}

#[tokio::test]
async fn a_newer_session_of_the_same_instance_takes_over_from_another_node() {
    let nodes = two().await;
    let mut old = Person::connect("alice", nodes.one.options("alice").instance("tab-1")).await;
    let mut other_tab = Person::connect("alice", nodes.one.options("alice").instance("tab-2")).await;
    let _new = Person::connect("alice", nodes.other.options("alice").instance("tab-1")).await;
    let ended = old.waits_for(|event| match event {
        Event::Disconnected(ended) => Some(ended),
        _ => None,
    });
    let ended = ended.await;
    assert_eq!(ended.code, Some(Code::SessionReplaced));
    assert!(!ended.will_reconnect());
    // The other one goes on.
    other_tab.joins("room:lobby").await;
    other_tab.says("room:lobby", "here").await;
    other_tab.hears("room:lobby").await;
}

#[tokio::test]
async fn what_is_revoked_on_one_node_ends_on_the_other() {
    let nodes = two().await;
    let (mut alice, bob) = (nodes.other.enters("alice").await, nodes.other.enters("bob").await);
    let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    let request = v1::RevokeTokensRequest {
        what: Some(What::User("alice".to_owned())),
        before_ms: soon.as_millis() as i64,
        ..Default::default()
    };
    nodes.one.admin().revoke_tokens(request).await.unwrap();
    let ended = alice.waits_for(|event| match event {
        Event::Disconnected(ended) => Some(ended),
        _ => None,
    });
    assert_eq!(ended.await.code, Some(Code::SessionInvalidated));
    bob.client.ping().await.unwrap();
}
