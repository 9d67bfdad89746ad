//! What waits for one session: which of its rooms have something new, and pushes that are in no log.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::task::Waker;

use carillon_proto::Frame;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::inbox::InboxPlace;
use crate::domain::names::{SessionId, UserKey};
use crate::domain::time::Timestamp;

/// What a later push replaces: a hash of what it is about, as «typing of this user in this room».
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeKey(u64);

impl MergeKey {
    /// The key of `subject`; different kinds of push name themselves in it.
    pub fn of(subject: impl Hash) -> Self {
        let mut hasher = siphasher::sip::SipHasher13::new();
        subject.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// A push that waits.
#[derive(Clone)]
pub struct Waiting {
    /// What.
    pub frame: Frame,
    /// What it replaces.
    pub merge: Option<MergeKey>,
    /// Its place in the inbox, where it is a notification: a session that has it already drops it.
    pub place: Option<InboxPlace>,
}

/// Something that the session itself must act on.
#[derive(Clone, Debug)]
pub enum Signal {
    /// Ask whether the client is still there.
    Ping,
    /// The token ends soon.
    TokenExpiring(Timestamp),
    /// The node stops: finish what is in flight, then end.
    Drain(std::time::Duration),
    /// End with this.
    Close(Refusal),
}

#[derive(Default)]
struct Inner {
    ready: Vec<u32>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    signals: Vec<Signal>,
    closed: bool,
}

/// A session's mailbox. Never blocks; what it holds is bounded by the session's rooms and a limit in bytes: past that
/// the session is a slow consumer, and is told to end.
pub struct Mailbox {
    session: SessionId,
    user: UserKey,
    shard: usize,
    limit: usize,
    waker: AtomicWaker,
    inner: Mutex<Inner>,
}

impl Mailbox {
    /// An empty one, of a session on runtime `shard`. More than `limit` bytes of pushes never wait.
    pub fn new(session: SessionId, user: UserKey, shard: usize, limit: usize) -> Self {
        Self { session, user, shard, limit, waker: AtomicWaker::new(), inner: Mutex::default() }
    }

    /// Whose session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whose.
    pub fn user(&self) -> &UserKey {
        &self.user
    }

    /// On which runtime the session lives.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// Who is woken.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// A room of the session has something past its cursor.
    pub fn mark_ready(&self, slot: u32) {
        {
            let mut inner = self.inner.lock();
            if inner.closed {
                return;
            }
            inner.ready.push(slot);
        }
        self.waker.wake();
    }

    /// Adds a push; where one with the same key waits, it is replaced.
    pub fn push(&self, frame: Frame, merge: Option<MergeKey>) {
        self.add(Waiting { frame, merge, place: None });
    }

    /// Adds a notification.
    pub fn push_notification(&self, frame: Frame, place: InboxPlace) {
        self.add(Waiting { frame, merge: None, place: Some(place) });
    }

    fn add(&self, waiting: Waiting) {
        {
            let mut inner = self.inner.lock();
            if inner.closed {
                return;
            }
            if waiting.merge.is_some()
                && let Some(index) = inner.waiting.iter().rposition(|other| other.merge == waiting.merge)
                && let Some(replaced) = inner.waiting.remove(index)
            {
                inner.bytes -= replaced.frame.len();
            }
            inner.bytes += waiting.frame.len();
            if inner.bytes > self.limit {
                inner.close(ErrorCode::SlowConsumer.into());
            } else {
                inner.waiting.push_back(waiting);
            }
        }
        self.waker.wake();
    }

    /// Tells the session something.
    pub fn signal(&self, signal: Signal) {
        {
            let mut inner = self.inner.lock();
            if inner.closed {
                return;
            }
            match signal {
                Signal::Close(refusal) => inner.close(refusal),
                other => inner.signals.push(other),
            }
        }
        self.waker.wake();
    }

    /// Whether something waits.
    pub fn has_waiting(&self) -> bool {
        let inner = self.inner.lock();
        !(inner.ready.is_empty() && inner.waiting.is_empty() && inner.signals.is_empty())
    }

    /// Whether it takes no more.
    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Takes no more, and drops what waits. Where the session was told to end, it still learns why: its transport may
    /// ask again later.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            *inner = Inner { closed: true, ..Inner::default() };
        }
    }

    /// Moves the rooms that are ready, and the signals, to the session. Pushes stay until there is room for them.
    pub fn take(&self, ready: impl FnMut(u32), signals: &mut Vec<Signal>) {
        let mut inner = self.inner.lock();
        inner.ready.drain(..).for_each(ready);
        signals.append(&mut inner.signals);
    }

    /// Takes pushes while `want` says that there is room.
    pub fn take_pushes(&self, mut want: impl FnMut(Waiting) -> bool) {
        let mut inner = self.inner.lock();
        while let Some(waiting) = inner.waiting.pop_front() {
            inner.bytes -= waiting.frame.len();
            if !want(waiting) {
                break;
            }
        }
        if inner.waiting.is_empty() && inner.waiting.capacity() > 8 {
            inner.waiting = VecDeque::new();
        }
    }
}

impl Inner {
    /// The session ends: nothing else matters to it any more.
    fn close(&mut self, refusal: Refusal) {
        *self = Self { signals: vec![Signal::Close(refusal)], closed: true, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{TenantId, UserId};

    fn mailbox() -> Mailbox {
        let user =
            UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("alice").unwrap() };
        Mailbox::new(SessionId(1), user, 0, 1_024)
    }

    fn signals(mailbox: &Mailbox) -> Vec<Signal> {
        let mut signals = Vec::new();
        mailbox.take(|_| {}, &mut signals);
        signals
    }

    #[test]
    fn a_session_that_was_told_to_end_learns_it_however_late_it_looks() {
        let mailbox = mailbox();
        mailbox.mark_ready(3);
        mailbox.signal(Signal::Close(ErrorCode::SlowConsumer.into()));
        mailbox.close();
        let told = signals(&mailbox);
        assert!(matches!(&told[..], [Signal::Close(why)] if why.code == ErrorCode::SlowConsumer), "{told:?}");
        mailbox.signal(Signal::Ping);
        assert!(!mailbox.has_waiting());
    }
}
