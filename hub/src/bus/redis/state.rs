//! What is wanted, what is heard, and what is to be sent: without I/O. One lock around it orders everything: what a
//! connection brings, its end, and what the hub wants.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{Notify, oneshot};

use crate::bus::events::EventsIn;
use crate::bus::port::{BusError, BusFigures, Event, Topic};
use crate::domain::limits::BUS_BATCH;
use crate::redis::LinkFigures;
use crate::redis::slots::{Address, Topology, slot_of};

/// A channel's name.
pub(super) type Channel = Arc<[u8]>;

/// What somebody waits for.
pub(super) type Waiter = oneshot::Sender<Result<(), BusError>>;

/// A channel that is wanted.
struct Wanted {
    topic: Topic,
    /// Whose it is, where that is known.
    server: Option<Address>,
    /// Whether that server has confirmed it, on the connection that there is.
    is_heard: bool,
    waiters: Vec<Waiter>,
}

/// A message to be published.
pub(super) struct Outgoing {
    pub(super) channel: Channel,
    pub(super) message: Bytes,
    /// Who waits, where somebody does.
    pub(super) done: Option<Waiter>,
}

impl Outgoing {
    /// Says what became of it.
    pub(super) fn end(self, result: Result<(), BusError>) {
        if let Some(done) = self.done {
            // Whoever waits no longer does not matter.
            let _ = done.send(result);
        }
    }
}

/// What is to be sent to one server.
pub(super) struct Lane {
    /// Channels that are to be subscribed to or not any more. While there is no connection there are none: all are then.
    changed: FxHashSet<Channel>,
    outgoing: VecDeque<Outgoing>,
    outgoing_bytes: usize,
    /// Counts the connections: what another than the present one brings is passed over.
    connection: u64,
    is_up: bool,
    /// Whether an attempt to connect has failed since it was up.
    is_down: bool,
    pub(super) work: Arc<Notify>,
}

impl Lane {
    fn new() -> Self {
        Self {
            changed: FxHashSet::default(),
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            connection: 0,
            is_up: false,
            is_down: false,
            work: Arc::new(Notify::new()),
        }
    }

    fn change(&mut self, channel: &Channel) {
        if self.is_up {
            self.changed.insert(Arc::clone(channel));
            self.work.notify_one();
        }
    }
}

/// What a lane takes to send at once.
#[derive(Default)]
pub(super) struct Batch {
    /// Each with whether it is wanted.
    pub(super) channels: Vec<(Channel, bool)>,
    pub(super) outgoing: Vec<Outgoing>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.outgoing.is_empty()
    }
}

/// What the bus knows.
pub(super) struct State {
    wanted: FxHashMap<Channel, Wanted>,
    lanes: FxHashMap<Address, Lane>,
    topology: Topology,
    events: EventsIn,
    figures: BusFigures,
    /// Connections that were opened again.
    reopened: u64,
    outgoing_limit: usize,
}

impl State {
    pub(super) fn new(events: EventsIn, outgoing_limit: usize) -> Self {
        Self {
            wanted: FxHashMap::default(),
            lanes: FxHashMap::default(),
            topology: Topology::default(),
            events,
            figures: BusFigures::default(),
            reopened: 0,
            outgoing_limit,
        }
    }

    /// Wants a channel. Whoever waits is answered at once where it is heard, or its server cannot be reached.
    pub(super) fn want(&mut self, channel: &Channel, topic: Topic, waiter: Waiter) {
        if !self.wanted.contains_key(channel) {
            let server = self.topology.owner(slot_of(channel)).cloned();
            if let Some(lane) = server.as_ref().and_then(|server| self.lanes.get_mut(server)) {
                lane.change(channel);
            }
            let wanted = Wanted { topic, server, is_heard: false, waiters: Vec::new() };
            self.wanted.insert(Arc::clone(channel), wanted);
        }
        let Some(wanted) = self.wanted.get_mut(channel) else { return };
        let lane = wanted.server.as_ref().and_then(|server| self.lanes.get(server));
        // Whoever waits no longer does not matter, here and below.
        if wanted.is_heard {
            let _ = waiter.send(Ok(()));
        } else if lane.is_some_and(|lane| lane.is_down) {
            let _ = waiter.send(Err(BusError::Unavailable));
        } else {
            wanted.waiters.push(waiter);
        }
    }

