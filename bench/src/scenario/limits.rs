//! What the machine allows at the most: RSA-2048 and Argon2id with nothing around them, and durable
//! commits by the database's own tools.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Plan, Scenario, commits, login};
use crate::failure::Outcome;
use crate::measure::{RawRsaSigner, Work, cores, work_on};
use crate::report::Report;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "limits",
    about: "what the machine allows: raw RSA and Argon2id, and durable commits by the own tool of \
            the database",
    run: |plan| Box::pin(run(plan)),
};

/// As long as what the service signs for a client.
const MESSAGE: [u8; 512] = [b'a'; 512];
/// Of the duration, for one of the limits.
const SHARE: u32 = 4;

async fn run(plan: &Plan) -> Outcome<Report> {
    let each = plan.duration / SHARE;
    let mut report = Report::new(SCENARIO.name);
    computing(&mut report, each)?;
    match &plan.database_url {
        None => commits::by_sqlite3(&mut report, each)?,
        Some(url) => {
            commits::by_pgbench(&mut report, url, each).await?;
            commits::by_pg_test_fsync(&mut report)?;
        }
    }
    Ok(report)
}

/// On one core alone and on all at once, which share caches and a turbo budget.
fn computing(report: &mut Report, each: Duration) -> Outcome<()> {
    let signer = RawRsaSigner::new()?;
    let verifier = signer.verifier(&MESSAGE)?;
    let names = [
        "rsa_signatures_per_second_one_core",
        "rsa_signatures_per_second",
    ];
    on_one_and_all(report, names, |threads| {
        signer.sign_on(threads, &MESSAGE, each)
    })?;
    let names = [
        "rsa_verifications_per_second_one_core",
        "rsa_verifications_per_second",
    ];
    on_one_and_all(report, names, |threads| verifier.verify_on(threads, each))?;
    let names = ["argon2id_per_second_one_core", "argon2id_per_second"];
    on_one_and_all(report, names, |threads| {
        work_on(threads, each, login::raw_argon2id)
    })
}

fn on_one_and_all(
    report: &mut Report,
    [on_one, on_all]: [&'static str; 2],
    work: impl Fn(NonZeroUsize) -> Outcome<Work>,
) -> Outcome<()> {
    report.figure(on_one, work(NonZeroUsize::MIN)?.per_second());
    report.figure(on_all, work(cores()?)?.per_second());
    Ok(())
}
