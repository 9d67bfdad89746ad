//! Random numbers. Where the system gives none the clock must do: they tell things apart, and keep no secret.

use crate::domain::position::{Epoch, Tag};
use crate::domain::time::Timestamp;

fn bits() -> u64 {
    let mut bytes = [0; 8];
    if getrandom::fill(&mut bytes).is_err() {
        return Timestamp::now().millis().cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    u64::from_le_bytes(bytes)
}

/// An entry's tag.
pub(super) fn tag() -> Tag {
    Tag(bits() as u32)
}

/// An epoch that no other hub has, but by chance: in 52 bits, which scripts count in.
pub(super) fn epoch() -> Epoch {
    Epoch((bits() >> 12).max(1))
}
