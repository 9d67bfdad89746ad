//! A session's place in a room: what it may see, and what it knows already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use carillon_proto::Frame;
use carillon_proto::shortcut::Written;
use parking_lot::Mutex;

use crate::domain::member::Role;
use crate::domain::position::Seq;

use super::mailbox::Mailbox;
use super::tally::Turn;

/// A session's place among a room's followers.
pub struct Follower {
    /// Where wake-ups go.
    pub mailbox: Arc<Mailbox>,
    /// Which of the session's rooms this is.
    pub slot: u32,
    /// Whether it asked for presence, and may see it.
    presence: AtomicBool,
    /// Whether the mailbox knows already that there is something.
    ready: AtomicBool,
    /// Whether the session was told that it joined: pushes that are in no log are for it from then on.
    joined: AtomicBool,
    /// The last entry that it may see: lowered when its user is removed.
    until: AtomicU64,
    /// The last entry that was sent, or is about to be. Changed on the session's thread alone.
    cursor: AtomicU64,
    standing: Mutex<Standing>,
    /// Its place in the list, kept by the list.
    index: AtomicUsize,
}

/// What is known of its user's membership. What the room's log says of it may be heard after a later state was read for the
/// join: it is then about a membership that is no more.
#[derive(Default)]
struct Standing {
    /// The version of the membership; 0 where there is none.
    version: Seq,
    role: Option<Role>,
    /// Whether the membership was read that the session joins with.
    is_read: bool,
    /// The last end of a membership that was heard before that.
    ended: Seq,
}

impl Follower {
    /// A follower that may see everything, and hears pushes that are in no log once [`Self::begin`] was called.
    pub fn new(mailbox: Arc<Mailbox>, slot: u32, presence: bool) -> Arc<Self> {
        Arc::new(Self {
            mailbox,
            slot,
            presence: AtomicBool::new(presence),
            ready: AtomicBool::new(false),
            joined: AtomicBool::new(false),
            until: AtomicU64::new(u64::MAX),
            cursor: AtomicU64::new(0),
            standing: Mutex::default(),
            index: AtomicUsize::new(0),
        })
    }

    /// Whether it is told who is present.
    pub fn sees_presence(&self) -> bool {
        self.presence.load(Ordering::Acquire)
    }

    /// It is told so no more. Whether it was.
    pub fn end_presence(&self) -> bool {
        self.presence.swap(false, Ordering::AcqRel)
    }

    /// The last entry that it may see.
    pub fn until(&self) -> Seq {
        Seq(self.until.load(Ordering::Acquire))
    }

    /// The session is told that it joined: from now on pushes that are in no log follow.
    pub fn begin(&self) {
        self.joined.store(true, Ordering::Release);
    }

    /// Whether pushes that are in no log are for it: not before `joined`, and not once its user was removed.
    pub fn hears(&self) -> bool {
        self.joined.load(Ordering::Acquire) && self.until.load(Ordering::Acquire) == u64::MAX
    }

    /// Nothing after `seq` is for it: its user was removed there.
    pub fn end_at(&self, seq: Seq) {
        self.until.fetch_min(seq.0, Ordering::AcqRel);
    }

    /// The membership that was read for the join, once this is in the room's list: its version and role, or that there is
    /// none. What was heard of the log before does not change it, unless it is newer.
    pub fn joins_as(&self, member: Option<(Seq, Role)>) {
        let mut standing = self.standing.lock();
        standing.is_read = true;
        let Some((version, role)) = member else {
            if standing.ended > standing.version {
                (standing.version, standing.role) = (Seq(0), None);
            }
            return;
        };
        if version > standing.version {
            (standing.version, standing.role) = (version, Some(role));
        }
        if standing.ended > version {
            // It ended while it was read, perhaps more than once, and the last end alone is known: nothing later is seen.
            self.end_at(version);
        }
    }

    /// The room's log says at `seq` that its user is a member of this role, or where there is none no more.
    pub(super) fn member_changed(&self, seq: Seq, role: Option<Role>) {
        let mut standing = self.standing.lock();
        if seq <= standing.version {
            return;
        }
        match role {
            Some(_) => (standing.version, standing.role) = (seq, role),
            None if !standing.is_read => standing.ended = seq,
            // Who was no member when they joined, and was not added since, is here by another right.
            None if standing.version == Seq(0) => {}
            None => self.end_at(seq),
        }
    }

    /// Its user's role now; `None` in rooms without roles.
    pub fn role(&self) -> Option<Role> {
        self.standing.lock().role
    }

    /// Called by the session before it pulls: an entry after this wakes it again.
    pub fn clear_ready(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }

    /// The last entry that was sent to it, or is about to be.
    pub fn cursor(&self) -> Seq {
        Seq(self.cursor.load(Ordering::Relaxed))
    }

