//! How throughput and latency change: with the number of clients in a closed loop, and with the rate
//! of arrivals in an open one.

use std::cell::Cell;
use std::time::Duration;

use tokensmith::domain::rotation::Generation;

use super::{Plan, Scenario, token};
use crate::failure::Outcome;
use crate::http::{Arrivals, Client, Load, Slice};
use crate::measure::{Latencies, OwnCore, launch_apart, real};
use crate::people::{Phone, Sessions};
use crate::report::{Point, Report, Series};
use crate::service::Service;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "curve",
    about: "throughput and latency of tokens and refreshes against the number of clients, and \
            against the rate of arrivals",
    run: |plan| Box::pin(run(plan)),
};

/// How many ask at the same time.
const CLIENTS: [u16; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Rates of arrivals, in percent of the capacity.
const PERCENT: [u8; 9] = [10, 20, 30, 40, 50, 60, 70, 80, 90];
/// In the open loop; also where the capacity is measured.
const OPEN_LOOP_CLIENTS: u16 = 128;
/// Sessions in the database: few, so that what differs from point to point is the load. Each is used
/// at one point only, by one phone.
const SESSIONS: u32 = 10_000;
/// Of the duration, for one point.
const SHARE: u32 = 5;
const WARM_UP: Duration = Duration::from_millis(250);

/// What a point differs in.
pub(crate) const AGAINST_CLIENTS: &str = "clients";
pub(crate) const AGAINST_RATE: &str = "percent of capacity";

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    let sessions = Sessions::write(&installation, SESSIONS).await?;
    let fresh = Cell::new(0..SESSIONS);
    let mut curve = Curve {
        each: plan.duration / SHARE,
        report: Report::new(SCENARIO.name),
    };
    let phones = async |service: &Service, clients| {
        let mut numbers = fresh.take();
        let mut phones = Vec::new();
        for number in numbers.by_ref().take(usize::from(clients)) {
            let token = sessions.refresh_token(number, Generation::FIRST);
            phones.push(Phone::with_token(service.address(), number, token).await?);
        }
        fresh.set(numbers);
        Ok(Load::of(phones))
    };
    let tokens =
        async |service: &Service, clients| token::load(&installation, service, clients).await;
    // Tokens are the same on every database: they do not ask it.
    let with_tokens = installation.database_url().is_none();

    let mut service = installation.launch()?;
    service.ready().await?;
    if with_tokens {
        let load = async |clients| tokens(&service, clients).await;
        curve.against_clients("token", load).await?;
    }
    let load = async |clients| phones(&service, clients).await;
    curve.against_clients("refresh", load).await?;
    service.stop().await?;

    let own_core = OwnCore::take()?;
    let service = launch_apart(&installation, own_core.as_ref()).await?;
    if with_tokens {
        let load = tokens(&service, OPEN_LOOP_CLIENTS).await?;
        curve.against_arrivals("token", load).await?;
    }
    let load = phones(&service, OPEN_LOOP_CLIENTS).await?;
    curve.against_arrivals("refresh", load).await?;
    service.stop().await?;
    Ok(curve.report)
}

struct Curve {
    /// How long a point is measured.
    each: Duration,
    report: Report,
}

impl Curve {
    async fn against_clients<C: Client>(
        &mut self,
        of: &str,
        load: impl AsyncFn(u16) -> Outcome<Load<C>>,
    ) -> Outcome<()> {
        let mut points = Vec::new();
        for clients in CLIENTS {
            let (slice, latencies) = self.closed(&mut load(clients).await?).await?;
            points.push(Point::of(clients.into(), &slice, &latencies));
        }
        self.add(of, AGAINST_CLIENTS, points);
        Ok(())
    }

    async fn against_arrivals<C: Client>(&mut self, of: &str, mut load: Load<C>) -> Outcome<()> {
        let (slice, _) = self.closed(&mut load).await?;
        let capacity = real(slice.ops) / slice.wall.as_secs_f64();
        let mut points = Vec::new();
        for percent in PERCENT {
            let rate = capacity * f64::from(percent) / 100.0;
            let mut latencies = Latencies::new()?;
            let arrivals = Arrivals::at_rate(rate, self.each);
            let slice = load.run_open(arrivals, &mut latencies).await?;
            self.count(&slice);
            points.push(Point::of(percent.into(), &slice, &latencies));
        }
        self.add(of, AGAINST_RATE, points);
        Ok(())
    }

    async fn closed<C: Client>(&mut self, load: &mut Load<C>) -> Outcome<(Slice, Latencies)> {
        let mut latencies = Latencies::new()?;
        let warm_up = load.run(WARM_UP.min(self.each), &mut latencies).await?;
        self.report.errors += warm_up.errors;
        let mut latencies = Latencies::new()?;
        let slice = load.run(self.each, &mut latencies).await?;
        self.count(&slice);
        Ok((slice, latencies))
    }

    fn count(&mut self, slice: &Slice) {
        self.report.ops += slice.ops;
        self.report.errors += slice.errors;
    }

    fn add(&mut self, of: &str, against: &str, points: Vec<Point>) {
        self.report.series.push(Series {
            of: of.to_owned(),
            against: against.to_owned(),
            points,
        });
    }
}
