//! A complete verification against one raw RSA-2048 verification with a parsed key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokensmith::domain::key::{PublicJwk, PublicKeyParameters};
use tokensmith_verify::{KeySet, Verifier};

use super::in_process::{ISSUER, InProcessIssuer, signing_input};
use super::{Plan, Scenario};
use crate::failure::{Doing, Failure, Outcome};
use crate::measure::{Comparison, alternate, raw_rsa_public_key};
use crate::report::{Limit, Report};
use crate::service::AUDIENCE;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "verify",
    about: "CPU time of a complete verification, against one raw RSA verification",
    run: |plan| Box::pin(run(plan)),
};

/// CPU time of a complete verification over that of a raw one.
const MOST_RATIO: f64 = 1.15;

/// Different tokens, so that neither side lives off having seen the very same bytes.
const TOKENS: usize = 64;

async fn run(plan: &Plan) -> Outcome<Report> {
    let issuer = InProcessIssuer::new().await?;
    let key = public_key(issuer.jwk())?;
    let keys = KeySet::from_json(&issuer.jwks()).doing("reading the JWKS")?;
    let verifier = Verifier::with_keys(ISSUER, keys)
        .audience(AUDIENCE)
        .build()
        .doing("making a verifier")?;
    let tokens = (0..TOKENS)
        .map(|_| issuer.token())
        .collect::<Outcome<Vec<_>>>()?;
    let signed = tokens
        .iter()
        .map(|token| parts(token))
        .collect::<Outcome<Vec<_>>>()?;

    let mut next_signed = signed.iter().cycle();
    let raw = || {
        let (message, signature) = next_signed.next().ok_or_else(nothing)?;
        key.verify_sig(message, signature).doing("verifying")
    };
    let mut next_token = tokens.iter().cycle();
    let complete = || {
        let token = next_token.next().ok_or_else(nothing)?;
        let claims = verifier.verify(token).doing("verifying")?;
        drop(std::hint::black_box(claims));
        Ok(())
    };
    let (rounds, latencies) = alternate(plan.duration, raw, complete)?;

    let comparison = Comparison::of(&rounds);
    let mut report = Report::new(SCENARIO.name);
    report.operations(&latencies);
    report.against_raw_verifications(&comparison);
    report.bar("ratio", comparison.ratio, Limit::AtMost(MOST_RATIO));
    Ok(report)
}

fn nothing() -> Failure {
    Failure::new("there is nothing to verify")
}

/// What is signed, and the signature as bytes.
fn parts(token: &str) -> Outcome<(&[u8], Vec<u8>)> {
    let message = signing_input(token)?;
    let (_, signature) = token.rsplit_once('.').unwrap_or_default();
    let signature = URL_SAFE_NO_PAD.decode(signature).doing("reading a token")?;
    Ok((message.as_bytes(), signature))
}

fn public_key(jwk: &PublicJwk) -> Outcome<aws_lc_rs::signature::ParsedPublicKey> {
    let PublicKeyParameters::Rsa { n, e } = &jwk.parameters else {
        return Err(Failure::new("the signing key is not an RSA key"));
    };
    let decode = |number: &str| URL_SAFE_NO_PAD.decode(number).doing("reading the JWK");
    raw_rsa_public_key(&decode(n)?, &decode(e)?)
}
