//! What waits for one session: which of its rooms have something new, and pushes that are in no log.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use carillon_proto::Frame;
use carillon_proto::shortcut::{Shortcut, Written};
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::inbox::InboxPlace;
use crate::domain::limits::{MAILBOX_BURST, MAILBOX_OVERFULL};
use crate::domain::names::{SessionId, UserKey};
use crate::domain::time::Timestamp;

use super::merging::MergingQueue;
use super::rest::Rest;

/// What a later push replaces: a hash of what it is about, as «typing of this user in this room».
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MergeKey(u64);

impl MergeKey {
    /// The key of `subject`; different kinds of push name themselves in it.
    pub fn of(subject: impl Hash) -> Self {
        let mut hasher = siphasher::sip::SipHasher13::new();
        subject.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// As other nodes are told of it.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// From what another node said.
    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// A push that waits.
#[derive(Clone)]
pub struct Waiting {
    /// What.
    pub frame: Frame,
    /// Its place in the inbox, where it is a notification: a session that has it already drops it.
    pub place: Option<InboxPlace>,
}

/// Something that the session itself must act on.
#[derive(Clone, Debug)]
pub enum Signal {
    /// Ask whether the client is still there.
    Ping,
    /// Notifications were left out, as too much waited: the store has them.
    ReadInbox,
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
    waiting: MergingQueue<MergeKey, Waiting>,
    bytes: usize,
    /// How many of those that wait are notifications.
    notifications: usize,
    /// Since when more has waited than may.
    overfull_since: Option<Instant>,
    signals: Vec<Signal>,
    closed: bool,
    ended_as: Option<ErrorCode>,
}

/// A session's mailbox. Never blocks; what it holds is bounded by the session's rooms and a limit in bytes. Past that
/// notifications are left to the store. Other pushes are nowhere else: a burst of [`MAILBOX_BURST`] times the limit may
/// wait, but where it is more, or past the limit for [`MAILBOX_OVERFULL`], the session is a slow consumer, and is told
/// to end. What is larger than the limit may wait alone.
pub struct Mailbox {
    session: SessionId,
    user: UserKey,
    shard: usize,
    limit: usize,
    waker: AtomicWaker,
    inner: Mutex<Inner>,
    /// Whether anything in `inner` waits; changed under its lock. A session looks here each time it is polled.
    waits: AtomicBool,
    rest: Rest,
    merged: AtomicU64,
}

impl Mailbox {
    /// An empty one, of a session on runtime `shard`, for `limit` bytes of pushes.
    pub fn new(session: SessionId, user: UserKey, shard: usize, limit: usize) -> Self {
        let (waits, merged) = (AtomicBool::new(false), AtomicU64::new(0));
        Self {
            session,
            user,
            shard,
            limit,
            waker: AtomicWaker::new(),
            inner: Mutex::default(),
            waits,
            rest: Rest::default(),
            merged,
        }
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
            self.note(&inner);
        }
        self.waker.wake();
    }

    /// Adds a push; where one with the same key waits, it takes its place.
    pub fn push(&self, frame: Frame, merge: Option<MergeKey>) {
        self.add(Waiting { frame, place: None }, merge, Instant::now);
    }

    /// Adds a notification.
    pub fn push_notification(&self, frame: Frame, place: InboxPlace) {
        self.add(Waiting { frame, place: Some(place) }, None, Instant::now);
    }

    /// A notification was left to the store.
    pub fn leave_to_store(&self) {
        {
            let mut inner = self.inner.lock();
            if inner.closed {
                return;
            }
            inner.read_inbox();
            self.note(&inner);
        }
        self.waker.wake();
    }

    fn add(&self, waiting: Waiting, merge: Option<MergeKey>, now: impl FnOnce() -> Instant) {
        {
            let mut inner = self.inner.lock();
            if inner.closed {
                return;
            }
            if waiting.place.is_some() && inner.leaves_out(waiting.frame.len(), self.limit) {
                inner.read_inbox();
            } else if inner.add(waiting, merge) {
                self.merged.fetch_add(1, Ordering::Relaxed);
            }
            inner.check(self.limit, now);
            self.note(&inner);
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
            self.note(&inner);
        }
        self.waker.wake();
    }

    /// Whether something waits.
    pub fn has_waiting(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    fn note(&self, inner: &Inner) {
        let waits = !(inner.ready.is_empty() && inner.waiting.is_empty() && inner.signals.is_empty());
        self.waits.store(waits, Ordering::SeqCst);
        if waits || inner.closed {
            self.rest.end();
        }
    }

    /// The session's front offers a way past its task.
    pub fn offer(&self, shortcut: Arc<dyn Shortcut>) {
        self.rest.offer(shortcut);
    }

    /// The session has nothing to say and nothing under way: what comes next may be written past its task, on its own
    /// thread, until it is polled again or something waits here.
    pub fn begin_rest(&self) {
        self.rest.begin(|| self.waits.load(Ordering::SeqCst) || self.is_closed());
    }

    /// The session goes on.
    pub fn end_rest(&self) {
        self.rest.end();
    }

    /// Whether the session rests.
    pub(super) fn rests(&self) -> bool {
        self.rest.is_on()
    }

    /// Writes a frame past the session's task, where it rests, in this turn of its runtime's fan-out.
    pub(super) fn write(&self, frame: &Frame, turn: u64) -> Written {
        self.rest.write(frame, turn)
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
            self.note(&inner);
        }
    }

    /// Moves the rooms that are ready, and the signals, to the session. Pushes stay until there is room for them.
    pub fn take(&self, ready: impl FnMut(u32), signals: &mut Vec<Signal>) {
        let mut inner = self.inner.lock();
        inner.ready.drain(..).for_each(ready);
        signals.append(&mut inner.signals);
        self.note(&inner);
    }

    /// Takes what ends the session, if anything does. All else stays where it is.
    pub fn take_end(&self) -> Option<Signal> {
        let mut inner = self.inner.lock();
        let ends = |signal: &Signal| matches!(signal, Signal::Close(_) | Signal::Drain(_));
        let index = inner.signals.iter().position(ends)?;
        let end = inner.signals.remove(index);
        self.note(&inner);
        Some(end)
    }

    /// Takes pushes while `want` says that there is room.
    pub fn take_pushes(&self, mut want: impl FnMut(Waiting) -> bool) {
        let mut inner = self.inner.lock();
        while let Some(waiting) = inner.waiting.pop() {
            inner.bytes -= waiting.frame.len();
            inner.notifications -= usize::from(waiting.place.is_some());
            if !want(waiting) {
                break;
            }
        }
        if inner.bytes <= self.limit {
            inner.overfull_since = None;
        }
        self.note(&inner);
    }

    /// How many pushes took the place of others since the last call.
    pub fn take_merged(&self) -> u64 {
        self.merged.swap(0, Ordering::Relaxed)
    }

    /// Why the session was told to end, where it was.
    pub fn ended_as(&self) -> Option<ErrorCode> {
        self.inner.lock().ended_as
    }
}

impl Inner {
    /// The session ends: nothing else matters to it any more.
    fn close(&mut self, refusal: Refusal) {
        *self = Self {
            ended_as: Some(refusal.code),
            signals: vec![Signal::Close(refusal)],
            closed: true,
            ..Self::default()
        };
    }