    /// Wants a channel no more.
    pub(super) fn release(&mut self, channel: &Channel) {
        let Some(wanted) = self.wanted.remove(channel) else { return };
        self.figures.heard -= u64::from(wanted.is_heard);
        if let Some(lane) = wanted.server.and_then(|server| self.lanes.get_mut(&server)) {
            lane.change(channel);
        }
    }

    /// Queues a message. Where it is not taken, whoever waits for it is given back.
    pub(super) fn publish(&mut self, outgoing: Outgoing) -> Result<(), (BusError, Option<Waiter>)> {
        let server = self.topology.owner(slot_of(&outgoing.channel));
        let lane = server.and_then(|server| self.lanes.get_mut(server)).filter(|lane| !lane.is_down);
        let Some(lane) = lane else { return Err((BusError::Unavailable, outgoing.done)) };
        if lane.outgoing_bytes + outgoing.message.len() > self.outgoing_limit && lane.outgoing_bytes > 0 {
            return Err((BusError::Overloaded, outgoing.done));
        }
        lane.outgoing_bytes += outgoing.message.len();
        lane.outgoing.push_back(outgoing);
        lane.work.notify_one();
        Ok(())
    }

    /// A server's connection is there; gives its number. All of its channels are to be subscribed to.
    pub(super) fn connected(&mut self, server: &Address) -> u64 {
        let Some(lane) = self.lanes.get_mut(server) else { return 0 };
        (lane.is_up, lane.is_down) = (true, false);
        self.reopened += u64::from(lane.connection > 0);
        lane.connection += 1;
        let of_server = |(_, wanted): &(&Channel, &Wanted)| wanted.server.as_ref() == Some(server);
        lane.changed = self.wanted.iter().filter(of_server).map(|(channel, _)| Arc::clone(channel)).collect();
        lane.work.notify_one();
        lane.connection
    }

    /// A server could not be reached: nobody waits for it any longer.
    pub(super) fn unreachable(&mut self, server: &Address) {
        let Some(lane) = self.lanes.get_mut(server) else { return };
        lane.is_down = true;
        for outgoing in lane.outgoing.drain(..) {
            outgoing.end(Err(BusError::Unavailable));
        }
        lane.outgoing_bytes = 0;
        for wanted in self.wanted.values_mut().filter(|wanted| wanted.server.as_ref() == Some(server)) {
            for waiter in wanted.waiters.drain(..) {
                let _ = waiter.send(Err(BusError::Unavailable));
            }
        }
    }

    /// A server's connection is gone: nothing that it brought, or still may, comes after this.
    pub(super) fn disconnected(&mut self, server: &Address) {
        let Some(lane) = self.lanes.get_mut(server) else { return };
        if !std::mem::replace(&mut lane.is_up, false) {
            return;
        }
        lane.connection += 1;
        self.figures.lost += 1;
        let mut lost = Vec::new();
        for wanted in self.wanted.values_mut().filter(|wanted| wanted.server.as_ref() == Some(server)) {
            if std::mem::replace(&mut wanted.is_heard, false) {
                lost.push(wanted.topic.clone());
            }
        }
        self.tell_lost(lost);
    }

    fn tell_lost(&mut self, topics: Vec<Topic>) {
        if !topics.is_empty() {
            self.figures.heard -= topics.len() as u64;
            self.events.put(Event::Lost(topics));
        }
    }

    /// Takes what is to be sent to a server.
    pub(super) fn take(&mut self, server: &Address) -> Batch {
        let mut batch = Batch::default();
        let Some(lane) = self.lanes.get_mut(server) else { return batch };
        let changed: Vec<_> = lane.changed.iter().take(BUS_BATCH).cloned().collect();
        for channel in changed {
            lane.changed.remove(&channel);
            let wanted =
                self.wanted.get(&channel).is_some_and(|wanted| wanted.server.as_ref() == Some(server));
            batch.channels.push((channel, wanted));
        }
        if lane.changed.is_empty() {
            lane.changed = FxHashSet::default();
        }
        let count = lane.outgoing.len().min(BUS_BATCH);
        for outgoing in lane.outgoing.drain(..count) {
            lane.outgoing_bytes -= outgoing.message.len();
            // Whoever waits no longer was told that it failed.
            if !outgoing.done.as_ref().is_some_and(Waiter::is_closed) {
                batch.outgoing.push(outgoing);
            }
        }
        batch
    }

