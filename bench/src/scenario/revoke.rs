//! From the answer to a logout until verifiers elsewhere reject the tokens of the session.

use std::time::{Duration, Instant};

use super::{Plan, Scenario};
use crate::failure::{Failure, Outcome};
use crate::http::Connection;
use crate::measure::{Latencies, Monotonic, TaskTimes, real, resident_mib};
use crate::people::{Random, Sessions};
use crate::readers::{self, Fleet, Verifiers};
use crate::report::{Limit, Report};
use crate::service::{Installation, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "revoke",
    about: "time from the answer to a logout until verifiers in other processes reject the token",
    run: |plan| Box::pin(run(plan)),
};

const MOST_P50_MS: f64 = 60.0;
const MOST_P99_MS: f64 = 250.0;
/// With idle streams beside the verifiers.
const MOST_P99_MS_WITH_STREAMS: f64 = 1_000.0;
const MOST_KIB_PER_STREAM: f64 = 16.0;

const FEWEST_LOGOUTS: u32 = 120;
/// Logouts come at any time: not in step with heartbeats, nor with each other.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const PAUSE_SPREAD_US: u32 = 200_000;

/// As many as there can be logouts.
const SESSIONS: u32 = 20_000;

/// What opening connections has stirred up is over by then.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the CPU time of idle streams is counted.
const IDLE_FOR: Duration = Duration::from_secs(6);

async fn run(plan: &Plan) -> Outcome<Report> {
    let mut installation = plan.install()?;
    if let Some(streams) = plan.streams {
        make_room(&mut installation, streams + plan.verifiers)?;
    }
    let sessions = Sessions::write(&installation, SESSIONS).await?;
    let site = Site::start(&installation).await?;
    let mut fleet = Fleet::launch(plan.processes).await?;
    let whose = Verifiers {
        issuer: installation.issuer(),
        revocation_from: site.revocation_from(),
    };
    fleet.verify(&whose, plan.verifiers).await?;
    let mut report = Report::new(SCENARIO.name);
    let mut idle = None;
    if let Some(streams) = plan.streams {
        let mut holders = Fleet::launch(plan.processes).await?;
        with_streams(&mut report, &site, &mut holders, streams).await?;
        idle = Some((holders, streams));
    }

    let measured = log_out(plan, &site, &sessions, &mut fleet).await?;
    measured.report(&mut report);
    let p99_ms = measured.each.quantile_ms(0.99);
    if let Some((mut holders, streams)) = idle {
        let open = holders.open_streams().await?;
        report.errors += u64::from(streams.saturating_sub(open));
        report.bar("p99_ms", p99_ms, Limit::AtMost(MOST_P99_MS_WITH_STREAMS));
    } else {
        let p50_ms = measured.each.quantile_ms(0.5);
        report.bar("p50_ms", p50_ms, Limit::AtMost(MOST_P50_MS));
        report.bar("p99_ms", p99_ms, Limit::AtMost(MOST_P99_MS));
    }
    report.figure("verifiers", f64::from(plan.verifiers));
    report.figure("processes", f64::from(plan.processes));
    drop(fleet);
    site.stop().await?;
    Ok(report)
}

/// Allows as many streams as there will be.
fn make_room(installation: &mut Installation, streams: u32) -> Outcome<()> {
    /// For all that is no stream.
    const SPARE: u32 = 200;
    let places = streams + SPARE;
    // The service keeps a quarter of its connections for tokens; the rest is for everything else.
    let needed = u64::from(places) * 4 / 3 + u64::from(SPARE);
    let descriptors = readers::file_descriptors();
    if descriptors < needed {
        return Err(Failure::new(format!(
            "{streams} streams take {needed} file descriptors, and {descriptors} are allowed: \
             raise the hard limit (ulimit -Hn)"
        )));
    }
    installation.set("TOKENSMITH_REVOCATION_MAX_STREAMS", places.to_string());
    Ok(())
}

/// The services of an installation: on PostgreSQL two replicas, of which one is logged out at, and
/// verifiers follow the other.
struct Site {
    first: Service,
    second: Option<Service>,
}

impl Site {
    async fn start(installation: &Installation) -> Outcome<Self> {
        let mut first = installation.launch()?;
        first.ready().await?;
        let mut second = None;
        if installation.database_url().is_some() {
            let mut replica = installation.launch_replica()?;
            replica.ready().await?;
            second = Some(replica);
        }
        Ok(Self { first, second })
    }

    /// The one that verifiers follow.
    fn followed(&self) -> &Service {
        self.second.as_ref().unwrap_or(&self.first)
    }

    /// Where they follow it, unless that is behind the issuer's address.
    fn revocation_from(&self) -> Option<String> {
        let replica = self.second.as_ref()?;
        Some(format!("http://{}", replica.address()))
    }

    async fn stop(self) -> Outcome<()> {
        if let Some(second) = self.second {
            second.stop().await?;
        }
        self.first.stop().await
    }
}

