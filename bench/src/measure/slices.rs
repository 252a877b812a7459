//! Two operations of this process, measured in turns on one thread.

use std::time::{Duration, Instant};

use super::{Latencies, Round, cpu_time, real};
use crate::failure::Outcome;

/// Long against the cost of reading the clocks, short against the moods of the machine.
const SLICE: Duration = Duration::from_millis(20);

/// Runs both in turns for about `duration`; also answers the latencies of ours.
pub(crate) fn alternate(
    duration: Duration,
    mut yardstick: impl FnMut() -> Outcome<()>,
    mut ours: impl FnMut() -> Outcome<()>,
) -> Outcome<(Vec<Round>, Latencies)> {
    // Both sides record their latencies, so that recording costs both the same.
    let mut unused = Latencies::new()?;
    let mut latencies = Latencies::new()?;
    // Caches and branch predictors warm up outside the measurement.
    slice(&mut yardstick, &mut unused)?;
    slice(&mut ours, &mut unused)?;
    let mut rounds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < duration {
        let before = slice(&mut yardstick, &mut unused)?;
        let ours_us = slice(&mut ours, &mut latencies)?;
        let after = slice(&mut yardstick, &mut unused)?;
        rounds.push(Round {
            ours_us,
            yardstick_us: f64::midpoint(before, after),
        });
    }
    Ok((rounds, latencies))
}

/// The CPU time of one operation in µs.
fn slice(operation: &mut impl FnMut() -> Outcome<()>, latencies: &mut Latencies) -> Outcome<f64> {
    let (start, before) = (Instant::now(), cpu_time::of_this_thread());
    let mut operations = 0;
    let mut since_start = Duration::ZERO;
    while since_start < SLICE {
        operation()?;
        operations += 1;
        let now = start.elapsed();
        latencies.record(now.saturating_sub(since_start));
        since_start = now;
    }
    let used = cpu_time::of_this_thread().saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / real(operations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Comparison;

    #[test]
    fn twice_the_work_has_about_twice_the_ratio() {
        let work = |amount: u64| {
            move || {
                for step in 0..amount {
                    std::hint::black_box(step);
                }
                Ok(())
            }
        };
        let duration = Duration::from_millis(200);
        let (rounds, latencies) = alternate(duration, work(20_000), work(40_000)).unwrap();
        let ratio = Comparison::of(&rounds).ratio;
        assert!((1.5..2.5).contains(&ratio), "{ratio}");
        assert!(latencies.count() > 0);
    }
}
