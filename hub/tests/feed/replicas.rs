//! Two nodes that wait for replicas: nobody is told what only a master has, and everybody what was acknowledged.

use bytes::Bytes;
use carillon_hub::bus::Topic;
use carillon_hub::domain::names::IdempotencyKey;
use carillon_hub::domain::revocation::{Revocation, Revoked, Scope};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::redis::{Durability, Names};
use carillon_hub::store::{Change, Idempotency, Outcome};

use crate::node::{Node, Told, entries, notified, notify, room, send, tenant, user};
use carillon_test_redis::{Cluster, Keeps, Server};

const POLICY: Durability = Durability::Replicas(1);

/// The masters, then their replicas, and two nodes.
async fn two() -> (Vec<Server>, Node, Node) {
    let start = || Cluster::start(true, Keeps::Nothing);
    let Cluster { servers } = tokio::task::spawn_blocking(start).await.unwrap();
    let start = async |server, number| Node::start_with(server, number, POLICY).await;
    let (a, b) = (start(&servers[1], 1).await, start(&servers[2], 2).await);
    (servers, a, b)
}

/// Which replica has what concerns a channel.
fn replica_of<'a>(servers: &'a [Server], channel: &str) -> &'a Server {
    let slot: u64 = servers[0].command(&format!("CLUSTER KEYSLOT {channel}"));
    &servers[3 + carillon_test_redis::LAST.iter().position(|last| slot <= u64::from(*last)).unwrap()]
}

fn keyed(outcome: Outcome) -> Outcome {
    let key = IdempotencyKey::parse(Bytes::from_static(b"the-only")).unwrap();
    Outcome { idempotency: Some(Idempotency { key, fingerprint: 1 }), ..outcome }
}

#[tokio::test]
async fn the_other_node_is_told_what_replicas_have() {
    let (_servers, a, b) = two().await;
    let _holds = (b.follows(Topic::Room(room("x"))).await, b.follows(Topic::User(user("bob"))).await);
    a.commit(send("x", "alice", "hello")).await;
    a.commit(notify("bob", "n1")).await;
    let what = Revoked::User { user: user("eve").user, before: Timestamp(1_000) };
    let revocation = Revocation { scope: Scope::Tenant(tenant()), what };
    a.store.revoke(revocation.clone()).await.unwrap();
    b.waits("the message", |told| entries(told, &room("x")).len() == 1).await;
    b.waits("the notification", |told| notified(told) == [1]).await;
    b.waits_for(
        "the revocation",
        move |told| matches!(told, Told::Changed(Change::Revoked(found)) if *found == revocation),
    )
    .await;
}

/// The first attempt is written, but too few replicas have it; the second is answered with what the first did.
#[tokio::test]
async fn what_a_second_attempt_acknowledges_both_are_told() {
    let (servers, a, b) = two().await;
    let topic = Topic::Room(room("x"));
    let _holds = (a.follows(topic.clone()).await, b.follows(topic).await);
    let replica = replica_of(&servers, &Names::new("carillon").room_channel(&room("x")));
    let outcome = keyed(send("x", "alice", "hello"));
    replica.freeze();
    a.store.commit(outcome.clone()).await.unwrap_err();
    assert!(a.log(&room("x")).is_empty() && b.log(&room("x")).is_empty());
    replica.thaw();
    let committed = loop {
        if let Ok(committed) = a.store.commit(outcome.clone()).await {
            break committed;
        }
    };
    assert!(committed.duplicate);
    for node in [&a, &b] {
        node.waits("the message", |told| !entries(told, &room("x")).is_empty()).await;
        assert_eq!(node.log(&room("x")), [committed.position]);
    }
}

#[tokio::test]
async fn a_notification_is_told_when_replicas_have_it_in_its_inbox() {
    let (servers, a, b) = two().await;
    let names = Names::new("carillon");
    let tenants = replica_of(&servers, &names.tenant_channel(&tenant())).url();
    let elsewhere = |name: &String| replica_of(&servers, &names.user_channel(&user(name))).url() != tenants;
    let name = (0..).map(|n| format!("user-{n}")).find(elsewhere).unwrap();
    let topic = Topic::User(user(&name));
    let _holds = (a.follows(topic.clone()).await, b.follows(topic.clone()).await);
    let replica = replica_of(&servers, &names.user_channel(&user(&name)));
    replica.freeze();
    // The tenant's own replica has it, so that it will not be lost.
    a.commit(notify(&name, "n1")).await;
    assert!(notified(&a.recorder.all()).is_empty() && notified(&b.recorder.all()).is_empty());
    replica.thaw();
    for node in [&a, &b] {
        let topic = topic.clone();
        node.waits("the notification", move |told| {
            let grew = |told: &Told| matches!(told, Told::InboxGrew(of) if *of == topic);
            !notified(told).is_empty() || told.iter().any(grew)
        })
        .await;
    }
}
