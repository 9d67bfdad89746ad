//! Rooms that are followed by the authoriser's leave: it is asked again while they are, and those that it allows no more
//! are left. What cannot be asked changes nothing: who was let in stays until it says no.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use crate::delivery::room::Follower;
use crate::domain::names::{RoomName, SessionId};
use crate::domain::push::LeaveReason;

use super::dispatch::Done;
use super::driver::Session;

/// Rooms of one session that are asked about at a time.
const ASKED_AT_A_TIME: usize = 4;

/// How a session's asking stands: it waits, then asks about all its rooms, then waits.
#[derive(Default)]
pub(super) struct Asking {
    waits: bool,
    asks: bool,
}

/// What a session followed when it was asked, and may follow no more: its number and, as that may be another's by now,
/// the follower.
pub(super) type Denied = Vec<(u32, Weak<Follower>)>;

impl Session {
    /// `room` is followed from here on: where that is by the authoriser's leave, it is asked again after a while.
    pub(super) fn will_ask_again(&mut self, room: &RoomName) {
        let Some(established) = &mut self.established else { return };
        let executor = &self.services.executor;
        if executor.asks_to_follow(&established.caller, room) && !established.asking.waits {
            let interval = executor.asks_again_after();
            let id = established.live.id();
            self.wait_to_ask(spread(interval, id));
        }
    }

    fn wait_to_ask(&mut self, after: Duration) {
        let Some(established) = &mut self.established else { return };
        established.asking.waits = true;
        self.begin(0, async move {
            tokio::time::sleep(after).await;
            Done::AskAgain
        });
    }

    /// It has waited.
    pub(super) fn finish_wait(&mut self) {
        if let Some(established) = &mut self.established {
            established.asking.waits = false;
        }
        self.ask_again();
    }

    /// Asks about all rooms that are followed by the authoriser's leave, unless that is being done.
    pub(super) fn ask_again(&mut self) {
        let Some(established) = &mut self.established else { return };
        let executor = &self.services.executor;
        let caller = &established.caller;
        let rooms: Vec<_> = established
            .slots
            .followed()
            .filter(|(_, following)| executor.asks_to_follow(caller, &following.room.key.room))
            .map(|(slot, following)| {
                (slot, Arc::downgrade(&following.follower), following.room.key.room.clone())
            })
            .collect();
        if rooms.is_empty() || std::mem::replace(&mut established.asking.asks, true) {
            return;
        }
        let (services, caller) = (Arc::clone(&self.services), Arc::new(caller.clone()));
        let answers = stream::iter(rooms).map(move |(slot, follower, room)| {
            let (services, caller) = (Arc::clone(&services), Arc::clone(&caller));
            async move {
                let denied = services.executor.denies_to_follow(&caller, &room).await;
                denied.then_some((slot, follower))
            }
        });
        let denied = answers.buffer_unordered(ASKED_AT_A_TIME).filter_map(std::future::ready).collect();
        self.begin(0, async move { Done::AskedAgain(denied.await) });
    }

    /// It was told which rooms it may follow no more.
    pub(super) fn finish_asking(&mut self, denied: Denied) {
        for (slot, follower) in denied {
            let Some(established) = &mut self.established else { return };
            let now = established.slots.live_mut(slot).map(|live| Arc::as_ptr(&live.following.follower));
            if now == Some(follower.as_ptr()) {
                self.leave_unasked(slot, LeaveReason::Denied);
            }
        }
        let Some(established) = &mut self.established else { return };
        established.asking.asks = false;
        let (executor, caller) = (&self.services.executor, &established.caller);
        let asks = established
            .slots
            .followed()
            .any(|(_, following)| executor.asks_to_follow(caller, &following.room.key.room));
        if asks && !established.asking.waits {
            let interval = executor.asks_again_after();
            self.wait_to_ask(interval);
        }
    }
}

/// When a session asks first: sessions that began together do not ask together.
fn spread(interval: Duration, session: SessionId) -> Duration {
    let half = interval / 2;
    let part = (session.0 % 1_024) as u32;
    half + half * part / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_ask_at_different_times_within_the_interval() {
        let interval = Duration::from_secs(8);
        let at = |id| spread(interval, SessionId(id));
        assert_eq!((at(0), at(512)), (Duration::from_secs(4), Duration::from_secs(6)));
        assert!((0..2_000).all(|id| at(id) < interval));
    }
}
