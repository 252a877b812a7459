//! The only place that reads the clock.

use crate::domain::Timestamp;
use crate::domain::ports::Clock;

/// The operating system's clock, to the millisecond: what is stored is what was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let now = chrono::Utc::now();
        Timestamp::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }
}
