//! Choosing by chance, but the same in every run.

/// One of `count` things for turn number `turn` (splitmix64). `count` is not 0.
pub(super) fn choose(turn: u64, count: usize) -> usize {
    let mut mixed = turn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ mixed >> 31) % count as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_is_chosen_about_as_often() {
        let mut chosen = [0; 10];
        (0..10_000).for_each(|turn| chosen[choose(turn, chosen.len())] += 1);
        assert!(chosen.iter().all(|count| (800..1_200).contains(count)), "{chosen:?}");
    }
}
