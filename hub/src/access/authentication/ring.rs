//! The keys of one issuer, which change while the hub runs.

use std::sync::Arc;

use futures::FutureExt;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::error::AuthenticationError;
use super::jwks::{self, JwksError};
use super::key::CheckedKey;
use super::options::{Algorithm, NamedKey, OptionsError, Remote};
use crate::domain::limits::KEYS_TRIED;
use crate::domain::time::Timestamp;

/// The keys of one issuer. Who checks a token takes what there is and waits for nothing; who fetches or reads keys puts
/// them in whole, so that a token meets either the old ones or the new ones.
pub struct KeyRing {
    section: String,
    remote: Option<Remote>,
    /// Every algorithm that some key here may have.
    algorithms: Vec<Algorithm>,
    held: RwLock<Held>,
    /// Somebody bears a token that the keys here do not decide on.
    wanted: Notify,
}

#[derive(Default)]
struct Held {
    /// From configuration.
    given: Vec<Arc<CheckedKey>>,
    /// From the issuer.
    published: Vec<Arc<CheckedKey>>,
    /// When the fetch of these began; `None` where none are.
    fetched: Option<Timestamp>,
    /// When the fetch under way, or the last one, began.
    began: Option<Timestamp>,
    /// Whether the last one succeeded and none is under way: then what it did not bring, the issuer did not have.
    settled: bool,
}

/// The keys that may have signed a token.
pub(super) struct Candidates {
    pub(super) keys: Vec<Arc<CheckedKey>>,
    /// Whether no key that may yet be fetched could be the one.
    pub(super) complete: bool,
}

impl KeyRing {
    pub(super) fn new(
        section: String,
        keys: &[NamedKey],
        remote: Option<Remote>,
    ) -> Result<Self, OptionsError> {
        let mut algorithms: Vec<_> = keys.iter().map(|key| key.algorithm).collect();
        algorithms.extend(remote.as_ref().map(|remote| remote.algorithm));
        let held = RwLock::new(Held { given: check(keys)?, ..Held::default() });
        Ok(Self { section, remote, algorithms, held, wanted: Notify::new() })
    }

    /// The configuration's section of the issuer, as `auth` or `auth.issuers.0`.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Where the issuer publishes keys, if it does.
    pub fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// Takes these keys in place of those that were configured before. Where one of them is bad, nothing changes.
    pub fn replace(&self, keys: &[NamedKey]) -> Result<(), OptionsError> {
        let given = check(keys)?;
        self.held.write().given = given;
        Ok(())
    }

    /// Ends when keys should be fetched before it is time.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A fetch begins: until it has ended, tokens that wait for it are neither accepted nor refused.
    pub fn begin(&self, now: Timestamp) {
        let mut held = self.held.write();
        held.began = Some(now);
        held.settled = false;
    }

    /// Takes the document that the fetch brought. Gives how many keys are in use of it; where it has none, those of
    /// before stay.
    pub fn learn(&self, document: &[u8]) -> Result<usize, JwksError> {
        let algorithm = self.remote.as_ref().ok_or(JwksError::NoKey)?.algorithm;
        let published = jwks::parse(document, algorithm)?;
        let mut held = self.held.write();
        held.published = published.into_iter().map(Arc::new).collect();
        held.fetched = held.began;
        held.settled = true;
        // Who asked while it was under way asks again if it did not help.
        let _asked = self.wanted.notified().now_or_never();
        Ok(held.published.len())
    }

    /// The keys that may have signed a token whose header says this. A name chooses among the keys that are here and
    /// nothing else. Those that bear the token's `kid`; else those that have none, or where the token names none, all;
    /// [`KEYS_TRIED`] at most.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: jsonwebtoken::Algorithm,
        now: Timestamp,
    ) -> Result<Candidates, AuthenticationError> {
        let fits = |key: &&Arc<CheckedKey>| jsonwebtoken::Algorithm::from(key.algorithm) == algorithm;
        if !self.algorithms.iter().any(|pinned| jsonwebtoken::Algorithm::from(*pinned) == algorithm) {
            return Err(AuthenticationError::Algorithm);
        }
        let held = self.held.read();
        let published = if self.is_fresh(&held, now) { held.published.as_slice() } else { &[] };
        let all = || held.given.iter().chain(published);
        let named: Vec<_> = all().filter(|key| kid.is_some() && key.kid.as_deref() == kid).collect();
        if !named.is_empty() {
            let keys: Vec<_> = named.into_iter().filter(fits).take(KEYS_TRIED).cloned().collect();
            let other = keys.is_empty().then_some(AuthenticationError::Algorithm);
            return other.map_or(Ok(Candidates { keys, complete: true }), Err);
        }
        let may = all().filter(|key| kid.is_none() || key.kid.is_none()).filter(fits);
        let keys = may.take(KEYS_TRIED).cloned().collect();
        let pinned = |remote: &Remote| jsonwebtoken::Algorithm::from(remote.algorithm) == algorithm;
        Ok(Candidates { keys, complete: !self.remote.as_ref().is_some_and(pinned) })
    }

    /// What becomes of a token that no key here signed, where there may be more keys than were fetched: refused with
    /// `reason` where they were fetched just now, else undecided. Then they are fetched again.
    pub(super) fn missing(&self, reason: AuthenticationError, now: Timestamp) -> AuthenticationError {
        let held = self.held.read();
        let floor = self.remote.as_ref().map(|remote| remote.floor);
        let just_now = held.began.zip(floor).is_some_and(|(began, floor)| {
            // Not where the clock was set back since.
            held.settled && now >= began && now.since(began) < floor
        });
        if just_now {
            return reason;
        }
        self.wanted.notify_one();
        AuthenticationError::Unavailable
    }

    fn is_fresh(&self, held: &Held, now: Timestamp) -> bool {
        let bound = self.remote.as_ref().map(|remote| remote.stale);
        held.fetched.zip(bound).is_some_and(|(fetched, bound)| now.since(fetched) < bound)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.held.read();
        f.debug_struct("KeyRing")
            .field("section", &self.section)
            .field("given", &held.given.len())
            .field("published", &held.published.len())
            .finish_non_exhaustive()
    }
}

fn check(keys: &[NamedKey]) -> Result<Vec<Arc<CheckedKey>>, OptionsError> {
    keys.iter().map(|key| CheckedKey::configured(key).map(Arc::new)).collect()
}
