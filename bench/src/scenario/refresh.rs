//! `POST /oauth/token` with refresh tokens, over HTTP.

use super::{Plan, Scenario, at_scale, in_process, token, under_load};
use crate::failure::{Failure, Outcome};
use crate::http::Load;
use crate::measure::{Latencies, real};
use crate::people::{self, Database, Phone};
use crate::report::{Limit, Report};
use crate::service::{Counters, Installation, Relay, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "refresh",
    about: "CPU time of the service for one refresh, against one raw RSA signature; with \
            --sessions, at so many sessions against ten thousand",
    run: |plan| Box::pin(run(plan)),
};

/// Phones that refresh at the same time, each its own session.
pub(super) const USUAL_PHONES: u16 = 32;

/// CPU time of the service for one refresh over that of one raw signature, on SQLite.
const MOST_RATIO: f64 = 1.25;
/// The same on PostgreSQL, where the driver and its round trips come on top.
const MOST_RATIO_POSTGRES: f64 = 1.45;
/// The one statement; connections are made, too.
const MOST_ROUND_TRIPS: f64 = 1.05;
/// Refreshes that SQLite makes durable together.
const FEWEST_TRANSITIONS_PER_COMMIT: f64 = 8.0;

/// How long the round trips to PostgreSQL are counted.
const COUNTING: std::time::Duration = std::time::Duration::from_secs(2);

async fn run(plan: &Plan) -> Outcome<Report> {
    if let Some(sessions) = plan.sessions {
        return Ok(at_scale::run(plan, sessions).await?.refresh);
    }
    let installation = plan.install()?;
    installation.register_phone()?;
    people::sign_up(&installation, 1).await?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let login = people::log_in(service.address(), 0).await?;
    token::verify(&login.access_token, &installation, &service).await?;
    // The yardstick signs what the service signs.
    let message = in_process::signing_input(&login.access_token)?.as_bytes();
    let mut load = phones(&service, plan.clients(USUAL_PHONES)).await?;
    let before = service.counters().await?;
    let measured = under_load::measure(&service, &mut load, message, plan.duration).await?;
    let after = service.counters().await?;
    drop(load);
    service.stop().await?;

    let mut report = measured.report(SCENARIO.name);
    let ratio = measured.comparison.ratio;
    match installation.database_url() {
        None => {
            report.bar("ratio", ratio, Limit::AtMost(MOST_RATIO));
            commits(&mut report, &before, &after);
        }
        Some(url) => {
            report.bar("ratio", ratio, Limit::AtMost(MOST_RATIO_POSTGRES));
            writes(&mut report, &installation, &after).await?;
            round_trips(&mut report, &installation, url).await?;
        }
    }
    Ok(report)
}

/// Phones that are logged in.
async fn phones(service: &Service, count: u16) -> Outcome<Load<Phone>> {
    let address = service.address();
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(people::log_in(address, 0).await?.refresh_token);
    }
    // All connections after all logins, which take long: the service closes those that say nothing.
    let mut phones = Vec::new();
    for (number, token) in (0..).zip(tokens) {
        phones.push(Phone::with_token(address, number, token).await?);
    }
    Ok(Load::of(phones))
}

/// How many transitions the writer of SQLite commits together.
fn commits(report: &mut Report, before: &Counters, after: &Counters) {
    let growth = |name| after.growth(before, name, "");
    let commits = growth("tokensmith_store_commits_total");
    let transitions = growth("tokensmith_store_transitions_total");
    let together = transitions / commits;
    report.figure("transitions_per_commit", together);
    let fewest = Limit::AtLeast(FEWEST_TRANSITIONS_PER_COMMIT);
    report.bar("transitions_per_commit", together, fewest);
}

/// What PostgreSQL has counted; the service has stopped, so its connections have reported all.
async fn writes(
    report: &mut Report,
    installation: &Installation,
    counters: &Counters,
) -> Outcome<()> {
    let rotated = counters.sum("tokensmith_refreshes_total", "rotated");
    let operations = |name| counters.sum("tokensmith_store_operations_total", name);
    let mut database = Database::connect(&installation.database()?).await?;
    let mut per_refresh = async |figure, query| {
        let count = u64::try_from(database.number(query).await?).unwrap_or_default();
        report.figure(figure, real(count) / rotated);
        Ok(())
    };
    per_refresh("rows_updated_per_refresh", ROWS_UPDATED).await?;
    per_refresh("rows_updated_in_place_per_refresh", ROWS_UPDATED_IN_PLACE).await?;
    per_refresh("database_transactions_per_refresh", TRANSACTIONS).await?;
    let (rotations, reads) = (
        operations("\"rotate_session\""),
        operations("\"find_session\""),
    );
    report.figure("rotations_per_refresh", rotations / rotated);
    report.figure("reads_per_refresh", reads / rotated);
    Ok(())
}

const ROWS_UPDATED: &str = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'sessions'";
const ROWS_UPDATED_IN_PLACE: &str =
    "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'";
/// With the few of setting up and of the upkeep, about ten in a second.
const TRANSACTIONS: &str =
    "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";

/// How often the service waits for PostgreSQL, counted on the wire.
async fn round_trips(
    report: &mut Report,
    installation: &Installation,
    database_url: &str,
) -> Outcome<()> {
    let relay = Relay::before(database_url).await?;
    let mut service = installation.launch_through(&relay)?;
    service.ready().await?;
    let mut load = phones(&service, USUAL_PHONES).await?;
    let mut latencies = Latencies::new()?;
    load.run(COUNTING / 4, &mut latencies).await?;
    let before = relay.round_trips();
    let slice = load.run(COUNTING, &mut latencies).await?;
    let round_trips = relay.round_trips().saturating_sub(before);
    drop(load);
    service.stop().await?;
    if slice.ops == 0 {
        return Err(Failure::new("the service has answered nothing"));
    }
    report.errors += slice.errors;
    let per_refresh = real(round_trips) / real(slice.ops);
    report.figure("round_trips_per_refresh", per_refresh);
    report.bar(
        "round_trips_per_refresh",
        per_refresh,
        Limit::AtMost(MOST_ROUND_TRIPS),
    );
    Ok(())
}
