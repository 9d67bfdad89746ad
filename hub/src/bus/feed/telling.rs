//! What comes out of the sequencer goes to the listener under the shard's lock, so in order; what is left to do goes to
//! the service.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::walks::Walks;
use super::{Inner, Listener, now};
use crate::bus::port::Topic;
use crate::bus::sequence::{Read, Sequencer, Step};
use crate::domain::entry::EntryBody;
use crate::domain::names::{RoomName, UserKey};
use crate::store::Change;

/// Whether a user is a member of a room from now on.
pub(super) struct Membership {
    pub(super) user: UserKey,
    pub(super) room: RoomName,
    pub(super) is_member: bool,
}

/// What waits for the service. Bounded by the topics that are followed and the users who are connected: of a topic one read
/// waits, and each is let go of once.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) reads: VecDeque<(Topic, Read)>,
    /// Topics that nobody holds any more, perhaps.
    pub(super) dropped: Vec<Topic>,
    /// Users who have a session less.
    pub(super) left: Vec<UserKey>,
    /// Users whose rooms are to be looked up.
    pub(super) walks: Walks,
    pub(super) memberships: Vec<Membership>,
    /// The store has lost something: other revocations may have places before the last that is known, where a replica has taken
    /// over whose clock is behind.
    pub(super) restarted: bool,
}

#[derive(Default)]
pub(super) struct Work {
    pub(super) waiting: Mutex<Waiting>,
    pub(super) notify: Notify,
}

impl Work {
    pub(super) fn add(&self, add: impl FnOnce(&mut Waiting)) {
        add(&mut self.waiting.lock());
        self.notify.notify_one();
    }
}

/// What became of topics, to be noted when the shard's lock is free again.
enum Became {
    Open(Topic),
    Closed(Topic),
}

/// Takes steps of one shard.
struct Teller<'a> {
    listener: &'a dyn Listener,
    changes: Vec<Change>,
    reads: Vec<(Topic, Read)>,
    became: Vec<Became>,
    memberships: Vec<Membership>,
}

impl Teller<'_> {
    fn take(&mut self, topic: &Topic, step: Step<Change>) {
        if let Step::Tell(change) = step {
            self.memberships.extend(membership(&change));
            self.changes.push(change);
            return;
        }
        self.flush();
        match (step, topic) {
            (Step::Read(read), _) => self.reads.push((topic.clone(), read)),
            (Step::Opened(head), _) => {
                if let Topic::Room(room) = topic {
                    self.listener.moved_on(room, head);
                }
                self.became.push(Became::Open(topic.clone()));
            }
            (Step::Skipped(head), Topic::Room(room)) => self.listener.moved_on(room, head),
            (Step::Skipped(_), _) => self.listener.inbox_grew(topic),
            (Step::Diverged, _) => {
                self.listener.diverged(topic);
                self.became.push(Became::Closed(topic.clone()));
            }
            (Step::Tell(_), _) => {}
        }
    }

    fn flush(&mut self) {
        if !self.changes.is_empty() {
            self.listener.changed(&self.changes);
            self.changes.clear();
        }
    }
}

/// What a change makes of somebody's membership.
pub(super) fn membership(change: &Change) -> Option<Membership> {
    let Change::Entry { room, entry } = change else { return None };
    let EntryBody::Membership { user, change, .. } = &entry.body else { return None };
    let user = UserKey { tenant: room.tenant.clone(), user: user.clone() };
    Some(Membership { user, room: room.room.clone(), is_member: !change.ends() })
}

impl Inner {
    /// Does something with the part of the sequencer that has `topic`, and tells what comes out.
    pub(super) fn with_shard(
        &self,
        topic: &Topic,
        act: impl FnOnce(&mut Sequencer<Topic, Change>, &mut dyn FnMut(&Topic, Step<Change>)),
    ) {
        self.with(self.shard(topic), act);
    }

    pub(super) fn with(
        &self,
        shard: &Mutex<Sequencer<Topic, Change>>,
        act: impl FnOnce(&mut Sequencer<Topic, Change>, &mut dyn FnMut(&Topic, Step<Change>)),
    ) {
        let mut teller = Teller {
            listener: &*self.listener,
            changes: Vec::new(),
            reads: Vec::new(),
            became: Vec::new(),
            memberships: Vec::new(),
        };
        let waits = {
            let mut sequencer = shard.lock();
            let before = sequencer.next_deadline();
            act(&mut sequencer, &mut |topic, step| teller.take(topic, step));
            teller.flush();
            let after = sequencer.next_deadline();
            after.is_some() && after != before
        };
        let Teller { reads, became, memberships, .. } = teller;
        for became in became {
            match became {
                Became::Open(topic) => self.interests.lock().set_open(&topic, true),
                Became::Closed(topic) => self.interests.lock().set_open(&topic, false),
            }
        }
        if waits || !reads.is_empty() || !memberships.is_empty() {
            self.work.add(|waiting| {
                waiting.reads.extend(reads);
                waiting.memberships.extend(memberships);
            });
        }
    }

    /// All logs begin anew, in another epoch.
    pub(super) fn begin_anew(&self) {
        self.interests.lock().close_all();
        for shard in &self.shards {
            self.with(shard, |sequencer, out| sequencer.begin_anew(now(), out));
        }
    }

    /// Acts on what has waited for too long.
    pub(super) fn tick(&self) {
        let now = now();
        for shard in &self.shards {
            if shard.lock().next_deadline().is_some_and(|deadline| deadline <= now) {
                self.with(shard, |sequencer, out| sequencer.tick(now, out));
            }
        }
    }
}
