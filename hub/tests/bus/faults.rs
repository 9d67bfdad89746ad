//! What a real server and the way to it do: connections that are killed, a server that stands still, dies and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::bus::redis::RedisBus;
use carillon_hub::bus::{Bus, BusError, Event};
use tokio_util::sync::DropGuard;

use crate::harness::{Node, number, room, soon};
use crate::redis::{node, options};
use carillon_test_redis::{Keeps, Server};

const ROOM: usize = 16 << 20;

/// What one node publishes without end, and how far it came.
struct Publishing {
    stop: Arc<AtomicBool>,
    published: Arc<AtomicU64>,
}

impl Publishing {
    /// Each number once, the next when the server has it; what fails is published again, so it may come twice.
    fn begin(server: &Server) -> (Self, DropGuard) {
        let (bus, _events, service) = RedisBus::new(options(server)).unwrap();
        let cancel = tokio_util::sync::CancellationToken::new();
        tokio::spawn(service.run(cancel.clone()));
        let (stop, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let publishing = Self { stop: Arc::clone(&stop), published: Arc::clone(&published) };
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let next = published.load(Ordering::SeqCst);
                match bus.publish(&room(1), Bytes::copy_from_slice(&next.to_le_bytes())).await {
                    Ok(()) => published.store(next + 1, Ordering::SeqCst),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        (publishing, cancel.drop_guard())
    }
}

/// What a node has heard of numbers that are published in order.
#[derive(Default)]
struct Heard {
    next: u64,
    /// Whether something may have been lost since the last one came.
    may_miss: bool,
    missed: u64,
    lost: u64,
}

impl Heard {
    /// Takes what comes next. A hole that nobody said anything of is a failure.
    async fn take(&mut self, node: &mut Node) {
        match node.next().await {
            Event::Lost(_) => {
                self.may_miss = true;
                self.lost += 1;
            }
            Event::Brings(_) => {}
            Event::Message(_, message) => {
                let number = number(&message);
                // A publication whose answer was lost is repeated.
                assert!(number + 1 >= self.next, "{number} after {}", self.next);
                assert!(number <= self.next || self.may_miss, "{number} came, and {} did not", self.next);
                self.missed += number.saturating_sub(self.next);
                self.next = self.next.max(number + 1);
                self.may_miss = false;
            }
        }
    }

    /// Takes until so many have come after this.
    async fn take_more(&mut self, node: &mut Node, more: u64) {
        let until = self.next + more;
        while self.next < until || self.may_miss {
            self.take(node).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_missed_unsaid_when_connections_are_killed() {
    let server = Server::start(Keeps::Nothing);
    let (mut node, _guard) = node(options(&server), ROOM).await;
    node.hears(room(1)).await;
    let (publishing, _publisher) = Publishing::begin(&server);
    let mut heard = Heard::default();
    for _ in 0..10 {
        heard.take_more(&mut node, 200).await;
        let killed: u64 = server.command("CLIENT KILL TYPE pubsub");
        assert!(killed >= 1);
        let lost = heard.lost;
        while heard.lost == lost {
            heard.take(&mut node).await;
        }
    }
    heard.take_more(&mut node, 200).await;
    publishing.stop.store(true, Ordering::SeqCst);
    assert!(heard.lost >= 10 && node.bus.figures().lost >= 10);
    assert!(publishing.published.load(Ordering::SeqCst) >= heard.next - 1);
}

#[tokio::test]
async fn a_server_that_stands_still_is_noticed_and_found_again() {
    let server = Server::start(Keeps::Nothing);
    let mut slow = options(&server);
    slow.limit = Duration::from_millis(300);
    let (mut node, _guard) = node(slow, ROOM).await;
    node.hears(room(1)).await;
    server.freeze();
    let topics = node.loses().await;
    assert_eq!(topics, [room(1)]);
    assert!(!node.bus.is_connected());
    assert_eq!(soon("a refusal", node.bus.publish(&room(1), Bytes::new())).await, Err(BusError::Unavailable));
    assert_eq!(soon("a refusal", node.bus.subscribe(room(2))).await, Err(BusError::Unavailable));
    server.thaw();
    // Also what was refused: it is still wanted.
    node.brings(vec![room(1), room(2)]).await;
    node.says(&room(2), 5).await;
    assert_eq!(node.number().await, 5);
    assert!(node.bus.is_connected());
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_found_again() {
    let mut server = Server::start(Keeps::Nothing);
    let (mut node, _guard) = node(options(&server), ROOM).await;
    let topics: Vec<_> = (0..2_000).map(room).collect();
    for topic in &topics {
        drop(node.bus.subscribe(topic.clone()));
    }
    node.brings(topics.clone()).await;
    for _ in 0..3 {
        server.kill();
        assert_eq!(node.loses().await.len(), topics.len(), "all at once");
        node.bus.release(&room(0));
        drop(node.bus.subscribe(room(5_000)));
        server.restart();
        let mut wanted = topics.clone();
        wanted[0] = room(5_000);
        node.brings(wanted).await;
        node.says(&room(5_000), 1).await;
        assert_eq!(node.message().await.0, room(5_000));
        node.bus.release(&room(5_000));
        node.hears(room(0)).await;
    }
    let subscribed: Vec<redis::Value> = server.command("PUBSUB CHANNELS");
    assert_eq!(subscribed.len(), topics.len(), "and no more than is wanted");
}

#[tokio::test]
async fn a_server_that_was_never_there_is_found_when_it_comes() {
    let mut server = Server::start(Keeps::Nothing);
    server.kill();
    let (bus, events, service) = RedisBus::new(options(&server)).unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(service.run(cancel.clone()));
    let mut node = Node::new(bus, events);
    assert_eq!(soon("a refusal", node.bus.subscribe(room(1))).await, Err(BusError::Unavailable));
    server.restart();
    node.brings(vec![room(1)]).await;
    cancel.cancel();
    soon("the end", running).await.unwrap();
    let connections = || server.command::<String>("CLIENT LIST").lines().count();
    soon("the end of its connection", async {
        while connections() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_is_asked_again_and_not_without_end() {
    let server = Server::start(Keeps::Nothing);
    server.command::<()>("ACL SETUSER narrow on nopass ~* +@all resetchannels &carillon:*");
    let mut narrow = options(&server);
    narrow.redis.user = Some("narrow".to_owned());
    narrow.redis.password = Some("any".to_owned());
    let (mut good, _guard) = node(narrow.clone(), ROOM).await;
    good.hears(room(1)).await;
    good.says(&room(1), 1).await;
    assert_eq!(good.number().await, 1);
    narrow.redis.prefix = "elsewhere".to_owned();
    narrow.limit = Duration::from_millis(500);
    let (bus, _events, service) = RedisBus::new(narrow).unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    tokio::spawn(service.run(cancel.clone()));
    let _guard = cancel.drop_guard();
    assert_eq!(soon("a refusal", bus.subscribe(room(1))).await, Err(BusError::Unavailable));
    server.command::<()>("ACL SETUSER narrow allchannels");
    soon("a permission", async { while bus.subscribe(room(1)).await.is_err() {} }).await;
}
