//! A token's life within a session: when to warn, when to end, what a refresh changes.

use std::time::Duration;

use crate::access::revocation::{Bearer, Revocations};
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::UserKey;
use crate::domain::revocation::TokenMark;
use crate::domain::time::Timestamp;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeStep {
    /// Nothing.
    Fine,
    /// Warn the client with `token_expiring`. Given once per token.
    Expiring,
    /// End the session with `TOKEN_EXPIRED`.
    Expired,
}

/// The token that a session lives by.
#[derive(Clone, Debug)]
pub struct TokenLife {
    owner: UserKey,
    service: bool,
    expires: Timestamp,
    notice: Duration,
    warn_at: Timestamp,
    warned: bool,
    mark: TokenMark,
    /// What was known of revocations when it was last asked about; 0 at first.
    asked: u64,
}

impl TokenLife {
    /// Begins with the token of `caller`, to be warned of `notice` before it ends. A token that is short beside the
    /// notice is warned of after half its life, so that clients whose tokens are all short do not refresh without end.
    pub fn new(caller: &Caller, notice: Duration, now: Timestamp) -> Self {
        let mut life = Self {
            owner: caller.key(),
            service: caller.service,
            expires: caller.expires,
            notice,
            warn_at: now,
            warned: false,
            mark: caller.token,
            asked: 0,
        };
        life.begin(caller, now);
        life
    }

    /// What is due at `now`.
    pub fn step(&mut self, now: Timestamp) -> LifeStep {
        if now >= self.expires {
            LifeStep::Expired
        } else if now >= self.warn_at && !self.warned {
            self.warned = true;
            LifeStep::Expiring
        } else {
            LifeStep::Fine
        }
    }

    /// When [`TokenLife::step`] is to be asked next.
    pub fn next(&self) -> Timestamp {
        if self.warned { self.expires } else { self.warn_at }
    }

    /// When the token ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Carries on with a new token. Refused, and nothing changes: `TOKEN_EXPIRED` where either token has ended,
    /// `INVALID_TOKEN` where the new one is not of the same tenant, user and kind.
    pub fn refresh(&mut self, caller: &Caller, now: Timestamp) -> Result<(), Refusal> {
        if now >= self.expires || now >= caller.expires {
            return Err(ErrorCode::TokenExpired.into());
        }
        if caller.key() != self.owner || caller.service != self.service {
            return Err(ErrorCode::InvalidToken.into());
        }
        self.begin(caller, now);
        Ok(())
    }

    /// Asks whether the token was revoked, where more is known than when it was last asked. A new token is asked about
    /// again: what came between its check and its place here is not missed.
    pub fn check(&mut self, revocations: &Revocations) -> Result<(), Refusal> {
        let generation = revocations.generation();
        if self.asked == generation {
            return Ok(());
        }
        let bearer = Bearer { name: &self.owner.user, service: self.service, mark: &self.mark };
        revocations.check(Some(&self.owner.tenant), &bearer)?;
        self.asked = generation;
        Ok(())
    }

    fn begin(&mut self, caller: &Caller, now: Timestamp) {
        let expires = caller.expires;
        (self.mark, self.asked) = (caller.token, 0);
        let left = expires.since(now);
        let notice = self.notice.min(left / 2);
        self.expires = expires;
        self.warn_at = now.plus(left.saturating_sub(notice));
        self.warned = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{TenantId, UserId};
    use proptest::prelude::*;

    fn caller(tenant: &str, user: &str, service: bool, expires: i64) -> Caller {
        Caller {
            tenant: TenantId::parse(tenant).unwrap(),
            user: UserId::parse(user).unwrap(),
            service,
            cross_tenant: false,
            expires: Timestamp(expires),
            token: crate::domain::revocation::TokenMark::default(),
            powers: crate::domain::powers::Powers::default(),
        }
    }

    fn alice(expires: i64) -> Caller {
        caller("acme", "alice", false, expires)
    }

    #[test]
    fn warns_once_then_ends() {
        let mut life = TokenLife::new(&alice(200_000), Duration::from_mins(1), Timestamp(0));
        assert_eq!(life.next(), Timestamp(140_000));
        assert_eq!(life.step(Timestamp(139_999)), LifeStep::Fine);
        assert_eq!(life.step(Timestamp(140_000)), LifeStep::Expiring);
        assert_eq!(life.step(Timestamp(140_001)), LifeStep::Fine);
        assert_eq!(life.next(), Timestamp(200_000));
        assert_eq!(life.step(Timestamp(200_000)), LifeStep::Expired);
    }

    #[test]
    fn short_tokens_are_warned_of_after_half_their_life() {
        let mut life = TokenLife::new(&alice(10_000), Duration::from_mins(1), Timestamp(0));
        assert_eq!(life.step(Timestamp(4_999)), LifeStep::Fine);
        assert_eq!(life.step(Timestamp(5_000)), LifeStep::Expiring);
        life.refresh(&alice(15_000), Timestamp(5_000)).unwrap();
        assert_eq!(life.step(Timestamp(5_000)), LifeStep::Fine);
    }

    #[test]
    fn only_the_same_identity_refreshes() {
        let mut life = TokenLife::new(&alice(10_000), Duration::ZERO, Timestamp(0));
        for (other, code) in [
            (caller("acme", "bob", false, 20_000), ErrorCode::InvalidToken),
            (caller("other", "alice", false, 20_000), ErrorCode::InvalidToken),
            (caller("acme", "alice", true, 20_000), ErrorCode::InvalidToken),
            (alice(1_000), ErrorCode::TokenExpired),
        ] {
            assert_eq!(life.refresh(&other, Timestamp(1_000)).unwrap_err().code, code);
            assert_eq!(life.expires(), Timestamp(10_000));
        }
        let late = life.refresh(&alice(20_000), Timestamp(10_000)).unwrap_err();
        assert_eq!(late.code, ErrorCode::TokenExpired);
    }

    proptest! {
        /// Whatever the times of steps and refreshes: one warning per token and at most one, never after its end; the
        /// end exactly from `expires` on; `next` is never later than what is due.
        #[test]
        fn every_token_is_warned_of_once(
            first in 1..500_000_i64,
            notice in 0..120_000_u64,
            moves in prop::collection::vec((0..60_000_i64, prop::option::of(1..300_000_i64)), 1..60),
        ) {
            let mut now = 0;
            let mut life = TokenLife::new(&alice(first), Duration::from_millis(notice), Timestamp(now));
            let mut warnings = 0;
            for (pause, refresh) in moves {
                let due = life.next();
                now += pause;
                let at = Timestamp(now);
                let step = life.step(at);
                prop_assert_eq!(step == LifeStep::Expired, at >= life.expires());
                prop_assert_eq!(step == LifeStep::Fine, at < due);
                warnings += usize::from(step == LifeStep::Expiring);
                prop_assert!(warnings <= 1);
                if let Some(more) = refresh {
                    let refreshed = life.refresh(&alice(now + more), at).is_ok();
                    prop_assert_eq!(refreshed, step != LifeStep::Expired);
                    if refreshed {
                        prop_assert_eq!(life.expires(), Timestamp(now + more));
                        prop_assert!(life.next() > at || more <= 1);
                        warnings = 0;
                    }
                }
            }
        }
    }
}
