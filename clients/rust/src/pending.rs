//! The commands that wait for their answers, over however many sessions it takes.

use std::collections::HashMap;

use bytes::Bytes;
use carillon_proto::v1::SessionRequest;
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::CommandError;

/// Commands without an answer yet that one client may have; the hub's own bound.
pub(crate) const IN_FLIGHT: usize = 64;

/// What answers a command.
pub(crate) type Answer = Result<Kind, CommandError>;

/// One command.
pub(crate) struct Outgoing {
    pub(crate) command: Command,
    /// Empty: none.
    pub(crate) key: Bytes,
    /// `None`: the library's own, which nobody waits for and which is not sent again.
    pub(crate) answer: Option<oneshot::Sender<Answer>>,
    /// Held until the answer came, so that no more than [`IN_FLIGHT`] are under way even where callers gave up.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

impl Outgoing {
    /// The library's own.
    pub(crate) fn own(command: Command) -> Self {
        Self { command, key: Bytes::new(), answer: None, _permit: None }
    }

    fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

/// The commands of one session that were sent and not answered.
pub(crate) struct InFlight {
    sent: HashMap<u32, (u64, Outgoing)>,
    last_id: u32,
    /// Commands ever sent: their order.
    count: u64,
}

impl InFlight {
    /// None yet. The first id is 2: `hello` had 1.
    pub(crate) fn new() -> Self {
        Self { sent: HashMap::new(), last_id: 1, count: 0 }
    }

    /// Gives a command its id. `None`: its caller has given up, nothing is to be sent.
    pub(crate) fn start(&mut self, outgoing: Outgoing) -> Option<SessionRequest> {
        if outgoing.is_abandoned() {
            return None;
        }
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.sent.contains_key(&self.last_id) {
                break;
            }
        }
        let request = SessionRequest {
            command_id: self.last_id,
            idempotency_key: outgoing.key.clone(),
            command: Some(outgoing.command.clone()),
        };
        self.count += 1;
        self.sent.insert(self.last_id, (self.count, outgoing));
        Some(request)
    }

    /// An id for a frame that gets no reply.
    pub(crate) fn unanswered_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.sent.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// The command that an answer is for.
    pub(crate) fn take(&mut self, id: u32) -> Option<Outgoing> {
        self.sent.remove(&id).map(|(_, outgoing)| outgoing)
    }

    /// The session ended: what is to be sent again, in the order in which it was sent. All of it is safe to: what
    /// changes something bears a key, or says what shall be so.
    pub(crate) fn unanswered(&mut self) -> Vec<Outgoing> {
        let mut unanswered: Vec<_> = self.sent.drain().map(|(_, sent)| sent).collect();
        unanswered.sort_unstable_by_key(|(order, _)| *order);
        self.last_id = 1;
        let commands = unanswered.into_iter().map(|(_, outgoing)| outgoing);
        commands.filter(|outgoing| outgoing.answer.is_some()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_proto::v1::{Leave, Ping};

    fn leave(room: &str) -> (Outgoing, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let command = Command::Leave(Leave { room: room.to_owned() });
        (Outgoing { answer: Some(answer), ..Outgoing::own(command) }, answered)
    }

    #[test]
    fn ids_skip_zero_and_what_is_in_flight() {
        let mut in_flight = InFlight::new();
        let (first, _waits) = leave("a:1");
        assert_eq!(in_flight.start(first).unwrap().command_id, 2);
        in_flight.last_id = u32::MAX;
        let ids: Vec<_> = (0..3)
            .map(|_| in_flight.start(Outgoing::own(Command::Ping(Ping {}))).unwrap().command_id)
            .collect();
        assert_eq!(ids, [1, 3, 4]);
        assert!(in_flight.take(2).is_some() && in_flight.take(2).is_none());
    }

    #[test]
    fn unanswered_keep_their_order_and_leave_out_the_librarys_own() {
        let mut in_flight = InFlight::new();
        let mut waits = Vec::new();
        for room in ["a:1", "b:1", "c:1"] {
            let (outgoing, answered) = leave(room);
            in_flight.start(outgoing).unwrap();
            waits.push(answered);
        }
        in_flight.start(Outgoing::own(Command::Ping(Ping {}))).unwrap();
        in_flight.take(3);
        let rooms: Vec<_> = in_flight.unanswered().into_iter().map(|outgoing| outgoing.command).collect();
        assert_eq!(rooms, ["a:1", "c:1"].map(|room| Command::Leave(Leave { room: room.to_owned() })));
    }

    #[test]
    fn given_up_commands_are_not_sent() {
        let (outgoing, answered) = leave("a:1");
        drop(answered);
        assert!(InFlight::new().start(outgoing).is_none());
    }
}
