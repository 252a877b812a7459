//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in whole Unix seconds. A clock set before 1970 counts as 1970, where every token lies in
/// the future and is rejected.
pub(crate) fn unix_now() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a verifier's caller should not have to bring a clock; `verify_at` takes one"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| {
        i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
    })
}
