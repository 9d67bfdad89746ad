//! Sessions that newer ones have taken over from: each is told so and let end, but a client that does not read keeps its
//! stream for a while. They count no more, so few of each user may be held for longer than it takes to be told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::limits::{REPLACED_HELD, REPLACED_WORDS};
use crate::domain::names::UserKey;
use crate::domain::time::Moment;

use super::connection::Closer;
use super::live::Live;

/// The replaced sessions of all users that their transports still hold, oldest first: of each user no more than
/// [`REPLACED_HELD`] for longer than [`REPLACED_WORDS`].
#[derive(Default)]
pub(super) struct Replaced(Mutex<FxHashMap<UserKey, VecDeque<Held>>>);

struct Held {
    since: Moment,
    released: Arc<AtomicBool>,
    closer: Closer,
}

impl Held {
    fn is_released(&self) -> bool {
        self.released.load(Ordering::SeqCst)
    }
}

impl Replaced {
    /// One more was replaced.
    pub(super) fn add(&self, live: &Live, now: Moment) {
        let (released, closer) = live.held();
        let held = Held { since: now, released, closer };
        self.0.lock().entry(live.user().clone()).or_default().push_back(held);
    }

    /// Forgets those that are held no more, and breaks off the oldest of a user who has too many.
    pub(super) fn sweep(&self, now: Moment) {
        let mut users = self.0.lock();
        users.retain(|_, held| {
            held.retain(|one| !one.is_released());
            while held.len() > REPLACED_HELD
                && let Some(oldest) = held.pop_front_if(|one| now.since(one.since) >= REPLACED_WORDS)
            {
                oldest.closer.cut();
            }
            !held.is_empty()
        });
        if users.capacity() > 64 && users.len() < users.capacity() / 4 {
            users.shrink_to_fit();
        }
    }
}
