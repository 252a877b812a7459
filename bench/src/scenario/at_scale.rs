//! Refreshes with many sessions in the database, in turns with few; what memory the service needs
//! then, and what the sessions take in the database.

use std::rc::Rc;
use std::time::{Duration, Instant};

use url::Url;

use super::under_load::{Side, Turns};
use super::{Plan, footprint, memory, refresh};
use crate::failure::{Doing, Outcome};
use crate::http::Load;
use crate::measure::resident_mib;
use crate::people::{Database, Phone, Sessions, Share};
use crate::report::{Limit, Report};
use crate::service::{Installation, Service};

/// The other side of the comparison. All of them are remembered by the service.
const FEW: u32 = 10_000;
/// Refreshes in a second with many sessions over those with few.
const FEWEST_RATIO: f64 = 0.85;

const WARM_UP: Duration = Duration::from_secs(2);
const SLICE: Duration = Duration::from_millis(500);

/// One database with many sessions says all of this.
pub(crate) struct AtScale {
    pub(crate) refresh: Report,
    pub(crate) memory: Report,
    pub(crate) footprint: Report,
}

/// Loads two services in turns; each phone refreshes sessions by chance, out of all there are.
pub(crate) async fn run(plan: &Plan, sessions: u32) -> Outcome<AtScale> {
    let small = Small::of(plan).await?;
    let phones = plan.clients(refresh::USUAL_PHONES);
    let many = Site::start(plan, sessions, phones).await?;
    let few = Site::start(&small.plan, FEW, phones).await?;
    let (mut many, mut few) = (many, few);
    let mut turns = Turns::default();
    let start = Instant::now();
    while turns.is_empty() || start.elapsed() < 2 * plan.duration {
        let before = few.turn().await?;
        let ours = many.turn().await?;
        let after = few.turn().await?;
        turns.add(&before, &ours, &after);
    }
    let (rates, times) = turns.compare();

    let mut report = Report::new(refresh::SCENARIO.name);
    report.ops = many.side.total.ops;
    report.errors = many.side.total.errors + few.side.total.errors;
    report.throughput(many.side.total.wall);
    report.latencies(&many.side.latencies);
    report.server_cpu(times.ours_us);
    report.figure("sessions", f64::from(sessions));
    report.figure("few_sessions", f64::from(FEW));
    report.figure("few_ops_per_second", rates.yardstick_us);
    report.figure("few_server_cpu_us_per_op", times.yardstick_us);
    report.figure("few_p50_ms", few.side.latencies.quantile_ms(0.5));
    report.figure("few_p99_ms", few.side.latencies.quantile_ms(0.99));
    report.figure("cpu_ratio_to_few", times.ratio);
    report.figure("throughput_ratio_to_few", rates.ratio);
    let fewest = Limit::AtLeast(FEWEST_RATIO);
    report.bar("throughput_ratio_to_few", rates.ratio, fewest);
    let at_scale = AtScale {
        refresh: report,
        memory: many.memory().await?,
        footprint: footprint::of_new(sessions, many.bytes_each),
    };
    many.service.stop().await?;
    few.service.stop().await?;
    small.remove().await?;
    Ok(at_scale)
}

/// A service over many sessions, with phones that refresh them by chance.
pub(super) struct Site {
    service: Service,
    side: Side<Phone>,
    sessions: u32,
    /// Bytes of the database for one session.
    bytes_each: f64,
    /// Its directory is removed when this is dropped.
    _installation: Installation,
}

impl Site {
    /// Fills the database, starts the service and warms it up.
    pub(super) async fn start(plan: &Plan, count: u32, phones: u16) -> Outcome<Self> {
        let installation = plan.install()?;
        let sessions = Sessions::write(&installation, count).await?;
        let bytes_each = sessions.bytes_each();
        let mut service = installation.launch()?;
        service.ready().await?;
        let sessions = Rc::new(sessions);
        let load = Load::of(phones_of(&sessions, &service, phones).await?);
        Ok(Self {
            service,
            side: Side::warmed_up(load, WARM_UP).await?,
            sessions: count,
            bytes_each,
            _installation: installation,
        })
    }

    async fn turn(&mut self) -> Outcome<super::under_load::Turn> {
        self.side.turn(&self.service, SLICE).await
    }

    /// Refreshes for so long without measuring the CPU time.
    pub(super) async fn refresh(&mut self, duration: Duration) -> Outcome<()> {
        let slice = self.side.load.run(duration, &mut self.side.latencies);
        self.side.total.add(slice.await?);
        Ok(())
    }

    /// What the service has taken in memory by now.
    pub(super) async fn memory(&self) -> Outcome<Report> {
        tokio::time::sleep(memory::IDLE_FOR).await;
        let (resident, anonymous) = resident_mib(self.service.pid())?;
        let mut report = Report::new(memory::SCENARIO.name);
        report.ops = self.side.total.ops;
        report.errors = self.side.total.errors;
        report.throughput(self.side.total.wall);
        report.figure("sessions", f64::from(self.sessions));
        report.figure("at_scale_rss_mib", resident);
        report.figure("at_scale_anonymous_mib", anonymous);
        let most = Limit::AtMost(memory::MOST_AT_SCALE_MIB);
        report.bar("at_scale_rss_mib", resident, most);
        Ok(report)
    }

    pub(super) async fn stop(self) -> Outcome<()> {
        self.service.stop().await
    }
}

/// Phones that share the sessions among them.
async fn phones_of(sessions: &Rc<Sessions>, service: &Service, count: u16) -> Outcome<Vec<Phone>> {
    let mut phones = Vec::new();
    for number in 0..u32::from(count) {
        let part = (number, u32::from(count));
        let share = Share::new(Rc::clone(sessions), part);
        phones.push(Phone::with_share(service.address(), number, share).await?);
    }
    Ok(phones)
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
