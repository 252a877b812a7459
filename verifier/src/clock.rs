//! The one place that reads the wall clock.

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

fn since_1970() -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "a verifier's caller should not have to bring a clock; `verify_at` takes one"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}
