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
    let yardstick = |slice| signer.sign_on_every_core(message, slice);
    against(yardstick, service, load, duration).await
}

/// Runs the load and any yardstick in turns. That answers the CPU time of one operation in µs.
pub(super) async fn against<C: Client>(
    yardstick: impl Fn(Duration) -> Outcome<f64>,
    service: &Service,
    load: &mut Load<C>,
    duration: Duration,
) -> Outcome<Measured> {
    let mut latencies = Latencies::new()?;
    let warm_up = load.run(WARM_UP, &mut latencies).await?;
    let mut latencies = Latencies::new()?;
    let mut total = Slice {
        errors: warm_up.errors,
        ..Slice::default()
    };
    let mut rounds = Vec::new();
    let start = Instant::now();
    let mut yardstick_before = yardstick(YARDSTICK_SLICE)?;
    while rounds.is_empty() || start.elapsed() < duration {
        let before = TaskTimes::of_process(service.pid())?;
        let slice = load.run(LOAD_SLICE, &mut latencies).await?;
        tokio::time::sleep(SETTLE).await;
        let used = TaskTimes::of_process(service.pid())?.since(&before);
        let yardstick_after = yardstick(YARDSTICK_SLICE)?;
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

/// A load that is measured in turns with another one.
pub(super) struct Side<C> {
    pub(super) load: Load<C>,
    pub(super) latencies: Latencies,
    /// Over all turns, with the errors of the warming up.
    pub(super) total: Slice,
}

/// What one turn says.
pub(super) struct Turn {
    /// Operations in a second.
    pub(super) rate: f64,
    /// CPU time of the service for one.
    pub(super) cpu_us: f64,
}

impl<C: Client> Side<C> {
    /// A load that is warmed up.
    pub(super) async fn warmed_up(mut load: Load<C>, for_so_long: Duration) -> Outcome<Self> {
        let warm_up = load.run(for_so_long, &mut Latencies::new()?).await?;
        let total = Slice {
            errors: warm_up.errors,
            ..Slice::default()
        };
        Ok(Self {
            load,
            latencies: Latencies::new()?,
            total,
        })
    }

    /// Runs the load for a while.
    pub(super) async fn turn(&mut self, service: &Service, slice: Duration) -> Outcome<Turn> {
        let before = TaskTimes::of_process(service.pid())?;
        let slice = self.load.run(slice, &mut self.latencies).await?;
        tokio::time::sleep(SETTLE).await;
        let used = TaskTimes::of_process(service.pid())?.since(&before);
        if slice.ops == 0 {
            return Err(Failure::new("the service has answered nothing"));
        }
        self.total.add(slice);
        Ok(Turn {
            rate: real(slice.ops) / slice.wall.as_secs_f64(),
            cpu_us: used.as_secs_f64() * 1e6 / real(slice.ops),
        })
    }
}

/// Compares turns of ours with those of another right before and right after them, wherever the
/// machine is going.
#[derive(Default)]
pub(super) struct Turns {
    rates: Vec<Round>,
    times: Vec<Round>,
}

impl Turns {
    pub(super) fn add(&mut self, before: &Turn, ours: &Turn, after: &Turn) {
        let mean = |figure: fn(&Turn) -> f64| f64::midpoint(figure(before), figure(after));
        self.rates.push(Round {
            ours_us: ours.rate,
            yardstick_us: mean(|turn| turn.rate),
        });
        self.times.push(Round {
            ours_us: ours.cpu_us,
            yardstick_us: mean(|turn| turn.cpu_us),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Of operations in a second, and of CPU time.
    pub(super) fn compare(&self) -> (Comparison, Comparison) {
        (Comparison::of(&self.rates), Comparison::of(&self.times))
    }
}

impl Measured {
    /// Operations in a second.
    pub(super) fn rate(&self) -> f64 {
        real(self.total.ops) / self.total.wall.as_secs_f64()
    }

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
