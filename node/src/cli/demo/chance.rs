//! Repeatable chance: the same seed invents the same federation.
//!
//! Not for secrets. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators" (`SplitMix64`).

/// A stream of invented choices.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of one part of a seed, independent of how much other parts have drawn.
    pub(super) fn part(seed: u64, part: u64) -> Self {
        let mut mixed = Self(seed ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(mixed.draw())
    }

    /// The next 64 bits.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.draw() % span)
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, chances: u64) -> bool {
        self.draw() % 100 < chances
    }

    /// One of the items; there must be at least one.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX).max(1);
        let index = usize::try_from(self.draw() % count).unwrap_or(0);
        items
            .get(index)
            .expect("every list of inventions has an item")
    }

    /// One of the items, each as often as its weight says; there must be at least one.
    pub(super) fn weigh<'a, T>(&mut self, items: &'a [(T, u64)]) -> &'a T {
        let sum: u64 = items.iter().map(|(_, weight)| weight).sum();
        let mut left = self.draw() % sum.max(1);
        let found = items.iter().find(|(_, weight)| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit
        });
        &found
            .or(items.first())
            .expect("every list of inventions has an item")
            .0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_part_of_a_seed_draws_the_same() {
        let draw = |part| {
            let mut chance = Chance::part(1, part);
            [chance.draw(), chance.draw()]
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut chance = Chance::part(7, 0);
        for _ in 0..1000 {
            assert!((-3..=5).contains(&chance.between(-3, 5)));
            assert_eq!(*chance.weigh(&[("never", 0), ("always", 3)]), "always");
        }
    }
}
