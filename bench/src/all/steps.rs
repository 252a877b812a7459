//! What is measured, in which order and on which database.

use std::time::Duration;

use tokensmith::clock::SystemClock;
use tokensmith::domain::ports::Clock;

use super::findings::Finding;
use super::origin::Origin;
use crate::failure::{Failure, Outcome};
use crate::report::Report;
use crate::scenario::{DatabaseKind, Plan, SCENARIOS, refresh_at_scale};

/// A scenario on one database, with its number of sessions where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) scenario: &'static str,
    pub(super) database: DatabaseKind,
    pub(super) sessions: Option<u32>,
}

/// These do not ask the database, or only at the start.
const ONCE: [&str; 7] = [
    "sign",
    "verify",
    "verify-cached",
    "reject",
    "jwks",
    "status-list",
    "siege",
];
const ON_BOTH: [&str; 12] = [
    "limits",
    "token",
    "refresh",
    "login",
    "login-flood",
    "introspect",
    "start",
    "memory",
    "footprint",
    "revoke",
    "revoke-rate",
    "curve",
];
const FEWEST_SESSIONS: u32 = 10_000;
/// Hostile clients show what they can do at once; there are many kinds of them.
const MOST_OF_SIEGE: Duration = Duration::from_secs(3);

/// All steps; the long ones last.
pub(super) fn steps(most_sessions: u32, without: Option<DatabaseKind>) -> Vec<Step> {
    let databases = [DatabaseKind::Sqlite, DatabaseKind::Postgres];
    let databases = databases.into_iter().filter(|kind| Some(*kind) != without);
    let databases: Vec<_> = databases.collect();
    let step = |scenario, database, sessions| Step {
        scenario,
        database,
        sessions,
    };
    let mut steps = Vec::new();
    steps.extend(ONCE.map(|scenario| step(scenario, DatabaseKind::Sqlite, None)));
    for scenario in ON_BOTH {
        steps.extend(databases.iter().map(|kind| step(scenario, *kind, None)));
    }
    let sizes = std::iter::successors(Some(FEWEST_SESSIONS), |size| size.checked_mul(10));
    for size in sizes.take_while(|size| *size <= most_sessions) {
        steps.extend(
            databases
                .iter()
                .map(|kind| step("refresh", *kind, Some(size))),
        );
    }
    steps
}

impl Step {
    /// Also that of its file.
    pub(super) fn name(&self) -> String {
        let sessions = self.sessions.map(|sessions| format!("-{sessions}"));
        let database = self.database.name();
        format!(
            "{}{}-{database}",
            self.scenario,
            sessions.unwrap_or_default()
        )
    }

    /// About how long it takes when a measurement takes so long; only for the progress bar.
    pub(super) fn expected(&self, duration: Duration) -> Duration {
        let (times, seconds) = match (self.scenario, self.sessions) {
            (_, Some(sessions)) => (2, 12 + u64::from(sessions) / 50_000),
            ("token", _) => (3, 6),
            ("verify-cached", _) => (2, 3),
            ("login-flood", _) => (4, 6),
            ("curve", _) => (8, 5),
            ("reject" | "footprint" | "status-list", _) => (1, 15),
            ("revoke", _) => (0, 35),
            ("siege", _) => (0, 40),
            _ => (1, 5),
        };
        duration * times + Duration::from_secs(seconds)
    }

    /// Measures.
    pub(super) async fn run(&self, plan: &Plan, origin: &Origin) -> Outcome<Finding> {
        let mut plan = plan.on(self.database, self.sessions);
        if self.scenario == "siege" {
            plan.duration = plan.duration.min(MOST_OF_SIEGE);
        }
        let start = std::time::Instant::now();
        let (plan, server) = plan.with_database().await?;
        let reports = match self.sessions {
            // The largest databases take minutes to fill, so each says all that it can say.
            Some(sessions) => {
                let found = refresh_at_scale(&plan, sessions).await?;
                vec![found.refresh, found.memory, found.footprint]
            }
            None => vec![self.only_report(&plan).await?],
        };
        drop(server);
        Finding::new(self, &reports, origin, (SystemClock.now(), start.elapsed()))
    }

    async fn only_report(&self, plan: &Plan) -> Outcome<Report> {
        let scenario = SCENARIOS.iter().find(|other| other.name == self.scenario);
        let scenario = scenario.ok_or_else(|| Failure::new("there is no such scenario"))?;
        (scenario.run)(plan).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_a_step_and_no_step_comes_twice() {
        let steps = steps(10_000_000, None);
        for scenario in SCENARIOS {
            let is_it = |step: &Step| step.scenario == scenario.name;
            assert!(steps.iter().any(is_it), "{}", scenario.name);
        }
        let mut names: Vec<_> = steps.iter().map(Step::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), steps.len());
        assert!(names.contains(&"refresh-10000000-postgres".to_owned()));
    }

    #[test]
    fn sizes_go_up_to_the_one_that_is_asked_for() {
        let sizes = |most| -> Vec<_> {
            let steps = steps(most, Some(DatabaseKind::Postgres));
            steps.iter().filter_map(|step| step.sessions).collect()
        };
        assert_eq!(sizes(10_000), [10_000]);
        assert_eq!(sizes(999_999), [10_000, 100_000]);
        assert_eq!(sizes(100_000_000).last(), Some(&100_000_000));
    }
}
