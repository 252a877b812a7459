//! Memory of the service when idle and after a load, and the size of its executable.

use std::time::Duration;

use super::at_scale::Site;
use super::{Plan, Scenario, USUAL_CLIENTS, refresh, token};
use crate::failure::Outcome;
use crate::measure::{Latencies, resident_mib};
use crate::report::{Limit, Report};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "memory",
    about: "memory of the service when idle and after a load, and the size of its executable; with \
            --sessions, after refreshes by chance of so many",
    run: |plan| Box::pin(run(plan)),
};

const MOST_IDLE_MIB: f64 = 25.0;
const MOST_BINARY_MIB: f64 = 25.0;
/// With very many sessions in the database.
pub(super) const MOST_AT_SCALE_MIB: f64 = 80.0;

/// Background tasks have run several times by then.
pub(super) const IDLE_FOR: Duration = Duration::from_secs(2);

async fn run(plan: &Plan) -> Outcome<Report> {
    if let Some(sessions) = plan.sessions {
        let phones = plan.clients(refresh::USUAL_PHONES);
        let mut site = Site::start(plan, sessions, phones).await?;
        site.refresh(plan.duration).await?;
        let report = site.memory().await?;
        site.stop().await?;
        return Ok(report);
    }
    let installation = plan.install()?;
    let mut service = installation.launch()?;
    service.ready().await?;
    tokio::time::sleep(IDLE_FOR).await;
    let (idle, idle_anonymous) = resident_mib(service.pid())?;

    let mut latencies = Latencies::new()?;
    let mut load = token::load(&installation, &service, plan.clients(USUAL_CLIENTS)).await?;
    let slice = load.run(plan.duration, &mut latencies).await?;
    drop(load);
    tokio::time::sleep(IDLE_FOR).await;
    let (loaded, loaded_anonymous) = resident_mib(service.pid())?;
    service.stop().await?;

    let mut report = Report::new(SCENARIO.name);
    report.ops = slice.ops;
    report.errors = slice.errors;
    report.throughput(slice.wall);
    report.latencies(&latencies);
    let binary = installation.binary().mib()?;
    report.figure("idle_rss_mib", idle);
    report.figure("idle_anonymous_mib", idle_anonymous);
    report.figure("after_load_rss_mib", loaded);
    report.figure("after_load_anonymous_mib", loaded_anonymous);
    report.figure("binary_mib", binary);
    report.bar("idle_rss_mib", idle, Limit::AtMost(MOST_IDLE_MIB));
    report.bar("binary_mib", binary, Limit::AtMost(MOST_BINARY_MIB));
    Ok(report)
}
