//! What a user of Redis may not do, and what others have left there.

use std::sync::Arc;

use carillon_hub::domain::inbox::{InboxChange, Priority};
use carillon_hub::domain::member::Role;
use carillon_hub::domain::names::NotificationId;
use carillon_hub::redis::{self, Partition};
use carillon_hub::store::redis::{OpenError, Options, RedisStore};
use carillon_hub::store::{Condition, Home, Outcome, Store, Write};

use crate::harness::*;
use carillon_test_redis::{Cluster, Keeps, Server};

/// A user with these rights on channels, and a store that speaks as them.
fn open_as(server: &Server, channels: &str) -> Result<RedisStore, OpenError> {
    open_with(server, &format!("+@all resetchannels {channels}"), true)
}

/// A user with these rights, and a store that speaks as them.
fn open_with(server: &Server, rights: &str, strict: bool) -> Result<RedisStore, OpenError> {
    server.command::<()>(&format!("ACL SETUSER hub reset on >secret ~* {rights}"));
    let setup = Setup::new();
    let mut at = redis::Options::new(server.url());
    (at.user, at.password) = (Some("hub".to_owned()), Some("secret".to_owned()));
    let options = Options::new(at, Arc::clone(&setup.namespaces), setup.sink.clone());
    RedisStore::open(Options { strict, ..options })
}

/// Whether a server keeps what it is given, and when it was restarted, must be known of it: in production it is refused by whom
/// it does not tell.
#[tokio::test]
async fn a_server_that_hides_what_must_be_known_is_refused() {
    let server = Server::start(Keeps::EverySecond);
    for (hidden, right) in [("-config", "+config|get"), ("-info", "+info")] {
        let rights = format!("+@all {hidden} &carillon:*");
        let error = open_with(&server, &rights, true).map(drop).unwrap_err().to_string();
        assert!(error.contains(right), "{error}");
        let store = open_with(&server, &rights, false).unwrap();
        store.commit(send("conversation:a", "alice", "in development")).await.unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn who_may_not_publish_is_told_so_at_the_start() {
    let server = Server::start(Keeps::EverySecond);
    for channels in ["", "&other:*"] {
        let error = open_as(&server, channels).map(drop).unwrap_err().to_string();
        assert!(error.contains("does not publish") && error.contains("ACL SETUSER"), "{error}");
    }
    open_as(&server, "&carillon:*").unwrap().close().await;
}

/// Each server of a cluster has its own list of who may do what.
#[tokio::test]
async fn who_may_not_publish_at_one_server_is_told_so_at_the_start() {
    let start = || Cluster::start(false, Keeps::EverySecond);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let at = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let setup = Setup::new();
    let options = Options::new(at, Arc::clone(&setup.namespaces), setup.sink.clone());
    for server in &cluster.servers {
        server.command::<()>("ACL SETUSER default resetchannels &other:*");
        let error = RedisStore::open(options.clone()).map(drop).unwrap_err().to_string();
        assert!(error.contains("does not publish"), "{error}");
        server.command::<()>("ACL SETUSER default allchannels");
    }
    RedisStore::open(options).unwrap().close().await;
}

/// The right is taken away later: what is committed is whole, and others find it missing.
#[tokio::test]
async fn an_outcome_that_cannot_be_published_is_whole() {
    let server = Server::start(Keeps::EverySecond);
    let store = open_as(&server, "&carillon:*").unwrap();
    store.commit(send("conversation:a", "alice", "before")).await.unwrap();
    server.command::<()>("ACL SETUSER hub resetchannels");
    let outcome = append("conversation:a", "office", added("mallory", Role::Member));
    let committed =
        store.commit(Outcome { conditions: vec![Condition::NotMember(user("mallory"))], ..outcome });
    assert_eq!(committed.await.unwrap().position.seq.0, 2);
    store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let room = store.room(&room_key("conversation:a")).await.unwrap().unwrap();
    assert_eq!((room.head.seq.0, room.members), (2, 1));
    assert!(store.member(&room_key("conversation:a"), &user("mallory")).await.unwrap().is_some());
    assert_eq!(store.inbox_summary(&user_key("bob")).await.unwrap().unread, 1);
    store.close().await;
}

/// A partition's outbox that is full stops what would put something in, and nothing else.
#[tokio::test]
async fn a_full_outbox_stops_what_has_effects_alone() {
    let server = Server::start(Keeps::EverySecond);
    let store = open_as(&server, "&carillon:*").unwrap();
    store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    for partition in [Partition::of_tenant(&tenant()), Partition::of_user(&tenant(), &user("bob"))] {
        let key = format!("carillon:{{{}}}:out", partition.number());
        let items = vec!["damaged"; 10_000].join(" ");
        server.command::<u64>(&format!("RPUSH {key} {items}"));
    }
    let know = Outcome { writes: vec![Write::Know], ..outcome(Home::Tenant, "carol") };
    store.commit(know).await.unwrap();
    let read = Write::Inbox(InboxChange::Read(vec![NotificationId::parse("n1").unwrap()]));
    store.commit(outcome(Home::Inbox(user("bob")), "bob").writing(read)).await.unwrap();
    assert_eq!(store.inbox_summary(&user_key("bob")).await.unwrap().unread, 0);
    assert!(store.commit(notify("bob", notice("n2", Priority::Normal))).await.is_err());
}
