//! From starting the process with an existing database to `/readyz` 200.

use std::time::Instant;

use super::{Plan, Scenario};
use crate::failure::Outcome;
use crate::measure::Latencies;
use crate::report::{Limit, Report};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "start",
    about: "time from starting the process, with an existing database, to being ready",
    run: |plan| Box::pin(run(plan)),
};

const MOST_MS: f64 = 100.0;
const FEWEST_ROUNDS: u64 = 5;

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    let mut latencies = Latencies::new()?;
    // The first start makes the signing key, and is not an ordinary one.
    let mut service = installation.launch()?;
    service.ready().await?;
    service.stop().await?;
    let start = Instant::now();
    while latencies.count() < FEWEST_ROUNDS || start.elapsed() < plan.duration {
        let spawned = Instant::now();
        let mut service = installation.launch()?;
        service.ready().await?;
        latencies.record(spawned.elapsed());
        service.stop().await?;
    }
    let mut report = Report::new(SCENARIO.name);
    report.ops = latencies.count();
    report.latencies(&latencies);
    report.bar("p50_ms", latencies.quantile_ms(0.5), Limit::AtMost(MOST_MS));
    Ok(report)
}
