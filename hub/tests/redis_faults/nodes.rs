//! Two nodes on one Redis: what they do at once, and what their clocks say.

use std::sync::Arc;
use std::time::Duration;

use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::revocation::{Revocation, Revoked, Scope, TokenId};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::redis::{self, Partition};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{EntryRange, PageBound, Store};

use crate::harness::*;
use carillon_test_redis::{Keeps, Server};

/// A node whose clock the test drives.
fn node(server: &Server, number: u64) -> (RedisStore, Setup) {
    let setup = Setup::new();
    let options = Options {
        node: number,
        clock: setup.clock.source(),
        ..Options::new(redis::Options::new(server.url()), Arc::clone(&setup.namespaces), setup.sink.clone())
    };
    (RedisStore::open(options).unwrap(), setup)
}

async fn log(store: &RedisStore) -> Vec<carillon_hub::domain::entry::Entry> {
    let bound = PageBound { items: 10_000, bytes: usize::MAX };
    store.entries(&room_key("conversation:a"), EntryRange::After(Seq(0)), bound).await.unwrap().entries
}

#[tokio::test]
async fn one_key_on_two_nodes_at_once_is_one_entry() {
    let server = Server::start(Keeps::EverySecond);
    let ((one, _), (other, _)) = (node(&server, 1), node(&server, 2));
    let mut attempts = Vec::new();
    for turn in 0..200_u64 {
        let outcome = send("conversation:a", "alice", "once").keyed(&turn.to_string(), turn);
        attempts.push((turn, [one.commit(outcome.clone()), other.commit(outcome)]));
    }
    for (turn, attempts) in attempts {
        let [first, second] = futures::future::join_all(attempts).await.try_into().unwrap();
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.position, second.position, "{turn}");
        assert_ne!(first.duplicate, second.duplicate, "{turn}: one is the first");
    }
    let log = log(&one).await;
    assert_eq!((log.len(), log[199].seq), (200, Seq(200)));
}

/// A node whose clock is ahead revokes somebody, and Redis loses that. What others revoke then has a later place, whatever their
/// clocks say: nodes read on from the last that they know.
#[tokio::test]
async fn what_is_revoked_after_a_loss_is_found_by_who_knew_what_is_lost() {
    let server = Server::start(Keeps::EverySecond);
    let ((early, _), (late, of_late)) = (node(&server, 1), node(&server, 2));
    of_late.clock.advance(Duration::from_secs(60));
    let revoke = |name: &str| {
        let what = Revoked::User { user: user(name), before: Timestamp(1_000) };
        Revocation { scope: Scope::Tenant(tenant()), what }
    };
    late.revoke(revoke("alice")).await.unwrap();
    let known = early.revocations(0, 10).await.unwrap().last;
    let hubs: Vec<String> = server.command("KEYS *:hub");
    server.command::<u64>(&format!("DEL {}/v {}/vz", hubs[0], hubs[0]));
    server.command::<u64>(&format!("HDEL {} revocations", hubs[0]));
    early.revoke(revoke("bob")).await.unwrap();
    assert_eq!(late.revocations(known, 10).await.unwrap().revocations, [revoke("bob")]);
}

/// A node whose clock is ahead forgets nothing that is still good: whether a token has ended is Redis' to say.
#[tokio::test]
async fn what_is_revoked_stays_so_whatever_clocks_say() {
    let server = Server::start(Keeps::EverySecond);
    let ((on_time, _), (late, of_late)) = (node(&server, 1), node(&server, 2));
    let ends = Timestamp::now().plus(Duration::from_secs(600));
    assert!(of_late.clock.now() > ends);
    let what = Revoked::Token { id: TokenId([7; 32]), ends };
    let revoked = Revocation { scope: Scope::Tenant(tenant()), what };
    on_time.revoke(revoked.clone()).await.unwrap();
    for store in [&late, &late, &on_time] {
        assert_eq!(store.revocations(0, 10).await.unwrap().revocations, std::slice::from_ref(&revoked));
    }
    let what = Revoked::Token { id: TokenId([8; 32]), ends: Timestamp::now() };
    on_time.revoke(Revocation { what, ..revoked.clone() }).await.unwrap();
    assert_eq!(late.revocations(0, 10).await.unwrap().revocations, [revoked], "one that has ended goes");
}

/// Clocks a minute apart: times in a room never go backwards, keys are remembered, and what is to go by its age goes.
#[tokio::test]
async fn clocks_that_differ_harm_nobody() {
    let server = Server::start(Keeps::EverySecond);
    let ((early, of_early), (late, of_late)) = (node(&server, 1), node(&server, 2));
    of_late.clock.advance(Duration::from_secs(60));
    for turn in 0..50_u64 {
        let store = if turn % 2 == 0 { &late } else { &early };
        let outcome = send("conversation:a", "alice", "tick").keyed(&turn.to_string(), turn);
        assert!(!store.commit(outcome.clone()).await.unwrap().duplicate);
        let again = if turn % 2 == 0 { &early } else { &late };
        assert!(again.commit(outcome).await.unwrap().duplicate);
    }
    let log = log(&early).await;
    assert!(log.windows(2).all(|pair| pair[0].time <= pair[1].time));
    assert_eq!(log.len(), 50);
    assert!(log[49].time >= of_late.clock.now() && of_early.clock.now() < log[49].time);
}

/// What a node whose clock is ahead has put out, and is lost, does not hide what another one puts out after it.
#[tokio::test]
async fn effects_are_told_apart_whatever_clocks_say() {
    let server = Server::start(Keeps::EverySecond);
    let ((early, _), (late, of_late)) = (node(&server, 1), node(&server, 2));
    of_late.clock.advance(Duration::from_secs(3_600));
    late.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let key = format!("carillon:{{{}}}:outn", Partition::of_tenant(&tenant()).number());
    assert_eq!(server.command::<u64>(&format!("DEL {key}")), 1);
    early.commit(notify("bob", notice("n2", Priority::Normal))).await.unwrap();
    assert_eq!(early.inbox_summary(&user_key("bob")).await.unwrap().unread, 2);
}

/// A node whose clock was ahead leaves effects behind: one whose clock is not applies them.
#[tokio::test]
async fn effects_that_wait_are_found_whatever_clocks_say() {
    let server = Server::start(Keeps::EverySecond);
    let ((early, _), (late, of_late)) = (node(&server, 1), node(&server, 2));
    of_late.clock.advance(Duration::from_secs(3_600));
    let applied = format!("carillon:{{{}}}:fx", Partition::of_user(&tenant(), &user("bob")).number());
    server.command::<()>(&format!("SET {applied} nonsense"));
    late.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    late.close().await;
    server.command::<u64>(&format!("DEL {applied}"));
    let arrives = async {
        while early.inbox_summary(&user_key("bob")).await.unwrap().unread == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrives).await.expect("it is found");
    early.close().await;
}
