//! What is known of the other nodes' sessions of one tenant: which batches came, and what has to be read.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::bus::registry::Kept;
use crate::bus::sessions::{Batch, Follows, Life, Record, Told};
use crate::domain::limits::{PRESENCE_LATER, SEQUENCE_RETRY};
use crate::domain::names::SessionId;
use crate::domain::time::Moment;

/// The others' sessions of a tenant, without I/O. What a method gives is to be put on the board, in that order.
///
/// Of each node the batches count up, and the registry has the number of the last one that is in it. So one that follows
/// what is known is added, one that is known is passed over, and where one is missing the node's sessions are read again;
/// what comes meanwhile waits, and what the read did not have yet is added after.
#[derive(Debug)]
pub(super) struct Mirror {
    own: u64,
    nodes: FxHashMap<u64, Node>,
    /// Whether the others are known, and each was read once.
    is_whole: bool,
    /// How many looks at the leases had begun when the topic was heard: who comes after a later one says so there.
    heard: Option<u64>,
    /// Whether there was a later one.
    knows_nodes: bool,
    reads: u64,
}

#[derive(Debug, Default)]
struct Node {
    number: u32,
    counter: u64,
    sessions: FxHashSet<SessionId>,
    was_read: bool,
    reading: Option<Reading>,
    /// It was first heard of after so many looks at the leases.
    since: u64,
}

#[derive(Debug, Default)]
struct Reading {
    /// The read that is under way; 0 where it has not begun.
    id: u64,
    not_before: Moment,
    /// It has to be done once more.
    again: bool,
    later: Vec<Batch>,
}

/// A read that is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) life: Life,
    pub(super) id: u64,
}

impl Mirror {
    /// Of the node `own`. Nothing is known.
    pub(super) fn new(own: u64) -> Self {
        Self { own, nodes: FxHashMap::default(), is_whole: false, heard: None, knows_nodes: false, reads: 0 }
    }

    /// The tenant's topic is heard from now on. `looks`: how many looks at the leases have begun.
    pub(super) fn begin(&mut self, looks: u64) {
        self.heard = Some(looks);
        self.missed();
    }

    /// A batch came. `looks`: how many looks at the leases have begun.
    pub(super) fn hear(&mut self, batch: Batch, looks: u64) -> Vec<Told> {
        let mut told = Vec::new();
        if batch.life.node == self.own {
            return told;
        }
        let is_new = !self.nodes.contains_key(&batch.life.node);
        let node = self.nodes.entry(batch.life.node).or_default();
        if is_new {
            node.since = looks;
            node.begin(batch.life.number);
        } else if batch.life.number < node.number {
            return told;
        } else if batch.life.number > node.number {
            node.since = looks;
            node.begin(batch.life.number);
        }
        node.take(batch, &mut told);
        // One that follows on nothing is all there is to know of its node: no read is waited for.
        self.check_whole();
        told
    }

    /// Who is there, as was found by the look with this number. Sessions of those that are not there any more are over.
    pub(super) fn look(&mut self, alive: &[Life], look: u64) -> Vec<Told> {
        self.knows_nodes |= self.heard.is_some_and(|heard| look > heard);
        for life in alive.iter().filter(|life| life.node != self.own) {
            let is_new = !self.nodes.contains_key(&life.node);
            let node = self.nodes.entry(life.node).or_default();
            if is_new || life.number > node.number {
                node.begin(life.number);
            }
        }
        let mut told = Vec::new();
        self.nodes.retain(|id, node| {
            let is_alive = alive.contains(&Life { node: *id, number: node.number }) || node.since >= look;
            if !is_alive {
                told.extend(node.sessions.iter().map(|session| gone(*session)));
            }
            is_alive
        });
        self.check_whole();
        told
    }

    /// Something may not have come: everything is read again.
    pub(super) fn missed(&mut self) {
        self.nodes.values_mut().for_each(Node::read_again);
    }

    /// A node may know more of a session than the board does.
    pub(super) fn doubt(&mut self, session: SessionId) {
        for node in self.nodes.values_mut().filter(|node| node.sessions.contains(&session)) {
            node.read_again();
        }
    }

