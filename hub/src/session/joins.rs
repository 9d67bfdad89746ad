//! The rooms that a session joins without a command: those that it resumes, and those that it is joined to by itself. They wait
//! for their turn, and one that cannot be read is tried again after a while: it keeps no other from being joined.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::command::Join;
use crate::domain::limits::{JOIN_AGAIN, JOIN_AGAIN_MOST};
use crate::domain::names::RoomName;
use crate::domain::reply::JoinReason;
use crate::domain::time::{Moment, jittered};

/// A room to be joined.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    /// From where.
    pub(super) join: Join,
    /// Why.
    pub(super) reason: JoinReason,
    /// How often it could not be joined.
    pub(super) failed: u32,
    /// Not before then.
    until: Moment,
}

/// Those of one session. Bounded by the rooms that it may have.
#[derive(Default)]
pub(super) struct Joins {
    waiting: VecDeque<Awaited>,
    /// How many are under way.
    pub(super) under_way: usize,
    /// Whether all wait until their user may resume more rooms.
    pub(super) are_paused: bool,
    /// Whether one of them was taken from what all nodes count together.
    pub(super) may_resume: bool,
    /// When it is looked next for those whose time has come.
    looks: Option<Moment>,
}

impl Awaited {
    pub(super) fn new(join: Join, reason: JoinReason) -> Self {
        Self { join, reason, failed: 0, until: Moment(0) }
    }
}

/// How long to wait after so many failures: a part of a bound that doubles, from `least` up to [`JOIN_AGAIN_MOST`].
pub(super) fn wait_after(failed: u32, least: Duration) -> Duration {
    let bound = least.saturating_mul(1 << failed.min(16)).min(JOIN_AGAIN_MOST);
    bound / 2 + jittered(bound / 2)
}

impl Joins {
    pub(super) fn new(joins: impl IntoIterator<Item = (Join, JoinReason)>) -> Self {
        let waiting = joins.into_iter().map(|(join, reason)| Awaited::new(join, reason)).collect();
        Self { waiting, ..Self::default() }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits and none is under way.
    pub(super) fn are_done(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }

    /// Whether each has been joined, or could not be when it was its turn.
    pub(super) fn have_been_tried(&self) -> bool {
        self.under_way == 0 && self.waiting.iter().all(|awaited| awaited.failed > 0)
    }

    /// Whether a room waits.
    pub(super) fn has(&self, room: &RoomName) -> bool {
        self.waiting.iter().any(|awaited| awaited.join.room == *room)
    }

    /// Takes out a room, if it waits.
    pub(super) fn remove(&mut self, room: &RoomName) -> Option<Awaited> {
        let place = self.waiting.iter().position(|awaited| awaited.join.room == *room)?;
        self.take(place)
    }

    /// Takes out the next whose turn it is: one that has waited for long enough and `may_begin`.
    pub(super) fn next(
        &mut self,
        now: Moment,
        mut may_begin: impl FnMut(&RoomName) -> bool,
    ) -> Option<Awaited> {
        let is_next = |awaited: &Awaited| awaited.until <= now && may_begin(&awaited.join.room);
        let place = self.waiting.iter().position(is_next)?;
        self.take(place)
    }

    fn take(&mut self, place: usize) -> Option<Awaited> {
        let taken = self.waiting.remove(place);
        // For the rest of its life a session has none.
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        taken
    }

    /// It is this one's turn again before all others.
    pub(super) fn put_back(&mut self, awaited: Awaited) {
        self.waiting.push_front(awaited);
    }

    /// It could not be joined: it is tried again after a while, `least` of the first time.
    pub(super) fn try_again(&mut self, mut awaited: Awaited, least: Option<Duration>, now: Moment) {
        awaited.until = now.plus(wait_after(awaited.failed, least.unwrap_or(JOIN_AGAIN)));
        awaited.failed += 1;
        self.waiting.push_back(awaited);
    }

    /// How long it is until the next one has waited for long enough, where nobody waits for that, or a later one, yet. Whoever asks
    /// does, and then says so with [`Self::is_time`].
    pub(super) fn wait(&mut self, now: Moment) -> Option<Duration> {
        let until = self.waiting.iter().map(|awaited| awaited.until).filter(|until| *until > now).min()?;
        if self.looks.is_some_and(|looks| looks <= until) {
            return None;
        }
        self.looks = Some(until);
        Some(until.since(now))
    }

    /// What [`Self::wait`] said is over.
    pub(super) fn is_time(&mut self) {
        self.looks = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(room: &str) -> (Join, JoinReason) {
        let room = RoomName::parse(room).unwrap();
        (Join { room, since: None, rewind: 0, presence: false }, JoinReason::Resumed)
    }

    fn any(_: &RoomName) -> bool {
        true
    }

    #[test]
    fn who_could_not_be_joined_waits_and_the_others_go_on() {
        let mut joins = Joins::new(["room:a", "room:b"].map(awaited));
        let first = joins.next(Moment(1), any).unwrap();
        assert_eq!(first.join.room.as_str(), "room:a");
        joins.try_again(first, None, Moment(1));
        assert!(!joins.have_been_tried());
        assert_eq!(joins.next(Moment(1), any).unwrap().join.room.as_str(), "room:b");
        assert!(joins.have_been_tried());
        assert!(joins.next(Moment(1), any).is_none() && !joins.are_done());
        let wait = joins.wait(Moment(1)).unwrap();
        assert!((JOIN_AGAIN / 2..=JOIN_AGAIN).contains(&wait));
        assert_eq!(joins.wait(Moment(1)), None, "somebody waits");
        let mut hasty = Awaited::new(awaited("room:c").0, JoinReason::Resumed);
        hasty.until = Moment(2);
        joins.put_back(hasty);
        assert_eq!(joins.wait(Moment(1)), Some(Duration::from_millis(1)), "this one is sooner");
        assert_eq!(joins.next(Moment(2), any).unwrap().join.room.as_str(), "room:c");
        joins.is_time();
        let now = Moment(1).plus(wait);
        assert_eq!(joins.next(now, any).unwrap().join.room.as_str(), "room:a");
        assert!(joins.are_done() && joins.wait(now).is_none());
    }

    #[test]
    fn waits_double_up_to_the_most() {
        for (failed, most) in [(0, 1), (1, 2), (3, 8), (5, 30), (40, 30)] {
            let most = Duration::from_secs(most);
            assert!((most / 2..=most).contains(&wait_after(failed, JOIN_AGAIN)), "{failed}");
        }
        assert!(wait_after(0, Duration::from_mins(2)) <= JOIN_AGAIN_MOST);
    }

    #[test]
    fn rooms_that_may_not_begin_keep_their_places() {
        let mut joins = Joins::new(["room:a", "room:b"].map(awaited));
        let next = joins.next(Moment(1), |room| room.as_str() != "room:a").unwrap();
        assert_eq!(next.join.room.as_str(), "room:b");
        assert!(joins.has(&RoomName::parse("room:a").unwrap()) && joins.waiting() == 1);
        joins.put_back(next);
        assert_eq!(joins.next(Moment(1), any).unwrap().join.room.as_str(), "room:b");
        assert!(joins.remove(&RoomName::parse("room:a").unwrap()).is_some() && joins.are_done());
    }
}
