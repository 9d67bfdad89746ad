//! Tokens of issuers whose clock is ahead: what `iat` says is later than when they were shown here first. They are taken to
//! have been issued then, at the latest, so that what is revoked now reaches them.
//!
//! That is remembered until the clock has passed what they say. A revocation that reaches one of them meanwhile revokes it by
//! itself, for from then on nobody knows any more when it was shown.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::domain::limits::EARLY_TOKENS;
use crate::domain::names::{TenantId, UserId};
use crate::domain::revocation::{Revoked, Scope, TokenId};
use crate::domain::time::Timestamp;

/// For so long after what they say: revocations come from nodes whose clocks are behind, and take a while.
const KEPT: Duration = Duration::from_mins(1);

/// A token that was shown before the instant at which it says that it was issued.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) id: TokenId,
    /// The user's; a service's may be for several.
    pub(super) tenant: Option<TenantId>,
    pub(super) name: UserId,
    pub(super) service: bool,
    /// When it was shown here first.
    pub(super) first: Timestamp,
    /// What it says.
    pub(super) issued: Timestamp,
    /// When it ends.
    pub(super) ends: Timestamp,
}

impl Shown {
    /// Whether what is revoked there reaches it by when it was shown, and not by what it says.
    pub(super) fn is_reached_by(&self, scope: &Scope, what: &Revoked) -> bool {
        let is_there = match (scope, &self.tenant) {
            (Scope::Tenant(tenant), Some(own)) => tenant == own,
            _ => true,
        };
        let before = match what {
            Revoked::Token { .. } => None,
            Revoked::User { user, before } => (!self.service && *user == self.name).then_some(*before),
            Revoked::Service { name, before } => (self.service && *name == self.name).then_some(*before),
            Revoked::Everybody { before } => Some(*before),
        };
        is_there && before.is_some_and(|before| self.first < before && before <= self.issued)
    }

    fn is_kept(&self, now: Timestamp) -> bool {
        now < self.issued.plus(KEPT).min(self.ends)
    }
}

/// Those that are remembered, at most [`EARLY_TOKENS`]: past that the one goes that was shown first.
#[derive(Debug, Default)]
pub(super) struct Early {
    first: FxHashMap<TokenId, Timestamp>,
    shown: VecDeque<Shown>,
}

impl Early {
    /// When a token was shown first, where that is remembered.
    pub(super) fn first(&self, id: &TokenId) -> Option<Timestamp> {
        self.first.get(id).copied()
    }

    /// Remembers one. When it was shown first.
    pub(super) fn remember(&mut self, shown: Shown, now: Timestamp) -> Timestamp {
        if let Some(first) = self.first(&shown.id) {
            return first;
        }
        self.forget(now);
        if self.shown.len() >= EARLY_TOKENS {
            self.forget_first();
        }
        let first = shown.first;
        self.first.insert(shown.id, first);
        self.shown.push_back(shown);
        first
    }

    /// Those that a revocation reaches.
    pub(super) fn reached(&self, scope: &Scope, what: &Revoked) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(move |shown| shown.is_reached_by(scope, what))
    }

    /// Forgets those whose instant has passed.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while self.shown.front().is_some_and(|shown| !shown.is_kept(now)) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(shown) = self.shown.pop_front() {
            self.first.remove(&shown.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(id: u32, first: i64) -> Shown {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&id.to_be_bytes());
        Shown {
            id: TokenId(bytes),
            tenant: Some(TenantId::parse("acme").unwrap()),
            name: UserId::parse("alice").unwrap(),
            service: false,
            first: Timestamp(first),
            issued: Timestamp(first + 4_000),
            ends: Timestamp(first + 3_600_000),
        }
    }

    #[test]
    fn only_what_lies_between_showing_and_saying_reaches_a_token_so() {
        let token = shown(1, 10_000);
        let here = Scope::Tenant(TenantId::parse("acme").unwrap());
        let before = |before| Revoked::Everybody { before: Timestamp(before) };
        let reached = [10_000, 10_001, 14_000, 14_001].map(|at| token.is_reached_by(&here, &before(at)));
        assert_eq!(reached, [false, true, true, false], "later ones reach it by what it says");
        let at = Timestamp(11_000);
        let named = |name: &str| UserId::parse(name).unwrap();
        for (scope, what, is_reached) in [
            (&Scope::Everywhere, before(11_000), true),
            (&Scope::Tenant(TenantId::parse("other").unwrap()), before(11_000), false),
            (&here, Revoked::User { user: named("alice"), before: at }, true),
            (&here, Revoked::User { user: named("bob"), before: at }, false),
            (&here, Revoked::Service { name: named("alice"), before: at }, false),
        ] {
            assert_eq!(token.is_reached_by(scope, &what), is_reached, "{what:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_goes_in_time() {
        let mut early = Early::default();
        for id in 0..EARLY_TOKENS as u32 + 10 {
            early.remember(shown(id, 10_000), Timestamp(10_000));
        }
        assert_eq!((early.shown.len(), early.first.len()), (EARLY_TOKENS, EARLY_TOKENS));
        assert_eq!(early.first(&shown(9, 0).id), None);
        let again = early.remember(shown(20, 12_000), Timestamp(12_000));
        assert_eq!(again, Timestamp(10_000), "the first time counts");
        early.forget(Timestamp(14_000).plus(KEPT));
        assert!(early.shown.is_empty() && early.first.is_empty());
    }
}
