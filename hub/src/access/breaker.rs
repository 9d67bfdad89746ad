//! A circuit breaker as plain state: after several failures in a row nothing is asked for a while, then one call at a
//! time finds out whether it works again (row LM4).

use std::time::Duration;

use crate::domain::time::Moment;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that open it, 1 at least.
    pub failures: u32,
    /// How long nothing is asked then.
    pub open_for: Duration,
}

/// Whether calls are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// They are; so many failed in a row.
    Closed(u32),
    /// They are not, until then.
    Open(Moment),
    /// One is under way, on which it hangs; another is let through where that is not heard of until then.
    HalfOpen(Moment),
}

/// The breaker of one callee.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: State,
}

impl Breaker {
    /// A closed one.
    pub fn new(options: BreakerOptions) -> Self {
        Self { options, state: State::Closed(0) }
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
        self.state = State::Closed(0);
    }

    /// A call was not. Whether this opened the breaker.
    pub fn failed(&mut self, now: Moment) -> bool {
        let open = State::Open(now.plus(self.options.open_for));
        match self.state {
            State::Closed(failures) if failures + 1 < self.options.failures => {
                self.state = State::Closed(failures + 1);
                false
            }
            State::Closed(_) | State::HalfOpen(_) => {
                self.state = open;
                true
            }
            // A call from before it opened.
            State::Open(_) => false,
        }
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

    const OPTIONS: BreakerOptions = BreakerOptions { failures: 3, open_for: Duration::from_millis(100) };

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_success() {
        let mut breaker = Breaker::new(OPTIONS);
        for _ in 0..2 {
            assert!(breaker.admit(Moment(1)) && !breaker.failed(Moment(1)));
        }
        breaker.succeeded();
        for opens in [false, false, true] {
            assert!(breaker.admit(Moment(2)));
            assert_eq!(breaker.failed(Moment(2)), opens);
        }
        assert!(!breaker.admit(Moment(101)) && breaker.is_open(Moment(101)));
        assert!(breaker.admit(Moment(102)), "one finds out");
        assert!(!breaker.admit(Moment(102)), "and one alone");
        assert!(breaker.failed(Moment(103)) && !breaker.admit(Moment(202)));
        assert!(breaker.admit(Moment(203)));
        breaker.succeeded();
        assert!(breaker.admit(Moment(203)) && breaker.admit(Moment(203)));
    }

    #[test]
    fn one_that_is_never_heard_of_does_not_keep_it_half_open() {
        let mut breaker = Breaker::new(BreakerOptions { failures: 1, ..OPTIONS });
        breaker.failed(Moment(1));
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
                    breaker.failed(Moment(now));
                }
            }
            prop_assert!(calls <= 3 + now / 100);
        }
    }
}
