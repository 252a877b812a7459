//! A complete token, made in this process, against one raw RSA-2048 signature.

use super::in_process::{InProcessIssuer, signing_input};
use super::{Plan, Scenario};
use crate::failure::Outcome;
use crate::measure::{Comparison, RawRsaSigner, alternate};
use crate::report::Report;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "sign",
    about: "CPU time of a complete token in one process, against one raw RSA signature",
    run: |plan| Box::pin(run(plan)),
};

async fn run(plan: &Plan) -> Outcome<Report> {
    let issuer = InProcessIssuer::new().await?;
    let raw = RawRsaSigner::new()?;
    let token = issuer.token()?;
    let message = signing_input(&token)?.as_bytes();
    let sign = || raw.sign(message).map(keep);
    let issue = || issuer.token().map(keep);
    let (rounds, latencies) = alternate(plan.duration, sign, issue)?;

    let mut report = Report::new(SCENARIO.name);
    report.operations(&latencies);
    report.against_raw_signatures(&Comparison::of(&rounds));
    Ok(report)
}

/// The compiler must not leave out what nobody looks at.
fn keep<T>(result: T) {
    drop(std::hint::black_box(result));
}
