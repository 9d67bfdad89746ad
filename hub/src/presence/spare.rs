//! Maps that give memory back.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

/// Below this a map is left alone.
const SMALL: usize = 1_024;

/// Shrinks a map of which more than three quarters are unused, so that a tenant from whom most sessions went at once
/// does not keep their room until the last one goes. Called after each removal; the cost is spread over those that it
/// takes to get there again.
pub(super) fn give_back<K: Eq + Hash, V, S: BuildHasher>(map: &mut HashMap<K, V, S>) {
    if map.capacity() > SMALL && map.len() < map.capacity() / 4 {
        map.shrink_to(map.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_is_mostly_unused_gives_its_memory_back() {
        let mut map: HashMap<_, _> = (0..100_000).map(|number| (number, number)).collect();
        for number in 10..100_000 {
            map.remove(&number);
            give_back(&mut map);
        }
        assert!(map.len() == 10 && map.capacity() <= SMALL);
    }
}
