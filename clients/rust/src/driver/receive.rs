//! What a frame from the hub does: answers a command, is handed over, or is the library's own business.

use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{Join, JoinReason, LeaveReason, Left, Pong, SessionRequest, SessionResponse};
use tokio::time::Instant;

use crate::code::Code;
use crate::error::{CommandError, Refusal};
use crate::events::Event;
use crate::pending::Outgoing;
use crate::reconnect::End;
use crate::session::{Session, end_of_disconnected};
use crate::token::{TokenFuture, TokenReason};

use super::Driver;

impl Driver {
    pub(super) fn receive(
        &mut self,
        session: &mut Session,
        frame: SessionResponse,
        refresh: &mut Option<TokenFuture<'static>>,
    ) -> Result<(), End> {
        let Some(kind) = frame.kind else { return Ok(()) };
        match kind {
            Kind::Ping(_) => {
                let command = Some(Command::Pong(Pong::default()));
                let command_id = self.in_flight.unanswered_id();
                // When frames wait already, they say as much as a pong would.
                let _ =
                    session.outbound.try_send(SessionRequest { command_id, command, ..Default::default() });
            }
            Kind::TokenExpiring(_) => {
                let provider = self.options.token.clone();
                *refresh = Some(Box::pin(async move { provider.token(TokenReason::Expiring).await }));
            }
            Kind::GoingAway(going) => {
                let reconnect_after = Duration::from_millis(u64::from(going.reconnect_after_ms));
                session.going_away = Some(reconnect_after);
                self.events.push(Event::GoingAway { reconnect_after }, None);
            }
            Kind::Disconnected(disconnected) => {
                return Err(end_of_disconnected(disconnected, session.going_away));
            }
            kind if frame.command_id != 0 => self.answer(session, frame.command_id, kind),
            kind => {
                if let Some(event) = Event::of_push(kind)
                    && !self.is_early(&event)
                {
                    self.hand_over(event, None);
                }
            }
        }
        Ok(())
    }

    /// Answers a command. `joined` and `left` are events too: their place among the entries matters.
    fn answer(&mut self, session: &Session, id: u32, kind: Kind) {
        let Some(Outgoing { command, answer, .. }) = self.in_flight.take(id) else { return };
        match (&kind, command) {
            (_, Command::Join(join)) if answer.is_none() => {
                return self.answer_late(session, join.room, kind);
            }
            (Kind::Joined(joined), Command::Join(join)) => {
                self.hand_over(Event::Joined(Box::new(joined.clone())), Some(Box::new(join)));
            }
            (Kind::Left(left), _) => self.hand_over(Event::Left(left.clone()), None),
            (Kind::Error(_), Command::Join(join)) => {
                self.late.refused(&join.room);
                self.join_late(session);
            }
            (Kind::Done(_), Command::PresenceSet(set)) => self.own.presence = Some(set),
            (Kind::Done(_), Command::PresenceWatch(watch)) => self.own.watched = Some(watch),
            _ => {}
        }
        let Some(answer) = answer else { return };
        let _ = answer.send(match kind {
            Kind::Error(error) => Err(CommandError::Refused(error.into())),
            kind => Ok(kind),
        });
    }

    /// The answer to the library's own join, told as what it is to the caller: a room that was resumed, or was not.
    fn answer_late(&mut self, session: &Session, room: String, kind: Kind) {
        let (joined, refusal) = match kind {
            Kind::Joined(joined) => (Some(joined), None),
            Kind::Error(error) => (None, Some(Refusal::from(error))),
            _ => (None, None),
        };
        let (held, refused) = self.late.answered(&room, refusal, Instant::now());
        if let Some(mut joined) = joined {
            joined.set_reason(JoinReason::Resumed);
            self.hand_over(Event::Joined(Box::new(joined)), None);
        }
        if let Some(refused) = refused {
            let denied = matches!(refused.code, Code::AccessDenied | Code::NotFound);
            let reason = if denied { LeaveReason::Denied } else { LeaveReason::Unavailable };
            self.hand_over(Event::Left(Left { room, reason: reason.into() }), None);
        }
        for outgoing in held {
            self.send(session, outgoing);
        }
        self.join_late(session);
    }

    /// Whether this is of a room whose own join is still to come, as the hub may join it by itself before. What the
    /// position still misses would be passed over; it all follows that join.
    fn is_early(&self, event: &Event) -> bool {
        let room = match event {
            Event::Joined(joined) => &joined.room,
            Event::Gap(gap) => &gap.room,
            event => match event.entry() {
                Some((room, _)) => room,
                None => return false,
            },
        };
        self.late.expects(room)
    }

    fn hand_over(&mut self, event: Event, join: Option<Box<Join>>) {
        let fresh = match &event {
            Event::Joined(joined) => {
                self.late.settled(&joined.room);
                let truncated = self.rooms.joined(joined, join.as_deref());
                let room = truncated.then(|| joined.room.clone());
                self.events.push(event, join);
                if let Some(room) = room {
                    self.events.push(Event::Truncated { room }, None);
                }
                return;
            }
            Event::Left(left) => {
                self.late.settled(&left.room);
                self.rooms.left(&left.room);
                true
            }
            Event::Gap(gap) => self.rooms.gap(&gap.room, gap.to),
            Event::Notification(notification) => self.rooms.notification(notification.position),
            event => event.entry().is_none_or(|(room, header)| self.rooms.entry(room, header)),
        };
        if fresh {
            self.events.push(event, None);
        }
    }
}
