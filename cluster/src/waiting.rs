//! Waiting for a condition instead of for a while.

use std::time::{Duration, Instant};

use crate::Failure;

/// How often is asked.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<T, Failure> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            let what = what.to_owned();
            return Err(Failure::Late { what, limit });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
