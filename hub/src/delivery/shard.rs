//! One runtime's part of fan-out: wake-ups come in once per room, and are spread here, on the thread that the sessions
//! live on. Waking a task from another thread costs a system call each; from its own it costs a push to a queue.
//!
//! What is spread goes into mailboxes, which sessions empty only when they are polled: so after a part the shard lets
//! them go first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use carillon_proto::Frame;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::domain::inbox::InboxPlace;
use crate::domain::limits::{SHARD_BYTES, SHARD_ROOM_BYTES};
use crate::domain::names::TenantId;

use super::mailbox::{Mailbox, MergeKey};
use super::merging::MergingQueue;
use super::registry::Registry;
use super::room::ActiveRoom;
use super::tally::{Tally, Turn};
use super::{Broadcast, To};

/// Mailboxes that are reached before the sessions get their turn.
const PART_PUSHES: usize = 4_096;

/// Bytes that one mailbox gets at most before the sessions get their turn: a few writes' worth.
const PART_BYTES: usize = 32 * 1024;

/// Followers of a room that are woken before they get their turn: few enough that what was touched to wake them is still in
/// the processor's cache when they write. It takes a third off a delivery over gRPC where much waits; smaller parts take off no
/// more.
const PART_WOKEN: usize = 16;

/// Something for a runtime's sessions.
pub enum Wakeup {
    /// The log has grown.
    Entries(Arc<ActiveRoom>),
    /// A push that is in no log.
    Broadcast(Arc<ActiveRoom>, Broadcast),
    /// A notification for a session.
    Notification(Arc<Mailbox>, Frame, InboxPlace),
    /// A notification for all sessions of a tenant.
    Notifications(TenantId, Frame, InboxPlace),
    /// Notifications for a tenant that were left to the store.
    ReadInboxes(TenantId),
}

impl Wakeup {
    /// Bytes that count against the limits.
    fn bytes(&self) -> usize {
        match self {
            Self::Broadcast(_, Broadcast { frame, .. })
            | Self::Notification(_, frame, _)
            | Self::Notifications(_, frame, _) => frame.len(),
            Self::Entries(_) | Self::ReadInboxes(_) => 0,
        }
    }

    /// What a later one replaces: a room stays where it is while something for it waits.
    fn key(&self) -> Option<(usize, MergeKey)> {
        match self {
            Self::Broadcast(room, broadcast) => {
                broadcast.merge.map(|merge| (Arc::as_ptr(room) as usize, merge))
            }
            Self::ReadInboxes(tenant) => Some((0, MergeKey::of(("inboxes", tenant)))),
            _ => None,
        }
    }

    /// To how many mailboxes it goes.
    fn reach(&self, index: usize, registry: &Registry) -> usize {
        match self {
            Self::Entries(room) | Self::Broadcast(room, _) => room.followers_in(index),
            Self::Notification(..) => 1,
            Self::Notifications(tenant, ..) | Self::ReadInboxes(tenant) => registry.count_in(index, tenant),
        }
    }
}

#[derive(Default)]
struct Inbox {
    wakeups: MergingQueue<(usize, MergeKey), Wakeup>,
    /// Of all that waits.
    bytes: usize,
}

impl Inbox {
    /// Whether another may wait. A broadcast of the hub's own state always may: nobody could be told that it was left
    /// out, and of each subject one waits at most.
    fn has_room_for(&self, index: usize, wakeup: &Wakeup) -> bool {
        let bytes = wakeup.bytes();
        match wakeup {
            Wakeup::Entries(_) | Wakeup::ReadInboxes(_) => true,
            Wakeup::Notification(..) | Wakeup::Notifications(..) => self.bytes + bytes <= SHARD_BYTES,
            Wakeup::Broadcast(room, broadcast) => {
                let of_room = room.waiting_bytes(index);
                let fits = of_room == 0 || of_room + bytes <= SHARD_ROOM_BYTES;
                broadcast.of_state || fits && self.bytes + bytes <= SHARD_BYTES
            }
        }
    }

    /// Whether it took the place of another.
    fn add(&mut self, index: usize, wakeup: Wakeup) -> bool {
        self.bytes += wakeup.bytes();
        if let Wakeup::Broadcast(room, broadcast) = &wakeup {
            room.add_waiting_bytes(index, broadcast.frame.len());
        }
        let replaced = self.wakeups.push(wakeup.key(), wakeup);
        if let Some(replaced) = &replaced {
            self.no_longer_waits(index, replaced);
        }
        replaced.is_some_and(|replaced| matches!(replaced, Wakeup::Broadcast(..)))
    }

    fn take(&mut self, index: usize) -> Option<Wakeup> {
        let wakeup = self.wakeups.pop()?;
        self.no_longer_waits(index, &wakeup);
        Some(wakeup)
    }

    fn no_longer_waits(&mut self, index: usize, wakeup: &Wakeup) {
        self.bytes -= wakeup.bytes();
        if let Wakeup::Broadcast(room, broadcast) = wakeup {
            room.remove_waiting_bytes(index, broadcast.frame.len());
        }
    }
}

/// A runtime's inbox of wake-ups. Those for entries are bounded by the active rooms, all others by [`SHARD_BYTES`]: past
/// that whoever publishes is refused, notifications are left to the store, and of the hub's own state the latest waits.
pub struct Shard {
    index: usize,
    registry: Arc<Registry>,
    inbox: Mutex<Inbox>,
    waker: AtomicWaker,
    /// Whether nothing is being spread, and who spreads waits to be woken.
    waits: AtomicBool,
    dropped: AtomicU64,
    written: Tally,
}

