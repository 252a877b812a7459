//! `POST /oauth/token` with client credentials, over HTTP.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tokensmith_verify::{KeySet, Verifier};

use super::in_process::signing_input;
use super::under_load::{self, Side, Turns};
use super::{Plan, Scenario, USUAL_CLIENTS};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::{self, Arrivals, Connection, Errand, Load, Repeater, Slice};
use crate::measure::{Comparison, Latencies, OwnCore, RawRsaSigner, Round, launch_apart, real};
use crate::report::{Limit, Report};
use crate::service::{AUDIENCE, Installation, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "token",
    about: "CPU time of the service for one token over HTTP, against one raw RSA signature; its \
            latency at half the capacity, and what it costs when 512 ask",
    run: |plan| Box::pin(run(plan)),
};

/// The token endpoint (RFC 6749 §3.2).
pub(super) const PATH: &str = "/oauth/token";

/// CPU time of the service for one token over that of one raw signature.
const MOST_RATIO: f64 = 1.10;

/// How much of what the closed loop attains arrives in the open loop.
const SHARE_OF_CAPACITY: f64 = 0.5;
/// Requests under way at the most in the open loop; more than the service ever needs at that rate.
const OPEN_LOOP_CLIENTS: u16 = 128;
/// 99th percentile of the latency over the median, at that rate; the median over windows.
const MOST_P99_TO_P50: f64 = 5.0;
const WINDOW: Duration = Duration::from_millis(500);

/// So much of that rate is kept, or the latencies are those of a queue that grows.
const FEWEST_OF_RATE: f64 = 0.98;

/// Connections on both sides of the comparison.
const CROWD: u16 = 512;
const FEW: u16 = 8;
/// CPU time of the service for one token, with the crowd over that with few.
const MOST_CROWD_RATIO: f64 = 1.05;
const TURN: Duration = Duration::from_millis(500);
const WARM_UP: Duration = Duration::from_secs(1);

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let token = verified_token(&installation, &service).await?;
    // The yardstick signs what the service signs.
    let message = signing_input(&token)?.as_bytes();
    let mut load = load(&installation, &service, plan.clients(USUAL_CLIENTS)).await?;
    let measured = under_load::measure(&service, &mut load, message, plan.duration).await?;
    drop(load);
    let mut report = measured.report(SCENARIO.name);
    let ratio = measured.comparison.ratio;
    report.bar("ratio", ratio, Limit::AtMost(MOST_RATIO));
    crowd(&mut report, plan, &installation, &service).await?;
    // Also what comes out after the load is good.
    verified_token(&installation, &service).await?;
    service.stop().await?;
    latency(&mut report, plan, &installation, message).await?;
    Ok(report)
}

/// The latency at a rate that does not depend on the answers, from a core that the service does not use. In
/// turns with raw signatures on the service's cores that are due at the same instants: where the host takes a
/// core away for a while, both wait.
async fn latency(
    report: &mut Report,
    plan: &Plan,
    installation: &Installation,
    message: &[u8],
) -> Outcome<()> {
    let own_core = OwnCore::take()?;
    let service = launch_apart(installation, own_core.as_ref()).await?;
    let mut load = load(installation, &service, OPEN_LOOP_CLIENTS).await?;
    let warm_up = load.run(WARM_UP, &mut Latencies::new()?).await?;
    let full = load.run(WARM_UP, &mut Latencies::new()?).await?;
    let capacity = real(full.ops) / full.wall.as_secs_f64();
    let arrivals = Arrivals::at_rate(capacity * SHARE_OF_CAPACITY, WINDOW);
    let signer = RawRsaSigner::new()?;
    let sign = || signer.sign_at(message, arrivals.instants());

    let (mut ours, mut raw, mut windows) = (Latencies::new()?, Latencies::new()?, Vec::new());
    let (mut total, start) = (Slice::default(), Instant::now());
    while windows.is_empty() || start.elapsed() < 2 * plan.duration {
        let mut window = Latencies::new()?;
        total.add(load.run_open(arrivals, &mut window).await?);
        let raw_window = match &own_core {
            Some(own_core) => own_core.on_the_others(sign)?,
            None => sign()?,
        };
        windows.push(Round {
            ours_us: spread(&window),
            yardstick_us: spread(&raw_window),
        });
        ours.add(&window)?;
        raw.add(&raw_window)?;
    }
    let spreads = Comparison::of(&windows);
    report.errors += warm_up.errors + full.errors + total.errors;
    let rate = real(total.ops) / total.wall.as_secs_f64();
    let kept = rate / arrivals.rate();
    if let Some(own_core) = &own_core {
        report.figure("open_loop_cores_of_service", own_core.of_service().into());
    }
    report.figure("open_loop_capacity", capacity);
    report.figure("open_loop_rate", rate);
    report.figure("open_loop_share_of_rate", kept);
    report.figure("open_loop_p50_ms", ours.quantile_ms(0.5));
    report.figure("open_loop_p99_ms", ours.quantile_ms(0.99));
    report.figure("raw_open_loop_p50_ms", raw.quantile_ms(0.5));
    report.figure("raw_open_loop_p99_ms", raw.quantile_ms(0.99));
    report.figure("p99_to_p50", spreads.ours_us);
    report.figure("raw_p99_to_p50", spreads.yardstick_us);
    report.bar(
        "p99_to_p50",
        spreads.ours_us,
        Limit::AtMost(MOST_P99_TO_P50),
    );
    // Where everybody waits, nobody waits longer than others: that must not look good.
    let fewest = Limit::AtLeast(FEWEST_OF_RATE);
    report.bar("open_loop_share_of_rate", kept, fewest);
    service.stop().await
}

