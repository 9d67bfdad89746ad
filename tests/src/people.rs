//! Users with a client, and what they are told.

use std::time::Duration;

use carillon_client::{Client, ClientOptions, Event, Events, v1};

/// Longest wait for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A user who is connected.
pub struct Person {
    /// Who.
    pub name: String,
    /// Commands.
    pub client: Client,
    events: Events,
}

impl Person {
    /// Connects.
    pub async fn connect(name: &str, options: ClientOptions) -> Self {
        let (client, events) = Client::connect(options).await.expect("the session opens");
        Self { name: name.to_owned(), client, events }
    }

    /// Joins a room.
    pub async fn joins(&self, room: &str) -> v1::Joined {
        self.client.join(room).await.expect("the join is permitted")
    }

    /// Sends a message, and gives its seq.
    pub async fn says(&self, room: &str, words: &str) -> u64 {
        let sent = self.client.send(room, words).await.expect("the message is accepted");
        sent.position.expect("a position").seq
    }

    /// The next event.
    pub async fn next(&mut self) -> Event {
        let event = tokio::time::timeout(PATIENCE, self.events.next()).await;
        event.expect("something happens").expect("the events go on")
    }

    /// The next event that `pick` picks; the others are passed over.
    pub async fn waits_for<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.next().await.expect("the events go on");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it happens in time")
    }

    /// The next unread count of a room that is at least `count`; smaller ones are what merging let through before.
    pub async fn hears_unread(&mut self, room: &str, count: u64) -> v1::Unread {
        self.waits_for(|event| match event {
            Event::Unread(unread) if unread.room == room && unread.count >= count => Some(*unread),
            _ => None,
        })
        .await
    }

    /// The next message of a room.
    pub async fn hears(&mut self, room: &str) -> v1::Message {
        self.waits_for(|event| match event {
            Event::Message(message) if message.room == room => Some(*message),
            _ => None,
        })
        .await
    }
}

/// The text of a message.
pub fn words(message: &v1::Message) -> &str {
    match message.content.as_ref().and_then(|content| content.body.as_ref()) {
        Some(v1::content::Body::Text(text)) => text,
        _ => "",
    }
}

/// The seq of a message.
pub fn seq(message: &v1::Message) -> u64 {
    message.header.as_ref().map_or(0, |header| header.seq)
}
