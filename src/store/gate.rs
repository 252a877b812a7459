//! How long one operation may take, and how many may be under way: a database that hangs must not make
//! requests pile up.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::domain::ports::StoreError;

/// How much a process asks of the database at most.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// Most connections.
    pub connections: u32,
    /// How long one operation may take, the wait for a connection included.
    pub timeout: Duration,
}

/// How many reads, and how many writes, may be under way or wait. At a thousand operations a second, the
/// last in the queue waits for a second; with more, waiting has no end that a client would see.
const MOST_UNDER_WAY: usize = 1_024;
/// What ends all sessions of a person may take so long: whoever has the password may have begun many
/// thousands, and signing out everywhere must not fail because of them.
const THOROUGH_TIMEOUT: Duration = Duration::from_secs(30);
/// What goes through everything, such as a cut-off of a million sessions, may take so long.
const LONG_TIMEOUT: Duration = Duration::from_mins(5);

/// Where operations wait for the database.
pub(super) struct Gate {
    places: Semaphore,
    timeout: Duration,
}

impl Gate {
    pub(super) const fn new(timeout: Duration) -> Self {
        Self {
            places: Semaphore::const_new(MOST_UNDER_WAY),
            timeout,
        }
    }

    /// Runs an operation, unless too many are under way, and for so long at the most. Of one that is
    /// given up nobody knows whether it has changed something.
    pub(super) async fn pass<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let _place = self.places.try_acquire().map_err(|_| {
            StoreError::Unavailable("too many operations wait for the database".to_owned())
        })?;
        within(self.timeout, operation).await
    }
}

/// Runs an operation that goes through all that one person has.
pub(super) async fn pass_thorough<T>(
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    within(THOROUGH_TIMEOUT, operation).await
}

/// Runs an operation that goes through everything.
pub(super) async fn pass_long<T>(
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    within(LONG_TIMEOUT, operation).await
}

async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, operation).await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(limit);
        Err(StoreError::Unavailable(format!("no answer within {limit}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_is_given_up_and_what_comes_meanwhile_is_turned_away() {
        let gate = Gate::new(Duration::from_millis(50));
        let hang = || gate.pass(std::future::pending::<Result<(), StoreError>>());
        let all = futures_util::future::join_all((0..=MOST_UNDER_WAY).map(|_| hang()));
        let outcomes: Vec<String> = all
            .await
            .into_iter()
            .map(|outcome| outcome.unwrap_err().to_string())
            .collect();
        let (last, waited) = outcomes.split_last().unwrap();
        assert!(last.contains("too many operations"), "{last}");
        assert!(
            waited
                .iter()
                .all(|why| why.ends_with("no answer within 50ms"))
        );
        gate.pass(async { Ok(()) }).await.unwrap();
    }
}
