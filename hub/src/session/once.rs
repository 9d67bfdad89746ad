//! Ephemeral events that were handed over lately, by their idempotency keys: a client that lost its connection before it
//! was answered sends again, and nobody should get the event twice. In memory alone, as the events are.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{EPHEMERAL_KEY_WINDOW, EPHEMERAL_KEYS};
use crate::domain::names::{RoomKey, TenantId, UserId};
use crate::domain::time::Moment;
use crate::store::Idempotency;

/// Tenants are spread over this many locks.
const SHARDS: usize = 16;

/// The keys of all tenants. A tenant's are remembered for [`EPHEMERAL_KEY_WINDOW`] at least, or the newest
/// [`EPHEMERAL_KEYS`] of them at least where it has more in that time: none can spend another's.
pub(super) struct Once {
    secret: (u64, u64),
    shards: [Mutex<FxHashMap<TenantId, Keys>>; SHARDS],
    hasher: RandomState,
}

/// Whether a service sends, and who: services have names of users too.
pub(super) type Sender<'a> = (bool, &'a UserId);

/// A tenant's keys with their commands' fingerprints, in two generations: when the young one is full or its time is
/// over, the old one is dropped.
struct Keys {
    young: FxHashMap<u128, u64>,
    old: FxHashMap<u128, u64>,
    since: Moment,
}

impl Once {
    pub(super) fn new() -> Self {
        let hasher = RandomState::new();
        Self {
            // What clients choose as keys must not be able to meet.
            secret: (hasher.hash_one("first half"), hasher.hash_one("second half")),
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher,
        }
    }

    /// Hands an event over with `deliver`, unless that was done before under this key. `CONFLICT` where the key was another
    /// command's; `UNAVAILABLE` where `deliver` says that nothing more can be taken, after which it may be tried again.
    ///
    /// Attempts with one key take turns: `deliver` is called under a lock, and must not wait.
    pub(super) fn deliver(
        &self,
        sender: Sender<'_>,
        room: &RoomKey,
        attempt: &Idempotency,
        now: Moment,
        deliver: impl FnOnce() -> bool,
    ) -> Result<(), Refusal> {
        let key = self.key(sender, room, attempt);
        let mut tenants = self.shard(&room.tenant).lock();
        let keys = tenants.entry(room.tenant.clone()).or_insert_with(|| Keys::since(now));
        match keys.find(key) {
            Some(fingerprint) if fingerprint == attempt.fingerprint => Ok(()),
            Some(_) => Err(ErrorCode::Conflict.into()),
            None if deliver() => {
                keys.remember(key, attempt.fingerprint, now);
                Ok(())
            }
            None => Err(ErrorCode::Unavailable.into()),
        }
    }

    /// Frees what is remembered no longer of tenants that publish nothing.
    pub(super) fn sweep(&self, now: Moment) {
        for shard in &self.shards {
            let mut tenants = shard.lock();
            tenants.retain(|_, keys| keys.age(now));
            if tenants.capacity() > 64 && tenants.len() < tenants.capacity() / 4 {
                tenants.shrink_to_fit();
            }
        }
    }

    fn key(&self, (by_service, sender): Sender<'_>, room: &RoomKey, attempt: &Idempotency) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        let parts = [room.tenant.as_str(), sender.as_str(), room.room.as_str()].map(str::as_bytes);
        for part in parts.into_iter().chain([attempt.key.as_bytes()]) {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.write_u8(u8::from(by_service));
        hasher.finish128().as_u128()
    }

    fn shard(&self, tenant: &TenantId) -> &Mutex<FxHashMap<TenantId, Keys>> {
        &self.shards[self.hasher.hash_one(tenant) as usize % SHARDS]
    }
}

impl Keys {
    fn since(now: Moment) -> Self {
        Self { young: FxHashMap::default(), old: FxHashMap::default(), since: now }
    }

    fn find(&self, key: u128) -> Option<u64> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    fn remember(&mut self, key: u128, fingerprint: u64, now: Moment) {
        self.age(now);
        if self.young.len() >= EPHEMERAL_KEYS {
            self.turn(now);
        }
        self.young.insert(key, fingerprint);
    }

    /// Drops what is too old; whether anything is left.
    fn age(&mut self, now: Moment) -> bool {
        if now.since(self.since) >= EPHEMERAL_KEY_WINDOW {
            self.turn(now);
        }
        !self.young.is_empty() || !self.old.is_empty()
    }

