//! What a session does when others tell it something: the sweep, administrators, a drain, its own mailbox.

use crate::delivery::mailbox::Signal;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::push::Push;
use crate::domain::time::Moment;

use super::driver::Session;

impl Session {
    /// Takes what waits in the mailbox but for the pushes. Whether there is more to do because of it.
    pub(super) fn take_signals(&mut self, now: Moment) -> bool {
        if self.is_over() {
            return false;
        }
        let Some(established) = &mut self.established else { return false };
        if !established.live.mailbox.has_waiting() {
            return false;
        }
        if established.feed.is_none() {
            return self.take_end(now);
        }
        let mut signals = Vec::new();
        let slots = &mut established.slots;
        established.live.mailbox.take(|slot| slots.mark_ready(slot), &mut signals);
        let mut moved = false;
        for signal in signals {
            moved |= matches!(signal, Signal::ReadInbox);
            self.heed(signal, now);
        }
        moved
    }

    /// Before `connected`, which is the first frame of a session, only what ends it is taken; the rest waits. The node's
    /// stop is then no news of a session's, but why there is none.
    fn take_end(&mut self, now: Moment) -> bool {
        let Some(established) = &self.established else { return false };
        match established.live.mailbox.take_end() {
            Some(Signal::Drain(after)) => {
                let refusal = Refusal { retry_after: Some(after), ..ErrorCode::GoingAway.into() };
                self.services.metrics.attempt_failed(refusal.code);
                // Until it is answered, `hello` is the only command.
                match self.in_flight.first() {
                    Some(&hello) => self.refuse_and_end(hello, refusal),
                    None => self.end(Some(refusal)),
                }
            }
            Some(close) => self.heed(close, now),
            None => return false,
        }
        true
    }

    fn heed(&mut self, signal: Signal, now: Moment) {
        match signal {
            Signal::Ping => {
                if let Some(established) = &self.established {
                    established.live.pinged(now);
                }
                self.push(&Push::Ping);
            }
            Signal::ReadInbox => {
                if let Some(feed) =
                    self.established.as_mut().and_then(|established| established.feed.as_mut())
                {
                    feed.read_again();
                }
            }
            Signal::TokenExpiring(at) => self.push(&Push::TokenExpiring(at)),
            Signal::Drain(after) => {
                self.push(&Push::GoingAway(after));
                self.finish(Some(Refusal { retry_after: Some(after), ..ErrorCode::GoingAway.into() }));
            }
            Signal::Close(refusal) => {
                self.services.metrics.disconnected(refusal.code);
                // Whoever may not come back is not waited for; whom a newer session replaced is back already.
                self.left_for_good |=
                    !refusal.code.row().reconnect && refusal.code != ErrorCode::SessionReplaced;
                self.end(Some(refusal));
            }
        }
    }
}
