//! How long single operations took.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::failure::{Doing, Outcome};

/// Latencies with three significant digits, up to a minute.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Outcome<Self> {
        let one_minute = 60_000_000_000;
        let histogram = Histogram::new_with_max(one_minute, 3);
        Ok(Self(histogram.doing("making a histogram")?))
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.0
            .saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds the operations of another measurement.
    pub(crate) fn add(&mut self, other: &Self) -> Outcome<()> {
        self.0.add(&other.0).doing("adding histograms")
    }

    /// How many operations there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The mean in milliseconds.
    pub(crate) fn mean_ms(&self) -> f64 {
        self.0.mean() / 1e6
    }

    /// The longest in milliseconds; zero when there was none.
    pub(crate) fn longest_ms(&self) -> f64 {
        super::real(self.0.max()) / 1e6
    }

    /// The latency in milliseconds below which this share of the operations lies.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        super::real(self.0.value_at_quantile(share)) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let mut latencies = Latencies::new().unwrap();
        for milliseconds in 1..=1_000 {
            latencies.record(Duration::from_millis(milliseconds));
        }
        assert_eq!(latencies.count(), 1_000);
        assert!((latencies.quantile_ms(0.5) - 500.0).abs() < 0.5);
        assert!((latencies.quantile_ms(0.99) - 990.0).abs() < 1.0);
        assert!((latencies.longest_ms() - 1_000.0).abs() < 1.0);
    }

    #[test]
    fn measurements_add_up() {
        let (mut sum, mut other) = (Latencies::new().unwrap(), Latencies::new().unwrap());
        sum.record(Duration::from_millis(1));
        other.record(Duration::from_millis(3));
        sum.add(&other).unwrap();
        assert_eq!(sum.count(), 2);
        assert!((sum.quantile_ms(1.0) - 3.0).abs() < 0.01);
    }

    #[test]
    fn what_takes_longer_than_a_minute_counts_as_a_minute() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::from_hours(1));
        assert!((latencies.quantile_ms(1.0) - 60_000.0).abs() < 100.0);
    }
}
