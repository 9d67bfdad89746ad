//! The rooms that `hello` had no place for: joined one by one once the session is open. Plain data.
//!
//! To the caller they are resumed rooms like the others. What the caller itself asks about such a room goes first, or
//! after what is under way already: the hub refuses two joins of one room at a time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use tokio::time::Instant;

use crate::code::Code;
use crate::error::Refusal;
use crate::pending::Outgoing;

/// Joins of the library's own that are under way at a time, beside the callers' commands.
const UNDER_WAY: usize = 8;
/// The wait before a refused join is tried again, where the hub asks for none.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The rooms of one session that are still to be joined.
#[derive(Default)]
pub(crate) struct Late {
    waiting: BTreeSet<String>,
    /// Those that the caller is joining itself: the library's turn comes where that is refused.
    taken: HashSet<String>,
    /// Those under way, and the caller's commands that wait for the answer.
    asked: HashMap<String, Vec<Outgoing>>,
    not_before: Option<Instant>,
}

impl Late {
    /// A session is open, and these are to be joined.
    pub(crate) fn of(rooms: impl IntoIterator<Item = String>) -> Self {
        Self { waiting: rooms.into_iter().collect(), ..Self::default() }
    }

    /// The next room to join, if it is time for one. Its answer goes to [`Late::answered`].
    pub(crate) fn next(&mut self, now: Instant) -> Option<String> {
        if self.not_before.is_some_and(|until| now < until) {
            return None;
        }
        self.not_before = None;
        if self.asked.len() >= UNDER_WAY {
            return None;
        }
        let room = self.waiting.iter().find(|room| !self.taken.contains(*room))?.clone();
        self.waiting.remove(&room);
        self.asked.insert(room.clone(), Vec::new());
        Some(room)
    }

    /// When [`Late::next`] should be asked again though nothing was answered.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.waiting.is_empty())
    }

    /// A caller's command is about to be sent. Gives it back unless it has to wait for a join that is under way.
    pub(crate) fn sends(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
        match &outgoing.command {
            Command::Join(join) => {
                if let Some(held) = self.asked.get_mut(&join.room) {
                    held.push(outgoing);
                    return None;
                }
                if self.waiting.contains(&join.room) {
                    self.taken.insert(join.room.clone());
                }
            }
            Command::Leave(leave) => {
                self.waiting.remove(&leave.room);
            }
            _ => {}
        }
        Some(outgoing)
    }

    /// The library's own join was answered. Gives what waited for it. A refusal that may pass is waited for, and then
    /// the join is tried again: `None` for the refusal. One that will not pass is given back.
    pub(crate) fn answered(
        &mut self,
        room: &str,
        refusal: Option<Refusal>,
        now: Instant,
    ) -> (Vec<Outgoing>, Option<Refusal>) {
        let held = self.asked.remove(room).unwrap_or_default();
        // A conflict is with a join that the caller sent: if that is refused, too, the room must not be left out.
        let passes = |refusal: &Refusal| refusal.retryable || refusal.code == Code::Conflict;
        let Some(refusal) = refusal else { return (held, None) };
        if !passes(&refusal) {
            return (held, Some(refusal));
        }
        self.waiting.insert(room.to_owned());
        self.not_before = Some(now + refusal.retry_after.unwrap_or_default().max(AGAIN_AFTER));
        (held, None)
    }

    /// A caller's join was refused: what it took the place of has its turn again.
    pub(crate) fn refused(&mut self, room: &str) {
        self.taken.remove(room);
    }

    /// The room was joined, or left for good: nothing is to be done about it any more.
    pub(crate) fn settled(&mut self, room: &str) {
        self.taken.remove(room);
        self.waiting.remove(room);
    }

    /// Whether the room's own join is still to be answered.
    pub(crate) fn expects(&self, room: &str) -> bool {
        self.waiting.contains(room) || self.asked.contains_key(room)
    }

    /// The session ended: the caller's commands that were held back.
    pub(crate) fn end(&mut self) -> Vec<Outgoing> {
        std::mem::take(self).asked.into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_proto::v1;
    use tokio::sync::oneshot;

    fn join(room: &str) -> Outgoing {
        let join = v1::Join { room: room.to_owned(), ..v1::Join::default() };
        Outgoing { answer: Some(oneshot::channel().0), ..Outgoing::own(Command::Join(join)) }
    }

    fn refusal(code: Code) -> Refusal {
        Refusal {
            retryable: code.retryable() == Some(true),
            code,
            message: String::new(),
            request_id: String::new(),
            retry_after: None,
            violations: Vec::new(),
        }
    }

    fn late(rooms: usize) -> Late {
        Late::of((0..rooms).map(|n| format!("room:{n:02}")))
    }

    #[test]
    fn few_are_under_way_at_a_time() {
        let (mut late, now) = (late(20), Instant::now());
        let asked: Vec<_> = std::iter::from_fn(|| late.next(now)).collect();
        assert_eq!(asked.len(), UNDER_WAY);
        assert!(late.answered(&asked[0], None, now).1.is_none());
        assert_eq!(late.next(now).as_deref(), Some("room:08"));
    }

    #[test]
    fn refusal_that_may_pass_is_waited_for_and_another_is_told() {
        let (mut late, now) = (late(1), Instant::now());
        let room = late.next(now).unwrap();
        assert!(late.answered(&room, Some(refusal(Code::RateLimited)), now).1.is_none());
        assert_eq!((late.next(now), late.wakes_at()), (None, Some(now + AGAIN_AFTER)));
        assert_eq!(late.next(now + AGAIN_AFTER).as_deref(), Some(&*room));
        assert!(late.answered(&room, Some(refusal(Code::AccessDenied)), now).1.is_some());
        assert_eq!(late.next(now + AGAIN_AFTER), None);
    }

    #[test]
    fn callers_join_goes_first_and_is_stood_in_for_where_it_is_refused() {
        let (mut late, now) = (late(1), Instant::now());
        assert!(late.sends(join("room:00")).is_some());
        assert_eq!(late.next(now), None);
        late.refused("room:00");
        assert_eq!(late.next(now).as_deref(), Some("room:00"));

        assert!(late.sends(join("room:00")).is_none(), "one of that room is under way");
        assert_eq!(late.answered("room:00", None, now).0.len(), 1);
    }

    #[test]
    fn room_that_is_left_is_not_joined() {
        let (mut late, now) = (late(2), Instant::now());
        let leave = v1::Leave { room: "room:00".to_owned() };
        assert!(late.sends(Outgoing::own(Command::Leave(leave))).is_some());
        assert_eq!(late.next(now).as_deref(), Some("room:01"));
        late.answered("room:01", Some(refusal(Code::Unavailable)), now);
        late.settled("room:01");
        assert_eq!((late.next(now + AGAIN_AFTER), late.wakes_at()), (None, None));
    }
}