    /// Whether it took the place of another.
    fn add(&mut self, waiting: Waiting, merge: Option<MergeKey>) -> bool {
        self.bytes += waiting.frame.len();
        self.notifications += usize::from(waiting.place.is_some());
        let replaced = self.waiting.push(merge, waiting);
        if let Some(replaced) = &replaced {
            self.bytes -= replaced.frame.len();
        }
        replaced.is_some()
    }

    /// Whether a notification of so many bytes is left to the store: the session reads there anyway, or too much waits.
    fn leaves_out(&self, bytes: usize, limit: usize) -> bool {
        self.signals.iter().any(|signal| matches!(signal, Signal::ReadInbox))
            || !self.waiting.is_empty() && self.bytes + bytes > limit
    }

    /// Leaves notifications to the store.
    fn read_inbox(&mut self) {
        if self.notifications > 0 {
            self.waiting.retain(|waiting| waiting.place.is_none());
            self.bytes = 0;
            self.waiting.for_each(|waiting| self.bytes += waiting.frame.len());
            self.notifications = 0;
        }
        if !self.signals.iter().any(|signal| matches!(signal, Signal::ReadInbox)) {
            self.signals.push(Signal::ReadInbox);
        }
    }

    /// Sees to it that what waits does not become too much.
    fn check(&mut self, limit: usize, now: impl FnOnce() -> Instant) {
        if self.bytes > limit && self.notifications > 0 && self.waiting.len() > 1 {
            self.read_inbox();
        }
        if self.bytes <= limit || self.waiting.len() <= 1 {
            self.overfull_since = None;
            return;
        }
        let now = now();
        let since = *self.overfull_since.get_or_insert(now);
        if self.bytes > limit.saturating_mul(MAILBOX_BURST) || now.duration_since(since) > MAILBOX_OVERFULL {
            self.close(ErrorCode::SlowConsumer.into());
        }
    }
}

#[cfg(test)]
mod tests;
