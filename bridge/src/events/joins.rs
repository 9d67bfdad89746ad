//! The rooms that a stream is to begin in before now: `hello` cannot ask for that, so each is a join of its own, which
//! counts like any other. One that came too often is asked for again, so that none is left out without a word.

use std::collections::VecDeque;
use std::time::Duration;

use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{Error, Join, LeaveReason, Left, SessionResponse};

/// Who is told to come again without being told when, waits this long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Joins until each is answered for good.
#[derive(Default)]
pub(super) struct Joins {
    /// To be asked for.
    waiting: VecDeque<Join>,
    /// Asked for, by the command's id.
    asked: Vec<(u32, Join)>,
    /// Whether one came too often. From then on there is one at a time: more would only be refused, and count.
    held_back: bool,
}

/// What an answer to a join means for the listener.
#[derive(Debug, PartialEq)]
pub(super) enum Answered {
    /// It is told as it came: there is nothing else to it.
    Told,
    /// It is told as it came, and then that this room is not among the listener's.
    Refused(Left),
    /// It is not told: the room is asked for again, no sooner than after this.
    Again(Duration),
}

impl Joins {
    /// None of them asked for yet.
    pub(super) fn new(waiting: VecDeque<Join>) -> Self {
        Self { waiting, ..Self::default() }
    }

    /// Whether one may be asked for now.
    pub(super) fn is_next(&self) -> bool {
        !self.waiting.is_empty() && (!self.held_back || self.asked.is_empty())
    }

    /// The next, which goes out as the command `id`.
    pub(super) fn ask(&mut self, id: u32) -> Option<Join> {
        let join = if self.is_next() { self.waiting.pop_front() } else { None }?;
        self.asked.push((id, join.clone()));
        Some(join)
    }

    /// Takes note of what the hub says, an answer to a join perhaps.
    pub(super) fn note(&mut self, response: &SessionResponse) -> Answered {
        let found = self.asked.iter().position(|(id, _)| *id == response.command_id);
        let Some(index) = found else { return Answered::Told };
        let (_, join) = self.asked.swap_remove(index);
        match &response.kind {
            Some(Kind::Error(error)) if error.code == "RATE_LIMITED" => {
                self.held_back = true;
                self.waiting.push_back(join);
                let after = Duration::from_millis(error.retry_after_ms.into());
                Answered::Again(if after.is_zero() { AGAIN_AFTER } else { after })
            }
            Some(Kind::Error(error)) => Answered::Refused(left(join.room, error)),
            _ => Answered::Told,
        }
    }
}

fn left(room: String, error: &Error) -> Left {
    // There is a place once another room was left.
    let may_pass = error.retryable || error.code == "ROOM_LIMIT_EXCEEDED";
    let reason = if may_pass { LeaveReason::Unavailable } else { LeaveReason::Denied };
    Left { room, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use carillon_proto::v1::Joined;

    use super::*;

    fn joins(rooms: &[&str]) -> Joins {
        let join = |room: &&str| Join { room: (*room).to_owned(), rewind: 1, ..Join::default() };
        Joins::new(rooms.iter().map(join).collect())
    }

    fn answer(command_id: u32, kind: Kind) -> SessionResponse {
        SessionResponse { command_id, kind: Some(kind) }
    }

    fn error(command_id: u32, code: &str, retryable: bool, retry_after_ms: u32) -> SessionResponse {
        let error = Error { code: code.to_owned(), retryable, retry_after_ms, ..Error::default() };
        answer(command_id, Kind::Error(error))
    }

    #[test]
    fn what_came_too_often_is_asked_for_again_one_at_a_time() {
        let mut joins = joins(&["room:a", "room:b", "room:c"]);
        for id in 2..5 {
            assert!(joins.ask(id).is_some());
        }
        assert_eq!(joins.note(&answer(2, Kind::Joined(Joined::default()))), Answered::Told);
        let again = Answered::Again(Duration::from_secs(3));
        assert_eq!(joins.note(&error(3, "RATE_LIMITED", true, 3_000)), again);
        assert!(!joins.is_next(), "another is still asked for");
        assert_eq!(joins.note(&error(4, "RATE_LIMITED", true, 0)), Answered::Again(AGAIN_AFTER));
        assert_eq!(joins.ask(5).map(|join| join.room).as_deref(), Some("room:b"));
        assert_eq!(joins.ask(6), None);
        assert_eq!(joins.note(&answer(5, Kind::Joined(Joined::default()))), Answered::Told);
        assert_eq!(joins.ask(6).map(|join| (join.room, join.rewind)), Some(("room:c".to_owned(), 1)));
    }

    #[test]
    fn whatever_else_refuses_a_room_is_told_with_its_name() {
        let mut joins = joins(&["room:a", "room:b", "room:c"]);
        for id in 2..5 {
            assert!(joins.ask(id).is_some());
        }
        for (id, code, retryable, room, reason) in [
            (2, "ACCESS_DENIED", false, "room:a", LeaveReason::Denied),
            (3, "UNAVAILABLE", true, "room:b", LeaveReason::Unavailable),
            (4, "ROOM_LIMIT_EXCEEDED", false, "room:c", LeaveReason::Unavailable),
        ] {
            let left = Left { room: room.to_owned(), reason: reason.into() };
            assert_eq!(joins.note(&error(id, code, retryable, 0)), Answered::Refused(left));
        }
        // Answered once, an id says nothing any more; nor does a push, whose id is 0.
        assert_eq!(joins.note(&error(2, "RATE_LIMITED", true, 0)), Answered::Told);
        assert_eq!(joins.note(&error(0, "RATE_LIMITED", true, 0)), Answered::Told);
    }
}