/// Opens idle streams, and reports what they cost while nothing happens.
async fn with_streams(
    report: &mut Report,
    site: &Site,
    holders: &mut Fleet,
    streams: u32,
) -> Outcome<()> {
    let followed = site.followed();
    tokio::time::sleep(SETTLE).await;
    let (without, _) = resident_mib(followed.pid())?;
    holders.hold(followed.address(), streams).await?;
    tokio::time::sleep(SETTLE).await;
    let before = (TaskTimes::of_process(followed.pid())?, Instant::now());
    tokio::time::sleep(IDLE_FOR).await;
    let used = TaskTimes::of_process(followed.pid())?.since(&before.0);
    let wall = before.1.elapsed();
    let (with, _) = resident_mib(followed.pid())?;

    let kib_per_stream = (with - without) * 1_024.0 / f64::from(streams);
    report.figure("streams", f64::from(streams));
    report.figure("without_streams_rss_mib", without);
    report.figure("with_streams_rss_mib", with);
    report.figure("kib_per_stream", kib_per_stream);
    report.figure("idle_cpu_cores", used.as_secs_f64() / wall.as_secs_f64());
    let most = Limit::AtMost(MOST_KIB_PER_STREAM);
    report.bar("kib_per_stream", kib_per_stream, most);
    Ok(())
}

/// What many logouts have shown.
struct Measured {
    logouts: u64,
    /// Of each logout and verifier, from the answer to the rejection.
    each: Latencies,
    /// Of each logout, until the last verifier rejects.
    last: Latencies,
    /// Of each logout, from the request to the answer.
    answers: Latencies,
    /// How many rejections came before the answer.
    early: u64,
}

async fn log_out(
    plan: &Plan,
    site: &Site,
    sessions: &Sessions,
    fleet: &mut Fleet,
) -> Outcome<Measured> {
    let address = site.first.address();
    let mut connection = Connection::open(address).await?;
    let mut measured = Measured::nothing()?;
    let mut random = Random::new("pause", 0);
    let start = Instant::now();
    for number in 0..sessions.count() {
        if number >= FEWEST_LOGOUTS && start.elapsed() > plan.duration {
            break;
        }
        let token = sessions
            .access_token(&mut connection, address, number)
            .await?;
        fleet.watch(&token).await?;
        let pause = Duration::from_micros(random.below(PAUSE_SPREAD_US).into());
        tokio::time::sleep(SHORTEST_PAUSE + pause).await;
        let request = sessions.logout(address, number);
        let asked = Monotonic::now();
        let status = connection.exchange(&request).await?.status;
        let answered = Monotonic::now();
        if status != 200 {
            return Err(Failure::new(format!("logging out: status {status}")));
        }
        let rejections = fleet.rejections().await?;
        measured.add(asked, answered, &rejections);
    }
    Ok(measured)
}

impl Measured {
    fn nothing() -> Outcome<Self> {
        Ok(Self {
            logouts: 0,
            each: Latencies::new()?,
            last: Latencies::new()?,
            answers: Latencies::new()?,
            early: 0,
        })
    }

    fn add(&mut self, asked: Monotonic, answered: Monotonic, rejections: &[Monotonic]) {
        self.logouts += 1;
        self.answers.record(answered.since(asked));
        for rejected in rejections {
            self.early += u64::from(*rejected < answered);
            self.each.record(rejected.since(answered));
        }
        if let Some(last) = rejections.iter().max() {
            self.last.record(last.since(answered));
        }
    }

    fn report(&self, report: &mut Report) {
        report.ops = self.each.count();
        report.latencies(&self.each);
        report.figure("max_ms", self.each.longest_ms());
        report.figure("last_p50_ms", self.last.quantile_ms(0.5));
        report.figure("last_p99_ms", self.last.quantile_ms(0.99));
        report.figure("last_max_ms", self.last.longest_ms());
        report.figure("logouts", real(self.logouts));
        report.figure("logout_p50_ms", self.answers.quantile_ms(0.5));
        report.figure("logout_p99_ms", self.answers.quantile_ms(0.99));
        let early = real(self.early) / real(self.each.count());
        report.figure("before_the_answer_share", early);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_before_the_answer_took_no_time_and_the_last_one_counts() {
        let asked = Monotonic::now();
        std::thread::sleep(Duration::from_millis(1));
        let answered = Monotonic::now();
        std::thread::sleep(Duration::from_millis(1));
        let late = Monotonic::now();
        let mut measured = Measured::nothing().unwrap();
        measured.add(asked, answered, &[asked, late]);
        assert_eq!((measured.logouts, measured.early), (1, 1));
        assert!(measured.each.quantile_ms(0.5) < 0.001);
        assert!(measured.last.quantile_ms(0.5) >= 0.999);
        assert!(measured.answers.quantile_ms(0.5) >= 0.999);
    }
}
