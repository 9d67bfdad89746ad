//! A revocation that Redis has lost is given again, by whoever knows it.

use std::time::Duration;

use carillon_hub::domain::revocation::{Revocation, Revoked, Scope};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::redis;
use carillon_hub::store::Store;
use carillon_hub::store::redis::{Options, RedisStore};

use crate::harness::*;
use crate::loss::{epoch_told, goes_back, open, revoke};
use carillon_test_redis::{Keeps, Server};

fn later(name: &str) -> Revocation {
    let what = Revoked::User { user: user(name), before: Timestamp(2_000) };
    Revocation { scope: Scope::Tenant(tenant()), what }
}

/// Waits until Redis has a revocation; gives all that it has.
async fn is_kept(store: &RedisStore, revocation: &Revocation) -> Vec<Revocation> {
    let kept = async {
        loop {
            match store.revocations(0, 10).await {
                Ok(page) if page.revocations.contains(revocation) => return page.revocations,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), kept).await.expect("it is given again")
}

/// The same user is there: revoked as of before.
#[tokio::test]
async fn a_lost_repetition_is_given_again() {
    let mut server = Server::start(Keeps::EverySecond);
    let (store, setup) = open(&server);
    store.revoke(revoke("bob")).await.unwrap();
    let kept = server.back_up();
    store.revoke(later("bob")).await.unwrap();
    // What is not lost does not hide it.
    store.revoke(revoke("bob")).await.unwrap();
    let before = store.epoch();
    goes_back(&mut server, &kept, None).await;
    assert_ne!(epoch_told(&setup), before.0);
    assert_eq!(is_kept(&store, &later("bob")).await, [later("bob")]);
    store.close().await;
}

/// A version before kept revocations by an instant for ever, as it said nowhere when they go.
#[tokio::test]
async fn what_a_version_before_has_kept_goes_as_well() {
    let server = Server::start(Keeps::EverySecond);
    let setup = Setup::new();
    let lives = Duration::from_secs(100);
    let options = Options {
        strict: false,
        clock: setup.clock.source(),
        forgets_by: Some(setup.clock.source()),
        revoked_for: Some(lives),
        ..Options::new(redis::Options::new(server.url()), setup.namespaces.clone(), setup.sink.clone())
    };
    let store = RedisStore::open(options).unwrap();
    let before = setup.clock.now();
    let of = |name: &str| {
        let what = Revoked::User { user: user(name), before };
        Revocation { scope: Scope::Tenant(tenant()), what }
    };
    store.revoke(of("bob")).await.unwrap();
    let by_instant: Vec<String> = server.command("KEYS *hub/vb");
    server.command::<u64>(&format!("DEL {}", by_instant[0]));
    assert_eq!(store.revocations(0, 10).await.unwrap().revocations, [of("bob")]);
    setup.clock.advance(lives - Duration::from_secs(1));
    assert_eq!(store.revocations(0, 10).await.unwrap().revocations, [of("bob")], "it still reaches tokens");
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(store.revocations(0, 10).await.unwrap().revocations, []);
    let all = by_instant[0].strip_suffix('b').unwrap();
    assert_eq!(server.command::<u64>(&format!("EXISTS {all} {all}z {all}b")), 0, "nothing is left of it");
    store.close().await;
}

/// The node that made it is gone as well.
#[tokio::test]
async fn who_has_read_of_one_gives_it_again() {
    let mut server = Server::start(Keeps::EverySecond);
    let ((store, setup), (other, _)) = (open(&server), open(&server));
    let kept = server.back_up();
    other.revoke(later("bob")).await.unwrap();
    assert_eq!(store.revocations(0, 10).await.unwrap().revocations, [later("bob")]);
    let before = store.epoch();
    server.kill();
    drop(other);
    server.go_back(&kept);
    server.restart();
    assert_ne!(epoch_told(&setup), before.0);
    is_kept(&store, &later("bob")).await;
    store.close().await;
}

/// Another node found the loss first: those that this one knows are given again all the same.
#[tokio::test]
async fn what_another_node_did_not_know_is_given_again() {
    let server = Server::start(Keeps::EverySecond);
    let ((store, setup), (other, _)) = (open(&server), open(&server));
    store.revoke(revoke("alice")).await.unwrap();
    other.revoke(later("bob")).await.unwrap();
    server.command::<()>("FLUSHALL");
    epoch_told(&setup);
    is_kept(&store, &later("bob")).await;
    is_kept(&other, &revoke("alice")).await;
    store.close().await;
    other.close().await;
}
