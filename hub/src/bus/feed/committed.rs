//! What this node commits: told in its place, before it is acknowledged. Others are told by the store.

use super::telling::membership;
use super::{Feed, Inner, now};
use crate::bus::port::Topic;
use crate::bus::sequence::Item;
use crate::domain::entry::Entry;
use crate::domain::position::{Epoch, Position, Tag};
use crate::store::{Change, CommitSink, InboxLog, Log};

impl CommitSink for Feed {
    fn committed(&self, changes: &[Change]) {
        self.take_committed(changes, None);
    }

    fn committed_after(&self, changes: &[Change], previous: Tag) {
        self.take_committed(changes, Some(previous));
    }
}

impl Feed {
    /// `previous` is the tag before the first entry, where it is known: the others follow on each other.
    fn take_committed(&self, changes: &[Change], mut previous: Option<Tag>) {
        if !self.has_others() {
            return self.0.listener.changed(changes);
        }
        for change in changes {
            if matches!(change, Change::Restarted(_)) {
                self.0.work.add(|waiting| waiting.restarted = true);
                self.0.begin_anew();
            }
            let before = match change {
                Change::Entry { entry, .. } => {
                    previous.map(|_| entry.tag).and_then(|tag| previous.replace(tag))
                }
                _ => None,
            };
            self.0.offer(change.clone(), before);
        }
    }
}

/// The topic of the log that a change is of, and its place there.
fn place(change: &Change, epoch: Epoch) -> Option<(Topic, Position)> {
    let (log, seq) = change.place()?;
    let topic = match log {
        Log::Room(room) => Topic::Room(room),
        Log::Inbox(InboxLog::Own(user)) => Topic::User(user),
        Log::Inbox(InboxLog::Broadcast(tenant)) => Topic::Tenant(tenant),
    };
    let at = match change {
        Change::Entry { entry, .. } => entry.position(),
        _ => Position { epoch, seq, tag: Tag(0) },
    };
    Some((topic, at))
}

fn bytes(change: &Change) -> usize {
    match change {
        Change::Entry { entry, .. } => Entry::size(entry),
        Change::Notified { notification, .. } | Change::Broadcast { notification, .. } => notification.size(),
        _ => 0,
    }
}

impl Inner {
    /// Tells a change in its place. One of a log that is not followed, or of none, is told at once.
    pub(super) fn offer(&self, change: Change, previous: Option<Tag>) {
        let Some((topic, at)) = place(&change, self.head().epoch) else {
            return self.listener.changed(std::slice::from_ref(&change));
        };
        let item = Item { at, previous, bytes: bytes(&change), what: change };
        let mut back = None;
        self.with_shard(&topic, |sequencer, out| {
            back = sequencer.offer(&topic, item, now(), &mut |step| out(&topic, step));
        });
        if let Some(item) = back {
            self.work.add(|waiting| waiting.memberships.extend(membership(&item.what)));
            self.listener.changed(std::slice::from_ref(&item.what));
        }
    }
}
