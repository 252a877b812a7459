//! Numbers that look random and are the same for the same seed (`SplitMix64`).

use std::time::Duration;

/// A stream of them. What each part of a run draws does not depend on what others draw.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The numbers of one part of a run.
    pub(super) fn new(seed: u64, part: &str) -> Self {
        let start = part.bytes().fold(seed, |state, byte| {
            mixed(state.rotate_left(8) ^ u64::from(byte))
        });
        Self(start)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `limit`; zero when that is zero.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u128::try_from(limit).unwrap_or_default();
        usize::try_from((u128::from(self.next()) * limit) >> 64).unwrap_or_default()
    }

    /// True so many times in a hundred.
    pub(super) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// A time from `shortest` to `longest`, in milliseconds.
    pub(super) fn between(&mut self, shortest: usize, longest: usize) -> Duration {
        let extra = self.below(longest.saturating_sub(shortest) + 1);
        Duration::from_millis(u64::try_from(shortest + extra).unwrap_or_default())
    }

    /// One of them; `None` where there are none.
    pub(super) fn choice<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// A name that no other has.
    pub(super) fn name(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }
}

fn mixed(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_part_say_what_is_drawn() {
        let drawn = |seed, part| {
            let mut random = Random::new(seed, part);
            (0..100).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7, "faults"), drawn(7, "faults"));
        assert_ne!(drawn(7, "faults"), drawn(8, "faults"));
        assert_ne!(drawn(7, "faults"), drawn(7, "device 1"));
    }

    #[test]
    fn numbers_stay_below_their_limit_and_reach_it() {
        let mut random = Random::new(0, "test");
        let drawn: Vec<_> = (0..1_000).map(|_| random.below(10)).collect();
        assert!((0..10).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| *number < 10));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.between(5, 5), Duration::from_millis(5));
        assert_eq!(random.choice::<u8>(&[]), None);
    }
}
