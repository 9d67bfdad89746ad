//! Ids that the hub chooses: derived, so that a retry finds what the first attempt made, and keyed, so that nobody
//! foresees them.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// 128 bits of `secret` and `parts`, in this order. `kind` tells the ids of one sort of thing from another's.
pub fn derived_id<'a>(secret: [u8; 16], kind: &'a str, parts: impl IntoIterator<Item = &'a [u8]>) -> u128 {
    let mut hasher = SipHasher13::new_with_key(&secret);
    for part in std::iter::once(kind.as_bytes()).chain(parts) {
        // With its length, so that no two lists of parts read alike.
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_so_does_the_secret() {
        let id = |secret: u8, kind, parts: &[&str]| {
            derived_id([secret; 16], kind, parts.iter().map(|part| part.as_bytes()))
        };
        let one = id(1, "pair", &["ab", "c"]);
        assert_eq!(one, id(1, "pair", &["ab", "c"]));
        for other in [
            id(2, "pair", &["ab", "c"]),
            id(1, "key", &["ab", "c"]),
            id(1, "pair", &["a", "bc"]),
            id(1, "pair", &["c", "ab"]),
            id(1, "pair", &["ab", "c", ""]),
        ] {
            assert_ne!(one, other);
        }
    }
}
