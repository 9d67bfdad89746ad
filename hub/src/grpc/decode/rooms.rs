//! Joining and leaving, history, the list of one's rooms.

use carillon_proto::v1;
use carillon_proto::v1::history_get::Bound;

use super::fields::{self, PositionPaths};
use crate::domain::command::{Command, HistoryBound, Join, Stateless};
use crate::domain::error::Refusal;
use crate::domain::limits;
use crate::domain::names::RoomName;

const SINCE: PositionPaths = PositionPaths { seq: "since.seq", tag: "since.tag" };

impl TryFrom<v1::Join> for Join {
    type Error = Refusal;

    fn try_from(join: v1::Join) -> Result<Self, Refusal> {
        let room = RoomName::parse(&join.room)?;
        let since = join.since.map(|since| fields::position(since, SINCE)).transpose()?;
        if join.rewind > limits::REWIND {
            return Err(Refusal::invalid("rewind", "at most 1000"));
        }
        if since.is_some() && join.rewind > 0 {
            return Err(Refusal::invalid("rewind", "only without since"));
        }
        Ok(Self { room, since, rewind: join.rewind, presence: join.presence })
    }
}

impl TryFrom<v1::Leave> for Command {
    type Error = Refusal;

    fn try_from(leave: v1::Leave) -> Result<Self, Refusal> {
        Ok(Self::Leave(RoomName::parse(&leave.room)?))
    }
}

impl TryFrom<v1::HistoryGet> for Stateless {
    type Error = Refusal;

    fn try_from(get: v1::HistoryGet) -> Result<Self, Refusal> {
        let room = RoomName::parse(&get.room)?;
        let bound = match get.bound {
            None => None,
            Some(Bound::Before(number)) => Some(HistoryBound::Before(fields::seq(number, "before")?)),
            Some(Bound::After(number)) => Some(HistoryBound::After(fields::seq(number, "after")?)),
        };
        Ok(Self::History { room, bound, limit: fields::history_page(get.limit)? })
    }
}

impl TryFrom<v1::RoomsGet> for Stateless {
    type Error = Refusal;

    fn try_from(get: v1::RoomsGet) -> Result<Self, Refusal> {
        Ok(Self::Rooms {
            cursor: fields::cursor(get.cursor)?,
            limit: fields::page(get.limit)?,
            unread_only: get.unread_only,
        })
    }
}