    /// The next read to begin.
    pub(super) fn next_read(&mut self, now: Moment) -> Option<Read> {
        let is_due = |reading: &Reading| reading.id == 0 && reading.not_before <= now;
        let (id, node) = self.nodes.iter_mut().find(|(_, node)| node.reading.as_ref().is_some_and(is_due))?;
        let reading = node.reading.as_mut()?;
        self.reads += 1;
        reading.id = self.reads;
        reading.again = false;
        Some(Read { life: Life { node: *id, number: node.number }, id: self.reads })
    }

    /// When the next read is to begin.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let waiting = self.nodes.values().filter_map(|node| node.reading.as_ref());
        waiting.filter(|reading| reading.id == 0).map(|reading| reading.not_before).min()
    }

    /// A read is done; one that failed is done again after a while.
    pub(super) fn was_read(&mut self, read: Read, kept: Option<Kept>, now: Moment) -> Vec<Told> {
        let mut told = Vec::new();
        let Some(node) = self.nodes.get_mut(&read.life.node) else { return told };
        if node.number != read.life.number
            || node.reading.as_ref().is_none_or(|reading| reading.id != read.id)
        {
            return told;
        }
        let Some(mut reading) = node.reading.take() else { return told };
        let Some(kept) = kept.filter(|_| !reading.again) else {
            // What waits stays: the next read may not have it either.
            let not_before = if reading.again { now } else { now.plus(SEQUENCE_RETRY) };
            node.reading = Some(Reading { id: 0, not_before, ..reading });
            return told;
        };
        node.replace(&kept, &mut told);
        for batch in reading.later.drain(..) {
            node.take(batch, &mut told);
        }
        self.check_whole();
        told
    }

    /// Whether the others' sessions are known; once they are it stays so.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn check_whole(&mut self) {
        self.is_whole |= self.knows_nodes && self.nodes.values().all(|node| node.was_read);
    }
}

impl Node {
    /// Another life of the node begins, of which nothing is known. What was known of the one before is compared.
    fn begin(&mut self, number: u32) {
        self.number = number;
        self.counter = 0;
        self.reading = Some(Reading::default());
    }

    fn read_again(&mut self) {
        self.reading.get_or_insert_default().again = true;
    }

    fn take(&mut self, batch: Batch, told: &mut Vec<Told>) {
        if batch.counter <= self.counter {
            return;
        }
        match (&mut self.reading, batch.follows) {
            (_, Follows::Nothing) => {
                (self.counter, self.was_read) = (batch.counter, true);
                self.reading = None;
                let sessions = batch.told.iter().map(|told| told.session).collect();
                self.drop_others(&sessions, told);
                told.extend(batch.told);
                self.sessions = sessions;
            }
            (Some(reading), _) => {
                if reading.later.len() >= PRESENCE_LATER {
                    reading.later.clear();
                    reading.again = true;
                }
                reading.later.push(batch);
            }
            (None, Follows::Batch(number)) if number == self.counter => {
                self.counter = batch.counter;
                for one in batch.told {
                    if one.record.is_some() {
                        self.sessions.insert(one.session);
                    } else {
                        self.sessions.remove(&one.session);
                    }
                    told.push(one);
                }
            }
            (None, _) => {
                self.reading = Some(Reading { later: vec![batch], ..Reading::default() });
            }
        }
    }

    /// What the registry has takes the place of what is known.
    fn replace(&mut self, kept: &Kept, told: &mut Vec<Told>) {
        (self.counter, self.was_read) = (kept.counter, true);
        let sessions = kept.records.iter().map(|(session, _)| *session).collect();
        self.drop_others(&sessions, told);
        for (session, record) in &kept.records {
            // What a later version writes otherwise is not known here.
            if let Ok(record) = Record::decode(record) {
                told.push(Told { session: *session, has_left: false, record: Some(record) });
            }
        }
        self.sessions = sessions;
    }

    fn drop_others(&self, sessions: &FxHashSet<SessionId>, told: &mut Vec<Told>) {
        told.extend(self.sessions.difference(sessions).map(|session| gone(*session)));
    }
}

