//! What the calls of all homes have in common: the numbers that they begin with, what idempotency takes, and effects.

use std::sync::Arc;

use crate::domain::limits::{IDEMPOTENCY_WINDOW, IDEMPOTENCY_WINDOW_FLOOR};
use crate::redis::notice;
use crate::store::{Effect, Outcome};

use super::call::Call;
use super::idempotency;
use super::shared::{Shared, partition_of};

/// Numbers that go together, as one argument.
pub(super) struct Numbers(Vec<u8>);

impl Numbers {
    /// Those that all homes' calls begin with: the time, and how many idempotency keys the home's partition may have, how
    /// long they are remembered, and how long at least.
    pub(super) fn begin(shared: &Shared, outcome: &Outcome) -> Self {
        let keys = shared.keys.limit(partition_of(&outcome.tenant, &outcome.home));
        Self(Vec::with_capacity(80))
            .u64(shared.now().millis().cast_unsigned())
            .u32(u32::try_from(keys).unwrap_or(u32::MAX))
            .u64(IDEMPOTENCY_WINDOW.as_millis() as u64)
            .u64(IDEMPOTENCY_WINDOW_FLOOR.as_millis() as u64)
    }

    pub(super) fn u8(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// How many there are of something.
    pub(super) fn count(self, count: usize) -> Self {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// A call that begins with what all homes' calls begin with: numbers, tenant, more names, and what idempotency takes.
pub(super) fn begin(
    shared: &Shared,
    script: &'static redis::Script,
    outcome: &Outcome,
    numbers: &Numbers,
    names: &[&str],
) -> Call {
    let mut call = Call::new(script, shared, partition_of(&outcome.tenant, &outcome.home));
    call.push(&numbers.0[..]);
    call.push(outcome.tenant.as_str());
    for name in names {
        call.push(*name);
    }
    let fingerprint = outcome.idempotency.as_ref().map_or(0, |idempotency| idempotency.fingerprint);
    call.push(idempotency::hash(shared.secret, outcome));
    call.push(idempotency::hash_of_before(shared.secret, outcome));
    call.push(&fingerprint.to_le_bytes()[..]);
    call
}

/// What an outcome causes at other homes, in groups of one notice each.
pub(super) fn groups(effects: &[Effect]) -> impl Iterator<Item = &[Effect]> {
    let same = |one: &Effect, other: &Effect| {
        let (Effect::Notify { notice: one, .. }, Effect::Notify { notice: other, .. }) = (one, other);
        Arc::ptr_eq(one, other)
    };
    effects.chunk_by(same)
}

/// Adds what an outcome causes at other homes: one notice after the other, each with whom it is for.
pub(super) fn push_effects(call: &mut Call, effects: &[Effect]) {
    for group in groups(effects) {
        let Some(Effect::Notify { notice, .. }) = group.first() else { continue };
        call.push(notice::encode(notice));
        call.push(group.len());
        for Effect::Notify { user, .. } in group {
            call.push(user.as_str());
        }
    }
}
