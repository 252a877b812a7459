//! Logouts at a steady rate, whatever the service does, while a verifier follows.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokensmith_verify::revocation::Position;
use tokensmith_verify::{Freshness, Verifier};
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

use super::follower::Follower;
use super::{Plan, Scenario};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::Connection;
use crate::measure::{Latencies, TaskTimes, real};
use crate::people::Sessions;
use crate::report::{Limit, Report};
use crate::service::{AUDIENCE, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "revoke-rate",
    about: "logouts at a steady rate: whether it is kept, and whether a verifier keeps up",
    run: |plan| Box::pin(run(plan)),
};

/// Logouts under way at the most. With more the rate is not kept, and shows that.
const CONNECTIONS: u16 = 128;
const FEWEST_OF_RATE: f64 = 0.99;
/// The median in the last second over that in the first.
const MOST_GROWTH_MS: f64 = 10.0;
/// A heartbeat has come by then.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(20);
const SEEN_WITHIN: Duration = Duration::from_secs(30);

async fn run(plan: &Plan) -> Outcome<Report> {
    let schedule = Schedule::of(plan);
    let installation = plan.install()?;
    let sessions = Sessions::write(&installation, schedule.count).await?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let verifier = Verifier::discover(installation.issuer())
        .audience(AUDIENCE)
        .revocation(Freshness::default());
    let follower = Follower::connect(verifier).await?;
    let clients = plan.clients(CONNECTIONS);
    let before = TaskTimes::of_process(service.pid())?;
    let run = schedule
        .run(&service, &sessions, &follower, clients)
        .await?;
    let used = TaskTimes::of_process(service.pid())?.since(&before);

    let mut report = Report::new(SCENARIO.name);
    report.ops = schedule.count.into();
    report.errors = run.errors;
    report.throughput(run.wall);
    let per_op = used.as_secs_f64() * 1e6 / f64::from(schedule.count);
    report.server_cpu(per_op);
    let rate = real(report.ops) / run.wall.as_secs_f64();
    let kept = rate / f64::from(plan.rate);
    report.figure("rate", f64::from(plan.rate));
    report.figure("share_of_rate", kept);
    report.bar("share_of_rate", kept, Limit::AtLeast(FEWEST_OF_RATE));
    delays(&mut report, &schedule, run.logouts).await?;
    completeness(&mut report, &schedule, &follower, run.end).await?;
    drop(follower);
    service.stop().await?;
    Ok(report)
}

/// When which session is logged out.
struct Schedule {
    count: u32,
    /// How many in a second.
    rate: u32,
}

/// What came of it.
struct Run {
    logouts: Vec<Logout>,
    errors: u64,
    wall: Duration,
    /// The latest position that an answer named.
    end: Position,
}

struct Logout {
    number: u32,
    /// From when it was due.
    took: Duration,
    answered: Instant,
    seen: JoinHandle<Instant>,
}

impl Schedule {
    fn of(plan: &Plan) -> Self {
        let seconds = u32::try_from(plan.duration.as_secs()).unwrap_or(u32::MAX);
        Self {
            count: plan.rate.saturating_mul(seconds.max(1)),
            rate: plan.rate,
        }
    }

    /// Of the whole, counted from its beginning.
    fn due(&self, number: u32) -> Duration {
        Duration::from_secs(number.into()) / self.rate
    }

    fn is_in_first_second(&self, number: u32) -> bool {
        number < self.rate
    }

    fn is_in_last_second(&self, number: u32) -> bool {
        number >= self.count.saturating_sub(self.rate)
    }

    async fn run(
        &self,
        service: &Service,
        sessions: &Sessions,
        follower: &Follower,
        clients: u16,
    ) -> Outcome<Run> {
        let address = service.address();
        let connections = try_join_all((0..clients).map(|_| Connection::open(address))).await?;
        let start = tokio::time::Instant::now();
        let queue = Queue {
            schedule: self,
            sessions,
            follower,
            start,
            next: Cell::new(0),
            errors: Cell::new(0),
            logouts: RefCell::default(),
            end: Cell::default(),
        };
        let work = connections.into_iter();
        let work = work.map(|connection| queue.work_off(address, connection));
        join_all(work).await.into_iter().collect::<Outcome<()>>()?;
        Ok(Run {
            wall: start.elapsed(),
            logouts: queue.logouts.into_inner(),
            errors: queue.errors.get(),
            end: queue.end.get(),
        })
    }
}

