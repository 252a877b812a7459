//! How fast tokens are rejected, by what is wrong with them, and what a million of them leave behind.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokensmith_verify::{KeySet, NoCustomClaims, Verifier};

use super::in_process::{ISSUER, InProcessIssuer};
use super::{Plan, Scenario};
use crate::failure::{Doing, Failure, Outcome};
use crate::measure::{of_this_thread, real, resident_mib};
use crate::report::{Limit, Report};
use crate::service::AUDIENCE;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reject",
    about: "tokens rejected in a second, by what is wrong with them, and what a million leave behind",
    run: |plan| Box::pin(run(plan)),
};

/// Between the quickest and the slowest rejection behind a good signature.
const MOST_SPREAD: f64 = 0.15;
/// What may stay after a million rejected tokens: less than one byte each.
const MOST_KEPT_KIB: f64 = 512.0;

const MILLION: u64 = 1_000_000;
/// Until caches and buffers have their size.
const WARM_UP: u64 = 20_000;
/// Long against the cost of reading the clock, short against the moods of the machine.
const SLICE: Duration = Duration::from_millis(20);

/// A token, and a verifier that does not want it.
struct Kind {
    figure: &'static str,
    reason: &'static str,
    verifier: Verifier,
    token: String,
    /// Seconds from now.
    ahead: i64,
}

impl Kind {
    fn reject(&self, now: i64) -> Outcome<()> {
        let now = now + self.ahead;
        let verdict = self.verifier.verify_at::<NoCustomClaims>(&self.token, now);
        match std::hint::black_box(verdict) {
            Err(reject) if reject.reason() == self.reason => Ok(()),
            Err(reject) => Err(Failure::new(format!(
                "{} was rejected as {}",
                self.reason,
                reject.reason()
            ))),
            Ok(_) => Err(Failure::new(format!("{} was accepted", self.reason))),
        }
    }
}

async fn run(plan: &Plan) -> Outcome<Report> {
    let issuer = InProcessIssuer::new().await?;
    let token = issuer.token()?;
    let now = now(&issuer, &token)?;
    let kinds = kinds(&issuer, &token)?;

    let mut rates: Vec<Vec<f64>> = kinds.iter().map(|_| Vec::new()).collect();
    let start = Instant::now();
    while start.elapsed() < plan.duration {
        for (kind, rates) in kinds.iter().zip(&mut rates) {
            rates.push(slice(|| kind.reject(now))?);
        }
    }

    let mut report = Report::new(SCENARIO.name);
    let (mut slowest, mut quickest) = (f64::INFINITY, 0.0_f64);
    for (kind, rates) in kinds.iter().zip(rates) {
        let rate = median(rates);
        report.figure(kind.figure, rate.round());
        if ["wrong_issuer", "wrong_audience", "expired"].contains(&kind.reason) {
            (slowest, quickest) = (slowest.min(rate), quickest.max(rate));
        }
    }
    let spread = quickest / slowest - 1.0;
    let kept_kib = a_million(&mut report, &verifier(&issuer, ISSUER, AUDIENCE)?, &token)?;
    report.figure("kept_kib", kept_kib);
    report.figure("spread_behind_the_signature", spread);
    report.bar("kept_kib", kept_kib, Limit::AtMost(MOST_KEPT_KIB));
    report.bar(
        "spread_behind_the_signature",
        spread,
        Limit::AtMost(MOST_SPREAD),
    );
    Ok(report)
}

fn verifier(issuer: &InProcessIssuer, name: &str, audience: &str) -> Outcome<Verifier> {
    let keys = KeySet::from_json(&issuer.jwks()).doing("reading the JWKS")?;
    Verifier::with_keys(name, keys)
        .audience(audience)
        .token_cache(1_000)
        .build()
        .doing("making a verifier")
}

/// When the token is good.
fn now(issuer: &InProcessIssuer, token: &str) -> Outcome<i64> {
    let verified = verifier(issuer, ISSUER, AUDIENCE)?.verify(token);
    Ok(verified.doing("verifying a good token")?.iat)
}

