//! What every adapter does.

use bytes::Bytes;
use carillon_hub::bus::{Event, Topic};
use futures::future::join_all;

use crate::harness::{Fixture, Node, number, room, room_in, soon, tenant, user};

/// Makes one test of each idea for an adapter.
macro_rules! conformance {
    ($fixture:ty: $($test:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            crate::conformance::$test::<$fixture>().await;
        })+
    };
    ($fixture:ty) => {
        crate::conformance::conformance! { $fixture:
            what_is_published_comes_in_order_to_who_wants_it,
            a_node_hears_itself,
            topics_are_apart,
            what_is_released_comes_no_more,
            what_is_wanted_again_is_heard_again,
            a_topic_that_is_wanted_twice_is_heard_once,
            many_topics_are_wanted_at_once,
            what_is_published_after_a_subscription_is_heard,
            what_is_not_taken_is_lost_and_said_so,
            large_messages_come_whole,
        }
    };
}
pub(crate) use conformance;

const ROOM: usize = 16 << 20;

async fn two<F: Fixture>() -> (F, Node, Node) {
    let (fixture, mut nodes) = F::nodes(2, ROOM).await;
    let (b, a) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    (fixture, a, b)
}

pub(crate) async fn what_is_published_comes_in_order_to_who_wants_it<F: Fixture>() {
    let (_bus, mut a, mut b) = two::<F>().await;
    a.hears(room(1)).await;
    b.hears(room(2)).await;
    let published =
        (0..1_000).map(|number| b.bus.publish(&room(1), Bytes::copy_from_slice(&u64::to_le_bytes(number))));
    for result in soon("publications", join_all(published)).await {
        result.unwrap();
    }
    for number in 0..1_000 {
        assert_eq!(a.number().await, number);
    }
    a.says(&room(2), 7).await;
    assert_eq!(b.message().await.0, room(2), "and nothing of the other");
    assert_eq!(b.bus.figures().published, 1_000);
    assert_eq!(a.bus.figures().received, 1_000);
}

pub(crate) async fn a_node_hears_itself<F: Fixture>() {
    let (_bus, mut a, _b) = two::<F>().await;
    a.hears(Topic::Hub).await;
    a.says(&Topic::Hub, 3).await;
    assert_eq!(a.message().await, (Topic::Hub, Bytes::copy_from_slice(&3u64.to_le_bytes())));
}

pub(crate) async fn topics_are_apart<F: Fixture>() {
    let (_bus, mut a, b) = two::<F>().await;
    let topics = [
        room("x"),
        room("y"),
        room_in("other", "x"),
        user("x"),
        user("conversation:x"),
        Topic::Tenant(tenant("acme")),
        Topic::Tenant(tenant("other")),
        Topic::Hub,
    ];
    for (number, topic) in topics.iter().enumerate() {
        // Of what was not wanted before, nothing comes.
        b.says(topic, 99).await;
        a.hears(topic.clone()).await;
        b.says(topic, number as u64).await;
        let (came, message) = a.message().await;
        assert!(came == *topic && self::number(&message) == number as u64, "{number}");
    }
}

pub(crate) async fn what_is_released_comes_no_more<F: Fixture>() {
    let (_bus, mut a, b) = two::<F>().await;
    a.hears(room(1)).await;
    a.bus.release(&room(1));
    a.hears(room(2)).await;
    b.says(&room(1), 1).await;
    b.says(&room(2), 2).await;
    assert_eq!(a.message().await.0, room(2));
    assert_eq!(a.bus.figures().topics, 1);
    a.bus.release(&room(1));
    assert_eq!(a.bus.figures().topics, 1, "harmless");
}

pub(crate) async fn what_is_wanted_again_is_heard_again<F: Fixture>() {
    let (_bus, mut a, b) = two::<F>().await;
    for round in 0..200 {
        a.hears(room(1)).await;
        a.brings(vec![room(1)]).await;
        b.says(&room(1), round).await;
        assert_eq!(a.number().await, round);
        a.bus.release(&room(1));
        if round % 3 == 0 {
            // Released and wanted before anybody was told.
            drop(a.bus.subscribe(room(1)));
            a.bus.release(&room(1));
        }
    }
}

