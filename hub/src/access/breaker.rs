//! A circuit breaker as plain state: after failures of several users in a row nothing is asked for a while, then one call
//! at a time finds out whether it works again (row LM4). What fails for one user alone, however often, opens nothing: else
//! whoever finds a question on which the callee fails would shut it for everybody.

use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::domain::names::UserKey;
use crate::domain::time::Moment;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many users' failures in a row open it, 1 at least.
    pub failures: u32,
    /// How long nothing is asked then.
    pub open_for: Duration,
}

/// Whether calls are let through.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// They are; since the last success they failed for these.
    Closed(FxHashSet<UserKey>),
    /// They are not, until then.
    Open(Moment),
    /// One is under way, on which it hangs; another is let through where that is not heard of until then.
    HalfOpen(Moment),
}

/// The breaker of one callee.
#[derive(Clone, Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: State,
}

impl Breaker {
    /// A closed one.
    pub fn new(options: BreakerOptions) -> Self {
        Self { options, state: State::Closed(FxHashSet::default()) }
    }

    /// Whether a call may be made now; whoever makes it says how it went.
    pub fn admit(&mut self, now: Moment) -> bool {
        match self.state {
            State::Closed(_) => true,
            State::Open(until) | State::HalfOpen(until) if now >= until => {
                self.state = State::HalfOpen(now.plus(self.options.open_for));
                true
            }
            State::Open(_) | State::HalfOpen(_) => false,
        }
    }

    /// A call was answered.
    pub fn succeeded(&mut self) {
        self.state = State::Closed(FxHashSet::default());
    }

    /// A call for `user` was not. Whether this opened the breaker.
    pub fn failed(&mut self, user: UserKey, now: Moment) -> bool {
        if let State::Closed(users) = &mut self.state {
            users.insert(user);
            if users.len() < self.options.failures as usize {
                return false;
            }
        }
        // A call from before it opened.
        if matches!(self.state, State::Open(_)) {
            return false;
        }
        self.state = State::Open(now.plus(self.options.open_for));
        true
    }

    /// Whether calls are held back now.
    pub fn is_open(&self, now: Moment) -> bool {
        matches!(self.state, State::Open(until) | State::HalfOpen(until) if now < until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use crate::domain::names::{TenantId, UserId};

    const OPTIONS: BreakerOptions = BreakerOptions { failures: 3, open_for: Duration::from_millis(100) };

    fn user(number: u64) -> UserKey {
        let user = UserId::parse(&format!("user-{number}")).unwrap();
        UserKey { tenant: TenantId::parse("acme").unwrap(), user }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_success() {
        let mut breaker = Breaker::new(OPTIONS);
        for number in 0..2 {
            assert!(breaker.admit(Moment(1)) && !breaker.failed(user(number), Moment(1)));
        }
        breaker.succeeded();
        for (number, opens) in [false, false, true].into_iter().enumerate() {
            assert!(breaker.admit(Moment(2)));
            assert_eq!(breaker.failed(user(number as u64), Moment(2)), opens);
        }
        assert!(!breaker.admit(Moment(101)) && breaker.is_open(Moment(101)));
        assert!(breaker.admit(Moment(102)), "one finds out");
        assert!(!breaker.admit(Moment(102)), "and one alone");
        assert!(breaker.failed(user(1), Moment(103)) && !breaker.admit(Moment(202)));
        assert!(breaker.admit(Moment(203)));
        breaker.succeeded();
        assert!(breaker.admit(Moment(203)) && breaker.admit(Moment(203)));
    }

    #[test]
    fn one_user_opens_nothing_however_much_fails_for_them() {
        let mut breaker = Breaker::new(OPTIONS);
        for at in 1..1_000 {
            assert!(breaker.admit(Moment(at)) && !breaker.failed(user(1), Moment(at)));
        }
        assert!(!breaker.failed(user(2), Moment(1_000)) && breaker.failed(user(3), Moment(1_000)));
    }

    #[test]
    fn one_that_is_never_heard_of_does_not_keep_it_half_open() {
        let mut breaker = Breaker::new(BreakerOptions { failures: 1, ..OPTIONS });
        breaker.failed(user(1), Moment(1));
        assert!(breaker.admit(Moment(101)) && !breaker.admit(Moment(200)));
        assert!(breaker.admit(Moment(201)));
    }

    proptest! {
        /// While everything fails, no more than one call in each while is let through once it is open.
        #[test]
        fn what_fails_is_left_alone(steps in prop::collection::vec(1_u64..50, 1..200)) {
            let mut breaker = Breaker::new(OPTIONS);
            let (mut now, mut calls) = (1, 0_u64);
            for step in steps {
                now += step;
                if breaker.admit(Moment(now)) {
                    calls += 1;
                    breaker.failed(user(now), Moment(now));
                }
            }
            prop_assert!(calls <= 3 + now / 100);
        }
    }
}