impl Shard {
    /// Of runtime `index`.
    pub fn new(index: usize, registry: Arc<Registry>) -> Self {
        Self {
            index,
            registry,
            inbox: Mutex::default(),
            waker: AtomicWaker::new(),
            waits: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            written: Tally::default(),
        }
    }

    /// Hands a wake-up over, in order; but a broadcast whose merge key waits takes its place. `false` where too many
    /// broadcasts wait; it is then dropped.
    pub fn send(&self, wakeup: Wakeup) -> bool {
        {
            let mut inbox = self.inbox.lock();
            let wakeup = match wakeup {
                wakeup if inbox.has_room_for(self.index, &wakeup) => wakeup,
                Wakeup::Notification(mailbox, ..) => {
                    mailbox.leave_to_store();
                    return true;
                }
                Wakeup::Notifications(tenant, ..) => Wakeup::ReadInboxes(tenant),
                _ => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
            };
            if inbox.add(self.index, wakeup) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            if inbox.wakeups.len() > 1 {
                return true;
            }
        }
        // Whoever spreads looks again before they wait: to wake them would only keep others of the runtime from their turn.
        if self.waits.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
        true
    }

    /// How many broadcasts were dropped, or gave up their place, since the last call.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// What was written past sessions' tasks.
    pub fn written(&self) -> &Tally {
        &self.written
    }

    /// Spreads wake-ups until cancelled, on the runtime whose sessions are those of this shard.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let spread = async {
            let (mut part, mut turn) = (Vec::new(), Turn::default());
            loop {
                let more = std::future::poll_fn(|cx| {
                    let more = self.poll_part(cx, &mut part);
                    if more.is_pending() {
                        turn.ends(&self.written);
                    }
                    more
                });
                let more = more.await;
                for wakeup in part.drain(..) {
                    self.spread(wakeup, &mut turn).await;
                    if turn.tries() >= PART_WOKEN {
                        self.let_others(&mut turn).await;
                    }
                }
                if more {
                    self.let_others(&mut turn).await;
                }
            }
        };
        tokio::select! {
            () = spread => {}
            () = cancel.cancelled() => {}
        }
    }

    /// Takes as much as may be spread at once, when there is something. Whether more waits.
    fn poll_part(&self, cx: &mut Context<'_>, part: &mut Vec<Wakeup>) -> Poll<bool> {
        self.waits.store(false, Ordering::SeqCst);
        self.waker.register(cx.waker());
        let mut more = self.take_part(part);
        if part.is_empty() {
            self.waits.store(true, Ordering::SeqCst);
            // What came before that woke nobody.
            more = self.take_part(part);
        }
        if part.is_empty() {
            return Poll::Pending;
        }
        self.waits.store(false, Ordering::SeqCst);
        Poll::Ready(more)
    }

    /// Takes as much as may be spread at once. Whether more waits.
    fn take_part(&self, part: &mut Vec<Wakeup>) -> bool {
        let mut inbox = self.inbox.lock();
        let (mut pushes, mut bytes) = (0, 0);
        while pushes < PART_PUSHES
            && bytes < PART_BYTES
            && let Some(wakeup) = inbox.take(self.index)
        {
            pushes += wakeup.reach(self.index, &self.registry).max(1);
            bytes += wakeup.bytes();
            part.push(wakeup);
        }
        !inbox.wakeups.is_empty()
    }

    /// Brings what a room has to its followers, some at a time.
    async fn deliver(&self, room: &ActiveRoom, turn: &mut Turn) {
        room.take_wakeup(self.index);
        let most = |turn: &Turn| PART_WOKEN.saturating_sub(turn.tries()).max(1);
        let mut end = room.deliver_before(self.index, usize::MAX, most(turn), turn);
        while end > 0 {
            self.let_others(turn).await;
            end = room.deliver_before(self.index, end, most(turn), turn);
        }
    }

    /// What sessions now have to write is written, what their clients read is seen, and others of the runtime go on, before
    /// they get more.
    async fn let_others(&self, turn: &mut Turn) {
        turn.ends(&self.written);
        tokio::task::yield_now().await;
    }

    async fn spread(&self, wakeup: Wakeup, turn: &mut Turn) {
        match wakeup {
            Wakeup::Entries(room) => self.deliver(&room, turn).await,
            Wakeup::Broadcast(room, broadcast) => room.for_each_follower(self.index, |follower| {
                let wanted = match &broadcast.to {
                    To::All => true,
                    To::Except(session) => follower.mailbox.session() != *session,
                    To::Others(user) => follower.mailbox.user().user != *user,
                    To::PresenceFollowers => follower.sees_presence(),
                };
                if wanted && follower.hears() {
                    follower.mailbox.push(broadcast.frame.clone(), broadcast.merge);
                }
            }),
            Wakeup::Notification(mailbox, frame, place) => mailbox.push_notification(frame, place),
            Wakeup::Notifications(tenant, frame, place) => {
                self.registry.for_each_in(self.index, &tenant, |mailbox| {
                    mailbox.push_notification(frame.clone(), place);
                });
            }
            Wakeup::ReadInboxes(tenant) => {
                self.registry.for_each_in(self.index, &tenant, |mailbox| mailbox.leave_to_store());
            }
        }
    }
}

#[cfg(test)]
mod tests;
