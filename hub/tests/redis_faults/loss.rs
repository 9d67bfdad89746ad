//! What Redis has lost is noticed, and everybody is told that logs are other ones.

use std::sync::Arc;

use std::time::Duration;

use carillon_hub::domain::inbox::{InboxChange, Priority};
use carillon_hub::domain::names::NotificationId;
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::revocation::{Revocation, Revoked, Scope};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::redis::{self, Durability, Partition, put_bytes16, put_bytes32};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{Change, Home, Outcome, Store, Write};

use crate::harness::*;
use crate::upkeep::rooms_of;
use carillon_test_redis::{Backup, Cluster, Keeps, Server};

/// A store whose sink can be asked what it heard.
pub(crate) fn open(server: &Server) -> (RedisStore, Setup) {
    open_with(server, Durability::EverySecond)
}

pub(crate) fn open_with(server: &Server, durability: Durability) -> (RedisStore, Setup) {
    open_at(server.url(), durability)
}

pub(crate) fn open_at(url: String, durability: Durability) -> (RedisStore, Setup) {
    let setup = Setup::new();
    let redis = redis::Options::new(url);
    let options = Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone());
    (RedisStore::open(Options { strict: false, durability, ..options }).unwrap(), setup)
}

/// One that starts at a server whose life others are taken to have seen: it begins no epoch.
fn open_as_if_seen(server: &Server) -> RedisStore {
    let about: String = server.command("INFO server");
    let life = about.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap().trim().to_owned();
    let hubs: Vec<String> = server.command("KEYS *:hub");
    server.command::<u64>(&format!("HSET {} life {life}", hubs[0]));
    open(server).0
}

