//! Tickets that are good on every node.

use std::time::Duration;

use carillon_hub::bus::registry::redis::RedisRegistry;
use carillon_hub::bus::registry::tickets::{Holder, Keeping, SharedTickets, TicketKey};
use carillon_hub::domain::names::{TenantId, UserId, UserKey};
use carillon_test_redis::{Cluster, Keeps};
use futures::future::join_all;

use crate::harness::soon;
use crate::registered::{LEASE, Node, two};

const LIFE: Duration = Duration::from_secs(30);

fn user(name: &str) -> Holder {
    Holder::User(UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse(name).unwrap() })
}

fn service(name: &str) -> Holder {
    Holder::Service(None, UserId::parse(name).unwrap())
}

fn key(at: &RedisRegistry, holder: &Holder, name: &str) -> TicketKey {
    TicketKey { place: at.place(holder), name: name.to_owned() }
}

/// Keeps a ticket, of two that there may be; whether there was room.
async fn puts(at: &RedisRegistry, holder: &Holder, name: &str, life: Duration) -> Option<Duration> {
    let sealed = format!("sealed {name}").into_bytes();
    let ticket = Keeping { key: key(at, holder, name), sealed, life, most: 2 };
    at.put(holder.clone(), ticket).await.unwrap()
}

async fn takes(at: &RedisRegistry, holder: &Holder, name: &str) -> Option<String> {
    let taken = at.take(key(at, holder, name)).await.unwrap();
    taken.map(|sealed| String::from_utf8(sealed).unwrap())
}

#[tokio::test]
async fn of_all_who_ask_for_a_ticket_one_has_it() {
    let (_server, one, other) = two().await;
    for holder in [user("alice"), service("alice")] {
        assert_eq!(puts(&one.registry, &holder, "a", LIFE).await, None);
        assert_eq!(takes(&one.registry, &holder, "b").await, None);
        for node in [&one, &other] {
            let looked = ["a", "b"].map(|name| node.registry.look(key(&node.registry, &holder, name)));
            let looked = join_all(looked).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
            assert_eq!(looked, [Some(b"sealed a".to_vec()), None], "to look at it takes nothing");
        }
        let nodes = [&one, &other].into_iter().cycle().take(20);
        let taken = join_all(nodes.map(|node| takes(&node.registry, &holder, "a"))).await;
        let taken: Vec<_> = taken.into_iter().flatten().collect();
        assert_eq!(taken, ["sealed a"], "{holder:?}");
    }
    let nowhere = TicketKey { place: 1_024, name: "a".to_owned() };
    assert_eq!(one.registry.take(nowhere).await, Ok(None));
}

#[tokio::test]
async fn somebody_has_so_many_on_all_nodes_and_used_ones_make_room() {
    let (_server, one, other) = two().await;
    for holder in [user("alice"), service("alice")] {
        assert_eq!(puts(&one.registry, &holder, "a", LIFE / 2).await, None);
        assert_eq!(puts(&other.registry, &holder, "b", LIFE).await, None);
        for node in [&one, &other] {
            let after = puts(&node.registry, &holder, "c", LIFE).await.expect("there are two");
            assert!(after <= LIFE / 2 && after > LIFE / 4, "until the first ends: {after:?}");
        }
        assert_eq!(takes(&one.registry, &holder, "c").await, None, "it is not kept");
        assert_eq!(puts(&one.registry, &user("bob"), &format!("{holder:?}"), LIFE).await, None);
        assert_eq!(takes(&other.registry, &holder, "a").await.as_deref(), Some("sealed a"));
        other.registry.used(holder.clone(), key(&other.registry, &holder, "a")).await.unwrap();
        assert_eq!(puts(&one.registry, &holder, "c", LIFE).await, None);
        assert!(puts(&one.registry, &holder, "d", LIFE).await.is_some());
    }
}

/// Whatever becomes of the nodes.
#[tokio::test]
async fn tickets_end_by_themselves_and_make_room() {
    let (server, one, other) = two().await;
    let alice = user("alice");
    let before: u64 = server.command("DBSIZE");
    let short = Duration::from_millis(50);
    assert_eq!(puts(&one.registry, &alice, "a", LIFE).await, None);
    assert_eq!(puts(&one.registry, &alice, "b", short).await, None);
    let keys: Vec<String> = server.command("KEYS *}:[ku]*");
    let lives: Vec<i64> = keys.iter().map(|key| server.command(&format!("PTTL {key}"))).collect();
    // One that is shorter does not cut short what counts the others.
    assert_eq!(
        lives.iter().filter(|life| (20_000..=30_000).contains(*life)).count(),
        2,
        "{keys:?} {lives:?}"
    );
    soon("its end", async {
        while server.command::<u64>("DBSIZE") > before + 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(takes(&other.registry, &alice, "b").await, None);
    assert_eq!(puts(&other.registry, &alice, "c", Duration::ZERO).await, None, "the ended one made room");
    soon("its end", async {
        while server.command::<u64>("DBSIZE") > before + 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(takes(&one.registry, &alice, "a").await.as_deref(), Some("sealed a"));
}

#[tokio::test]
async fn on_a_cluster_a_ticket_is_where_its_holder_is() {
    let start = || Cluster::start(false, Keeps::Nothing);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let one = Node::start(&cluster.servers[0], 1, LEASE).await;
    let other = Node::start(&cluster.servers[1], 2, LEASE).await;
    for name in ["alice", "bob", "carol", "dan", "eve"] {
        for holder in [user(name), service(name)] {
            assert_eq!(puts(&one.registry, &holder, name, LIFE).await, None);
            assert_eq!(takes(&other.registry, &holder, name).await, Some(format!("sealed {name}")));
            assert_eq!(takes(&one.registry, &holder, name).await, None);
        }
    }
}

#[tokio::test]
async fn without_redis_nobody_can_say() {
    let (mut server, one, _other) = two().await;
    server.kill();
    let alice = user("alice");
    let ticket = Keeping { key: key(&one.registry, &alice, "a"), sealed: vec![1], life: LIFE, most: 1 };
    assert!(one.registry.put(alice.clone(), ticket).await.is_err());
    assert!(one.registry.take(key(&one.registry, &alice, "a")).await.is_err());
}
