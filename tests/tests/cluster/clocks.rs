//! Nodes whose clocks differ.

use std::path::Path;
use std::time::Duration;

use carillon_client::{Client, Code, ConnectError, Event};
use carillon_hub::access::authentication::{MintFor, MintRequest, mint};
use carillon_hub::config::Config;
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;
use carillon_tests::process::HubProcess;
use carillon_tests::{Keeps, Person, Redis};

use crate::load::Load;

/// Of three nodes the clock of one is a minute ahead, and that of another a minute behind; each of those is killed with -9 in
/// the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_by_minutes_change_nothing() {
    let (redis, folder) = (Redis::start(Keeps::Always), tempfile::tempdir().unwrap());
    let node = |ahead| HubProcess::node_of_another_time(folder.path(), &redis.url(), ahead);
    let mut nodes = [node(0), node(60), node(-60)];
    for (node, ahead) in nodes.iter().zip([0, 60, -60]) {
        let differs = time_of(node).await - Timestamp::now().millis();
        assert!((differs - ahead * 1_000).abs() < 30_000, "{differs}");
    }
    let load = Load::begin(&nodes.iter().collect::<Vec<_>>()).await;
    let mut recovered = Duration::ZERO;
    for number in [1, 2] {
        for number in 0..3 {
            load.is_acknowledged(number, 100).await;
        }
        tokio::task::block_in_place(|| nodes[number].is_killed_and_starts_again(|| ()));
        recovered = recovered.max(load.recovers(number).await);
    }
    load.end("clocks that differ by a minute and two, nodes killed", recovered).await;
}

/// What a node says that the time is, in milliseconds since 1970.
async fn time_of(node: &HubProcess) -> i64 {
    let mut person = Person::connect("alice", node.options("alice")).await;
    let connected = person.waits_for(|event| match event {
        Event::Connected(connected) => Some(connected),
        _ => None,
    });
    connected.await.server_time_ms
}

/// «Now» is after all that was issued, also by the clock of a node that is behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_behind_revokes_what_was_issued_a_moment_ago() {
    let (redis, folder) = (Redis::start(Keeps::EverySecond), tempfile::tempdir().unwrap());
    let on_time = HubProcess::node(folder.path(), &redis.url());
    let behind = HubProcess::node_of_another_time(folder.path(), &redis.url(), -60);
    let mut bob = Person::connect("bob", on_time.options("bob")).await;
    let revoke = ["admin", "revoke", "--user", "bob", "--addr", behind.address()];
    tokio::task::block_in_place(|| behind.carillon("service", &revoke).run().good());
    let ended = bob.waits_for(|event| match event {
        Event::Disconnected(ended) => Some(ended.code),
        _ => None,
    });
    assert_eq!(ended.await, Some(Code::SessionInvalidated));
    let old = [on_time.token("bob"), behind.token("bob")];
    for (node, token) in [(&on_time, old[0]), (&behind, old[1])] {
        assert_eq!(comes(node, token.to_owned()).await, Some(Code::SessionInvalidated));
    }
}

/// Who signs in again is let in there too, though by that node's clock the token comes before the revocation.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_behind_lets_in_whoever_signs_in_after_a_revocation() {
    let (redis, folder) = (Redis::start(Keeps::EverySecond), tempfile::tempdir().unwrap());
    let on_time = HubProcess::node(folder.path(), &redis.url());
    // By less than an issuer's clock may be ahead.
    let behind = HubProcess::node_of_another_time(folder.path(), &redis.url(), -4);
    let revoke = ["admin", "revoke", "--user", "bob", "--addr", behind.address()];
    tokio::task::block_in_place(|| behind.carillon("service", &revoke).run().good());
    let fresh = issued_in_the_next_second(folder.path()).await;
    for node in [&behind, &on_time] {
        assert_eq!(comes(node, fresh.clone()).await, None);
    }
}

/// Nobody can tell which clock is right: neither are tokens of the last minutes left out, nor those of the next ones revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_far_off_revokes_nothing_by_now() {
    let (redis, folder) = (Redis::start(Keeps::EverySecond), tempfile::tempdir().unwrap());
    for ahead in [-600, 600] {
        let far_off = HubProcess::node_of_another_time(folder.path(), &redis.url(), ahead);
        let revoke = ["admin", "revoke", "--user", "bob", "--addr", far_off.address()];
        tokio::task::block_in_place(|| far_off.carillon("service", &revoke).run().fails("UNAVAILABLE"));
        let token = far_off.token("bob").to_owned();
        assert_eq!(comes(&far_off, token).await, None);
    }
}

/// A token of bob's. Times in tokens are whole seconds.
async fn issued_in_the_next_second(folder: &Path) -> String {
    let second = || Timestamp::now().millis() / 1_000;
    let (this, mut looks) = (second(), tokio::time::interval(Duration::from_millis(5)));
    while second() == this {
        looks.tick().await;
    }
    let subject =
        MintFor::User { tenant: TenantId::parse("dev").unwrap(), user: UserId::parse("bob").unwrap() };
    let request = MintRequest { subject, ttl: Duration::from_hours(1) };
    let options = Config::development(folder).unwrap().authentication().unwrap();
    mint(&options, &request, Timestamp::now()).unwrap()
}

/// Why bob is refused.
async fn comes(node: &HubProcess, token: String) -> Option<Code> {
    match Client::connect(node.options("bob").token(token)).await {
        Err(ConnectError::Refused(refusal)) => Some(refusal.code),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}
