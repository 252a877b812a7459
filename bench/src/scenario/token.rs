//! `POST /oauth/token` with client credentials, over HTTP.

use serde::Deserialize;
use tokensmith_verify::{KeySet, Verifier};

use super::in_process::signing_input;
use super::{Plan, Scenario, USUAL_CLIENTS, under_load};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::{self, Connection, Errand, Load, Repeater};
use crate::report::{Limit, Report};
use crate::service::{AUDIENCE, Installation, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "token",
    about: "CPU time of the service for one token over HTTP, against one raw RSA signature",
    run: |plan| Box::pin(run(plan)),
};

/// The token endpoint (RFC 6749 §3.2).
pub(super) const PATH: &str = "/oauth/token";

/// CPU time of the service for one token over that of one raw signature.
const MOST_RATIO: f64 = 1.12;

async fn run(plan: &Plan) -> Outcome<Report> {
    let installation = plan.install()?;
    let mut service = installation.launch()?;
    service.ready().await?;
    let token = verified_token(&installation, &service).await?;
    // The yardstick signs what the service signs.
    let message = signing_input(&token)?.as_bytes();
    let mut load = load(&installation, &service, plan.clients(USUAL_CLIENTS)).await?;
    let measured = under_load::measure(&service, &mut load, message, plan.duration).await?;
    // Also what comes out after the load is good.
    verified_token(&installation, &service).await?;
    service.stop().await?;
    let mut report = measured.report(SCENARIO.name);
    report.bar(
        "ratio",
        measured.comparison.ratio,
        Limit::AtMost(MOST_RATIO),
    );
    Ok(report)
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
async fn verified_token(installation: &Installation, service: &Service) -> Outcome<String> {
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
