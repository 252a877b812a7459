//! Bytes of the database for one session, with its indexes.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokensmith::clock::SystemClock;
use tokensmith::domain::Timestamp;
use tokensmith::domain::ports::{Clock, Rotation, Store};
use tokensmith::domain::rotation::{Generation, RetryKeyDigest, Step};
use tokensmith::domain::session_policy::SessionPolicy;
use tokensmith::store::{self, DatabaseLocation, StoreLimits};
use tokensmith::telemetry::metrics::StoreMetrics;

use super::{Plan, Scenario};
use crate::failure::{Doing, Failure, Outcome};
use crate::measure::{Latencies, real};
use crate::people::{Database, MadeUpSessions, Random};
use crate::report::{Limit, Report};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "footprint",
    about: "bytes of the database for one session and its indexes, after it was refreshed once",
    run: |plan| Box::pin(run(plan)),
};

const SESSIONS: u32 = 200_000;

const MOST_BYTES_SQLITE: f64 = 300.0;
const MOST_BYTES_POSTGRES: f64 = 400.0;

/// The connections of the service by default.
const LIMITS: StoreLimits = StoreLimits {
    connections: 10,
    timeout: Duration::from_secs(5),
};
/// As many as one commit of SQLite takes along.
const AT_ONCE: usize = 64;
/// So many of ten refreshes come with an `Idempotency-Key`.
const WITH_KEY_OF_TEN: u32 = 8;

async fn run(plan: &Plan) -> Outcome<Report> {
    let directory = tempfile::tempdir().doing("making a directory")?;
    let location = match &plan.database_url {
        Some(url) => url.parse().doing("reading the database URL")?,
        None => DatabaseLocation::Sqlite(directory.path().join("tokensmith.db")),
    };
    let store = store::open(&location, LIMITS, StoreMetrics::default());
    let store = store.await.doing("opening the database")?;
    let mut database = Database::connect(&location).await?;
    let made_up = MadeUpSessions::new(SystemClock.now(), plan.sessions.unwrap_or(SESSIONS));
    let sessions = f64::from(made_up.count());
    database.insert_people(&made_up).await?;
    let empty = database.size().await?;
    database.insert_sessions(&made_up).await?;
    let new = database.size().await?;

    let mut latencies = Latencies::new()?;
    let start = Instant::now();
    refresh_each(&*store, &made_up, &mut latencies).await?;
    let wall = start.elapsed();
    let refreshed = database.size().await?;
    store.close().await;

    let each = |size: u64| real(size.saturating_sub(empty)) / sessions;
    let mut report = Report::new(SCENARIO.name);
    report.ops = latencies.count();
    report.throughput(wall);
    report.latencies(&latencies);
    report.figure("sessions", sessions);
    report.figure("bytes_per_new_session", each(new));
    report.figure("bytes_per_session", each(refreshed));
    let most = match &location {
        DatabaseLocation::Sqlite(_) => MOST_BYTES_SQLITE,
        DatabaseLocation::Postgres(_) => {
            let share = in_place(&mut database).await?;
            report.figure("updates_in_place_share", share);
            MOST_BYTES_POSTGRES
        }
    };
    report.bar("bytes_per_session", each(refreshed), Limit::AtMost(most));
    Ok(report)
}

/// What sessions take that nobody has refreshed yet. It has no bar: each grows when it is refreshed.
pub(super) fn of_new(sessions: u32, bytes_each: f64) -> Report {
    let mut report = Report::new(SCENARIO.name);
    report.ops = sessions.into();
    report.figure("sessions", f64::from(sessions));
    report.figure("bytes_per_new_session", bytes_each);
    report
}

/// Refreshes every session once, in an order that has nothing to do with that of the logins.
async fn refresh_each(
    store: &dyn Store,
    made_up: &MadeUpSessions,
    latencies: &mut Latencies,
) -> Outcome<()> {
    let now = SystemClock.now();
    let refreshes = shuffled(made_up.count())
        .into_iter()
        .map(|number| async move {
            let start = Instant::now();
            let rotated = store.rotate_session(&rotation(made_up, number, now)).await;
            if !rotated.doing("refreshing a session")? {
                return Err(Failure::new("a session was not refreshed"));
            }
            Ok(start.elapsed())
        });
    let mut refreshes = stream::iter(refreshes).buffer_unordered(AT_ONCE);
    while let Some(took) = refreshes.try_next().await? {
        latencies.record(took);
    }
    Ok(())
}

fn rotation(made_up: &MadeUpSessions, number: u32, now: Timestamp) -> Rotation {
    let mut random = Random::new("rotation", number);
    let retry_key = RetryKeyDigest(random.bytes());
    Rotation {
        session: made_up.id(number),
        step: Step {
            from: Generation::FIRST,
            to: Generation(Generation::FIRST.0 + 1),
            at: now,
            retry_key: (random.below(10) < WITH_KEY_OF_TEN).then_some(retry_key),
            idle_expires_at: now + SessionPolicy::default().idle_lifetime,
        },
        // A phone is somewhere else by then.
        address: Some(random.address()),
    }
}

/// The numbers below `count` in an order that looks random (Fisher and Yates).
fn shuffled(count: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    let mut random = Random::new("order", 0);
    for last in (1..count).rev() {
        let other = random.below(last + 1);
        if let (Ok(one), Ok(other)) = (usize::try_from(last), usize::try_from(other)) {
            numbers.swap(one, other);
        }
    }
    numbers
}

/// Which share of the updates of PostgreSQL stayed within their page and touched no index.
async fn in_place(database: &mut Database) -> Outcome<f64> {
    let share = "SELECT n_tup_hot_upd * 1000 / GREATEST(n_tup_upd, 1) FROM pg_stat_user_tables \
         WHERE relname = 'sessions'";
    let thousandths = u64::try_from(database.number(share).await?).unwrap_or_default();
    Ok(real(thousandths) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shuffled_and_nothing_is_lost() {
        let mut numbers = shuffled(1_000);
        assert!(!numbers.is_sorted());
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
        assert!(shuffled(0).is_empty());
    }

    #[tokio::test]
    async fn sessions_that_are_made_up_can_be_refreshed() {
        let directory = tempfile::tempdir().unwrap();
        let location = DatabaseLocation::Sqlite(directory.path().join("test.db"));
        let store = store::open(&location, LIMITS, StoreMetrics::default())
            .await
            .unwrap();
        let mut database = Database::connect(&location).await.unwrap();
        let made_up = MadeUpSessions::new(SystemClock.now(), 100);
        database.insert_people(&made_up).await.unwrap();
        database.insert_sessions(&made_up).await.unwrap();
        let mut latencies = Latencies::new().unwrap();
        refresh_each(&*store, &made_up, &mut latencies)
            .await
            .unwrap();
        assert_eq!(latencies.count(), 100);
        let stored = store.find_session(made_up.id(7)).await.unwrap().unwrap();
        assert!(stored.user_is_enabled);
        assert_eq!(stored.session.terms.secret, MadeUpSessions::secret(7));
        assert_eq!(stored.session.chain.generation, Generation(2));
    }
}
