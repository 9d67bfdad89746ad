//! Which tokens are good no more: what the store says of it, kept in memory, so that asking costs a session no read.
//!
//! The store hands over all of it at the start and each later one before it is acknowledged. Who asked before that is
//! found by asking again: [`Revocations::generation`] moves with each.

mod early;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use self::early::{Early, Shown};
use super::authentication::Verified;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::EARLY_TOKENS;
use crate::domain::names::{TenantId, UserId};
use crate::domain::revocation::{Revocation, Revoked, Scope, TokenId, TokenMark};
use crate::domain::time::Timestamp;

/// How often tokens that have ended are looked for.
const LOOKS: Duration = Duration::from_mins(1);

/// All revocations that still count.
pub struct Revocations {
    known: RwLock<Known>,
    generation: AtomicU64,
    /// Whether there may be some that are not here: others make them, and were not heard.
    are_stale: AtomicBool,
    /// For how long after their instant those are kept that reach tokens of before; for ever where `None`.
    kept: Option<Duration>,
}

#[derive(Default)]
struct Known {
    everywhere: Ledger,
    tenants: FxHashMap<TenantId, Ledger>,
    /// Tokens of issuers whose clock is ahead.
    early: Early,
    /// Those of them that were reached by what was revoked: to be kept as revoked by themselves. At most [`EARLY_TOKENS`].
    reached: Vec<Revocation>,
    /// When tokens that have ended are looked for.
    next_look: Timestamp,
}

impl Known {
    fn ledger(&mut self, scope: &Scope) -> &mut Ledger {
        match scope {
            Scope::Everywhere => &mut self.everywhere,
            Scope::Tenant(tenant) => self.tenants.entry(tenant.clone()).or_default(),
        }
    }

    /// Revokes by themselves those tokens that a revocation reaches by when they were shown first.
    fn reach(&mut self, revocation: &Revocation) {
        let Revocation { scope, what } = revocation;
        let reached: Vec<_> = self.early.reached(scope, what).map(|shown| (shown.id, shown.ends)).collect();
        for (id, ends) in reached {
            self.revoke(scope, id, ends);
        }
    }

    fn revoke(&mut self, scope: &Scope, id: TokenId, ends: Timestamp) {
        let is_new = self.ledger(scope).tokens.insert(id, ends).is_none();
        if is_new && self.reached.len() < EARLY_TOKENS {
            self.reached.push(Revocation { scope: scope.clone(), what: Revoked::Token { id, ends } });
        }
    }

    /// Remembers a token that is shown now, as it seems for the first time: what was revoked at this moment reaches it too. When
    /// it was.
    fn remember(&mut self, shown: Shown, now: Timestamp) -> Timestamp {
        let scopes = [Some(Scope::Everywhere), shown.tenant.clone().map(Scope::Tenant)];
        for scope in scopes.into_iter().flatten() {
            let cut = self.ledger(&scope).cut(&shown.name, shown.service);
            if cut.is_some_and(|before| shown.first < before && before <= shown.issued) {
                self.revoke(&scope, shown.id, shown.ends);
            }
        }
        self.early.remember(shown, now)
    }
}

/// What is revoked in one scope.
#[derive(Default)]
struct Ledger {
    /// Tokens, and when they end.
    tokens: FxHashMap<TokenId, Timestamp>,
    users: FxHashMap<UserId, Timestamp>,
    services: FxHashMap<UserId, Timestamp>,
    everybody: Option<Timestamp>,
}

impl Ledger {
    fn learn(&mut self, what: &Revoked) {
        let later = |old: &mut Timestamp, new: Timestamp| *old = (*old).max(new);
        match what {
            Revoked::Token { id, ends } => later(self.tokens.entry(*id).or_insert(*ends), *ends),
            // What everybody's says already.
            Revoked::User { before, .. } | Revoked::Service { before, .. }
                if self.everybody.is_some_and(|everybody| *before <= everybody) => {}
            Revoked::User { user, before } => {
                later(self.users.entry(user.clone()).or_insert(*before), *before);
            }
            Revoked::Service { name, before } => {
                later(self.services.entry(name.clone()).or_insert(*before), *before);
            }
            Revoked::Everybody { before } => {
                later(self.everybody.get_or_insert(*before), *before);
                for names in [&mut self.users, &mut self.services] {
                    names.retain(|_, of_one| *of_one > *before);
                }
            }
        }
    }

    fn beside(&self, what: &Revoked) -> usize {
        let (is_known, all) = match what {
            Revoked::Token { id, .. } => (self.tokens.contains_key(id), self.tokens.len()),
            Revoked::User { user, .. } => (self.users.contains_key(user), self.users.len()),
            Revoked::Service { name, .. } => (self.services.contains_key(name), self.services.len()),
            Revoked::Everybody { .. } => (true, 0),
        };
        if is_known { 0 } else { all }
    }

