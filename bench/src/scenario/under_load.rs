//! Loads the service and measures its CPU time, in turns with raw RSA signatures.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::http::{Client, Load, Slice};
use crate::measure::{Comparison, Latencies, RawRsaSigner, Round, TaskTimes, real};
use crate::report::Report;
use crate::service::Service;

const WARM_UP: Duration = Duration::from_secs(1);
const LOAD_SLICE: Duration = Duration::from_millis(400);
const YARDSTICK_SLICE: Duration = Duration::from_millis(100);
/// After a slice the service writes its log and goes idle. What it does then was caused by the
/// load, and is counted.
const SETTLE: Duration = Duration::from_millis(75);

/// What a load did to the service.
pub(super) struct Measured {
    pub(super) comparison: Comparison,
    pub(super) latencies: Latencies,
    /// Over all slices.
    pub(super) total: Slice,
}

/// Runs the load and the yardstick in turns for about `duration`. The yardstick signs `message`.
pub(super) async fn measure<C: Client>(
    service: &Service,
    load: &mut Load<C>,
    message: &[u8],
    duration: Duration,
) -> Outcome<Measured> {
    let signer = RawRsaSigner::new()?;
    let mut latencies = Latencies::new()?;
    let warm_up = load.run(WARM_UP, &mut latencies).await?;
    let mut latencies = Latencies::new()?;
    let mut total = Slice {
        errors: warm_up.errors,
        ..Slice::default()
    };
    let mut rounds = Vec::new();
    let start = Instant::now();
    let mut yardstick_before = signer.sign_on_every_core(message, YARDSTICK_SLICE)?;
    while start.elapsed() < duration {
        let before = TaskTimes::of_process(service.pid())?;
        let slice = load.run(LOAD_SLICE, &mut latencies).await?;
        tokio::time::sleep(SETTLE).await;
        let used = TaskTimes::of_process(service.pid())?.since(&before);
        let yardstick_after = signer.sign_on_every_core(message, YARDSTICK_SLICE)?;
        rounds.push(Round {
            ours_us: used.as_secs_f64() * 1e6 / real(slice.ops),
            yardstick_us: f64::midpoint(yardstick_before, yardstick_after),
        });
        yardstick_before = yardstick_after;
        total.add(slice);
    }
    if total.ops == 0 {
        return Err(Failure::new("the service has answered nothing"));
    }
    Ok(Measured {
        comparison: Comparison::of(&rounds),
        latencies,
        total,
    })
}

impl Measured {
    /// The figures that every scenario with a load has.
    pub(super) fn report(&self, scenario: &'static str) -> Report {
        let mut report = Report::new(scenario);
        report.ops = self.total.ops;
        report.errors = self.total.errors;
        report.throughput(self.total.wall);
        report.latencies(&self.latencies);
        report.against_raw_signatures(&self.comparison);
        report
    }
}
