//! Leases of nodes, and what is kept of their lives.

use std::time::Duration;

use bytes::Bytes;
use carillon_hub::bus::BusError;
use carillon_hub::bus::registry::limits::SharedLimits;
use carillon_hub::bus::registry::{Registry, Writing};
use carillon_hub::domain::names::{SessionId, TenantId};
use carillon_hub::redis::Options;
use carillon_test_redis::{Keeps, Proxy, Server};

use crate::registered::Node;

const LEASE: Duration = Duration::from_secs(60);

impl Node {
    /// Keeps a session of a tenant.
    pub(crate) async fn writes(&self, counter: u64) {
        self.try_writes(counter).await.unwrap();
    }

    pub(crate) async fn try_writes(&self, counter: u64) -> Result<(), BusError> {
        self.registry.write(self.batch(counter)).await
    }

    /// A session that is kept, after the batch before.
    fn batch(&self, counter: u64) -> Writing {
        Writing {
            tenant: tenant(),
            life: self.life,
            counter,
            follows: (counter > 1).then(|| counter - 1),
            is_last: false,
            set: vec![(SessionId(1), b"record".to_vec())],
            gone: Vec::new(),
            message: Bytes::from(format!("message {counter}")),
        }
    }

    /// The number of the last batch that is kept, and of whom.
    async fn keeps(&self) -> (u64, Vec<u128>) {
        let kept = self.registry.read(&tenant(), self.life).await.unwrap();
        let mut sessions: Vec<_> = kept.records.into_iter().map(|(session, _)| session.0).collect();
        sessions.sort_unstable();
        (kept.counter, sessions)
    }