pub(crate) async fn a_topic_that_is_wanted_twice_is_heard_once<F: Fixture>() {
    let (_bus, mut a, b) = two::<F>().await;
    let (first, second) = (a.bus.subscribe(room(1)), a.bus.subscribe(room(1)));
    first.await.unwrap();
    second.await.unwrap();
    a.hears(room(1)).await;
    b.says(&room(1), 1).await;
    b.says(&room(1), 2).await;
    assert_eq!((a.number().await, a.number().await), (1, 2));
}

pub(crate) async fn many_topics_are_wanted_at_once<F: Fixture>() {
    const TOPICS: u64 = 3_000;
    let (_bus, mut a, b) = two::<F>().await;
    let wanted = join_all((0..TOPICS).map(|id| a.bus.subscribe(room(id))));
    for result in soon("subscriptions", wanted).await {
        result.unwrap();
    }
    a.brings((0..TOPICS).map(room).collect()).await;
    for id in 0..TOPICS {
        b.says(&room(id), id).await;
    }
    let mut heard = Vec::new();
    for _ in 0..TOPICS {
        let (topic, message) = a.message().await;
        assert_eq!(topic, room(number(&message)));
        heard.push(number(&message));
    }
    heard.sort_unstable();
    assert!(heard.into_iter().eq(0..TOPICS));
    (0..TOPICS).for_each(|id| a.bus.release(&room(id)));
    assert_eq!(a.bus.figures().topics, 0);
}

/// What a join relies on: it subscribes, then reads what there is.
pub(crate) async fn what_is_published_after_a_subscription_is_heard<F: Fixture>() {
    let (_bus, mut a, b) = two::<F>().await;
    for round in 0..300 {
        let topic = room(round);
        // Another topic's change is under way, so that it does not go alone.
        let beside = a.bus.subscribe(room(round + 10_000));
        a.hears(topic.clone()).await;
        b.says(&topic, round).await;
        assert_eq!(a.message().await, (topic, Bytes::copy_from_slice(&round.to_le_bytes())));
        beside.await.unwrap();
    }
}

pub(crate) async fn what_is_not_taken_is_lost_and_said_so<F: Fixture>() {
    let (_bus, mut nodes) = F::nodes(2, 64 << 10).await;
    let (b, mut a) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    a.hears(room(1)).await;
    a.hears(room(2)).await;
    let message = |number: u64| {
        let mut message = number.to_le_bytes().to_vec();
        message.resize(1_000, 0);
        Bytes::from(message)
    };
    for number in 0..500 {
        b.bus.publish(&room(1), message(number)).await.unwrap();
    }
    let (mut next, mut lost) = (0, Vec::new());
    while lost.is_empty() {
        match a.next().await {
            Event::Message(_, message) => {
                assert_eq!(number(&message), next, "without a hole before it is said");
                next += 1;
            }
            Event::Lost(topics) => lost = topics,
            Event::Brings(_) => {}
        }
    }
    assert!(next > 0 && next < 500, "{next}");
    assert!(lost.contains(&room(1)) && lost.contains(&room(2)), "of all topics, as nobody knows what it was");
    a.brings(vec![room(1), room(2)]).await;
    assert!(a.bus.figures().overflows >= 1);
    let mut came = next;
    // It may be lost once more before all that waited was taken.
    b.says(&room(2), 1_000).await;
    loop {
        match a.next().await {
            Event::Message(topic, _) if topic == room(2) => break,
            Event::Message(_, message) => {
                assert!(number(&message) >= came, "in order");
                came = number(&message) + 1;
            }
            Event::Lost(_) => {
                a.brings(vec![room(1), room(2)]).await;
                b.says(&room(2), 1_000).await;
            }
            Event::Brings(_) => {}
        }
    }
}

pub(crate) async fn large_messages_come_whole<F: Fixture>() {
    let (_bus, mut a, b) = two::<F>().await;
    a.hears(room(1)).await;
    let large: Bytes = (0..1 << 20).map(|byte| byte as u8).collect::<Vec<_>>().into();
    for _ in 0..3 {
        b.bus.publish(&room(1), large.clone()).await.unwrap();
        assert!(a.message().await.1 == large);
    }
}