    /// It has been sent all up to there.
    pub fn set_cursor(&self, cursor: Seq) {
        self.cursor.store(cursor.0, Ordering::Relaxed);
    }

    /// The last entry of the log is `last`, with its frame where it is known: it is written at once where it is all that the
    /// session has to say, else the session is told.
    pub(super) fn deliver(&self, last: Seq, frame: Option<&Frame>, turn: &mut Turn) {
        if self.mailbox.rests() && self.hears() {
            let cursor = self.cursor();
            if cursor >= last {
                return;
            }
            if let Some(frame) = frame.filter(|_| cursor.next() == last) {
                turn.tries_once();
                let written = self.mailbox.write(frame, turn.number());
                if written != Written::Nothing {
                    self.set_cursor(last);
                    turn.note(frame.len());
                }
                if written == Written::All {
                    return;
                }
                // Where it has begun the session finds nothing, but is seen to wait until the rest is out.
            }
        }
        self.wake();
    }

    /// Tells the session that there is something past its cursor.
    pub fn wake(&self) {
        if !self.ready.swap(true, Ordering::SeqCst) {
            self.mailbox.mark_ready(self.slot);
        }
    }

    pub(super) fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed)
    }

    pub(super) fn set_index(&self, index: usize) {
        self.index.store(index, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::names::{SessionId, TenantId, UserId, UserKey};

    fn follower() -> Arc<Follower> {
        let user = UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("bob").unwrap() };
        Follower::new(Arc::new(Mailbox::new(SessionId(1), user, 0, 1_024)), 0, false)
    }

    #[test]
    fn a_removal_that_is_heard_late_ends_no_newer_membership() {
        let bob = follower();
        bob.joins_as(Some((Seq(7), Role::Moderator)));
        for (seq, role) in [(3, Some(Role::Member)), (5, None), (7, Some(Role::Moderator))] {
            bob.member_changed(Seq(seq), role);
            assert_eq!((bob.until(), bob.role()), (Seq(u64::MAX), Some(Role::Moderator)));
        }
        bob.member_changed(Seq(9), None);
        bob.member_changed(Seq(11), Some(Role::Owner));
        bob.member_changed(Seq(13), None);
        assert_eq!(bob.until(), Seq(9), "who is added again joins again");
    }

    #[test]
    fn who_joins_by_another_right_than_membership_stays_until_a_membership_ends() {
        let bob = follower();
        bob.member_changed(Seq(4), Some(Role::Member));
        bob.member_changed(Seq(5), None);
        bob.joins_as(None);
        bob.member_changed(Seq(6), None);
        assert_eq!((bob.until(), bob.role()), (Seq(u64::MAX), None));
        bob.member_changed(Seq(8), Some(Role::Reader));
        assert_eq!(bob.role(), Some(Role::Reader));
        bob.member_changed(Seq(9), None);
        assert_eq!(bob.until(), Seq(9));
    }

    /// What a log says of a user: who is no member is not removed.
    fn changes() -> impl Strategy<Value = Vec<Option<Role>>> {
        let role = prop_oneof![Just(Role::Reader), Just(Role::Member), Just(Role::Owner)];
        prop::collection::vec(prop::option::weighted(0.6, role), 1..16).prop_map(|mut log| {
            log.dedup_by(|later, earlier| later.is_none() && earlier.is_none());
            log
        })
    }

    proptest! {
        /// Whatever of the log is heard before the membership is read and whatever after: it ends where the membership
        /// ended that was read, and the role is the newest.
        #[test]
        fn what_was_read_ends_at_its_own_end(
            log in changes(), read in 0usize..12, listed in 0usize..12, heard in 0usize..12
        ) {
            let at = |index: usize| Seq(2 * (index as u64 + 1));
            let read = read % log.len();
            prop_assume!(log[read].is_some());
            // It is put into the list before the membership is read; what is committed after is heard before that at times.
            let listed = listed % (read + 1);
            let heard = listed.max(heard % log.len());
            let bob = follower();
            (listed..heard).for_each(|index| bob.member_changed(at(index), log[index]));
            bob.joins_as(log[read].map(|role| (at(read), role)));
            (heard..log.len()).for_each(|index| bob.member_changed(at(index), log[index]));
            match (read..log.len()).find(|index| log[*index].is_none()) {
                None => {
                    prop_assert_eq!(bob.until(), Seq(u64::MAX));
                    prop_assert_eq!(bob.role(), log[log.len() - 1]);
                }
                // All is seen up to the end, but where that was heard before the membership was read.
                Some(end) if end >= heard => prop_assert_eq!(bob.until(), at(end)),
                Some(end) => prop_assert!((at(read)..=at(end)).contains(&bob.until())),
            }
        }
    }
}
