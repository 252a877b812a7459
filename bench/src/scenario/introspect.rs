//! `POST /oauth/introspect`: an API asks about the tokens that it is shown.

use super::under_load::{self, Measured};
use super::{Plan, Scenario, USUAL_CLIENTS, in_process, token};
use crate::failure::{Failure, Outcome};
use crate::http::{self, Connection, Errand, Load};
use crate::measure::{RawRsaSigner, cores, real};
use crate::people::Sessions;
use crate::report::Report;
use crate::service::Service;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "introspect",
    about: "CPU time of the service for one introspection of a JWT and of a reference, against one \
            raw RSA verification",
    run: |plan| Box::pin(run(plan)),
};

const PATH: &str = "/oauth/introspect";
/// Sessions in the database, of which the tokens are.
const SESSIONS: u32 = 10_000;

/// Names of what is said of a kind of token beside those of people that are JWTs.
struct Names {
    cpu: &'static str,
    /// Only where there is a signature to verify.
    yardstick: Option<&'static str>,
    ratio: &'static str,
    rate: &'static str,
    reads: &'static str,
}

const REFERENCES: Names = Names {
    cpu: "reference_server_cpu_us_per_op",
    yardstick: None,
    ratio: "reference_ratio",
    rate: "reference_ops_per_second",
    reads: "reference_reads_per_introspection",
};
const SERVICE_JWTS: Names = Names {
    cpu: "service_jwt_server_cpu_us_per_op",
    yardstick: Some("service_jwt_raw_rsa_verify_us"),
    ratio: "service_jwt_ratio",
    rate: "service_jwt_ops_per_second",
    reads: "service_jwt_reads_per_introspection",
};

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    let sessions = Sessions::write(&installation, SESSIONS).await?;
    let api = installation.register_api()?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let own = token::verified_token(&installation, &service).await?;
    let site = Site {
        // The yardstick verifies what the service signs.
        message: in_process::signing_input(&own)?.as_bytes().to_vec(),
        authorization: http::basic(api.credentials()),
        service,
        plan,
    };
    let clients = plan.clients(USUAL_CLIENTS);
    let jwts = jwts(&sessions, &site.service, clients).await?;
    let jwts = site.ask_about(jwts).await?;
    let references = (0..clients.into()).map(|number| sessions.reference_token(number));
    let references = site.ask_about(references.collect()).await?;
    let of_services = site.ask_about(vec![own; clients.into()]).await?;
    site.service.stop().await?;

    let mut report = Report::new(SCENARIO.name);
    let Asked { measured, reads } = jwts;
    report.ops = measured.total.ops;
    report.errors = measured.total.errors;
    report.throughput(measured.total.wall);
    report.latencies(&measured.latencies);
    report.against_raw_verifications(&measured.comparison);
    report.figure("reads_per_introspection", reads);
    references.add_to(&mut report, &REFERENCES);
    of_services.add_to(&mut report, &SERVICE_JWTS);
    Ok(report)
}

/// Access tokens of people, each of another session.
async fn jwts(sessions: &Sessions, service: &Service, count: u16) -> Outcome<Vec<String>> {
    let address = service.address();
    let mut connection = Connection::open(address).await?;
    let mut tokens = Vec::new();
    for number in 0..count.into() {
        let token = sessions.access_token(&mut connection, address, number);
        tokens.push(token.await?);
    }
    Ok(tokens)
}

/// A service that is asked.
struct Site<'p> {
    service: Service,
    authorization: String,
    message: Vec<u8>,
    plan: &'p Plan,
}

/// What it took.
struct Asked {
    measured: Measured,
    /// Sessions that were read from the database for one answer.
    reads: f64,
}

impl Site<'_> {
    /// A client for each of the tokens asks about it again and again.
    async fn ask_about(&self, tokens: Vec<String>) -> Outcome<Asked> {
        let address = self.service.address();
        let headers = [("authorization", self.authorization.as_str())];
        let errands = tokens.iter().map(|token| Errand {
            request: http::post_form(address, PATH, &headers, &format!("token={token}")),
            status: 200,
            is_right: is_active,
        });
        let mut load = Load::connect_each(address, errands).await?;
        let verifier = RawRsaSigner::new()?.verifier(&self.message)?;
        let cores = cores()?;
        let yardstick = |slice| Ok(verifier.verify_on(cores, slice)?.cpu_us());
        let duration = self.plan.duration / 2;
        // Reads and answers are compared over the same requests, those of the warming up included.
        let before = self.service.counters().await?;
        let measured = under_load::against(yardstick, &self.service, &mut load, duration).await?;
        let after = self.service.counters().await?;
        let growth = |name, label| after.growth(&before, name, label);
        let answers = growth("tokensmith_http_requests_total", "/oauth/introspect");
        if answers < real(measured.total.ops) {
            return Err(Failure::new(
                "the service does not count its introspections",
            ));
        }
        let reads = growth("tokensmith_store_operations_total", "\"find_session\"") / answers;
        Ok(Asked { measured, reads })
    }
}

impl Asked {
    fn add_to(&self, report: &mut Report, names: &Names) {
        report.errors += self.measured.total.errors;
        report.figure(names.cpu, self.measured.comparison.ours_us);
        if let Some(yardstick) = names.yardstick {
            report.figure(yardstick, self.measured.comparison.yardstick_us);
        }
        report.figure(names.ratio, self.measured.comparison.ratio);
        report.figure(names.rate, self.measured.rate());
        report.figure(names.reads, self.reads);
    }
}

fn is_active(body: &[u8]) -> bool {
    body.starts_with(br#"{"active":true"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_not_active_is_a_wrong_answer() {
        assert!(is_active(br#"{"active":true,"sub":"x"}"#));
        assert!(!is_active(br#"{"active":false}"#));
        assert!(!is_active(b""));
    }
}