    /// A channel of a server's present connection is heard. Harmless where it is known.
    pub(super) fn heard(&mut self, server: &Address, connection: u64, channel: &[u8]) {
        if !self.is_present(server, connection) {
            return;
        }
        let Some(wanted) = self.wanted.get_mut(channel) else { return };
        if wanted.server.as_ref() != Some(server) || std::mem::replace(&mut wanted.is_heard, true) {
            return;
        }
        self.figures.heard += 1;
        self.events.put(Event::Brings(vec![wanted.topic.clone()]));
        for waiter in wanted.waiters.drain(..) {
            let _ = waiter.send(Ok(()));
        }
    }

    /// Whether a channel that its server hears no more should be: it was moved to another server.
    pub(super) fn is_missed(&self, server: &Address, connection: u64, channel: &[u8]) -> bool {
        self.is_present(server, connection)
            && self
                .wanted
                .get(channel)
                .is_some_and(|wanted| wanted.is_heard && wanted.server.as_ref() == Some(server))
    }

    /// A message came over a connection. `false` where it finds no room: the connection must end.
    pub(super) fn message(
        &mut self,
        server: &Address,
        connection: u64,
        channel: &[u8],
        message: Bytes,
    ) -> bool {
        if !self.is_present(server, connection) {
            return true;
        }
        let wanted = self.wanted.get(channel).filter(|wanted| wanted.server.as_ref() == Some(server));
        let Some(wanted) = wanted else { return true };
        self.figures.received += 1;
        self.figures.received_bytes += message.len() as u64;
        let fits = self.events.put(Event::Message(wanted.topic.clone(), message));
        if !fits {
            self.figures.overflows += 1;
            self.disconnected(server);
        }
        fits
    }

    fn is_present(&self, server: &Address, connection: u64) -> bool {
        self.lanes.get(server).is_some_and(|lane| lane.is_up && lane.connection == connection)
    }

    /// Slots have these owners from now on. Gives servers that are new and those that have none any more.
    pub(super) fn arrange(&mut self, topology: Topology) -> (Vec<Address>, Vec<Address>) {
        let servers = topology.servers();
        let new: Vec<_> =
            servers.iter().filter(|server| !self.lanes.contains_key(*server)).cloned().collect();
        self.lanes.extend(new.iter().map(|server| (server.clone(), Lane::new())));
        let mut lost = Vec::new();
        for (channel, wanted) in &mut self.wanted {
            let owner = topology.owner(slot_of(channel));
            if owner == wanted.server.as_ref() {
                // It was refused by who has it, perhaps, and is asked for again.
                if let Some(lane) =
                    owner.filter(|_| !wanted.is_heard).and_then(|owner| self.lanes.get_mut(owner))
                {
                    lane.change(channel);
                }
                continue;
            }
            for server in [wanted.server.as_ref(), owner].into_iter().flatten() {
                if let Some(lane) = self.lanes.get_mut(server) {
                    lane.change(channel);
                }
            }
            wanted.server = owner.cloned();
            if std::mem::replace(&mut wanted.is_heard, false) {
                lost.push(wanted.topic.clone());
            }
        }
        self.tell_lost(lost);
        self.topology = topology;
        let gone: Vec<_> = self.lanes.keys().filter(|server| !servers.contains(server)).cloned().collect();
        (new, gone)
    }

    /// A server is not used any more.
    pub(super) fn forget(&mut self, server: &Address) {
        self.unreachable(server);
        self.lanes.remove(server);
    }

    /// What wakes a server's lane.
    pub(super) fn work(&self, server: &Address) -> Arc<Notify> {
        self.lanes.get(server).map_or_else(Arc::default, |lane| Arc::clone(&lane.work))
    }

    pub(super) fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(super) fn is_connected(&self) -> bool {
        !self.lanes.is_empty() && self.lanes.values().all(|lane| lane.is_up)
    }

    /// Figures; `counted` is what was asked over the connections.
    pub(super) fn figures(&self, counted: LinkFigures) -> BusFigures {
        let link = LinkFigures {
            servers: self.lanes.len() as u64,
            connected: self.lanes.values().filter(|lane| lane.is_up).count() as u64,
            reopened: self.reopened,
            ..counted
        };
        BusFigures { topics: self.wanted.len() as u64, link: Some(link), ..self.figures }
    }

    pub(super) fn count_published(&mut self, messages: &[Outgoing]) {
        self.figures.published += messages.len() as u64;
        self.figures.published_bytes +=
            messages.iter().map(|outgoing| outgoing.message.len() as u64).sum::<u64>();
    }
}

#[cfg(test)]
mod tests;