    fn turn(&mut self, now: Moment) {
        self.old = std::mem::take(&mut self.young);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::names::{IdempotencyKey, RoomName};

    fn room(tenant: &str, room: &str) -> RoomKey {
        RoomKey { tenant: TenantId::parse(tenant).unwrap(), room: RoomName::parse(room).unwrap() }
    }

    fn attempt(key: u32, fingerprint: u64) -> Idempotency {
        let key = IdempotencyKey::parse(format!("{key:08}").into()).unwrap();
        Idempotency { key, fingerprint }
    }

    fn held(once: &Once) -> usize {
        let sum = |keys: &Keys| keys.young.len() + keys.old.len();
        once.shards.iter().map(|shard| shard.lock().values().map(sum).sum::<usize>()).sum()
    }

    #[test]
    fn one_tenant_does_not_spend_anothers_and_is_bounded() {
        let once = Once::new();
        let [acme, globex, alice] = ["acme", "globex", "alice"];
        let alice = UserId::parse(alice).unwrap();
        let deliver = |tenant: &str, key: u32, may: bool| {
            let attempt = attempt(key, 1);
            once.deliver((false, &alice), &room(tenant, "live:a"), &attempt, Moment(1), || {
                assert!(may, "delivered twice");
                true
            })
            .unwrap();
        };
        deliver(acme, 0, true);
        for key in 0..3 * EPHEMERAL_KEYS as u32 {
            deliver(globex, key, true);
        }
        assert!(held(&once) <= 2 * EPHEMERAL_KEYS + 1, "{}", held(&once));
        deliver(acme, 0, false);
        for newest in 2 * EPHEMERAL_KEYS as u32..3 * EPHEMERAL_KEYS as u32 {
            deliver(globex, newest, false);
        }
        once.sweep(Moment(1).plus(EPHEMERAL_KEY_WINDOW));
        assert!(held(&once) > 0);
        once.sweep(Moment(1).plus(EPHEMERAL_KEY_WINDOW * 2));
        assert_eq!(held(&once), 0);
        assert!(once.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn a_service_has_keys_of_its_own() {
        let (once, mailer) = (Once::new(), UserId::parse("mailer").unwrap());
        let place = room("acme", "live:a");
        for (turn, by_service) in [true, false, false, true].into_iter().enumerate() {
            let attempt = attempt(1, u64::from(by_service));
            let mut called = false;
            let deliver = || {
                called = true;
                true
            };
            once.deliver((by_service, &mailer), &place, &attempt, Moment(1), deliver).unwrap();
            assert_eq!(called, turn < 2);
        }
    }

    proptest! {
        /// Whoever tries what, when and how often: within the window an event is handed over once, or refused where its
        /// key was another's; one that could not be handed over may be tried again.
        #[test]
        fn within_the_window_an_event_is_handed_over_once(
            steps in prop::collection::vec(
                (0usize..2, 0usize..2, 0usize..2, 0u32..3, 0u64..2, any::<bool>(), 0u64..40_000),
                1..150,
            ),
        ) {
            let once = Once::new();
            let mut truth: HashMap<_, (u64, Moment)> = HashMap::new();
            let mut now = Moment(1);
            for (tenant, user, place, key, fingerprint, takes, wait) in steps {
                now = now.plus(Duration::from_millis(wait));
                let sender = UserId::parse(["alice", "bob"][user]).unwrap();
                let place = room(["acme", "globex"][tenant], ["live:a", "live:b"][place]);
                let before = truth.get(&(sender.clone(), place.clone(), key)).copied();
                let mut called = false;
                let answer = once.deliver((false, &sender), &place, &attempt(key, fingerprint), now, || {
                    called = true;
                    takes
                });
                let recent = before.filter(|(_, then)| now.since(*then) < EPHEMERAL_KEY_WINDOW);
                match recent {
                    Some((first, _)) => {
                        prop_assert!(!called);
                        let code = answer.err().map(|refusal| refusal.code);
                        prop_assert_eq!(code, (first != fingerprint).then_some(ErrorCode::Conflict));
                    }
                    None if called => {
                        let code = answer.err().map(|refusal| refusal.code);
                        prop_assert_eq!(code, (!takes).then_some(ErrorCode::Unavailable));
                        if takes {
                            truth.insert((sender, place, key), (fingerprint, now));
                        }
                    }
                    // It may be remembered for longer, but only what was there.
                    None => prop_assert!(before.is_some()),
                }
                once.sweep(now);
            }
        }
    }
}