/// 99th percentile over the median.
fn spread(latencies: &Latencies) -> f64 {
    latencies.quantile_ms(0.99) / latencies.quantile_ms(0.5)
}

/// What a token costs the service when many ask, in turns with few.
async fn crowd(
    report: &mut Report,
    plan: &Plan,
    installation: &Installation,
    service: &Service,
) -> Outcome<()> {
    let crowd = load(installation, service, CROWD).await?;
    let mut crowd = Side::warmed_up(crowd, WARM_UP).await?;
    let few = load(installation, service, FEW).await?;
    let mut few = Side::warmed_up(few, WARM_UP).await?;
    let mut turns = Turns::default();
    let start = Instant::now();
    let mut before = few.turn(service, TURN).await?;
    while turns.is_empty() || start.elapsed() < plan.duration {
        let ours = crowd.turn(service, TURN).await?;
        let after = few.turn(service, TURN).await?;
        turns.add(&before, &ours, &after);
        before = after;
    }
    let (rates, times) = turns.compare();
    report.errors += crowd.total.errors + few.total.errors;
    report.figure("cpu_ratio_512_to_8", times.ratio);
    report.figure("throughput_ratio_512_to_8", rates.ratio);
    let most = Limit::AtMost(MOST_CROWD_RATIO);
    report.bar("cpu_ratio_512_to_8", times.ratio, most);
    Ok(())
}

/// Clients that ask for tokens.
pub(super) async fn load(
    installation: &Installation,
    service: &Service,
    clients: u16,
) -> Outcome<Load<Repeater>> {
    let errand = Errand {
        request: request(installation, service),
        status: 200,
        is_right: |body| parse(body).is_some(),
    };
    Load::connect(service.address(), clients, errand).await
}

fn request(installation: &Installation, service: &Service) -> Vec<u8> {
    http::post_form(
        service.address(),
        PATH,
        &[("authorization", &http::basic(installation.credentials()))],
        "grant_type=client_credentials",
    )
}

/// A token that passes the verifier with the keys that the service publishes.
pub(super) async fn verified_token(
    installation: &Installation,
    service: &Service,
) -> Outcome<String> {
    let mut connection = Connection::open(service.address()).await?;
    let answer = connection.exchange(&request(installation, service)).await?;
    let token = parse(answer.body)
        .ok_or_else(|| Failure::new(format!("no token, but status {}", answer.status)))?;
    verify(&token, installation, service).await?;
    Ok(token)
}

/// Fails unless a token passes the verifier with the keys that the service publishes.
pub(super) async fn verify(
    token: &str,
    installation: &Installation,
    service: &Service,
) -> Outcome<()> {
    let mut connection = Connection::open(service.address()).await?;
    let jwks = http::get(service.address(), super::jwks::PATH, &[]);
    let jwks = connection.exchange(&jwks).await?;
    let jwks = std::str::from_utf8(jwks.body).doing("reading the JWKS")?;
    let keys = KeySet::from_json(jwks).doing("reading the JWKS")?;
    Verifier::with_keys(installation.issuer(), keys)
        .audience(AUDIENCE)
        .build()
        .doing("reading the JWKS")?
        .verify(token)
        .doing("verifying a token")?;
    Ok(())
}

/// The token of a successful answer (RFC 6749 §5.1) in the form of a JWS.
pub(super) fn parse(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        token_type: String,
        expires_in: u64,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let is_jws = answer.access_token.split('.').count() == 3;
    let is_bearer = answer.token_type.eq_ignore_ascii_case("bearer");
    (is_jws && is_bearer && answer.expires_in > 0).then_some(answer.access_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_successful_answer_looks_right() {
        let good = br#"{"access_token":"a.b.c","token_type":"Bearer","expires_in":300}"#;
        assert_eq!(parse(good).as_deref(), Some("a.b.c"));
        for bad in [
            &b""[..],
            br#"{"error":"invalid_client"}"#,
            br#"{"access_token":"a.b","token_type":"Bearer","expires_in":300}"#,
            br#"{"access_token":"a.b.c","token_type":"N_A","expires_in":300}"#,
            br#"{"access_token":"a.b.c","token_type":"Bearer","expires_in":0}"#,
        ] {
            assert_eq!(parse(bad), None);
        }
    }
}
