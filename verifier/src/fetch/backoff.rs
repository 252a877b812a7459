//! Pauses between attempts.

use std::time::Duration;

const FIRST_BOUND: Duration = Duration::from_millis(50);
/// A second in the mean: who has heard nothing for two seconds is stale, and every pause after the network is
/// mended is a pause in which good tokens are refused.
const LAST_BOUND: Duration = Duration::from_secs(2);
/// A server that asks for more is left alone for no longer than this: whoever stands in between can
/// ask, too.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Full jitter: each pause is anything between nothing and a bound, and the bound doubles. A fleet
/// whose issuer restarts comes back spread out, not in step.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub(super) fn next_pause(&mut self) -> Duration {
        let bound = self.bound();
        self.attempts = self.attempts.saturating_add(1);
        let mut random = [0; 2];
        // Without randomness the fleet is in step, which is no reason to stop.
        let _ = aws_lc_rs::rand::fill(&mut random);
        bound.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
    }

    /// The pause when the server may have said how long it wants to be left alone. Jitter comes on
    /// top of that: it says the same to the whole fleet.
    pub(super) fn next_pause_after(&mut self, retry_after: Option<Duration>) -> Duration {
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        asked + self.next_pause()
    }

    /// After a success.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    fn bound(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.attempts);
        FIRST_BOUND.saturating_mul(factor).min(LAST_BOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_two_seconds_and_begins_again_after_a_success() {
        let mut backoff = Backoff::default();
        let mut bounds = Vec::new();
        for _ in 0..9 {
            bounds.push(backoff.bound().as_millis());
            let bound = backoff.bound();
            assert!(backoff.next_pause() <= bound);
        }
        assert_eq!(bounds, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
        backoff.attempts = u32::MAX;
        assert!(backoff.next_pause() <= LAST_BOUND);
        backoff.reset();
        assert_eq!(backoff.bound(), FIRST_BOUND);
    }

    #[test]
    fn what_the_server_asks_for_comes_on_top_up_to_a_minute() {
        let mut backoff = Backoff::default();
        for (asked, least) in [(0, 0), (5, 5), (60, 60), (86_400, 60), (u64::MAX, 60)] {
            backoff.reset();
            let pause = backoff.next_pause_after(Some(Duration::from_secs(asked)));
            let least = Duration::from_secs(least);
            assert!((least..=least + FIRST_BOUND).contains(&pause), "{asked}");
        }
        assert!(backoff.next_pause_after(None) <= LAST_BOUND);
    }
}
