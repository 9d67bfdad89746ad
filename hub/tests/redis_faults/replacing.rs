//! A connection is replaced: what the one before brings counts for nothing from the time on at which the new one is looked at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carillon_hub::redis::link::Check;
use carillon_hub::redis::{Link, LinkError, Options, Server, Way, connect};
use carillon_test_redis::{self as servers, Keeps};
use redis::RedisError;

const KEY: &[u8] = b"any";

fn check(looks: impl Fn(Server) -> Result<(), LinkError> + Send + Sync + 'static) -> Check {
    Box::new(move |_, server| {
        let looked = looks(server);
        Box::pin(async move { looked })
    })
}

async fn connected(server: &servers::Server) -> (Link, Server) {
    let link = Link::with_writes_apart(Options::new(server.url())).unwrap();
    connect(&link, &check(|_| Ok(()))).await.unwrap();
    let first = link.server(KEY).unwrap();
    (link, first)
}

fn late() -> RedisError {
    RedisError::from(io::Error::from(io::ErrorKind::TimedOut))
}

#[tokio::test]
async fn what_comes_while_the_new_one_is_looked_at_counts_for_nothing() {
    let server = servers::Server::start(Keeps::Nothing);
    let (link, first) = connected(&server).await;
    link.failed(&first, &late(), Way::Reads);
    let was_replaced = Arc::new(AtomicBool::new(false));
    let (seen, before) = (Arc::clone(&was_replaced), first.clone());
    let refuses = check(move |_| {
        // Writes are answered, over a connection that may lead to another server than the new one.
        before.answered(Way::Writes);
        seen.store(before.is_replaced(), Ordering::Release);
        Err(LinkError::Unreachable("it is not fit".into()))
    });
    connect(&link, &refuses).await.unwrap_err();
    assert!(was_replaced.load(Ordering::Acquire));
    // It is answered again, and no less to be replaced.
    first.answered(Way::Reads);
    connect(&link, &check(|_| Ok(()))).await.unwrap();
    assert_ne!(link.server(KEY).unwrap().number, first.number);
}

/// Of two ways one is broken: what comes over the other one counts for nothing either.
#[tokio::test]
async fn what_comes_over_one_way_after_the_other_was_lost_counts_for_nothing() {
    let server = servers::Server::start(Keeps::Nothing);
    let (link, first) = connected(&server).await;
    link.failed(&first, &RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe)), Way::Reads);
    assert!(first.is_replaced());
    connect(&link, &check(|_| Ok(()))).await.unwrap();
    let second = link.server(KEY).unwrap();
    assert!(second.number != first.number && !second.is_replaced());
}
