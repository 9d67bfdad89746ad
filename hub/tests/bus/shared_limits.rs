//! What nodes count together.

use std::net::IpAddr;
use std::time::Duration;

use carillon_hub::bus::registry::Registry;
use carillon_hub::bus::registry::limits::{
    Entrants, Instance, Own, Present, SharedBucket, SharedLimits, TakesOver, Whose,
};
use carillon_hub::domain::names::{TenantId, UserId, UserKey};
use carillon_hub::domain::rate::Rate;

use crate::registered::{LEASE, Node, two};

impl Node {
    /// Whether a session may come in, on top of so many of this node.
    async fn lets_in(&self, whose: &Whose, before: u32, most: u32) -> bool {
        self.lets_in_of(whose, before, 1, most).await == 1
    }

    /// How many of so many may.
    async fn lets_in_of(&self, whose: &Whose, before: u32, many: u32, most: u32) -> u32 {
        let own = Own { sessions: before, instances: Vec::new() };
        let entrants = Entrants { many, most, instance: None, is_all: false };
        self.registry.count(whose.clone(), own, Some(entrants)).await.unwrap().many
    }

    /// Whether a session of an instance may come in where the node has none, and in whose place.
    async fn lets_in_as(&self, whose: &Whose, instance: Instance, most: u32) -> (u32, TakesOver) {
        let entrants = Entrants { many: 1, most, instance: Some(instance), is_all: true };
        let entered = self.registry.count(whose.clone(), Own::default(), Some(entrants)).await.unwrap();
        (entered.many, entered.takes_over)
    }

    async fn has(&self, whose: &Whose, sessions: u32) {
        let own = Own { sessions, instances: Vec::new() };
        let said = self.registry.count(whose.clone(), own, None).await.unwrap();
        assert_eq!(said.many, 0);
    }
}

fn alice() -> UserKey {
    UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("alice").unwrap() }
}

#[tokio::test]
async fn sessions_of_all_nodes_count() {
    let (_server, one, other) = two().await;
    let address: IpAddr = "2001:db8::".parse().unwrap();
    for whose in [Whose::User(alice()), Whose::Tenant(alice().tenant), Whose::Address(address)] {
        assert!(one.lets_in(&whose, 0, 3).await);
        assert!(one.lets_in(&whose, 1, 3).await);
        assert!(other.lets_in(&whose, 0, 3).await);
        assert!(!other.lets_in(&whose, 1, 3).await, "{whose:?}");
        assert!(!one.lets_in(&whose, 2, 3).await);
        // Whoever was refused does not count.
        assert!(other.lets_in(&whose, 1, 4).await);
        one.has(&whose, 0).await;
        assert!(other.lets_in(&whose, 2, 3).await, "those on the other node have ended");
        // Of several as many as there is room for, and they count.
        assert_eq!(one.lets_in_of(&whose, 0, 4, 5).await, 2);
        assert_eq!(other.lets_in_of(&whose, 3, 1, 5).await, 0);
        assert_eq!(other.lets_in_of(&whose, 3, 2, 7).await, 2);
    }
}

#[tokio::test]
async fn who_takes_over_from_another_node_is_none_more() {
    let (_server, one, other) = two().await;
    let whose = Whose::User(alice());
    let [seven, eight, nine] = [7, 8, 9].map(|mark| Instance { mark, from: mark + 100 });
    let own = Own { sessions: 1, instances: vec![Present { instance: seven, since: 1 }] };
    let entrants = Entrants { many: 1, most: 2, instance: Some(eight), is_all: true };
    assert_eq!(one.registry.count(whose.clone(), own, Some(entrants)).await.unwrap().many, 1);
    assert!(!other.lets_in(&whose, 0, 1).await);
    assert_eq!(other.lets_in_as(&whose, nine, 1).await, (0, TakesOver::Nobody));
    assert_eq!(other.lets_in_as(&whose, seven, 1).await, (1, TakesOver::FromThere));
    let elsewhere = Instance { from: 99, ..eight };
    assert_eq!(other.lets_in_as(&whose, elsewhere, 1).await, (1, TakesOver::Instance));
}

/// Whatever was lost of what nodes told each other: who has an instance hears with its own count that another came later.
#[tokio::test]
async fn who_came_later_elsewhere_is_known() {
    let (_server, one, other) = two().await;
    let whose = Whose::User(alice());
    let tab = Instance { mark: 7, from: 107 };
    let entrants = Some(Entrants { many: 1, most: 2, instance: Some(tab), is_all: true });
    let first = one.registry.count(whose.clone(), Own::default(), entrants).await.unwrap();
    let second = other.registry.count(whose.clone(), Own::default(), entrants).await.unwrap();
    assert!(0 < first.at && first.at < second.at);
    let says = async |node: &Node, since| {
        let own = Own { sessions: 1, instances: vec![Present { instance: tab, since }] };
        node.registry.count(whose.clone(), own, None).await.unwrap().later
    };
    assert_eq!(says(&one, first.at).await, [(7, second.at)]);
    assert_eq!(says(&other, second.at).await, []);
    // A server has taken over whose clock is behind.
    let ahead = Own { sessions: 1, instances: vec![Present { instance: tab, since: second.at + (1 << 40) }] };
    one.registry.count(whose.clone(), ahead, None).await.unwrap();
    let third = other.registry.count(whose.clone(), Own::default(), entrants).await.unwrap();
    assert_eq!(third.at, second.at + (1 << 40) + 1);
    // The one that ended is there no more.
    one.has(&whose, 0).await;
    assert_eq!(says(&other, 1).await, []);
}