    fn check(&self, bearer: &Bearer<'_>) -> Result<(), ErrorCode> {
        let mark = bearer.mark;
        let is_revoked = |id: &TokenId| self.tokens.contains_key(id);
        if !self.tokens.is_empty() && (is_revoked(&mark.text) || mark.jti.as_ref().is_some_and(is_revoked)) {
            return Err(ErrorCode::TokenRevoked);
        }
        let cut = self.cut(bearer.name, bearer.service);
        if cut.is_some_and(|before| mark.is_older_than(before)) {
            return Err(ErrorCode::SessionInvalidated);
        }
        Ok(())
    }

    /// Before which instant somebody's tokens were issued that are good no more.
    fn cut(&self, name: &UserId, is_service: bool) -> Option<Timestamp> {
        let names = if is_service { &self.services } else { &self.users };
        names.get(name).copied().max(self.everybody)
    }

    fn forget_ended(&mut self, now: Timestamp, kept: Option<Duration>) {
        self.tokens.retain(|_, ends| *ends > now);
        let Some(kept) = kept else { return };
        let counts = |before: &Timestamp| before.plus(kept) > now;
        self.users.retain(|_, before| counts(before));
        self.services.retain(|_, before| counts(before));
        self.everybody = self.everybody.filter(counts);
    }

    fn is_empty(&self) -> bool {
        self.tokens.is_empty()
            && self.users.is_empty()
            && self.services.is_empty()
            && self.everybody.is_none()
    }
}

/// Whose token is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    /// The user, or the service.
    pub name: &'a UserId,
    /// Whether it is a service.
    pub service: bool,
    /// The token.
    pub mark: &'a TokenMark,
}

impl Default for Revocations {
    fn default() -> Self {
        Self::kept_for(None)
    }
}

impl Revocations {
    /// None yet. Those that reach tokens of before an instant are kept for so long after it; for ever where `None`.
    pub fn kept_for(kept: Option<Duration>) -> Self {
        let (generation, are_stale) = (AtomicU64::new(1), AtomicBool::new(false));
        Self { known: RwLock::default(), generation, are_stale, kept }
    }