pub(crate) fn epoch_told(setup: &Setup) -> u64 {
    let restarted = |change: &Change| matches!(change, Change::Restarted(_));
    match setup.sink.wait_for(restarted) {
        Change::Restarted(epoch) => epoch.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_begins_another_epoch() {
    let mut server = Server::start(Keeps::Nothing);
    let (store, setup) = open(&server);
    let before = store.epoch();
    let sent = store.commit(send("conversation:a", "alice", "lost")).await.unwrap();
    assert_eq!(sent.position.epoch, before);
    server.kill();
    server.restart();
    let epoch = epoch_told(&setup);
    assert_ne!(epoch, before.0);
    let again = async {
        loop {
            match store.commit(send("conversation:a", "alice", "again").keyed("again", 1)).await {
                Ok(committed) => return committed,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let again = again.await;
    assert_eq!((again.position.seq, again.position.epoch.0, store.epoch().0), (Seq(1), epoch, epoch));
    store.close().await;
}

/// The end is lost, and another node has written something else in its place by the time that the loss can be seen.
#[tokio::test]
async fn a_lost_end_is_noticed_though_others_have_written_over_it() {
    let mut server = Server::start(Keeps::EverySecond);
    let (store, setup) = open(&server);
    for turn in 0..5 {
        store.commit(send("conversation:a", "alice", &turn.to_string())).await.unwrap();
    }
    let kept = server.back_up();
    for turn in 5..8 {
        store.commit(send("conversation:a", "alice", &turn.to_string())).await.unwrap();
    }
    let before = store.epoch();
    server.kill();
    // Nobody here gets a connection until another node has written.
    let mut elsewhere = Server::start_over(&kept, Keeps::EverySecond);
    let other = open_as_if_seen(&elsewhere);
    for turn in 0..6 {
        other.commit(send("conversation:a", "bob", &turn.to_string())).await.unwrap();
    }
    elsewhere.end();
    server.go_back(&elsewhere.back_up());
    server.restart();
    assert_ne!(epoch_told(&setup), before.0);
    store.close().await;
}

/// Nothing is lost: nobody is told of anything.
#[tokio::test]
async fn a_server_that_has_everything_goes_on_in_its_epoch() {
    let mut server = Server::start(Keeps::Always);
    let (store, setup) = open(&server);
    let before = store.epoch();
    for turn in 0..3_u64 {
        store.commit(send("short:a", "alice", &turn.to_string())).await.unwrap();
        server.kill();
        server.restart();
        let keyed = send("short:a", "bob", "again").keyed(&turn.to_string(), 1);
        while store.commit(keyed.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(store.epoch(), before);
    assert!(!setup.sink.changes().iter().any(|change| matches!(change, Change::Restarted(_))));
    store.close().await;
}

/// A server of a cluster may lose what another one has had of it: what comes after is not taken for that.
#[tokio::test]
async fn what_follows_a_lost_effect_arrives() {
    let server = Server::start(Keeps::EverySecond);
    let (store, _setup) = open(&server);
    store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let counters: Vec<String> = server.command("KEYS *:outn");
    assert_eq!(counters.len(), 1);
    assert_eq!(server.command::<u64>(&format!("DEL {}", counters[0])), 1);
    store.commit(notify("bob", notice("n2", Priority::Normal))).await.unwrap();
    assert_eq!(store.inbox_summary(&user_key("bob")).await.unwrap().unread, 2);
    store.close().await;
}

/// Commits once there is a connection again.
pub(crate) async fn at_last(store: &RedisStore, outcome: Outcome) {
    while store.commit(outcome.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// A server whose end was lost: what `kept` has, and what another node writes after it before anybody else is connected.
pub(crate) async fn goes_back(server: &mut Server, kept: &Backup, outcome: Option<Outcome>) {
    server.kill();
    let mut elsewhere = Server::start_over(kept, Keeps::EverySecond);
    if let Some(outcome) = outcome {
        let other = open_as_if_seen(&elsewhere);
        other.commit(outcome).await.unwrap();
        other.close().await;
    }
    elsewhere.end();
    server.go_back(&elsewhere.back_up());
    server.restart();
}

/// Another notification in the place of the one that is lost hides nothing.
#[tokio::test]
async fn a_lost_notification_is_noticed_though_another_has_its_place() {
    let mut server = Server::start(Keeps::EverySecond);
    let (store, setup) = open(&server);
    store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let kept = server.back_up();
    store.commit(notify("bob", notice("n2", Priority::Normal))).await.unwrap();
    let before = store.epoch();
    goes_back(&mut server, &kept, Some(notify("bob", notice("n3", Priority::Normal)))).await;
    assert_ne!(epoch_told(&setup), before.0);
    store.close().await;
}

/// What another node has sent again under the same id, or its reader has removed, is not lost.
#[tokio::test]
async fn a_notification_that_was_sent_again_or_removed_is_not_lost() {
    let server = Server::start(Keeps::Always);
    let ((store, setup), (other, _)) = (open(&server), open(&server));
    let before = store.epoch();
    for turn in 0..2 {
        // Both may still be without a connection, of the turn before.
        at_last(&store, notify("bob", notice("n1", Priority::Normal))).await;
        if turn == 0 {
            at_last(&other, notify("bob", notice("n1", Priority::High))).await;
        } else {
            let delete = Write::Inbox(InboxChange::Delete(vec![NotificationId::parse("n1").unwrap()]));
            at_last(&other, outcome(Home::Inbox(user("bob")), "bob").writing(delete)).await;
        }
        server.command::<u64>("CLIENT KILL TYPE normal");
        at_last(&store, send("conversation:a", "alice", "again").keyed(&turn.to_string(), 1)).await;
    }
    assert_eq!(store.epoch(), before);
    assert!(!setup.sink.changes().iter().any(|change| matches!(change, Change::Restarted(_))));
}

pub(crate) fn revoke(name: &str) -> Revocation {
    let what = Revoked::User { user: user(name), before: Timestamp(1_000) };
    Revocation { scope: Scope::Tenant(tenant()), what }
}

/// Who was revoked is so again, though Redis has lost it: nobody else remembers.
#[tokio::test]
async fn a_lost_revocation_is_given_again() {
    let mut server = Server::start(Keeps::EverySecond);
    let (store, setup) = open(&server);
    store.revoke(revoke("alice")).await.unwrap();
    let kept = server.back_up();
    store.revoke(revoke("bob")).await.unwrap();
    goes_back(&mut server, &kept, None).await;
    epoch_told(&setup);
    let there = async {
        loop {
            match store.revocations(0, 10).await {
                Ok(page) if page.revocations.contains(&revoke("bob")) => return page,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let page = tokio::time::timeout(Duration::from_secs(20), there).await.unwrap();
    assert_eq!(page.revocations, [revoke("alice"), revoke("bob")]);
    store.close().await;
}

/// Nodes go on reading revocations after the last that they know, so no place is given twice.
#[tokio::test]
async fn places_of_lost_revocations_are_not_given_again() {
    let server = Server::start(Keeps::EverySecond);
    let (store, _setup) = open(&server);
    for name in ["u1", "u2", "u3"] {
        store.revoke(revoke(name)).await.unwrap();
    }
    let known = store.revocations(0, 10).await.unwrap().last;
    let hubs: Vec<String> = server.command("KEYS *:hub");
    for word in [format!("DEL {}/v {}/vz", hubs[0], hubs[0]), format!("HDEL {} revocations", hubs[0])] {
        server.command::<u64>(&word);
    }
    store.revoke(revoke("bob")).await.unwrap();
    assert_eq!(store.revocations(known, 10).await.unwrap().revocations, [revoke("bob")]);
    store.close().await;
}

/// Nobody was there who would know what is lost: a new epoch, where the end of the log may be.
#[tokio::test]
async fn a_restart_that_nobody_saw_begins_another_epoch() {
    let mut server = Server::start(Keeps::Always);
    let (store, setup) = open(&server);
    let first = store.epoch();
    store.close().await;
    let (store, _) = open(&server);
    assert_eq!(store.epoch(), first, "the server is the same");
    server.kill();
    server.restart();
    // This one sees it, and has lost nothing.
    let again = send("conversation:a", "alice", "again").keyed("again", 1);
    while store.commit(again.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    let (other, _) = open(&server);
    assert_eq!((store.epoch(), other.epoch()), (first, first));
    store.close().await;
    other.close().await;
    server.end();
    server.restart();
    let (store, _) = open(&server);
    assert_ne!(store.epoch(), first);
    drop(setup);
}

/// Effects of two epochs in one outbox are each applied once, in whichever order they are come upon again.
#[tokio::test]
async fn effects_of_two_epochs_are_applied_once_each() {
    let server = Server::start(Keeps::EverySecond);
    let (store, _setup) = open(&server);
    store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let key = format!("carillon:{{{}}}:", Partition::of_tenant(&tenant()).number());
    let item = |number: u64, epoch: u64, id: &str| {
        let mut item = [number.to_le_bytes(), epoch.to_le_bytes()].concat();
        item.push(1);
        put_bytes16(&mut item, tenant().as_str().as_bytes());
        put_bytes32(&mut item, &redis::notice::encode(&notice(id, Priority::Normal)));
        put_bytes16(&mut item, b"bob");
        item
    };
    let first = server.command::<u64>(&format!("GET {key}outn")) + 1;
    server.command::<()>(&format!("SET {key}outn {}", first + 1));
    let come_upon = |number, epoch, id: &str| server.push(&format!("{key}out"), &item(number, epoch, id));
    come_upon(first, 7, "n2");
    come_upon(first + 1, 8, "n3");
    store.commit(notify("bob", notice("n4", Priority::Normal))).await.unwrap();
    // By a node that was late to read it.
    come_upon(first, 7, "n2");
    store.commit(notify("bob", notice("n5", Priority::Normal))).await.unwrap();
    let summary = store.inbox_summary(&user_key("bob")).await.unwrap();
    assert_eq!((summary.unread, summary.head.own), (5, Seq(5)));
    store.close().await;
}

/// An epoch that began for what one server lost does not hide what another one loses after it.
#[tokio::test]
async fn two_servers_that_lose_something_are_both_noticed() {
    let start = || Cluster::start(false, Keeps::EverySecond);
    let mut cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let setup = Setup::new();
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let options = Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone());
    let store = RedisStore::open(options).unwrap();
    let rooms = rooms_of(&cluster, "conversation");
    let hubs = u64::from(Partition::of_hub().slot());
    let others = (0..3).filter(|server| {
        let first = if *server == 0 { 0 } else { u64::from(carillon_test_redis::LAST[server - 1]) + 1 };
        !(first..=u64::from(carillon_test_redis::LAST[*server])).contains(&hubs)
    });
    let others: Vec<usize> = others.collect();
    let kept: Vec<_> = others.iter().map(|server| cluster.servers[*server].back_up()).collect();
    for server in &others {
        at_last(&store, send(&rooms[*server], "alice", "lost")).await;
    }
    let mut known = vec![store.epoch()];
    for (server, kept) in others.iter().zip(&kept) {
        cluster.servers[*server].kill();
        cluster.servers[*server].go_back(kept);
        cluster.servers[*server].restart();
        let (sink, before) = (Arc::clone(&setup.sink), known.clone());
        let another =
            move |change: &Change| matches!(change, Change::Restarted(epoch) if !before.contains(epoch));
        tokio::task::spawn_blocking(move || sink.wait_for(another)).await.unwrap();
        known.push(store.epoch());
    }
    store.close().await;
}

/// However much was acknowledged, it is asked for in one piece.
#[tokio::test]
async fn what_is_looked_for_is_asked_in_one_piece() {
    let server = Server::start(Keeps::EverySecond);
    let (store, _setup) = open(&server);
    let commits = (0..400).map(|n| store.commit(send(&format!("conversation:{n}"), "alice", "kept")));
    for committed in futures::future::join_all(commits).await {
        committed.unwrap();
    }
    let figure = |name: &str| -> u64 {
        let figures: String = server.command("INFO stats");
        figures.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
    };
    let (reads, commands) = (figure("total_reads_processed:"), figure("total_commands_processed:"));
    server.command::<u64>("CLIENT KILL TYPE normal");
    at_last(&store, send("conversation:a", "alice", "again").keyed("again", 1)).await;
    let (reads, commands) =
        (figure("total_reads_processed:") - reads, figure("total_commands_processed:") - commands);
    // Some three hundred partitions have a mark; what goes on by itself is asked in pieces too.
    assert!(commands > 250 && reads < 100, "{commands} commands in {reads} pieces");
    store.close().await;
}
