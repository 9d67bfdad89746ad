//! What is shown of other nodes, and of what leads to them.

use super::exposition::Exposition;
use super::names;
use crate::bus::BusFigures;
use crate::bus::sequence::Counts;
use crate::bus::sessions::SessionsFigures;
use crate::redis::LinkFigures;
use crate::store::StoreFigures;

/// Of other nodes, and of what leads to them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodesFigures {
    /// Of the bus.
    pub bus: BusFigures,
    /// What became of the logs that it brings.
    pub logs: Counts,
    /// What nodes say of their sessions.
    pub sessions: SessionsFigures,
    /// Of the registry's connections.
    pub registry: LinkFigures,
}

impl NodesFigures {
    pub(super) fn write(&self, text: &mut Exposition, store: &StoreFigures) {
        self.write_links(text, store);
        self.write_bus(text);
        let sessions = &self.sessions;
        text.single(names::OTHER_NODES, sessions.others);
        text.single(names::LEASE_GOOD, u64::from(sessions.has_lease));
        text.single(names::LEASES_LOST, sessions.lives);
        text.single(names::PRESENCE_TOLD, sessions.told);
        text.single(names::PRESENCE_UNTOLD, sessions.untold);
        text.single(names::PRESENCE_HEARD, sessions.heard);
        text.single(names::PRESENCE_READS, sessions.reads);
    }

    fn write_links(&self, text: &mut Exposition, store: &StoreFigures) {
        let links = [
            ("store", store.server.map(|server| server.link)),
            ("bus", self.bus.link),
            ("registry", Some(self.registry)),
        ];
        let links: Vec<_> = links.iter().filter_map(|(name, link)| Some((*name, (*link)?))).collect();
        for (family, value) in [
            (names::REDIS_SERVERS, (|link| link.servers) as fn(&LinkFigures) -> u64),
            (names::REDIS_CONNECTED, |link| link.connected),
            (names::REDIS_REOPENED, |link| link.reopened),
            (names::REDIS_IN_FLIGHT, |link| link.in_flight),
        ] {
            text.family(family);
            for (name, link) in &links {
                text.sample(family, &[("link", name)], value(link));
            }
        }
        text.family(names::REDIS_REQUESTS);
        for (name, link) in &links {
            for (result, count) in [
                ("answered", link.answered),
                ("refused", link.refused),
                ("timed_out", link.timed_out),
                ("broken", link.broken),
            ] {
                text.sample(names::REDIS_REQUESTS, &[("link", name), ("result", result)], count);
            }
        }
        text.family(names::REDIS_WAITED);
        for (name, link) in &links {
            text.time(names::REDIS_WAITED, &[("link", name)], link.waited);
        }
        text.family(names::REDIS_ANSWER_AGE);
        for (name, link) in &links {
            // Without any answer so far there is no age.
            if let Some(age) = link.answered_ago {
                text.time(names::REDIS_ANSWER_AGE, &[("link", name)], age);
            }
        }
        if let Some(server) = &store.server {
            text.single_time(names::REDIS_ROUND_TRIP, server.round_trip);
        }
    }

    fn write_bus(&self, text: &mut Exposition) {
        let (bus, logs) = (&self.bus, &self.logs);
        text.single(names::BUS_TOPICS, bus.topics);
        text.single(names::BUS_HEARD, bus.heard);
        text.single(names::BUS_PUBLISHED, bus.published);
        text.single(names::BUS_PUBLISHED_BYTES, bus.published_bytes);
        text.single(names::BUS_RECEIVED, bus.received);
        text.single(names::BUS_RECEIVED_BYTES, bus.received_bytes);
        text.single(names::BUS_LOST, bus.lost);
        text.single(names::BUS_OVERFLOWS, bus.overflows);
        text.single(names::BUS_GAPS, logs.gaps);
        text.single(names::BUS_PAGES, logs.pages);
        text.single(names::BUS_READ_FAILURES, logs.failures);
        text.single(names::BUS_REPEATED, logs.repeated);
        text.single(names::BUS_DIVERGED, logs.diverged);
    }
}
