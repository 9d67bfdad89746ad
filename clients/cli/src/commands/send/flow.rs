//! Lines in their order, however often the hub puts them off. Plain data that takes `now`.

use std::collections::VecDeque;
use std::time::Duration;

use carillon_client::{Code, CommandError};
use tokio::time::Instant;

/// Lines without an acknowledgement yet: what a hub takes from one session.
const IN_FLIGHT: usize = 64;
/// Where the hub does not say when to try again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a hub that cannot take anything may say so. That it takes no more for now may go on for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A line to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) text: String,
    /// However often it is sent, it is stored once: an attempt that was broken off may have been.
    pub(super) key: Vec<u8>,
    /// Whether it may be stored for all that the hub has said of it.
    pub(super) in_doubt: bool,
}

/// Which lines may go out.
pub(super) struct Flow {
    /// Lines that may be under way at once. After one was put off none may overtake the next.
    window: usize,
    /// Lines to send again, in their order, and why.
    put_off: VecDeque<(Line, CommandError)>,
    /// When the first of them goes out.
    again_at: Instant,
    /// Since when the hub can take nothing.
    stuck_since: Option<Instant>,
}

impl Flow {
    pub(super) fn new(now: Instant) -> Self {
        Self { window: IN_FLIGHT, put_off: VecDeque::new(), again_at: now, stuck_since: None }
    }

    /// Whether a new line may go out beside those that are under way.
    pub(super) fn takes(&self, under_way: usize) -> bool {
        self.put_off.is_empty() && under_way < self.window
    }

    /// The line to send again, and when. Asked once nothing is under way.
    pub(super) fn again(&mut self) -> Option<(Instant, Line)> {
        self.put_off.pop_front().map(|(line, _)| (self.again_at, line))
    }

    /// A line was refused. False: it is not to be sent again.
    pub(super) fn puts_off(&mut self, line: &Line, error: &CommandError, now: Instant) -> bool {
        let CommandError::Refused(refusal) = error else { return false };
        match refusal.code {
            Code::RateLimited => self.stuck_since = None,
            Code::Unavailable | Code::DeadlineExceeded => {
                if now.duration_since(*self.stuck_since.get_or_insert(now)) >= PATIENCE {
                    return false;
                }
            }
            _ => return false,
        }
        self.window = 1;
        self.again_at = now + refusal.retry_after.unwrap_or(PAUSE);
        let line = Line { in_doubt: line.in_doubt || refusal.code != Code::RateLimited, ..line.clone() };
        let place = self.put_off.partition_point(|(other, _)| other.number < line.number);
        self.put_off.insert(place, (line, error.clone()));
        true
    }

    /// A line was acknowledged. True: it has overtaken one that was put off, which the hub may allow when its limit lets
    /// more through in between.
    pub(super) fn acknowledged(&mut self, number: u64) -> bool {
        self.stuck_since = None;
        self.put_off.front().is_some_and(|(first, _)| first.number < number)
    }

    /// What was put off is not sent any more.
    pub(super) fn gives_up(&mut self) -> impl Iterator<Item = (Line, CommandError)> {
        std::mem::take(&mut self.put_off).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_client::Refusal;

    fn line(number: u64) -> Line {
        Line { number, text: String::new(), key: vec![1; 16], in_doubt: false }
    }

    fn refused(code: Code, retry_after: Option<Duration>) -> CommandError {
        let (message, request_id, violations) = (String::new(), String::new(), Vec::new());
        Refusal { code, message, request_id, retryable: true, retry_after, violations }.into()
    }

    #[test]
    fn lines_that_were_put_off_go_out_one_by_one_in_their_order() {
        let now = Instant::now();
        let mut flow = Flow::new(now);
        assert!(flow.takes(IN_FLIGHT - 1) && !flow.takes(IN_FLIGHT));
        let limited = refused(Code::RateLimited, Some(Duration::from_secs(3)));
        assert!(flow.puts_off(&line(6), &limited, now) && flow.puts_off(&line(8), &limited, now));
        assert!(!flow.takes(0), "nothing new overtakes them");
        assert!(flow.acknowledged(7), "line 7 was let through in between");
        assert_eq!(flow.again(), Some((now + Duration::from_secs(3), line(6))));
        let later = now + Duration::from_secs(3);
        assert!(flow.puts_off(&line(6), &refused(Code::RateLimited, None), later));
        assert_eq!(flow.again(), Some((later + PAUSE, line(6))));
        assert!(!flow.acknowledged(6), "line 8 comes after it");
        assert_eq!(flow.again().unwrap().1.number, 8);
        assert!(!flow.acknowledged(8) && flow.takes(0) && !flow.takes(1) && flow.again().is_none());
    }

    #[test]
    fn a_hub_that_takes_nothing_is_given_up() {
        let now = Instant::now();
        let mut flow = Flow::new(now);
        let away = refused(Code::Unavailable, None);
        assert!(flow.puts_off(&line(1), &away, now));
        let (_, again) = flow.again().unwrap();
        assert!(again.in_doubt);
        assert!(flow.puts_off(&again, &away, now + PATIENCE / 2));
        let (_, again) = flow.again().unwrap();
        assert!(!flow.puts_off(&again, &away, now + PATIENCE));
        flow.acknowledged(1);
        assert!(flow.puts_off(&again, &away, now + PATIENCE));
        assert_eq!(flow.gives_up().map(|(line, _)| line.number).collect::<Vec<_>>(), [1]);
        for error in [refused(Code::InvalidArgument, None), CommandError::TimedOut(PAUSE)] {
            assert!(!flow.puts_off(&line(2), &error, now));
        }
    }
}
