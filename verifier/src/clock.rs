//! The one place that reads clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, in whole Unix seconds. A clock set before 1970 counts as 1970, where every token lies in
/// the future and is rejected.
pub(crate) fn unix_now() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

/// The same in milliseconds.
#[cfg(feature = "fetch")]
pub(crate) fn unix_now_millis() -> i64 {
    i64::try_from(since_1970().as_millis()).unwrap_or(i64::MAX)
}

/// Nanoseconds since some instant, on a clock that never jumps.
///
/// On Linux it stands still while the machine is suspended, as `Instant` does: what was two seconds
/// old before counts as two seconds old after waking up. Servers are not suspended, and
/// `CLOCK_BOOTTIME`, which goes on, cannot be read cheaply.
pub(crate) fn monotonic_nanos() -> u64 {
    steady::nanos()
}

/// The same clock as of its last tick, at most ten milliseconds ago: for what every token asks.
/// Reading it takes a nanosecond in the place of twenty.
pub(crate) fn coarse_monotonic_nanos() -> u64 {
    steady::coarse_nanos()
}

#[cfg(target_os = "linux")]
mod steady {
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn nanos() -> u64 {
        read(ClockId::Monotonic)
    }

    pub(super) fn coarse_nanos() -> u64 {
        read(ClockId::MonotonicCoarse)
    }

    fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        // Time since the machine started: neither part is negative.
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    }
}

#[cfg(not(target_os = "linux"))]
mod steady {
    use std::sync::LazyLock;
    use std::time::Instant;

    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn nanos() -> u64 {
        u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn coarse_nanos() -> u64 {
        nanos()
    }
}

fn since_1970() -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "a verifier's caller should not have to bring a clock; `verify_at` takes one"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_the_same_clock_a_tick_behind() {
        const TICK: u64 = 10_000_000;
        for _ in 0..1_000 {
            let before = monotonic_nanos();
            let coarse = coarse_monotonic_nanos();
            let after = monotonic_nanos();
            assert!(before <= after);
            // Twice the longest tick, because a busy machine is late.
            assert!(coarse <= after && coarse + 2 * TICK >= before);
        }
    }
}
