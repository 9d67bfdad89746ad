//! Random numbers that follow from a seed.

/// A generator (SplitMix64): small, and the same everywhere.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The numbers of this part of this seed. Parts have nothing to do with each other.
    pub(super) fn new(seed: u64, part: &str) -> Self {
        // FNV-1a keeps the parts apart.
        let part = part.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Self(seed ^ part);
        random.next();
        random
    }

    /// One that goes its own way, for a task that runs beside others.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// True this many times in a hundred.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these; `None` where there are none.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// In a random order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// So many random bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_and_part_give_the_same_numbers_and_others_give_others() {
        let numbers = |seed, part| {
            let mut random = Random::new(seed, part);
            [random.next(), random.next(), random.fork().next()]
        };
        assert_eq!(numbers(1, "fanout"), numbers(1, "fanout"));
        assert_ne!(numbers(1, "fanout"), numbers(2, "fanout"));
        assert_ne!(numbers(1, "fanout"), numbers(1, "recovery"));
    }

    #[test]
    fn shuffling_keeps_what_there_is() {
        let mut random = Random::new(3, "shuffle");
        let mut items: Vec<_> = (0..20).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..20).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
        assert!(random.pick(&[] as &[u8]).is_none());
    }
}