    /// Takes one in.
    pub fn learn(&self, revocation: &Revocation) {
        let mut known = self.known.write();
        known.ledger(&revocation.scope).learn(&revocation.what);
        known.reach(revocation);
        drop(known);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes whether there may be some that are not here. While that is so nobody new is to be let in.
    pub fn set_stale(&self, are_stale: bool) {
        self.are_stale.store(are_stale, Ordering::SeqCst);
    }

    /// Whether there may be some that are not here.
    pub fn are_stale(&self) -> bool {
        self.are_stale.load(Ordering::SeqCst)
    }

    /// Moves when anything was revoked; never 0. What was asked before may be answered otherwise since.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// `TOKEN_REVOKED` where the token was, `SESSION_INVALIDATED` where all that were issued before an instant were. In a
    /// tenant, or for what concerns all of them.
    pub fn check(&self, tenant: Option<&TenantId>, bearer: &Bearer<'_>) -> Result<(), Refusal> {
        let known = self.known.read();
        known.everywhere.check(bearer)?;
        match tenant.and_then(|tenant| known.tenants.get(tenant)) {
            Some(ledger) => Ok(ledger.check(bearer)?),
            None => Ok(()),
        }
    }

    /// A token as it is judged: issued when it says so, but no later than it was shown here first.
    #[must_use]
    pub fn date(&self, mut verified: Verified, now: Timestamp) -> Verified {
        let mark = *verified.mark();
        let Some(issued) = mark.issued else { return verified };
        let remembered = self.known.read().early.first(&mark.text);
        let first = match remembered {
            None if issued <= now => return verified,
            None => {
                let (tenant, name, service) = match &verified {
                    Verified::User(token) => (Some(token.tenant.clone()), token.user.clone(), false),
                    Verified::Service(token) => (None, token.name.clone(), true),
                };
                let ends = verified.expires();
                let shown = Shown { id: mark.text, tenant, name, service, first: now, issued, ends };
                self.known.write().remember(shown, now)
            }
            Some(first) => first,
        };
        verified.mark_mut().issued = Some(issued.min(first));
        verified
    }

    /// Tokens that were revoked by themselves since this was last asked, as a revocation reached them by when they were shown
    /// first: to be kept, for nobody will know that later.
    pub fn take_reached(&self) -> Vec<Revocation> {
        std::mem::take(&mut self.known.write().reached)
    }

    /// Whether there are any.
    pub fn have_reached(&self) -> bool {
        !self.known.read().reached.is_empty()
    }

    /// Gives back what could not be kept.
    pub fn give_back(&self, mut reached: Vec<Revocation>) {
        let mut known = self.known.write();
        reached.truncate(EARLY_TOKENS.saturating_sub(known.reached.len()));
        known.reached.append(&mut reached);
    }

    /// Beside how many others of its kind and scope a revocation would be kept; 0 where it takes the place of one.
    pub fn beside(&self, revocation: &Revocation) -> usize {
        let known = self.known.read();
        let ledger = match &revocation.scope {
            Scope::Everywhere => Some(&known.everywhere),
            Scope::Tenant(tenant) => known.tenants.get(tenant),
        };
        ledger.map_or(0, |ledger| ledger.beside(&revocation.what))
    }

    /// Forgets what reaches no token any more, as all have ended by themselves, once in a while.
    pub fn forget_ended(&self, now: Timestamp) {
        if now < self.known.read().next_look {
            return;
        }
        let mut known = self.known.write();
        known.next_look = now.plus(LOOKS);
        known.early.forget(now);
        known.everywhere.forget_ended(now, self.kept);
        known.tenants.retain(|_, ledger| {
            ledger.forget_ended(now, self.kept);
            !ledger.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::authentication::UserToken;
    use crate::domain::powers::Powers;

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn mark(id: u8, issued: Option<i64>) -> TokenMark {
        TokenMark {
            text: TokenId([id; 32]),
            jti: Some(TokenId([id + 100; 32])),
            issued: issued.map(Timestamp),
        }
    }

    fn revoke(revocations: &Revocations, scope: Scope, what: Revoked) {
        let before = revocations.generation();
        revocations.learn(&Revocation { scope, what });
        assert!(revocations.generation() > before);
    }

    fn asked(revocations: &Revocations, name: &str, service: bool, mark: &TokenMark) -> Option<ErrorCode> {
        let name = user(name);
        let bearer = Bearer { name: &name, service, mark };
        revocations.check(Some(&tenant()), &bearer).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_token_is_found_by_its_text_and_by_its_jti_in_its_tenant() {
        let revocations = Revocations::default();
        let scope = Scope::Tenant(tenant());
        revoke(&revocations, scope.clone(), Revoked::Token { id: TokenId([1; 32]), ends: Timestamp(100) });
        revoke(&revocations, scope, Revoked::Token { id: TokenId([102; 32]), ends: Timestamp(200) });
        let code = |id| asked(&revocations, "alice", false, &mark(id, Some(5)));
        assert_eq!(
            [code(1), code(2), code(3)],
            [Some(ErrorCode::TokenRevoked), Some(ErrorCode::TokenRevoked), None]
        );
        let (name, mark) = (user("alice"), mark(1, None));
        let bearer = Bearer { name: &name, service: false, mark: &mark };
        let other = TenantId::parse("other").unwrap();
        assert!(revocations.check(Some(&other), &bearer).is_ok(), "another tenant's");
        assert!(revocations.check(None, &bearer).is_ok());
        revocations.forget_ended(Timestamp(100));
        assert!(revocations.check(Some(&tenant()), &bearer).is_ok(), "it has ended");
        let beside = |id, scope: &Scope| {
            let what = Revoked::Token { id: TokenId([id; 32]), ends: Timestamp(300) };
            revocations.beside(&Revocation { scope: scope.clone(), what })
        };
        let scope = Scope::Tenant(tenant());
        assert_eq!([beside(1, &scope), beside(102, &scope), beside(1, &Scope::Everywhere)], [1, 0, 0]);
        let name = Revoked::User { user: user("alice"), before: Timestamp(1) };
        let name = Revocation { scope: scope.clone(), what: name };
        assert_eq!(revocations.beside(&name), 0, "none of that kind");
        revoke(&revocations, scope.clone(), Revoked::User { user: user("bob"), before: Timestamp(5) });
        assert_eq!(revocations.beside(&name), 1);
        revoke(&revocations, scope.clone(), Revoked::Everybody { before: Timestamp(5) });
        revoke(&revocations, scope, Revoked::User { user: user("carol"), before: Timestamp(4) });
        assert_eq!(revocations.beside(&name), 0, "everybody's has taken their places");
    }

    #[test]
    fn tokens_of_before_an_instant_and_those_that_do_not_say_are_refused() {
        let revocations = Revocations::default();
        let scope = Scope::Tenant(tenant());
        let what = |before| Revoked::User { user: user("alice"), before: Timestamp(before) };
        revoke(&revocations, scope.clone(), what(1_000));
        revoke(&revocations, scope, what(500));
        let invalid = Some(ErrorCode::SessionInvalidated);
        assert_eq!(asked(&revocations, "alice", false, &mark(1, Some(999))), invalid, "the later one counts");
        assert_eq!(asked(&revocations, "alice", false, &mark(1, None)), invalid);
        assert_eq!(asked(&revocations, "alice", false, &mark(1, Some(1_000))), None);
        assert_eq!(asked(&revocations, "bob", false, &mark(1, Some(1))), None);
        assert_eq!(asked(&revocations, "alice", true, &mark(1, Some(1))), None, "a service of that name");
    }

    fn token(id: u8, issued: i64) -> Verified {
        let token = UserToken {
            tenant: tenant(),
            user: user("alice"),
            expires: Timestamp(9_000_000),
            mark: mark(id, Some(issued)),
            powers: Powers::default(),
        };
        Verified::User(token)
    }

    #[test]
    fn a_token_of_a_clock_that_is_ahead_is_reached_by_what_is_revoked_after_it_was_shown() {
        let revocations = Revocations::default();
        let what = || Revoked::User { user: user("alice"), before: Timestamp(12_000) };
        let shown = |id, now| *revocations.date(token(id, 14_000), Timestamp(now)).mark();
        assert_eq!(shown(1, 10_000).issued, Some(Timestamp(10_000)), "no later than it was shown");
        revoke(&revocations, Scope::Tenant(tenant()), what());
        let revoked = Some(ErrorCode::TokenRevoked);
        assert_eq!(asked(&revocations, "alice", false, &shown(1, 12_001)), revoked);
        assert_eq!(asked(&revocations, "alice", false, &shown(2, 12_001)), None, "one of after that");
        let reached = revocations.take_reached();
        let id = mark(1, None).text;
        let one = Revoked::Token { id, ends: Timestamp(9_000_000) };
        assert_eq!(reached, [Revocation { scope: Scope::Tenant(tenant()), what: one }]);
        // Also when nobody knows any more when it was shown, and where it is said again.
        revocations.learn(&Revocation { scope: Scope::Tenant(tenant()), what: what() });
        revocations.forget_ended(Timestamp(8_000_000));
        assert_eq!(asked(&revocations, "alice", false, &shown(1, 8_000_000)), revoked);
        assert!(revocations.take_reached().is_empty());
        // Of one that is shown at that moment, with a time of before.
        assert_eq!(asked(&revocations, "alice", false, &shown(3, 11_999)), revoked);
        assert_eq!(revocations.take_reached().len(), 1);
    }

    #[test]
    fn an_instant_is_forgotten_when_all_that_it_reaches_have_ended() {
        let minute = Duration::from_mins(1);
        for (kept, is_forgotten) in [(Some(minute), true), (Some(2 * minute), false), (None, false)] {
            let revocations = Revocations::kept_for(kept);
            let (before, name) = (Timestamp(1_000), user("alice"));
            let here = Scope::Tenant(tenant());
            revoke(&revocations, here.clone(), Revoked::User { user: name.clone(), before });
            revoke(&revocations, here.clone(), Revoked::Service { name, before });
            revoke(&revocations, Scope::Everywhere, Revoked::Everybody { before });
            revocations.forget_ended(before.plus(minute));
            let code = [false, true].map(|service| asked(&revocations, "alice", service, &mark(1, Some(1))));
            assert_eq!(code.map(|code| code.is_none()), [is_forgotten; 2], "{kept:?}");
        }
    }

    #[test]
    fn everybody_and_everywhere_reach_services_too() {
        let revocations = Revocations::default();
        let everybody = |before| Revoked::Everybody { before: Timestamp(before) };
        revoke(&revocations, Scope::Tenant(tenant()), everybody(10));
        assert!(asked(&revocations, "alice", false, &mark(1, Some(9))).is_some());
        assert!(asked(&revocations, "ops", true, &mark(1, Some(9))).is_some());
        let name = user("ops");
        let old = mark(1, Some(19));
        let operator = Bearer { name: &name, service: true, mark: &old };
        assert!(revocations.check(None, &operator).is_ok());
        revoke(
            &revocations,
            Scope::Everywhere,
            Revoked::Service { name: user("ops"), before: Timestamp(20) },
        );
        assert!(revocations.check(None, &operator).is_err());
        assert!(asked(&revocations, "ops", true, &mark(1, Some(19))).is_some());
        assert_eq!(asked(&revocations, "alice", false, &mark(1, Some(19))), None);
    }
}
