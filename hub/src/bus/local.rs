//! The bus within one process: of hubs that share it, or of one that is alone, whose store tells it everything itself.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use super::events::{Events, EventsIn, queue};
use super::port::{Bus, BusError, BusFigures, Calling, Event, Topic};

struct Member {
    id: u64,
    topics: FxHashSet<Topic>,
    events: EventsIn,
    figures: BusFigures,
}

#[derive(Default)]
struct Members {
    list: Vec<Member>,
    joined: u64,
}

/// What hubs of one process share. A cheap handle.
#[derive(Clone, Default)]
pub struct Exchange(Arc<Mutex<Members>>);

impl Exchange {
    /// Another hub joins. `limit` bytes of messages may wait for it.
    pub fn join(&self, limit: usize) -> (Local, Events) {
        let (into, events) = queue(limit);
        let mut members = self.0.lock();
        members.joined += 1;
        let id = members.joined;
        let (topics, figures) = (FxHashSet::default(), BusFigures::default());
        members.list.push(Member { id, topics, events: into, figures });
        (Local { exchange: self.clone(), id, is_alone: false }, events)
    }
}

/// One hub's part of an exchange; dropping it leaves.
pub struct Local {
    exchange: Exchange,
    id: u64,
    is_alone: bool,
}

impl Local {
    /// Of a hub that is alone.
    pub fn alone() -> (Self, Events) {
        let (mut bus, events) = Exchange::default().join(0);
        bus.is_alone = true;
        (bus, events)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Member) -> T) -> Option<T> {
        self.exchange.0.lock().list.iter_mut().find(|member| member.id == self.id).map(act)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.exchange.0.lock().list.retain(|member| member.id != self.id);
    }
}

impl Member {
    fn hand_over(&mut self, topic: &Topic, message: &Bytes) {
        if !self.topics.contains(topic) {
            return;
        }
        self.figures.received += 1;
        self.figures.received_bytes += message.len() as u64;
        if !self.events.put(Event::Message(topic.clone(), message.clone())) {
            self.figures.overflows += 1;
            let topics: Vec<_> = self.topics.iter().cloned().collect();
            self.events.put(Event::Lost(topics.clone()));
            self.events.put(Event::Brings(topics));
        }
    }
}

impl Bus for Local {
    fn subscribe(&self, topic: Topic) -> Calling {
        self.with(|member| {
            if member.topics.insert(topic.clone()) {
                member.events.put(Event::Brings(vec![topic]));
            }
        });
        futures::future::ready(Ok(())).boxed()
    }

    fn release(&self, topic: &Topic) {
        self.with(|member| member.topics.remove(topic));
    }

    fn publish(&self, topic: &Topic, message: Bytes) -> Calling {
        futures::future::ready(self.send(topic, message)).boxed()
    }

    fn send(&self, topic: &Topic, message: Bytes) -> Result<(), BusError> {
        for member in &mut self.exchange.0.lock().list {
            member.hand_over(topic, &message);
        }
        self.with(|member| {
            member.figures.published += 1;
            member.figures.published_bytes += message.len() as u64;
        });
        Ok(())
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn has_others(&self) -> bool {
        !self.is_alone
    }

    fn figures(&self) -> BusFigures {
        let figures = |member: &mut Member| {
            let topics = member.topics.len() as u64;
            BusFigures { topics, heard: topics, ..member.figures }
        };
        self.with(figures).unwrap_or_default()
    }
}