/// Who waits to be counted as something else too may yet be refused.
#[tokio::test]
async fn nobody_takes_over_from_one_that_was_not_let_in() {
    let (_server, one, other) = two().await;
    let whose = Whose::User(alice());
    let tab = Instance { mark: 7, from: 107 };
    for (is_all, expected) in [(false, TakesOver::Nobody), (true, TakesOver::FromThere)] {
        let entrants = Entrants { many: 1, most: 2, instance: Some(tab), is_all };
        let entered = one.registry.count(whose.clone(), Own::default(), Some(entrants)).await.unwrap();
        assert_eq!(entered.many, 1, "it counts");
        assert_eq!(other.lets_in_as(&whose, tab, 2).await, (1, expected));
        other.has(&whose, 0).await;
    }
}

#[tokio::test]
async fn what_a_node_has_ends_with_it() {
    let (_server, one, other) = two().await;
    let whose = Whose::User(alice());
    for stops in [true, false] {
        one.has(&whose, 1).await;
        assert!(!other.lets_in(&whose, 0, 1).await);
        if stops {
            one.registry.leave(one.life, LEASE).await.unwrap();
        } else {
            one.registry.remove(one.life).await.unwrap();
        }
        assert_eq!(other.registry.nodes().await.unwrap(), [2]);
        assert!(other.lets_in(&whose, 0, 1).await, "stops: {stops}");
        other.has(&whose, 0).await;
        one.registry.remove(one.life).await.unwrap();
        one.registry.renew(one.life, LEASE, true).await.unwrap();
        let mut nodes = other.registry.nodes().await.unwrap();
        nodes.sort_unstable();
        assert_eq!(nodes, [1, 2]);
    }
}

/// The keys go by themselves, whatever becomes of the nodes.
#[tokio::test]
async fn nothing_that_is_counted_stays_for_ever() {
    let (server, one, _other) = two().await;
    one.has(&Whose::User(alice()), 1).await;
    one.registry.take(bucket("send", None), Rate::new(2, Duration::from_secs(60))).await.unwrap();
    let keys: Vec<String> = server.command("KEYS *");
    let counted: Vec<_> = keys.iter().filter(|key| !key.contains("nodes")).collect();
    assert_eq!(counted.len(), 2, "{keys:?}");
    for key in counted {
        let left: i64 = server.command(&format!("PTTL {key}"));
        assert!((1..=180_000).contains(&left), "{key}: {left}");
    }
    one.has(&Whose::User(alice()), 0).await;
    assert_eq!(server.command::<u64>("DBSIZE"), keys.len() as u64 - 1);
}

fn bucket(kind: &'static str, namespace: Option<&str>) -> SharedBucket {
    SharedBucket {
        tenant: alice().tenant,
        name: Some(alice().user),
        service: false,
        kind,
        namespace: namespace.map(str::to_owned),
    }
}

/// The server's clock was set back, or another one has taken over whose clock is behind.
#[tokio::test]
async fn a_bucket_that_would_be_full_in_years_is_an_empty_one() {
    let (server, one, _other) = two().await;
    let rate = Rate::new(2, Duration::from_secs(60));
    one.registry.take(bucket("send", None), rate).await.unwrap();
    let keys: Vec<String> = server.command("KEYS *:l/*");
    assert_eq!(keys.len(), 1);
    let now: Vec<u64> = server.command("TIME");
    server.command::<()>(&format!("SET {} {}", keys[0], (now[0] + 86_400) * 1_000));
    let after = one.registry.take(bucket("send", None), rate).await.unwrap().unwrap();
    assert!(after <= Duration::from_secs(60), "{after:?}");
}

#[tokio::test]
async fn all_nodes_take_from_one_bucket() {
    let (_server, one, other) = two().await;
    // So slow that nothing comes back while the test runs.
    let rate = Rate::new(3, Duration::from_hours(1));
    let (send, of_tenant) = (bucket("send", None), SharedBucket { name: None, ..bucket("send", None) });
    assert_eq!(one.registry.take(send.clone(), rate).await, Ok(None));
    assert_eq!(other.registry.take(send.clone(), rate).await, Ok(None));
    assert_eq!(one.registry.take(send.clone(), rate).await, Ok(None));
    let after = other.registry.take(send.clone(), rate).await.unwrap().unwrap();
    assert!(after <= rate.every && after > rate.every / 2, "{after:?}");
    for apart in [bucket("edit", None), bucket("send", Some("alerts")), of_tenant] {
        assert_eq!(other.registry.take(apart, rate).await, Ok(None));
    }
    let left = other.registry.levels(vec![send.clone(), bucket("mark", None)]).await.unwrap();
    assert!(left[0] > 2 * rate.every && left[0] <= 3 * rate.every && left[1].is_zero(), "{left:?}");
    // One that is given back can be taken, and no more than there were.
    one.registry.give_back(send.clone(), rate).await.unwrap();
    assert_eq!(other.registry.take(send.clone(), rate).await, Ok(None));
    assert!(other.registry.take(send.clone(), rate).await.unwrap().is_some());
    let all = vec![send.clone(), bucket("edit", None), bucket("mark", None)];
    assert_eq!(one.registry.reset(all).await, Ok(2), "those that were not full");
    one.registry.give_back(send.clone(), rate).await.unwrap();
    for _ in 0..3 {
        assert_eq!(other.registry.take(send.clone(), rate).await, Ok(None));
    }
    assert!(other.registry.take(send, rate).await.unwrap().is_some());
}

#[tokio::test]
async fn without_redis_nothing_is_taken() {
    let (mut server, one, _other) = two().await;
    server.kill();
    let rate = Rate::new(3, Duration::from_secs(1));
    assert!(one.registry.take(bucket("send", None), rate).await.is_err());
    assert!(one.registry.count(Whose::User(alice()), Own::default(), None).await.is_err());
    assert!(one.registry.nodes().await.is_err());
}
