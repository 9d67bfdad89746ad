//! Nodes on one bus, and what each of them hears.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::bus::{Bus, Event, Events, Topic};
use carillon_hub::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};

/// Nothing that is waited for takes longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// Waits, and fails where it does not come.
pub(crate) async fn soon<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONGEST, waiting).await {
        Ok(come) => come,
        Err(_) => panic!("{what}: it does not come"),
    }
}

/// An adapter.
pub(crate) trait Fixture: Sized {
    /// Nodes on one bus, each with this much room for messages that it does not take.
    async fn nodes(count: usize, room: usize) -> (Self, Vec<Node>);
}

/// One node.
pub(crate) struct Node {
    pub(crate) bus: Box<dyn Bus>,
    events: Events,
    taken: VecDeque<Event>,
}

impl Node {
    pub(crate) fn new(bus: impl Bus, events: Events) -> Self {
        Self { bus: Box::new(bus), events, taken: VecDeque::new() }
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Event {
        while self.taken.is_empty() {
            let mut part = Vec::new();
            soon("an event", self.events.take(&mut part)).await;
            self.taken.extend(part);
        }
        self.taken.pop_front().unwrap()
    }

    /// The next message, whatever is said of topics before.
    pub(crate) async fn message(&mut self) -> (Topic, Bytes) {
        loop {
            if let Event::Message(topic, message) = self.next().await {
                return (topic, message);
            }
        }
    }

    /// The number in the next message.
    pub(crate) async fn number(&mut self) -> u64 {
        number(&self.message().await.1)
    }

    pub(crate) async fn hears(&self, topic: Topic) {
        soon("a subscription", self.bus.subscribe(topic)).await.unwrap();
    }

    pub(crate) async fn says(&self, topic: &Topic, number: u64) {
        self.bus.publish(topic, Bytes::copy_from_slice(&number.to_le_bytes())).await.unwrap();
    }

    /// Waits until these topics are heard, passing over messages.
    pub(crate) async fn brings(&mut self, mut topics: Vec<Topic>) {
        while !topics.is_empty() {
            if let Event::Brings(heard) = self.next().await {
                topics.retain(|topic| !heard.contains(topic));
            }
        }
    }

    /// Waits until topics are lost, passing over messages.
    pub(crate) async fn loses(&mut self) -> Vec<Topic> {
        loop {
            if let Event::Lost(topics) = self.next().await {
                return topics;
            }
        }
    }
}

pub(crate) fn number(message: &[u8]) -> u64 {
    u64::from_le_bytes(message.get(..8).unwrap().try_into().unwrap())
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// A room of the tenant acme.
pub(crate) fn room(id: impl std::fmt::Display) -> Topic {
    room_in("acme", id)
}

pub(crate) fn room_in(tenant_name: &str, id: impl std::fmt::Display) -> Topic {
    let room = RoomName::parse(&format!("conversation:{id}")).unwrap();
    Topic::Room(RoomKey { tenant: tenant(tenant_name), room })
}

pub(crate) fn user(name: &str) -> Topic {
    Topic::User(UserKey { tenant: tenant("acme"), user: UserId::parse(name).unwrap() })
}
