//! What followers of a room are told of marks, in whatever order a node hears of them.

use std::sync::Arc;
use std::task::Poll;

use carillon_hub::bus::Exchange;
use carillon_hub::bus::feed::Feed;
use carillon_hub::delivery::Delivery;
use carillon_hub::delivery::follower::Follower;
use carillon_hub::delivery::mailbox::Mailbox;
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{Entry, EntryBody, Message};
use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::names::SessionId;
use carillon_hub::domain::position::{Epoch, Seq, Tag};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::grpc::encode::ProtobufEncoder;
use carillon_hub::store::{Change, CommitSink};
use carillon_proto::v1;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::node::*;

/// A node's delivery, and one session that follows the room.
struct Room {
    delivery: Arc<Delivery>,
    mailbox: Arc<Mailbox>,
}

impl Room {
    fn open() -> Self {
        let encoder = Arc::new(ProtobufEncoder::default());
        let delivery = Arc::new(Delivery::new(1, namespaces(), encoder, 100));
        let (bus, _) = Exchange::default().join(1 << 20);
        delivery.join(Feed::new(Arc::new(bus), Arc::new(Recorder::default()), 1));
        let mailbox = Arc::new(Mailbox::new(SessionId(1), user("alice"), 0, 1 << 20));
        delivery.registry().insert(Arc::clone(&mailbox));
        let follower = Follower::new(Arc::clone(&mailbox), 0, false);
        follower.begin();
        delivery.rooms().get_or_insert(&room("a")).follow(0, &follower);
        tokio::spawn(Arc::clone(&delivery.shards()[0]).run(CancellationToken::new()));
        Self { delivery, mailbox }
    }

    fn hears(&self, who: &str, delivered: u64, read: u64) {
        let marks = Marks::default().raised(Seq(delivered), Seq(read), read);
        self.delivery.committed(&[Change::Marks { room: room("a"), user: user(who).user, marks }]);
    }

    fn hears_message(&self, who: &str, seq: u64) {
        let content = Content::text("hello", "").unwrap();
        let entry = Entry {
            epoch: Epoch(1),
            seq: Seq(seq),
            tag: Tag(0),
            time: Timestamp(0),
            number: seq,
            sender: user(who).user,
            body: EntryBody::Message(Message::new(content, None, Pairs::default())),
        };
        self.delivery.committed(&[Change::Entry { room: room("a"), entry: Arc::new(entry) }]);
    }

    /// What the session is told of marks, up to those of `last`.
    async fn is_told(&self, last: &str) -> Vec<(String, u64, u64)> {
        let mut told = Vec::new();
        std::future::poll_fn(|context| {
            self.mailbox.register(context.waker());
            self.mailbox.take_pushes(|push| {
                let response = v1::SessionResponse::decode(push.frame.message()).unwrap();
                if let Some(v1::session_response::Kind::Marks(marks)) = response.kind {
                    told.push((marks.user, marks.delivered, marks.read));
                }
                true
            });
            if told.iter().any(|(who, ..)| who == last) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        told
    }
}

fn told(who: &str, delivered: u64, read: u64) -> (String, u64, u64) {
    (who.to_owned(), delivered, read)
}

/// Of two that were committed one after the other the later may come first: over the bus, where the other is one's own.
#[tokio::test]
async fn what_comes_late_takes_nothing_back() {
    let room = Room::open();
    room.hears("bob", 12, 4);
    room.hears("bob", 10, 4);
    room.hears("carol", 1, 0);
    assert_eq!(room.is_told("carol").await, [told("bob", 12, 4), told("carol", 1, 0)]);
    room.hears("bob", 11, 11);
    room.hears("bob", 12, 4);
    room.hears("dan", 1, 0);
    assert_eq!(room.is_told("dan").await, [told("bob", 12, 11), told("dan", 1, 0)], "the greatest of both");
}

/// Nor what was marked before a message of one's own.
#[tokio::test]
async fn what_was_marked_before_a_message_is_not_told_after_it() {
    let room = Room::open();
    room.hears_message("bob", 5);
    room.hears("bob", 3, 3);
    room.hears("bob", 5, 5);
    room.hears("carol", 1, 0);
    assert_eq!(room.is_told("carol").await, [told("carol", 1, 0)]);
    room.hears("bob", 6, 5);
    assert_eq!(room.is_told("bob").await, [told("bob", 6, 5)]);
}
