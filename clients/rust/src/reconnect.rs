//! Whether and when to open a new session: plain data that is given its randomness.

use std::borrow::Cow;
use std::time::Duration;

use crate::code::Code;
use crate::error::Refusal;
use crate::token::{TokenError, TokenReason};

/// How long to wait between attempts. The wait is drawn from zero up to a bound that doubles from `initial` to `most`
/// («full jitter»), so that clients which lost the same hub do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BackoffRange {
    /// The bound of the first wait.
    pub(crate) initial: Duration,
    /// The bound of the longest.
    pub(crate) most: Duration,
}

impl Default for BackoffRange {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), most: Duration::from_secs(5) }
    }
}

/// Why there is no session.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The options cannot be used: no attempt would succeed.
    Options(String),
    /// No connection came about.
    Unreachable {
        /// What was tried.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// The session did not open in time.
    TimedOut(Duration),
    /// The stream ended without a word.
    Broken(Cow<'static, str>),
    /// Nothing came for the heartbeat's time-out.
    Silent,
    /// The hub refused or ended the session.
    Refused {
        /// With this.
        refusal: Refusal,
        /// What the hub said about a new session, where it said so.
        reconnect: Option<bool>,
    },
    /// The hub said that it stops, and then ended the stream.
    GoingAway(Duration),
    /// The provider gave no token.
    Token(TokenError),
}

impl End {
    /// The hub's code, where it gave one.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.code.clone()),
            Self::GoingAway(_) => Some(Code::GoingAway),
            _ => None,
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Options(reason) => reason.clone(),
            Self::Unreachable { address, reason } => format!("cannot reach a hub at {address}: {reason}"),
            Self::Broken(reason) => reason.clone().into_owned(),
            Self::TimedOut(limit) => format!("the hub did not open the session within {limit:?}"),
            Self::Silent => "the hub fell silent".to_owned(),
            Self::Refused { refusal, .. } => refusal.to_string(),
            Self::GoingAway(_) => "the hub is stopping".to_owned(),
            Self::Token(error) => format!("no token: {error}"),
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait, then open a session with a token asked for with this reason.
    Reconnect(Duration, TokenReason),
    /// The same would happen again.
    Stop,
}

/// Counts the attempts since the last session that lasted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reconnect {
    range: BackoffRange,
    failures: u32,
}

impl Reconnect {
    pub(crate) fn new(range: BackoffRange) -> Self {
        Self { range, failures: 0 }
    }

    /// Decides after an end. `lasted` is how long a session had been open, zero if it never was; `random` is uniform
    /// over all values.
    pub(crate) fn next(&mut self, end: &End, lasted: Duration, random: u64) -> Next {
        // One that opens and fails at once must not bring the shortest wait back.
        if lasted > self.range.most {
            self.failures = 0;
        }
        let at_least = match end {
            End::Options(_) => return Next::Stop,
            End::Token(error) if error.permanent => return Next::Stop,
            End::Refused { refusal, reconnect } => {
                let reconnect = reconnect.or(refusal.code.reconnect()).unwrap_or(refusal.retryable);
                if !reconnect {
                    return Next::Stop;
                }
                refusal.retry_after.unwrap_or_default()
            }
            End::GoingAway(after) => *after,
            _ => Duration::ZERO,
        };
        let token = match end.code() {
            Some(Code::TokenExpired) => TokenReason::Expired,
            _ => TokenReason::Connect,
        };
        Next::Reconnect(at_least.saturating_add(self.jitter(random)), token)
    }

    fn jitter(&mut self, random: u64) -> Duration {
        let doubled = self.range.initial.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let bound = doubled.min(self.range.most);
        bound.mul_f64(random as f64 / u64::MAX as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(code: Code, reconnect: Option<bool>, retry_after: Option<Duration>) -> End {
        let refusal = Refusal {
            retryable: code.retryable().unwrap_or(true),
            code,
            message: String::new(),
            request_id: String::new(),
            retry_after,
            violations: Vec::new(),
        };
        End::Refused { refusal, reconnect }
    }

    fn fresh() -> Reconnect {
        Reconnect::new(BackoffRange::default())
    }

    #[test]
    fn bound_doubles_up_to_the_most_and_starts_again_after_a_session_that_lasted() {
        let mut reconnect = fresh();
        let mut bound = |lasted: u64| {
            let next = reconnect.next(&End::Silent, Duration::from_secs(lasted), u64::MAX);
            let Next::Reconnect(wait, TokenReason::Connect) = next else { panic!("{next:?}") };
            wait.as_secs()
        };
        assert_eq!([bound(0), bound(0), bound(1), bound(5), bound(0)], [1, 2, 4, 5, 5]);
        assert_eq!([bound(6), bound(0)], [1, 2]);
    }

    #[test]
    fn hub_says_whether_to_come_back_and_else_the_code_does() {
        let next = |end: &End| fresh().next(end, Duration::ZERO, 0);
        let again = Next::Reconnect(Duration::ZERO, TokenReason::Connect);
        assert_eq!(next(&refused(Code::SessionReplaced, None, None)), Next::Stop);
        assert_eq!(next(&refused(Code::SessionReplaced, Some(true), None)), again);
        assert_eq!(next(&refused(Code::SlowConsumer, None, None)), again);
        assert_eq!(next(&refused(Code::SlowConsumer, Some(false), None)), Next::Stop);
        assert_eq!(next(&refused(Code::Other("LATER".into()), None, None)), again);
        let expired = Next::Reconnect(Duration::ZERO, TokenReason::Expired);
        assert_eq!(next(&refused(Code::TokenExpired, Some(true), None)), expired);
    }

    #[test]
    fn token_that_will_not_come_ends_it() {
        let token = |permanent| End::Token(TokenError { message: String::new(), permanent });
        assert_eq!(fresh().next(&token(true), Duration::ZERO, 0), Next::Stop);
        assert_ne!(fresh().next(&token(false), Duration::ZERO, 0), Next::Stop);
    }

    proptest! {
        #[test]
        fn wait_is_at_least_what_the_hub_asked_and_at_most_the_bound_more(
            failures in 0_u32..100, random: u64, asked_ms in 0_u32..100_000, going: bool,
        ) {
            let mut reconnect = fresh();
            reconnect.failures = failures;
            let asked = Duration::from_millis(u64::from(asked_ms));
            let end = if going { End::GoingAway(asked) } else { refused(Code::RateLimited, None, Some(asked)) };
            let next = reconnect.next(&end, Duration::ZERO, random);
            let Next::Reconnect(wait, _) = next else { panic!("{next:?}") };
            prop_assert!(wait >= asked && wait <= asked + Duration::from_secs(5));
        }
    }
}
