//! Rooms that are followed by the authoriser's leave: it is asked again while they are, and those that it allows no more
//! are left. What cannot be asked changes nothing: who was let in stays until it says no. Whom a role of their token let
//! in, though, it never let in: without that role they stay where it says that they may, and nowhere else.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use crate::access::rules::{follows_by_token, may_see_presence, sees_by_token, types_by_token};
use crate::delivery::follower::Follower;
use crate::domain::caller::Caller;
use crate::domain::names::{RoomName, SessionId};
use crate::domain::namespace::{NamespaceRules, Who};
use crate::domain::push::LeaveReason;
use crate::domain::time::Now;

use super::dispatch::Done;
use super::driver::Session;

/// Rooms of one session that are asked about at a time.
const ASKED_AT_A_TIME: usize = 4;

/// How a session's asking stands: it waits, then asks about all its rooms, then waits.
#[derive(Default)]
pub(super) struct Asking {
    waits: bool,
    asks: bool,
    /// Whether something is to be asked that it did not ask about when it began.
    anew: bool,
}

impl Asking {
    /// How many of what is under way do nothing but wait until it is time to ask.
    pub(super) fn timers(&self) -> usize {
        usize::from(self.waits)
    }
}

/// What a role of the token gives where the authoriser decides on those who have none. It was not asked about that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByRole {
    /// To follow the room.
    follows: bool,
    /// To show that one types.
    types: bool,
    /// To see who is present.
    sees: bool,
}

impl ByRole {
    pub(super) fn of(rules: &NamespaceRules, caller: &Caller) -> Self {
        Self {
            follows: rules.join == Who::Authorizer && follows_by_token(rules, caller),
            types: rules.send == Who::Authorizer && types_by_token(rules, caller),
            sees: rules.join == Who::Authorizer && sees_by_token(rules, caller),
        }
    }
}

/// What was said of a room that a session followed when it was asked: its number, the follower, as the number may be
/// another's by now, and whether it may be followed; `None` where that could not be asked.
pub(super) type Answered = (u32, Weak<Follower>, Option<bool>);

impl Session {
    /// The room in `slot` is followed from here on, with the token as it is now, which may be another than the one it was
    /// joined with. Where that is by the authoriser's leave, it is asked again after a while.
    pub(super) fn hold_to_token(&mut self, slot: u32) {
        let is_unasked = self.note_roles(slot);
        let Some(established) = &mut self.established else { return };
        let Some(live) = established.slots.live_mut(slot) else { return };
        let executor = &self.services.executor;
        if !executor.asks_to_follow(&established.caller, &live.following.room.key.room) {
            return;
        }
        if is_unasked {
            self.ask_again();
        } else if !established.asking.waits {
            let interval = executor.asks_again_after();
            let id = established.live.id();
            self.wait_to_ask(spread(interval, id));
        }
    }

    /// The token is another: what the roles of the last one gave ends with it, and the authoriser is asked about the rest.
    pub(super) fn hold_all_to_token(&mut self) {
        let Some(established) = &self.established else { return };
        let slots: Vec<_> = established.slots.followed().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.note_roles(slot);
        }
        self.ask_again();
    }

    /// Notes what the roles of the token give in a room now. Whether it was followed by one that is no more.
    fn note_roles(&mut self, slot: u32) -> bool {
        let Some(established) = &mut self.established else { return false };
        let Some(live) = established.slots.live_mut(slot) else { return false };
        let key = &live.following.room.key;
        let Some(rules) = self.services.namespaces.rules(&key.room) else { return false };
        let now = ByRole::of(rules, &established.caller);
        // Whether it would let them type was never asked, and is asked when they join.
        if live.by_role.types && !now.types && std::mem::take(&mut live.shows_typing) {
            self.services.presence.typing(key, &established.caller.user, false, Now::read());
        }
        live.by_role.types = now.types;
        // Nor was whether they may see who is there.
        let role = live.follower().role();
        let lost =
            live.by_role.sees && !now.sees || !may_see_presence(rules, &established.caller, &key.room, role);
        if lost && live.follower().end_presence() {
            self.services.presence.join(key, established.live.id(), false, Now::read());
        }
        live.by_role.sees = now.sees;
        live.by_role.follows |= now.follows;
        live.by_role.follows && !now.follows
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

    /// Asks about all rooms that are followed by the authoriser's leave; once what is being asked is answered, where
    /// something is.
    fn ask_again(&mut self) {
        let Some(established) = &mut self.established else { return };
        let executor = &self.services.executor;
        let caller = &established.caller;
        let rooms: Vec<_> = established
            .slots
            .followed()
            .filter(|(_, live)| executor.asks_to_follow(caller, &live.following.room.key.room))
            .map(|(slot, live)| {
                let following = &live.following;
                (slot, Arc::downgrade(&following.follower), following.room.key.room.clone())
            })
            .collect();
        if rooms.is_empty() {
            return;
        }
        if std::mem::replace(&mut established.asking.asks, true) {
            established.asking.anew = true;
            return;
        }
        let (services, caller) = (Arc::clone(&self.services), Arc::new(caller.clone()));
        let answers = stream::iter(rooms).map(move |(slot, follower, room): (_, _, RoomName)| {
            let (services, caller) = (Arc::clone(&services), Arc::clone(&caller));
            async move { (slot, follower, services.executor.says_of_following(&caller, &room).await) }
        });
        let answers = answers.buffer_unordered(ASKED_AT_A_TIME).collect();
        self.begin(0, async move { Done::AskedAgain(answers.await) });
    }

    /// It was told which rooms it may follow.
    pub(super) fn finish_asking(&mut self, answers: Vec<Answered>) {
        for answer in answers {
            self.take_answer(answer);
        }
        let Some(established) = &mut self.established else { return };
        established.asking.asks = false;
        if std::mem::take(&mut established.asking.anew) {
            return self.ask_again();
        }
        let (executor, caller) = (&self.services.executor, &established.caller);
        let asks = established
            .slots
            .followed()
            .any(|(_, live)| executor.asks_to_follow(caller, &live.following.room.key.room));
        if asks && !established.asking.waits {
            let interval = executor.asks_again_after();
            self.wait_to_ask(interval);
        }
    }

    fn take_answer(&mut self, (slot, follower, answer): Answered) {
        let Some(established) = &mut self.established else { return };
        let Some(live) = established.slots.live_mut(slot) else { return };
        let is_same = Arc::as_ptr(&live.following.follower) == follower.as_ptr();
        // A token that came meanwhile may have a role that lets them.
        let room = &live.following.room.key.room;
        if !is_same || !self.services.executor.asks_to_follow(&established.caller, room) {
            return;
        }
        match answer {
            Some(true) => live.by_role.follows = false,
            None if !live.by_role.follows => {}
            Some(false) | None => self.leave_unasked(slot, LeaveReason::Denied),
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
