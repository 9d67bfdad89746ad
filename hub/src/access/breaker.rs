//! A circuit breaker as plain state: after failures of several users in a row nothing is asked for a while, then one call
//! at a time finds out whether it works again (row LM4). What fails for one user alone, however often, opens nothing and
//! keeps nothing open: else whoever finds a question on which the callee fails would shut it for everybody. So after a call
//! that found out that it fails, another user's finds out next, where anybody else asks.

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
    Open(Moment, Tried),
    /// One is under way, on which it hangs; another is let through where that is not heard of until then.
    HalfOpen(Moment, Tried),
}

/// Those whose calls were let through since it opened, fewer than it takes to open it.
type Tried = FxHashSet<UserKey>;

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

    /// Whether a call for `user` may be made now; whoever makes it says how it went.
    pub fn admit(&mut self, user: &UserKey, now: Moment) -> bool {
        let (until, tried) = match &mut self.state {
            State::Closed(_) => return true,
            State::Open(until, tried) | State::HalfOpen(until, tried) => (*until, tried),
        };
        // Whom it was tried with before waits until nobody else has asked for as long again.
        let open_for = self.options.open_for;
        let from = if tried.contains(user) { until.plus(open_for) } else { until };
        if now < from {
            return false;
        }
        let mut tried = std::mem::take(tried);
        if tried.len() + 1 >= self.options.failures as usize {
            tried.clear();
        }
        tried.insert(user.clone());
        self.state = State::HalfOpen(now.plus(open_for), tried);
        true
    }

    /// A call was answered.
    pub fn succeeded(&mut self) {
        self.state = State::Closed(FxHashSet::default());
    }

    /// A call for `user` was not. Whether this opened the breaker.
    pub fn failed(&mut self, user: UserKey, now: Moment) -> bool {
        let tried = match &mut self.state {
            State::Closed(users) => {
                users.insert(user);
                if users.len() < self.options.failures as usize {
                    return false;
                }
                Tried::default()
            }
            // A call from before it opened.
            State::Open(..) => return false,
            State::HalfOpen(_, tried) => std::mem::take(tried),
        };
        self.state = State::Open(now.plus(self.options.open_for), tried);
        true
    }

    /// Whether calls are held back now.
    pub fn is_open(&self, now: Moment) -> bool {
        matches!(self.state, State::Open(until, _) | State::HalfOpen(until, _) if now < until)
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
            assert!(breaker.admit(&user(number), Moment(1)) && !breaker.failed(user(number), Moment(1)));
        }
        breaker.succeeded();
        for (number, opens) in [false, false, true].into_iter().enumerate() {
            assert!(breaker.admit(&user(number as u64), Moment(2)));
            assert_eq!(breaker.failed(user(number as u64), Moment(2)), opens);
        }
        assert!(!breaker.admit(&user(1), Moment(101)) && breaker.is_open(Moment(101)));
        assert!(breaker.admit(&user(1), Moment(102)), "one finds out");
        assert!(!breaker.admit(&user(2), Moment(102)), "and one alone");
        assert!(breaker.failed(user(1), Moment(103)) && !breaker.admit(&user(2), Moment(202)));
        assert!(breaker.admit(&user(2), Moment(203)));
        breaker.succeeded();
        assert!(breaker.admit(&user(2), Moment(203)) && breaker.admit(&user(2), Moment(203)));
    }

    #[test]
    fn one_user_opens_nothing_however_much_fails_for_them() {
        let mut breaker = Breaker::new(OPTIONS);
        for at in 1..1_000 {
            assert!(breaker.admit(&user(1), Moment(at)) && !breaker.failed(user(1), Moment(at)));
        }
        assert!(!breaker.failed(user(2), Moment(1_000)) && breaker.failed(user(3), Moment(1_000)));
    }

    #[test]
    fn one_that_is_never_heard_of_does_not_keep_it_half_open() {
        let mut breaker = Breaker::new(BreakerOptions { failures: 1, ..OPTIONS });
        breaker.failed(user(1), Moment(1));
        assert!(breaker.admit(&user(2), Moment(101)) && !breaker.admit(&user(3), Moment(200)));
        assert!(breaker.admit(&user(3), Moment(201)));
    }

    /// Mallory asks whenever it may be asked, before anybody else, and fails; it works for all others.
    #[test]
    fn who_always_fails_keeps_it_open_for_nobody() {
        let mut breaker = Breaker::new(OPTIONS);
        (0..3).for_each(|number| _ = breaker.failed(user(number), Moment(1)));
        let (mallory, alice) = (user(0), user(9));
        let mut asked = Vec::new();
        for at in 1..1_000 {
            if breaker.admit(&mallory, Moment(at)) {
                asked.push(at);
                breaker.failed(mallory.clone(), Moment(at));
            } else if breaker.admit(&alice, Moment(at)) {
                asked.push(at);
                breaker.succeeded();
                break;
            }
        }
        assert_eq!(asked, [101, 201], "the next is not theirs");
        assert!(breaker.admit(&alice, Moment(201)) && !breaker.is_open(Moment(201)));
    }

    #[test]
    fn who_asks_alone_finds_out_in_the_end() {
        let mut breaker = Breaker::new(OPTIONS);
        (0..3).for_each(|number| _ = breaker.failed(user(number), Moment(1)));
        assert!(breaker.admit(&user(0), Moment(101)) && breaker.failed(user(0), Moment(101)));
        assert!(!breaker.admit(&user(0), Moment(300)) && breaker.admit(&user(0), Moment(301)));
    }

    proptest! {
        /// While everything fails, no more than one call in each while is let through once it is open.
        #[test]
        fn what_fails_is_left_alone(steps in prop::collection::vec(1_u64..50, 1..200)) {
            let mut breaker = Breaker::new(OPTIONS);
            (0..3).for_each(|number| _ = breaker.failed(user(number), Moment(1)));
            let (mut now, mut calls) = (1, 0_u64);
            for step in steps {
                now += step;
                let asks = user(now % 4);
                if breaker.admit(&asks, Moment(now)) {
                    calls += 1;
                    breaker.failed(asks, Moment(now));
                }
            }
            prop_assert!(calls <= now / 100);
        }
    }
}
