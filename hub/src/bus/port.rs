//! The port: channels that nodes hear each other on.

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::domain::names::{RoomKey, TenantId, UserKey};
use crate::redis::LinkFigures;

/// What a channel is about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// What happens in a room.
    Room(RoomKey),
    /// What concerns one user: their inbox.
    User(UserKey),
    /// What concerns all of a tenant's users.
    Tenant(TenantId),
    /// What every node must know: revocations, control.
    Hub,
}

/// For the log: without names.
impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Room(_) => "room",
            Self::User(_) => "user",
            Self::Tenant(_) => "tenant",
            Self::Hub => "hub",
        })
    }
}

/// What a bus brings. Of one topic everything comes in the order in which it was published, as far as it comes: between
/// [`Event::Lost`] and [`Event::Brings`] nothing does, and nothing of before comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something was published, by whichever node, this one among them.
    Message(Topic, Bytes),
    /// These topics are heard from now on: for the first time, or again. Everything that is published later comes.
    Brings(Vec<Topic>),
    /// These topics are not heard any more, until they are again.
    Lost(Vec<Topic>),
}

/// Why the bus did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// It is away: retry later.
    #[error("the bus is not available")]
    Unavailable,
    /// Too much waits to be published: retry later.
    #[error("the bus is overloaded")]
    Overloaded,
}

/// What a call gives, later.
pub type Calling = BoxFuture<'static, Result<(), BusError>>;

/// Channels between nodes. It may lose messages, and then says so. Implementations pass `hub/tests/bus_conformance`.
///
/// Dropping a returned future does not undo what it began. What it brings comes out of the [`Events`](super::Events) that belong to it.
pub trait Bus: Send + Sync + 'static {
    /// Wants a topic, from now until it is [released](Self::release). Done when it is heard: everything that is published
    /// later comes. Where that is not so within a limit of time it is still wanted, and [`Event::Brings`] says when it is
    /// heard. Once per topic: nobody counts here.
    fn subscribe(&self, topic: Topic) -> Calling;

    /// Wants a topic no more. What is on its way may still come.
    fn release(&self, topic: &Topic);

    /// Publishes. Done when the server has it: it is on its way to all nodes that hear the topic.
    fn publish(&self, topic: &Topic, message: Bytes) -> Calling;

    /// Publishes, and waits for nothing: what is taken may still be lost, as with the connection. Refused where the bus is
    /// away, or too much waits.
    fn send(&self, topic: &Topic, message: Bytes) -> Result<(), BusError>;

    /// Whether all that is wanted is heard, or about to be.
    fn is_connected(&self) -> bool;

    /// Whether there may ever be other nodes. Where there are none, nothing need be subscribed to or published.
    fn has_others(&self) -> bool;

    /// Figures for metrics.
    fn figures(&self) -> BusFigures;
}

/// Figures of a bus since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusFigures {
    /// Topics that are wanted now.
    pub topics: u64,
    /// Those of them that are heard.
    pub heard: u64,
    /// Messages that came.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Messages that were published.
    pub published: u64,
    /// Their bytes.
    pub published_bytes: u64,
    /// Times that a connection was lost.
    pub lost: u64,
    /// Times that it was closed because what it brought was not taken fast enough.
    pub overflows: u64,
    /// Figures of the connections, where there are any.
    pub link: Option<LinkFigures>,
}
