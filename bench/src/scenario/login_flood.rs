//! What a flood of logins does to those who only want a token.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Plan, Scenario, token};
use crate::failure::{Failure, Outcome};
use crate::http::{Client, Connection, Load, Repeater, Slice};
use crate::measure::{Comparison, Latencies, Round, real};
use crate::people;
use crate::report::{Limit, Report};
use crate::service::{Counters, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "login-flood",
    about: "latency of tokens while logins keep the password threads busy, against without them",
    run: |plan| Box::pin(run(plan)),
};

/// The 99th percentile of tokens with the flood over that without.
const MOST_RATIO: f64 = 3.0;

/// Clients that ask for tokens: enough to keep two cores busy, not so many that they wait for each
/// other.
const USUAL_CLIENTS: u16 = 4;
/// More than wait in the queue of the service, so that some are turned away.
const FLOODERS: usize = 96;
/// How long a client that was turned away waits; less than it was told to.
const TURNED_AWAY: Duration = Duration::from_millis(250);

const WARM_UP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(1);
/// The queue is full by then.
const FLOOD_RISES: Duration = Duration::from_millis(300);
/// How often the queue is looked at.
const LOOK: Duration = Duration::from_millis(100);

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    installation.register_phone()?;
    people::sign_up(&installation, FLOODERS).await?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let clients = plan.clients(USUAL_CLIENTS);
    let mut tokens = token::load(&installation, &service, clients).await?;
    let mut flood = flooders(service.address()).await?;

    let warm_up = tokens.run(WARM_UP, &mut Latencies::new()?).await?;
    let mut quiet = Part::new(warm_up.errors)?;
    let mut flooded = Part::new(0)?;
    let (mut rounds, mut logins) = (Vec::new(), Logins::default());
    let start = Instant::now();
    while rounds.is_empty() || start.elapsed() < 3 * plan.duration {
        let without = quiet.window(&mut tokens).await?;
        let with = flooded.flooded_window(&service, &mut tokens, &mut flood, &mut logins);
        rounds.push(Round {
            ours_us: with.await?,
            yardstick_us: without,
        });
    }
    service.stop().await?;

    let p99 = Comparison::of(&rounds);
    let mut report = Report::new(SCENARIO.name);
    report.ops = flooded.total.ops;
    report.errors = quiet.total.errors + flooded.total.errors;
    report.throughput(flooded.total.wall);
    report.latencies(&flooded.latencies);
    report.figure("quiet_p50_ms", quiet.latencies.quantile_ms(0.5));
    report.figure("quiet_p99_ms", quiet.latencies.quantile_ms(0.99));
    let quiet_wall = quiet.total.wall.as_secs_f64();
    report.figure("quiet_ops_per_second", real(quiet.total.ops) / quiet_wall);
    logins.report(&mut report);
    report.figure("p99_ratio", p99.ratio);
    report.bar("p99_ratio", p99.ratio, Limit::AtMost(MOST_RATIO));
    Ok(report)
}

/// The windows of one kind.
struct Part {
    latencies: Latencies,
    total: Slice,
}

impl Part {
    fn new(errors: u64) -> Outcome<Self> {
        let total = Slice {
            errors,
            ..Slice::default()
        };
        Ok(Self {
            latencies: Latencies::new()?,
            total,
        })
    }

    /// Asks for tokens for a while; answers the 99th percentile of this window.
    async fn window(&mut self, tokens: &mut Load<Repeater>) -> Outcome<f64> {
        let mut latencies = Latencies::new()?;
        let slice = tokens.run(WINDOW, &mut latencies).await?;
        if slice.ops == 0 {
            return Err(Failure::new("the service has answered nothing"));
        }
        self.total.add(slice);
        self.latencies.add(&latencies)?;
        Ok(latencies.quantile_ms(0.99))
    }

    /// As [`Self::window`], in a flood; waits until that has drained.
    async fn flooded_window(
        &mut self,
        service: &Service,
        tokens: &mut Load<Repeater>,
        flood: &mut Load<Flooder>,
        logins: &mut Logins,
    ) -> Outcome<f64> {
        let mut of_logins = Latencies::new()?;
        let flood = flood.run(FLOOD_RISES + WINDOW, &mut of_logins);
        let looks = async {
            tokio::time::sleep(FLOOD_RISES).await;
            logins.watch(service).await
        };
        let window = async {
            tokio::time::sleep(FLOOD_RISES).await;
            self.window(tokens).await
        };
        let (flooded, p99, looked) = futures_util::future::join3(flood, window, looks).await;
        looked?;
        self.total.errors += flooded?.errors;
        p99
    }
}

/// What became of the logins, as the service counts them.
#[derive(Default)]
struct Logins {
    /// The password was checked.
    checked: f64,
    /// 503: too many were waiting.
    turned_away: f64,
    wall: Duration,
    depths: f64,
    looks: u64,
}

impl Logins {
    /// Looks at the counts for the length of a window.
    async fn watch(&mut self, service: &Service) -> Outcome<()> {
        let start = Instant::now();
        let before = service.counters().await?;
        let mut last: Option<Counters> = None;
        while start.elapsed() < WINDOW {
            tokio::time::sleep(LOOK).await;
            let now = service.counters().await?;
            self.depths += now.sum("tokensmith_password_queue", "");
            self.looks += 1;
            last = Some(now);
        }
        if let Some(last) = last {
            let growth = |outcome| last.growth(&before, "tokensmith_logins_total", outcome);
            let turned_away = growth("\"busy\"");
            self.turned_away += turned_away;
            self.checked += growth("") - turned_away;
            self.wall += start.elapsed();
        }
        Ok(())
    }

    fn report(&self, report: &mut Report) {
        report.figure("logins_per_second", self.checked / self.wall.as_secs_f64());
        let share = self.turned_away / (self.checked + self.turned_away);
        report.figure("logins_turned_away_share", share);
        report.figure("password_queue_mean", self.depths / real(self.looks));
    }
}

/// Logs one person in, in turns with a wrong and with the right password, so that the account is
/// never held up and a hash is computed each time.
struct Flooder {
    connection: Connection,
    right: Vec<u8>,
    wrong: Vec<u8>,
    is_right: bool,
}

async fn flooders(address: SocketAddr) -> Outcome<Load<Flooder>> {
    let mut flooders = Vec::new();
    for person in 0..FLOODERS {
        flooders.push(Flooder {
            connection: Connection::open(address).await?,
            right: people::challenge(address, person, people::PASSWORD),
            wrong: people::challenge(address, person, "a-mistyped-password"),
            is_right: person.is_multiple_of(2),
        });
    }
    Ok(Load::of(flooders))
}

impl Client for Flooder {
    async fn ask(&mut self) -> Outcome<bool> {
        let (request, expected) = if self.is_right {
            (&self.right, 200)
        } else {
            (&self.wrong, 400)
        };
        let Ok(answer) = self.connection.exchange(request).await else {
            self.connection.reopen().await?;
            return Ok(false);
        };
        if answer.status == 503 {
            tokio::time::sleep(TURNED_AWAY).await;
            return Ok(true);
        }
        self.is_right = !self.is_right;
        Ok(answer.status == expected)
    }
}
