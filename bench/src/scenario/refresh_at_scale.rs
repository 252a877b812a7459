//! Refreshes with many sessions in the database, in turns with few.

use std::rc::Rc;
use std::time::{Duration, Instant};

use url::Url;

use super::{Plan, refresh};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::{Load, Slice};
use crate::measure::{Comparison, Latencies, Round, TaskTimes, real};
use crate::people::{Database, Phone, Sessions, Share};
use crate::report::{Limit, Report};
use crate::service::{Installation, Service};

/// The other side of the comparison. All of them are remembered by the service.
const FEW: u32 = 10_000;
/// Refreshes in a second with many sessions over those with few.
const FEWEST_RATIO: f64 = 0.90;

const WARM_UP: Duration = Duration::from_secs(2);
const SLICE: Duration = Duration::from_millis(500);
/// As in `under_load`.
const SETTLE: Duration = Duration::from_millis(75);

/// Loads two services in turns; each phone refreshes sessions by chance, out of all there are.
pub(super) async fn run(plan: &Plan, sessions: u32) -> Outcome<Report> {
    let small = Small::of(plan).await?;
    let phones = plan.clients(refresh::USUAL_PHONES);
    let (many, few) = (plan.install()?, small.plan.install()?);
    let many_sessions = Sessions::write(&many, sessions).await?;
    let few_sessions = Sessions::write(&few, FEW).await?;
    let mut many = Side::start(many, many_sessions, phones).await?;
    let mut few = Side::start(few, few_sessions, phones).await?;
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < 2 * plan.duration {
        // The one in the middle stands between two of the other, wherever the machine is going.
        let before = few.slice().await?;
        let ours = many.slice().await?;
        let after = few.slice().await?;
        let mean = |figure: fn(&Turn) -> f64| f64::midpoint(figure(&before), figure(&after));
        rates.push(Round {
            ours_us: ours.rate,
            yardstick_us: mean(|turn| turn.rate),
        });
        times.push(Round {
            ours_us: ours.cpu_us,
            yardstick_us: mean(|turn| turn.cpu_us),
        });
    }
    let (rates, times) = (Comparison::of(&rates), Comparison::of(&times));

    let mut report = Report::new(refresh::SCENARIO.name);
    report.ops = many.total.ops;
    report.errors = many.total.errors + few.total.errors;
    report.throughput(many.total.wall);
    report.latencies(&many.latencies);
    report.server_cpu(times.ours_us);
    report.figure("sessions", f64::from(sessions));
    report.figure("few_sessions", f64::from(FEW));
    report.figure("few_ops_per_second", rates.yardstick_us);
    report.figure("few_server_cpu_us_per_op", times.yardstick_us);
    report.figure("few_p50_ms", few.latencies.quantile_ms(0.5));
    report.figure("few_p99_ms", few.latencies.quantile_ms(0.99));
    report.figure("cpu_ratio_to_few", times.ratio);
    report.figure("throughput_ratio_to_few", rates.ratio);
    let fewest = Limit::AtLeast(FEWEST_RATIO);
    report.bar("throughput_ratio_to_few", rates.ratio, fewest);
    many.service.stop().await?;
    few.service.stop().await?;
    small.remove().await?;
    Ok(report)
}

/// A service with its load.
struct Side {
    service: Service,
    load: Load<Phone>,
    latencies: Latencies,
    total: Slice,
    /// Its directory is removed when this is dropped.
    _installation: Installation,
}

/// What one slice says.
struct Turn {
    /// Refreshes in a second.
    rate: f64,
    /// CPU time of the service for one.
    cpu_us: f64,
}

impl Side {
    /// Starts the service and warms it up.
    async fn start(installation: Installation, sessions: Sessions, phones: u16) -> Outcome<Self> {
        let mut service = installation.launch()?;
        service.ready().await?;
        let sessions = Rc::new(sessions);
        let mut clients = Vec::new();
        for number in 0..u32::from(phones) {
            let part = (number, u32::from(phones));
            let share = Share::new(Rc::clone(&sessions), part);
            clients.push(Phone::with_share(service.address(), number, share).await?);
        }
        let mut load = Load::of(clients);
        let warm_up = load.run(WARM_UP, &mut Latencies::new()?).await?;
        let total = Slice {
            errors: warm_up.errors,
            ..Slice::default()
        };
        Ok(Self {
            service,
            load,
            latencies: Latencies::new()?,
            total,
            _installation: installation,
        })
    }

    async fn slice(&mut self) -> Outcome<Turn> {
        let before = TaskTimes::of_process(self.service.pid())?;
        let slice = self.load.run(SLICE, &mut self.latencies).await?;
        tokio::time::sleep(SETTLE).await;
        let used = TaskTimes::of_process(self.service.pid())?.since(&before);
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

/// The installation with few sessions: as planned, but with a database of its own.
struct Small {
    plan: Plan,
    /// Its name and the URL of the database beside which it stands.
    made: Option<(String, String)>,
}

impl Small {
    async fn of(plan: &Plan) -> Outcome<Self> {
        let Some(given) = &plan.database_url else {
            let plan = plan.clone();
            return Ok(Self { plan, made: None });
        };
        let mut url = Url::parse(given).doing("reading the database URL")?;
        let name = format!("{}_few", url.path().trim_start_matches('/'));
        url.set_path(&name);
        let mut beside =
            Database::connect(&given.parse().doing("reading the database URL")?).await?;
        beside
            .execute(format!("CREATE DATABASE \"{name}\""))
            .await?;
        let mut plan = plan.clone();
        plan.database_url = Some(url.into());
        Ok(Self {
            plan,
            made: Some((name, given.clone())),
        })
    }

    async fn remove(self) -> Outcome<()> {
        let Some((name, beside)) = self.made else {
            return Ok(());
        };
        let beside = beside.parse().doing("reading the database URL")?;
        let mut beside = Database::connect(&beside).await?;
        beside.execute(format!("DROP DATABASE \"{name}\"")).await
    }
}
