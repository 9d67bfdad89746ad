//! How often: a token bucket as plain state.
//!
//! It is kept as the moment at which it will be full again (the generic cell rate algorithm), so one number is all there
//! is, and a bucket that is full is as good as none.

use std::time::Duration;

use super::time::Moment;

/// So many at once, and one more every so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once, 1 at least.
    pub burst: u32,
    /// Until there is one more, 1 ms at least.
    pub every: Duration,
}

impl Rate {
    /// `burst` at once, one more `every` so long.
    pub const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every }
    }

    /// How long an empty bucket takes to be full.
    pub fn span(&self) -> Duration {
        self.every.saturating_mul(self.burst)
    }
}

/// What is left of a rate. A new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at: Moment,
}

impl Bucket {
    /// Takes one; where there is none, says after how long there will be.
    pub fn take(&mut self, rate: Rate, now: Moment) -> Result<(), Duration> {
        let full_at = self.full_at.max(now).plus(rate.every);
        let lacks = full_at.since(now).saturating_sub(rate.span());
        if lacks.is_zero() {
            self.full_at = full_at;
            Ok(())
        } else {
            Err(lacks)
        }
    }

    /// Gives back one that was taken.
    pub fn give_back(&mut self, rate: Rate) {
        self.full_at = self.full_at.minus(rate.every);
    }

    /// How many are left.
    pub fn level(&self, rate: Rate, now: Moment) -> u32 {
        let taken = self.full_at.since(now).as_millis().div_ceil(rate.every.as_millis().max(1));
        rate.burst.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// Whether less is left of it, at the same rate.
    pub fn has_less_than(&self, other: &Self) -> bool {
        self.full_at > other.full_at
    }

    /// Whether all are there.
    pub fn is_full(&self, now: Moment) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by counting: tokens in milliseconds of refill.
    struct Counted {
        credit: u64,
        at: u64,
    }

    impl Counted {
        fn take(&mut self, rate: Rate, now: u64) -> bool {
            let every = rate.every.as_millis() as u64;
            let most = every * u64::from(rate.burst);
            self.credit = (self.credit + now - self.at).min(most);
            self.at = now;
            let enough = self.credit >= every;
            if enough {
                self.credit -= every;
            }
            enough
        }
    }

    proptest! {
        #[test]
        fn takes_what_counting_would(burst in 1_u32..20, every in 1_u64..5_000, waits in prop::collection::vec(0_u64..6_000, 1..200)) {
            let rate = Rate::new(burst, Duration::from_millis(every));
            let mut bucket = Bucket::default();
            let mut counted = Counted { credit: every * u64::from(burst), at: 1 };
            let mut now = 1;
            for wait in waits {
                now += wait;
                counted.credit = (counted.credit + now - counted.at).min(every * u64::from(burst));
                counted.at = now;
                let level = (counted.credit / every) as u32;
                prop_assert_eq!(bucket.level(rate, Moment(now)), level);
                match bucket.take(rate, Moment(now)) {
                    Ok(()) => prop_assert!(counted.take(rate, now)),
                    Err(after) => {
                        prop_assert!(!counted.take(rate, now));
                        // Then, and not before.
                        let there = now + after.as_millis() as u64;
                        prop_assert_eq!(bucket.level(rate, Moment(there)), 1);
                        prop_assert_eq!(bucket.level(rate, Moment(there - 1)), 0);
                    }
                }
                prop_assert_eq!(bucket.is_full(Moment(now)), counted.credit == every * u64::from(burst));
            }
        }
    }
}
