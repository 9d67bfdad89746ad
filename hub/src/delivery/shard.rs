//! One runtime's part of fan-out: wake-ups come in once per room, and are spread here, on the thread that the sessions
//! live on. Waking a task from another thread costs a system call each; from its own it costs a push to a queue.

use std::sync::Arc;

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::task::Poll;
use tokio_util::sync::CancellationToken;

use super::room::ActiveRoom;
use super::{Broadcast, To};

/// Broadcasts that may wait for one runtime. Wake-ups for entries are bounded by the active rooms.
const BROADCASTS: usize = 16_384;

/// Something for a runtime's followers of a room.
pub enum Wakeup {
    /// The log has grown.
    Entries(Arc<ActiveRoom>),
    /// A push that is in no log.
    Broadcast(Arc<ActiveRoom>, Broadcast),
}

#[derive(Default)]
struct Inbox {
    wakeups: Vec<Wakeup>,
    broadcasts: usize,
}

/// A runtime's inbox of wake-ups.
#[derive(Default)]
pub struct Shard {
    inbox: Mutex<Inbox>,
    waker: AtomicWaker,
}

impl Shard {
    /// Hands a wake-up over, in order. `false` where too many broadcasts wait; it is then dropped.
    pub fn send(&self, wakeup: Wakeup) -> bool {
        {
            let mut inbox = self.inbox.lock();
            if let Wakeup::Broadcast(..) = wakeup {
                if inbox.broadcasts >= BROADCASTS {
                    return false;
                }
                inbox.broadcasts += 1;
            }
            inbox.wakeups.push(wakeup);
            if inbox.wakeups.len() > 1 {
                return true;
            }
        }
        self.waker.wake();
        true
    }

    /// Spreads wake-ups until cancelled. Runs on the runtime whose sessions are those of shard `index`.
    pub async fn run(self: Arc<Self>, index: usize, cancel: CancellationToken) {
        let spread = std::future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            let wakeups = {
                let mut inbox = self.inbox.lock();
                inbox.broadcasts = 0;
                std::mem::take(&mut inbox.wakeups)
            };
            for wakeup in wakeups {
                spread(index, wakeup);
            }
            Poll::<()>::Pending
        });
        tokio::select! {
            () = spread => {}
            () = cancel.cancelled() => {}
        }
    }
}

fn spread(index: usize, wakeup: Wakeup) {
    match wakeup {
        Wakeup::Entries(room) => room.finish_wakeup(index),
        Wakeup::Broadcast(room, broadcast) => room.for_each_follower(index, |follower| {
            let wanted = match &broadcast.to {
                To::All => true,
                To::Except(session) => follower.mailbox.session() != *session,
                To::Others(user) => follower.mailbox.user().user != *user,
                To::PresenceFollowers => follower.presence,
            };
            if wanted && follower.hears() {
                follower.mailbox.push(broadcast.frame.clone(), broadcast.merge);
            }
        }),
    }
}
