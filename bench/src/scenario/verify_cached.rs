//! What the check for revocation costs, and what a token costs that was seen before.

use tokensmith_verify::{Discovery, Freshness, Verifier, VerifierBuilder};

use super::follower::Follower;
use super::{Plan, Scenario};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::Connection;
use crate::measure::{Comparison, alternate, real};
use crate::people::Sessions;
use crate::report::{Limit, Report};
use crate::service::{AUDIENCE, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "verify-cached",
    about: "CPU time of the check for revocation, and of verifying a token that was seen before",
    run: |plan| Box::pin(run(plan)),
};

/// The check for revocation.
const MOST_CHECK_NS: f64 = 50.0;
/// A token that was seen before, with the check.
const MOST_CACHED_NS: f64 = 1_000.0;

/// Each with a bit of its own.
const TOKENS: u32 = 64;
/// More than there are.
const CACHE: usize = 10_000;
/// The fewest that can be made up.
const SESSIONS: u32 = 1_000;

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    let sessions = Sessions::write(&installation, SESSIONS).await?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let tokens = tokens(&sessions, &service).await?;
    let discover = || Verifier::discover(installation.issuer()).audience(AUDIENCE);
    let plain = Follower::connect(discover()).await?;
    let plain_cached = Follower::connect(discover().token_cache(CACHE)).await?;
    let checking = Follower::connect(revocable(discover())).await?;
    let checking_cached = Follower::connect(revocable(discover()).token_cache(CACHE)).await?;
    for follower in [&checking, &checking_cached] {
        if follower.stats()?.revoked == 0 {
            return Err(Failure::new("the list without a bit is not the usual one"));
        }
    }

    let half = plan.duration / 2;
    let all = |follower| each(follower, &tokens);
    let (rounds, _) = alternate(half, all(&plain), all(&checking))?;
    let whole = Comparison::of(&rounds);
    let (rounds, latencies) = alternate(half, all(&plain_cached), all(&checking_cached))?;
    let cached = Comparison::of(&rounds);
    service.stop().await?;

    let tokens = f64::from(TOKENS);
    let ns = |us_of_all: f64| us_of_all * 1e3 / tokens;
    let mut report = Report::new(SCENARIO.name);
    report.ops = latencies.count() * u64::from(TOKENS);
    report.ops_per_second = Some((tokens * 1e3 / latencies.mean_ms()).round());
    report.figure("tokens", real(TOKENS.into()));
    report.figure("verify_without_check_ns", ns(whole.yardstick_us));
    report.figure("verify_ns", ns(whole.ours_us));
    report.figure("verify_difference_ns", ns(whole.difference_us));
    report.figure("cached_without_check_ns", ns(cached.yardstick_us));
    report.figure("cached_ns", ns(cached.ours_us));
    report.figure("check_ns", ns(cached.difference_us));
    let (check_ns, cached_ns) = (ns(cached.difference_us), ns(cached.ours_us));
    report.bar("check_ns", check_ns, Limit::AtMost(MOST_CHECK_NS));
    report.bar("cached_ns", cached_ns, Limit::AtMost(MOST_CACHED_NS));
    Ok(report)
}

/// Follows revocations, and looks at how fresh they are.
fn revocable(builder: VerifierBuilder<Discovery>) -> VerifierBuilder<Discovery> {
    builder.revocation(Freshness::default())
}

/// Good tokens of sessions of which another one has ended: a list without any bit is no list to look
/// at.
async fn tokens(sessions: &Sessions, service: &Service) -> Outcome<Vec<String>> {
    let address = service.address();
    let mut connection = Connection::open(address).await?;
    let mut tokens = Vec::new();
    for number in 0..TOKENS {
        let token = sessions.access_token(&mut connection, address, number);
        tokens.push(token.await?);
    }
    let logout = sessions.logout(address, TOKENS);
    match connection.exchange(&logout).await?.status {
        200 => Ok(tokens),
        status => Err(Failure::new(format!("logging out: status {status}"))),
    }
}

/// Verifies all tokens once: one by one, reading the clocks would cost more than a cached token.
fn each(follower: &Follower, tokens: &[String]) -> impl FnMut() -> Outcome<()> {
    move || {
        for token in tokens {
            let claims = follower.verifier().verify(token).doing("verifying")?;
            drop(std::hint::black_box(claims));
        }
        Ok(())
    }
}