fn kinds(issuer: &InProcessIssuer, token: &str) -> Outcome<Vec<Kind>> {
    let ours = || verifier(issuer, ISSUER, AUDIENCE);
    let (header, rest) = token
        .split_once('.')
        .ok_or_else(|| Failure::new("a token is no JWS"))?;
    let header = URL_SAFE_NO_PAD.decode(header).doing("reading a token")?;
    let header = String::from_utf8(header).doing("reading a token")?;
    let kid = &issuer.jwk().kid;
    let with_header = |from: &str, to: &str| {
        let header = URL_SAFE_NO_PAD.encode(header.replace(from, to));
        format!("{header}.{rest}")
    };
    // One letter in the middle of the signature.
    let mut spoilt = token.to_owned();
    let middle = token.len() - 100;
    let letter = if token.get(middle..=middle) == Some("A") {
        "B"
    } else {
        "A"
    };
    spoilt.replace_range(middle..=middle, letter);
    let kind = |figure, reason, verifier, token: String| Kind {
        figure,
        reason,
        verifier,
        token,
        ahead: 0,
    };
    Ok(vec![
        kind(
            "too_large_per_second",
            "too_large",
            ours()?,
            ".".repeat(10_000),
        ),
        kind(
            "not_compact_jws_per_second",
            "not_compact_jws",
            ours()?,
            rest.to_owned(),
        ),
        kind(
            "malformed_header_per_second",
            "malformed_header",
            ours()?,
            with_header("{", "["),
        ),
        kind(
            "algorithm_not_allowed_per_second",
            "algorithm_not_allowed",
            ours()?,
            with_header("RS256", "none"),
        ),
        kind(
            "unknown_kid_per_second",
            "unknown_kid",
            ours()?,
            with_header(kid.as_str(), "unknown"),
        ),
        kind(
            "wrong_type_per_second",
            "wrong_type",
            ours()?,
            with_header("at+jwt", "JWT"),
        ),
        kind("bad_signature_per_second", "bad_signature", ours()?, spoilt),
        kind(
            "wrong_issuer_per_second",
            "wrong_issuer",
            verifier(issuer, "https://auth.example.org", AUDIENCE)?,
            token.to_owned(),
        ),
        kind(
            "wrong_audience_per_second",
            "wrong_audience",
            verifier(issuer, ISSUER, "https://other.example.com")?,
            token.to_owned(),
        ),
        Kind {
            ahead: 86_400,
            ..kind("expired_per_second", "expired", ours()?, token.to_owned())
        },
    ])
}

/// Operations in a second of CPU time.
fn slice(mut operation: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let (start, before) = (Instant::now(), of_this_thread());
    let mut operations = 0;
    while start.elapsed() < SLICE {
        for _ in 0..16 {
            operation()?;
        }
        operations += 16;
    }
    let used = of_this_thread().saturating_sub(before);
    Ok(real(operations) / used.as_secs_f64())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Rejects a million tokens with one wrong letter; answers by how much the process has grown.
fn a_million(report: &mut Report, verifier: &Verifier, token: &str) -> Outcome<f64> {
    let mut text = String::with_capacity(token.len());
    let mut errors = 0;
    let mut reject = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            misspell(token, number, &mut text);
            errors += u64::from(verifier.verify(&text).is_ok());
        }
    };
    reject(0..WARM_UP);
    let memory = || resident_mib(std::process::id());
    let (_, before) = memory()?;
    let start = Instant::now();
    reject(0..MILLION);
    let took = start.elapsed();
    let (_, after) = memory()?;
    report.ops = MILLION;
    report.errors = errors;
    report.throughput(took);
    Ok((after - before) * 1_024.0)
}

/// The token with another letter at a place: every letter at every place, in turn.
fn misspell(token: &str, number: u64, text: &mut String) {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let length = token.len() as u64;
    let place = usize::try_from(number % length).unwrap_or_default();
    let letter = usize::try_from(number / length).unwrap_or_default() % LETTERS.len();
    let at = |letter: usize| LETTERS.get(letter..=letter).unwrap_or_default();
    let mut new = at(letter);
    if token.get(place..=place) == Some(new) {
        new = at((letter + 1) % LETTERS.len());
    }
    text.clear();
    text.push_str(token);
    text.replace_range(place..=place, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_token_is_never_the_token() {
        let token = "eyJ0.eyJ9.AAAA";
        let mut text = String::new();
        for number in 0..2_000 {
            misspell(token, number, &mut text);
            assert_ne!(text, token);
            assert_eq!(text.len(), token.len());
        }
    }

    #[tokio::test]
    async fn every_kind_is_rejected_for_its_reason() {
        let issuer = InProcessIssuer::new().await.unwrap();
        let token = issuer.token().unwrap();
        let now = now(&issuer, &token).unwrap();
        for kind in kinds(&issuer, &token).unwrap() {
            kind.reject(now).unwrap();
        }
    }
}
