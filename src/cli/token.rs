//! `tokensmith token`: look at a token, or verify it. Neither needs a database.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use tokensmith_verify::{Claims, ConnectError, Freshness, KeySet, Verified, Verifier};

use super::{Failure, output};
use crate::domain::Timestamp;

type AllClaims = Claims<Map<String, Value>>;

/// `tokensmith token`
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Show what a token says, without checking anything
    Inspect(InspectArgs),
    /// Verify a token as an API would, revocation included: exit 0 and the claims, or exit 1 and the
    /// reason
    Verify(VerifyArgs),
}

/// `tokensmith token inspect`
#[derive(Args)]
pub struct InspectArgs {
    /// The token
    #[arg(allow_hyphen_values = true)]
    token: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `tokensmith token verify`
#[derive(Args)]
pub struct VerifyArgs {
    /// The issuer that must have signed the token
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The API that the token must be for
    #[arg(long, value_name = "URL")]
    audience: String,
    /// Take the keys from this file instead of the issuer; no network is used, so nothing is known of
    /// revocations
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Print JSON (the claims are JSON in any case; this also makes the reason JSON)
    #[arg(long)]
    json: bool,
    /// The token
    #[arg(allow_hyphen_values = true)]
    token: String,
}

/// Runs the command.
///
/// # Errors
/// When it is not done.
pub async fn run(command: TokenCommand, now: Timestamp) -> Result<(), Failure> {
    match command {
        TokenCommand::Inspect(arguments) => inspect(&arguments, now),
        TokenCommand::Verify(arguments) => verify(&arguments).await,
    }
}

async fn verify(arguments: &VerifyArgs) -> Result<(), Failure> {
    let verifier = match &arguments.jwks {
        Some(file) => offline_verifier(arguments, file)?,
        None => online_verifier(arguments).await?,
    };
    let verified: Result<Verified<AllClaims>, _> = verifier.verify_as(&arguments.token);
    match verified {
        Ok(claims) => Ok(output::json(&*claims)?),
        Err(reject) if arguments.json => {
            let reason = reject.reason();
            let body = serde_json::json!({
                "valid": false, "reason": reason, "description": reject.to_string(),
            });
            output::json(&body)?;
            Err(Failure::Reported)
        }
        Err(reject) => Err(Failure::Message(format!(
            "the token is not valid: {reject}"
        ))),
    }
}

/// As an API would: the keys of the issuer, and what it has revoked. Of an issuer without a log of
/// revocations the signature alone is looked at, and that is said.
async fn online_verifier(arguments: &VerifyArgs) -> Result<Verifier, Failure> {
    let verifier =
        || Verifier::discover(arguments.issuer.as_str()).audience(arguments.audience.as_str());
    let connected = match verifier().revocation(Freshness::Strict).connect().await {
        Err(ConnectError::Revocation(error)) => {
            let text = with_causes(&error);
            output::error_line(&format!("warning: revocation is not checked: {text}"));
            verifier().connect().await
        }
        connected => connected,
    };
    connected.map_err(|error| Failure::Message(with_causes(&error)))
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn offline_verifier(arguments: &VerifyArgs, file: &PathBuf) -> Result<Verifier, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::Message(format!(
            "cannot use the key set {}: {error}",
            file.display()
        ))
    };
    let json = std::fs::read_to_string(file).map_err(|error| unusable(&error))?;
    let keys = KeySet::from_json(&json).map_err(|error| unusable(&error))?;
    Verifier::with_keys(arguments.issuer.as_str(), keys)
        .audience(arguments.audience.as_str())
        .build()
        .map_err(|error| Failure::Message(error.to_string()))
}

fn inspect(arguments: &InspectArgs, now: Timestamp) -> Result<(), Failure> {
    let mut segments = arguments.token.split('.');
    let mut part = |name: &str| {
        segments
            .next()
            .and_then(|segment| URL_SAFE_NO_PAD.decode(segment).ok())
            .and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).ok())
            .ok_or_else(|| {
                Failure::Message(format!(
                    "this is not a JWT: the {name} is not base64url of JSON"
                ))
            })
    };
    let (header, claims) = (part("header")?, part("payload")?);
    if arguments.json {
        let body = serde_json::json!({
            "signature_checked": false, "header": header, "claims": claims,
        });
        return Ok(output::json(&body)?);
    }
    output::line("The signature was NOT checked: anyone could have written this token.\n")?;
    output::line("Header")?;
    output::json(&header)?;
    output::line("\nClaims")?;
    output::json(&claims)?;
    let times = [
        ("issued", "iat"),
        ("not before", "nbf"),
        ("authenticated", "auth_time"),
        ("expires", "exp"),
    ];
    for (word, claim) in times {
        let instant = claims
            .get(claim)
            .and_then(Value::as_i64)
            .and_then(|seconds| Timestamp::from_timestamp(seconds, 0));
        if let Some(instant) = instant {
            let relative = in_words(instant - now);
            output::line(&format!(
                "\n{word:13}  {}  ({relative})",
                instant.to_rfc3339()
            ))?;
        }
    }
    Ok(())
}

/// Such as "in 4m 12s" or "3h 1m ago".
fn in_words(difference: TimeDelta) -> String {
    let seconds = difference.num_seconds().unsigned_abs();
    let text = humantime::format_duration(std::time::Duration::from_secs(seconds));
    match difference.num_seconds() {
        0 => "now".to_owned(),
        1.. => format!("in {text}"),
        _ => format!("{text} ago"),
    }
}