fn gone(session: SessionId) -> Told {
    Told { session, has_left: false, record: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Life = Life { node: 2, number: 1 };
    const NOW: Moment = Moment(1_000);

    fn batch(follows: Follows, counter: u64, gone: &[u128]) -> Batch {
        Batch {
            life: OTHER,
            follows,
            counter,
            told: gone.iter().map(|id| super::gone(SessionId(*id))).collect(),
        }
    }

    fn kept(counter: u64) -> Kept {
        Kept { counter, records: Vec::new() }
    }

    /// A mirror that knows the other node up to its batch 5.
    fn mirror() -> Mirror {
        let mut mirror = Mirror::new(1);
        mirror.begin(0);
        assert!(mirror.look(&[OTHER], 1).is_empty());
        let read = mirror.next_read(NOW).unwrap();
        assert!(!mirror.is_whole());
        mirror.was_read(read, Some(kept(5)), NOW);
        assert!(mirror.is_whole() && mirror.next_read(NOW).is_none());
        mirror
    }

    #[test]
    fn a_node_that_says_everything_itself_need_not_be_read() {
        let mut mirror = Mirror::new(1);
        mirror.begin(0);
        mirror.look(&[OTHER], 1);
        mirror.next_read(NOW).unwrap();
        assert!(mirror.hear(batch(Follows::Nothing, 6, &[]), 1).is_empty());
        assert!(mirror.is_whole() && mirror.next_deadline().is_none());
    }

    #[test]
    fn what_follows_is_taken_and_what_is_known_is_not() {
        let mut mirror = mirror();
        assert_eq!(mirror.hear(batch(Follows::Batch(5), 8, &[1]), 1).len(), 1);
        assert_eq!(mirror.hear(batch(Follows::Batch(5), 8, &[1]), 1).len(), 0);
        assert_eq!(mirror.hear(batch(Follows::Batch(8), 9, &[1]), 1).len(), 1);
        assert!(mirror.next_read(NOW).is_none());
    }

    #[test]
    fn what_is_missing_is_read_and_what_came_meanwhile_is_taken_after() {
        let mut mirror = mirror();
        assert!(mirror.hear(batch(Follows::Batch(6), 7, &[1]), 1).is_empty());
        let read = mirror.next_read(NOW).unwrap();
        assert!(mirror.hear(batch(Follows::Batch(7), 8, &[1, 2]), 1).is_empty());
        assert_eq!(mirror.was_read(read, Some(kept(7)), NOW).len(), 2, "the last one alone");
        // More than can be said is read too.
        assert!(mirror.hear(batch(Follows::Registry, 9, &[]), 1).is_empty());
        assert!(mirror.next_read(NOW).is_some());
    }

    #[test]
    fn what_may_have_been_missed_is_read_after_it_was() {
        let mut mirror = mirror();
        mirror.missed();
        let early = mirror.next_read(NOW).unwrap();
        mirror.missed();
        assert!(mirror.was_read(early, Some(kept(6)), NOW).is_empty());
        let late = mirror.next_read(NOW).unwrap();
        mirror.was_read(early, Some(kept(6)), NOW);
        assert!(mirror.next_read(NOW).is_none(), "it is under way");
        mirror.was_read(late, Some(kept(7)), NOW);
        assert_eq!(mirror.hear(batch(Follows::Batch(7), 8, &[1]), 1).len(), 1);
    }

    #[test]
    fn a_read_that_failed_is_done_again_after_a_while() {
        let mut mirror = mirror();
        mirror.missed();
        let read = mirror.next_read(NOW).unwrap();
        mirror.was_read(read, None, NOW);
        assert!(mirror.next_read(NOW).is_none());
        assert_eq!(mirror.next_deadline(), Some(NOW.plus(SEQUENCE_RETRY)));
        assert!(mirror.next_read(NOW.plus(SEQUENCE_RETRY)).is_some());
    }

    #[test]
    fn more_than_may_wait_is_read_again() {
        let mut mirror = mirror();
        mirror.missed();
        let read = mirror.next_read(NOW).unwrap();
        let most = PRESENCE_LATER as u64;
        for counter in 6..=6 + most {
            assert!(mirror.hear(batch(Follows::Batch(counter - 1), counter, &[1]), 1).is_empty());
        }
        assert!(mirror.was_read(read, Some(kept(5)), NOW).is_empty(), "what it is short of was not kept");
        let read = mirror.next_read(NOW).unwrap();
        assert_eq!(mirror.was_read(read, Some(kept(5 + most)), NOW).len(), 1);
    }
}
