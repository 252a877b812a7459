//! Rounds of measurements and what they say together.

/// One round: both sides measured right after each other, in µs of CPU time for one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) ours_us: f64,
    pub(crate) yardstick_us: f64,
}

/// Medians over all rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    pub(crate) ours_us: f64,
    pub(crate) yardstick_us: f64,
    /// The median of the ratios, not the ratio of the medians: each round's ratio has its own
    /// noise on both sides.
    pub(crate) ratio: f64,
    /// The median of the differences, likewise: by how much ours takes longer.
    pub(crate) difference_us: f64,
}

impl Comparison {
    pub(crate) fn of(rounds: &[Round]) -> Self {
        let median_of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
        Self {
            ours_us: median_of(|round| round.ours_us),
            yardstick_us: median_of(|round| round.yardstick_us),
            ratio: median_of(|round| round.ours_us / round.yardstick_us),
            difference_us: median_of(|round| round.ours_us - round.yardstick_us),
        }
    }
}

/// The middle value; of an even number, the mean of the two in the middle. Not a number when there
/// is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = values.get(half).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = half.checked_sub(1).and_then(|index| values.get(index));
    f64::midpoint(lower.copied().unwrap_or(f64::NAN), upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 3.0, 2.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn a_round_that_the_machine_spoils_does_not_count() {
        let good = Round {
            ours_us: 110.0,
            yardstick_us: 100.0,
        };
        // The whole machine was slow: both sides are, and the ratio stays.
        let slow = Round {
            ours_us: 220.0,
            yardstick_us: 200.0,
        };
        let spoilt = Round {
            ours_us: 900.0,
            yardstick_us: 100.0,
        };
        let comparison = Comparison::of(&[good, spoilt, slow]);
        assert!((comparison.ratio - 1.1).abs() < 1e-9);
        assert!((comparison.yardstick_us - 100.0).abs() < 1e-9);
        assert!((comparison.difference_us - 20.0).abs() < 1e-9);
    }
}