/// What is still to be done, and what came of what is done. All connections take turns on one thread.
struct Queue<'a> {
    schedule: &'a Schedule,
    sessions: &'a Sessions,
    follower: &'a Follower,
    start: tokio::time::Instant,
    next: Cell<u32>,
    errors: Cell<u64>,
    logouts: RefCell<Vec<Logout>>,
    end: Cell<Position>,
}

impl Queue<'_> {
    /// Whoever is free takes the next: as long as somebody is, it starts when it is due.
    async fn work_off(&self, address: SocketAddr, mut connection: Connection) -> Outcome<()> {
        loop {
            let number = self.next.get();
            if number >= self.schedule.count {
                return Ok(());
            }
            self.next.set(number + 1);
            let due = self.start + self.schedule.due(number);
            sleep_until(due).await;
            let request = self.sessions.logout(address, number);
            let answer = connection.exchange(&request).await?;
            let answered = Instant::now();
            let position = answer.header("revocation-seq");
            let position = position.and_then(|text| text.parse::<Position>().ok());
            let Some(position) = position.filter(|_| answer.status == 200) else {
                self.errors.set(self.errors.get() + 1);
                continue;
            };
            self.end.set(self.end.get().max(position));
            self.logouts.borrow_mut().push(Logout {
                number,
                took: answered.saturating_duration_since(due.into_std()),
                answered,
                seen: self.follower.seen(position)?,
            });
        }
    }
}

/// How long logouts took, and from the answer until the verifier knew.
async fn delays(report: &mut Report, schedule: &Schedule, logouts: Vec<Logout>) -> Outcome<()> {
    let mut took = Latencies::new()?;
    let (mut all, mut first, mut last) = (Latencies::new()?, Latencies::new()?, Latencies::new()?);
    for logout in logouts {
        took.record(logout.took);
        let seen = timeout(SEEN_WITHIN, logout.seen).await;
        let seen = seen.map_err(|_| Failure::new("the verifier does not keep up"))?;
        let seen = seen.doing("waiting for the verifier")?;
        let delay = seen.saturating_duration_since(logout.answered);
        all.record(delay);
        if schedule.is_in_first_second(logout.number) {
            first.record(delay);
        }
        if schedule.is_in_last_second(logout.number) {
            last.record(delay);
        }
    }
    report.latencies(&took);
    report.figure("seen_p50_ms", all.quantile_ms(0.5));
    report.figure("seen_p99_ms", all.quantile_ms(0.99));
    report.figure("seen_max_ms", all.longest_ms());
    report.figure("first_second_seen_p50_ms", first.quantile_ms(0.5));
    report.figure("first_second_seen_p99_ms", first.quantile_ms(0.99));
    report.figure("last_second_seen_p50_ms", last.quantile_ms(0.5));
    report.figure("last_second_seen_p99_ms", last.quantile_ms(0.99));
    let growth = last.quantile_ms(0.5) - first.quantile_ms(0.5);
    report.bar("seen_growth_ms", growth, Limit::AtMost(MOST_GROWTH_MS));
    Ok(())
}

/// Whether the verifier has seen every number: a gap would make it take a new snapshot, and a signed
/// heartbeat confirms the hash over all that it has seen.
async fn completeness(
    report: &mut Report,
    schedule: &Schedule,
    follower: &Follower,
    end: Position,
) -> Outcome<()> {
    let start = Instant::now();
    let mut stats = follower.stats()?;
    while stats.confirmed < end && start.elapsed() < CONFIRMED_WITHIN {
        sleep(POLL).await;
        stats = follower.stats()?;
    }
    let is_confirmed = stats.confirmed >= end;
    let missing = u64::from(schedule.count).abs_diff(stats.revoked);
    report.errors += u64::from(!is_confirmed) + missing;
    report.figure("events", real(end.seq));
    let gaps = real(stats.resyncs + stats.reconnects);
    report.bar("gaps", gaps, Limit::AtMost(0.0));
    report.figure("gaps", gaps);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_even_and_has_a_first_and_a_last_second() {
        let schedule = Schedule {
            count: 3_000,
            rate: 1_000,
        };
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1), Duration::from_millis(1));
        assert_eq!(schedule.due(2_500), Duration::from_millis(2_500));
        let count = |is: fn(&Schedule, u32) -> bool| {
            (0..3_000).filter(|number| is(&schedule, *number)).count()
        };
        assert_eq!(count(Schedule::is_in_first_second), 1_000);
        assert_eq!(count(Schedule::is_in_last_second), 1_000);
        assert!(schedule.is_in_first_second(999) && !schedule.is_in_first_second(1_000));
        assert!(schedule.is_in_last_second(2_000) && !schedule.is_in_last_second(1_999));
    }
}
