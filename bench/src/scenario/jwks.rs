//! `GET /.well-known/jwks.json`, in full and with a matching `If-None-Match`.

use super::{Plan, Scenario, USUAL_CLIENTS, under_load};
use crate::failure::{Failure, Outcome};
use crate::http::{self, Connection, Errand, Load};
use crate::report::{Limit, Report};
use crate::service::Service;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "jwks",
    about: "CPU time of the service for one JWKS, in full and not modified",
    run: |plan| Box::pin(run(plan)),
};

/// Where the key set is.
pub(super) const PATH: &str = "/.well-known/jwks.json";

/// CPU time of the service for one request.
const MOST_CPU_US: f64 = 8.0;

/// About as long as what the service signs; the yardstick is only for comparing machines here.
const MESSAGE: [u8; 512] = [b'a'; 512];

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let etag = entity_tag(&service).await?;
    let each = plan.duration / 2;

    let errand = Errand {
        request: http::get(service.address(), PATH, &[]),
        status: 200,
        is_right: has_keys,
    };
    let mut load = Load::connect(service.address(), plan.clients(USUAL_CLIENTS), errand).await?;
    let full = under_load::measure(&service, &mut load, &MESSAGE, each).await?;
    drop(load);

    let errand = Errand {
        request: http::get(service.address(), PATH, &[("if-none-match", &etag)]),
        status: 304,
        is_right: <[u8]>::is_empty,
    };
    let mut load = Load::connect(service.address(), plan.clients(USUAL_CLIENTS), errand).await?;
    let not_modified = under_load::measure(&service, &mut load, &MESSAGE, each).await?;
    drop(load);
    service.stop().await?;

    let mut report = full.report(SCENARIO.name);
    let second = not_modified.report(SCENARIO.name);
    report.errors += second.errors;
    let cpu_us = not_modified.comparison.ours_us;
    report.figure("not_modified_cpu_us_per_op", cpu_us);
    if let Some(rate) = second.ops_per_second {
        report.figure("not_modified_ops_per_second", rate);
    }
    let full_cpu_us = full.comparison.ours_us;
    report.bar(
        "server_cpu_us_per_op",
        full_cpu_us,
        Limit::AtMost(MOST_CPU_US),
    );
    report.bar(
        "not_modified_cpu_us_per_op",
        cpu_us,
        Limit::AtMost(MOST_CPU_US),
    );
    Ok(report)
}

async fn entity_tag(service: &Service) -> Outcome<String> {
    let mut connection = Connection::open(service.address()).await?;
    let request = http::get(service.address(), PATH, &[]);
    let response = connection.exchange(&request).await?;
    response
        .header("etag")
        .ok_or_else(|| Failure::new("the JWKS has no ETag"))
}

fn has_keys(body: &[u8]) -> bool {
    let document: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let keys = document
        .as_ref()
        .and_then(|jwks| jwks.get("keys")?.as_array());
    keys.is_some_and(|keys| !keys.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_without_keys_is_a_wrong_answer() {
        assert!(has_keys(br#"{"keys":[{}]}"#));
        assert!(!has_keys(br#"{"keys":[]}"#));
        assert!(!has_keys(b"{}"));
        assert!(!has_keys(b""));
    }
}