    /// Whose leases have not ended, as this node sees it when it renews its own; `None` where that had.
    pub(crate) async fn renews(&self) -> Option<Vec<u64>> {
        let leases = self.registry.renew(self.life, LEASE, false).await.unwrap();
        assert!(leases.all.iter().all(|lease| lease.left.is_none_or(|left| left <= LEASE)));
        let alive = leases.all.iter().filter(|lease| lease.left.is_some());
        let mut alive: Vec<_> = alive.map(|lease| lease.life.node).collect();
        alive.sort_unstable();
        leases.is_renewed.then_some(alive)
    }
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// What is kept of a life: its tenants, and its sessions of one.
fn kept(server: &Server) -> Vec<String> {
    let mut keys: Vec<String> = server.command("KEYS *0000000000000001*");
    keys.sort_unstable();
    keys
}

fn left(server: &Server, key: &str) -> i64 {
    server.command(&format!("PTTL {key}"))
}

const LASTS: std::ops::RangeInclusive<i64> = 470_000..=480_000;

#[tokio::test]
async fn what_is_kept_of_a_life_goes_with_its_lease_and_stays_with_it() {
    let server = Server::start(Keeps::Nothing);
    let (one, other) = (Node::start(&server, 1, LEASE).await, Node::start(&server, 2, LEASE).await);
    one.writes(1).await;
    let keys = kept(&server);
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in &keys {
        assert!(LASTS.contains(&left(&server, key)), "eight leases");
        // As where nothing is written for long.
        server.command::<i64>(&format!("PEXPIRE {key} 100000"));
    }
    assert_eq!(one.renews().await, Some(vec![1, 2]));
    for key in &keys {
        assert!(LASTS.contains(&left(&server, key)), "with its lease {key} is kept");
    }
    // Another node has removed what was kept, and what it still writes goes by itself.
    other.registry.remove(one.life).await.unwrap();
    assert_eq!(kept(&server), [""; 0]);
    one.writes(1).await;
    one.writes(2).await;
    for key in kept(&server) {
        assert!(LASTS.contains(&left(&server, &key)), "{key}");
    }
    assert_eq!(one.renews().await, None, "a lease that was removed is not renewed");
}

/// One that was given up with its connection comes once a later one is kept: neither is that undone, nor are others told again.
#[tokio::test]
async fn a_batch_that_comes_late_changes_nothing() {
    let server = Server::start(Keeps::Nothing);
    let one = Node::start(&server, 1, LEASE).await;
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut heard = connection.as_pubsub();
    heard.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    heard.psubscribe("*").unwrap();
    let set =
        |numbers: &[u128]| numbers.iter().map(|&number| (SessionId(number), b"record".to_vec())).collect();
    let first = Writing { set: set(&[1, 2]), ..one.batch(1) };
    let late = Writing { set: set(&[3]), gone: vec![SessionId(1)], ..one.batch(2) };
    let whole = Writing { follows: None, set: set(&[4]), ..one.batch(3) };
    one.registry.write(first.clone()).await.unwrap();
    one.registry.write(whole.clone()).await.unwrap();
    for late in [first.clone(), late.clone(), whole, Writing { is_last: true, ..late }] {
        one.registry.write(late).await.unwrap_err();
        assert_eq!(one.keeps().await, (3, vec![4]));
    }
    let goes = Writing { set: set(&[5, 6]), gone: vec![SessionId(4)], ..one.batch(4) };
    one.registry.write(goes).await.unwrap();
    assert_eq!(one.keeps().await, (4, vec![5, 6]));
    // Nor once there are no sessions any more, or something was lost.
    one.registry.write(Writing { is_last: true, ..one.batch(5) }).await.unwrap();
    one.registry.write(first.clone()).await.unwrap_err();
    assert_eq!(one.keeps().await, (5, vec![]));
    one.registry.write(Writing { follows: Some(6), ..one.batch(7) }).await.unwrap_err();
    one.registry.write(first).await.unwrap_err();
    assert_eq!(one.keeps().await, (7, vec![]));
    one.registry.write(Writing { follows: None, ..one.batch(8) }).await.unwrap();
    assert_eq!(one.keeps().await, (8, vec![1]));
    for number in [1, 3, 4, 5, 8] {
        assert_eq!(
            heard.get_message().unwrap().get_payload::<String>().unwrap(),
            format!("message {number}")
        );
    }
}

/// As where another server takes over whose clock is ahead, or behind: what is kept is older, or younger, than it was.
fn becomes(server: &Server, older: i64) {
    let key: Vec<String> = server.command("KEYS *:nodes");
    for life in server.command::<Vec<String>>(&format!("ZRANGE {} 0 -1", key[0])) {
        server.command::<f64>(&format!("ZINCRBY {} {} {life}", key[0], -older));
    }
    server.command::<i64>(&format!("DECRBY {}/seen {older}", key[0]));
}

#[tokio::test]
async fn no_lease_ends_because_another_servers_clock_differs() {
    let server = Server::start(Keeps::Nothing);
    let (one, other) = (Node::start(&server, 1, LEASE).await, Node::start(&server, 2, LEASE).await);
    for older in [100_000, 40_000, -100_000, 3_600_000] {
        becomes(&server, older);
        assert_eq!(one.registry.nodes().await.unwrap(), [1, 2], "{older}");
        assert_eq!(one.renews().await, Some(vec![1, 2]), "{older}");
        assert_eq!(other.renews().await, Some(vec![1, 2]), "{older}");
    }
    // Nor for a node that begins before the others have come back to the server.
    becomes(&server, 200_000);
    let new = Node::start(&server, 3, LEASE).await;
    assert_eq!(new.registry.nodes().await.unwrap(), [1, 2, 3]);
    assert_eq!(one.renews().await, Some(vec![1, 2, 3]));
    assert_eq!(other.renews().await, Some(vec![1, 2, 3]));
    new.registry.remove(new.life).await.unwrap();
    // One that is not renewed while others are ends.
    let key: Vec<String> = server.command("KEYS *:nodes");
    let lives: Vec<String> = server.command(&format!("ZRANGE {} 0 -1", key[0]));
    let life = lives.iter().find(|life| life.contains("0000000000000002")).unwrap();
    server.command::<f64>(&format!("ZINCRBY {} -61000 {life}", key[0]));
    assert_eq!(one.registry.nodes().await.unwrap(), [1]);
    assert_eq!(one.renews().await, Some(vec![1]));
    assert_eq!(other.renews().await, None);
}

/// A connection has died, and nobody has said so: it is found out, and the lease renewed over another one, while it is good.
#[tokio::test]
async fn a_lease_outlives_a_connection_that_died_without_a_word() {
    const SHORT: Duration = Duration::from_secs(4);
    let server = Server::start(Keeps::Nothing);
    let proxy = Proxy::to(&server);
    let other = Node::start(&server, 2, SHORT).await;
    let one = Node::start_with(Options::new(proxy.url()), 1, SHORT).await;
    proxy.cuts();
    let renewing = async {
        let asked = one.registry.renew(one.life, SHORT, false);
        let healing = async {
            while proxy.lost() == 0 {
                tokio::task::yield_now().await;
            }
            proxy.heals();
        };
        let (asked, ()) = tokio::join!(asked, healing);
        assert!(asked.is_err(), "it went into the void");
        loop {
            if let Ok(leases) = one.registry.renew(one.life, SHORT, false).await {
                return leases.is_renewed;
            }
            tokio::task::yield_now().await;
        }
    };
    // Time in which nobody renews a lease would not count.
    let others = async { while other.registry.renew(other.life, SHORT, false).await.is_ok() {} };
    tokio::select! {
        is_renewed = renewing => assert!(is_renewed, "the lease had ended"),
        () = others => panic!("the server is there"),
    }
}
