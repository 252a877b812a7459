//! A clock that all processes of a machine share.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// An instant of `CLOCK_MONOTONIC` in nanoseconds. Unlike `Instant` it can be told to another process,
/// which reads the same clock: there is no skew between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Monotonic(u64);

impl Monotonic {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
        Self(seconds * 1_000_000_000 + nanoseconds)
    }

    /// Zero when it was before `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_and_what_came_before_takes_no_time() {
        let (first, second) = (Monotonic::now(), Monotonic(u64::MAX));
        assert!(Monotonic::now() >= first);
        assert!(second.since(first) > Duration::ZERO);
        assert_eq!(first.since(second), Duration::ZERO);
    }
}
