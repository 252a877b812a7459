//! `tokensmith doctor`: finds out what is wrong before the night does.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::settings_args::SettingsArgs;
use super::{Failure, output};
use crate::admin::Administration;
use crate::config::{ConfigError, Settings};
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::fleet::RunningReplica;
use crate::domain::issuer::Issuer;
use crate::domain::key::SigningKey;
use crate::domain::key_schedule::KeyChain;
use crate::domain::network::Networks;

/// `tokensmith doctor`
#[derive(Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where to look.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            detail: detail.into(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When it is not done.
pub async fn run(
    arguments: &DoctorArgs,
    settings: Result<Settings, ConfigError>,
    opened: Result<Administration, String>,
) -> Result<(), Failure> {
    let findings = examine(settings, opened).await;
    let failed = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Failed);
    if arguments.json {
        output::json(&findings)?;
    } else {
        for Finding {
            check,
            verdict,
            detail,
        } in &findings
        {
            let mark = match verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "WARNING",
                Verdict::Failed => "FAILED ",
            };
            output::line(&format!("{mark}  {check:13}  {detail}"))?;
        }
    }
    if failed {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

async fn examine(
    settings: Result<Settings, ConfigError>,
    opened: Result<Administration, String>,
) -> Vec<Finding> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return vec![Finding::new("settings", Verdict::Failed, error.to_string())],
    };
    let mut findings = vec![
        Finding::new("settings", Verdict::Ok, "can be read"),
        issuer(&settings),
    ];
    findings.extend(proxies(&settings));
    match opened {
        Err(error) => findings.push(Finding::new("database", Verdict::Failed, error)),
        Ok(administration) => {
            let detail = format!("{} answers, and the master key fits", settings.database);
            findings.push(Finding::new("database", Verdict::Ok, detail));
            findings.push(clocks(&administration).await);
            findings.extend(replicas(&administration).await);
            findings.extend(keys(&administration, &settings).await);
        }
    }
    findings
}

fn issuer(settings: &Settings) -> Finding {
    match &settings.issuer {
        None => Finding::new(
            "issuer",
            Verdict::Warning,
            "is not set; `tokensmith serve` needs it, `tokensmith dev` makes one of the address",
        ),
        Some(issuer) if issuer.is_https() || settings.listen.ip().is_loopback() => {
            Finding::new("issuer", Verdict::Ok, issuer.to_string())
        }
        Some(issuer) => Finding::new(
            "issuer",
            Verdict::Warning,
            format!(
                "{issuer} is plain http, but the server listens on {}",
                settings.listen
            ),
        ),
    }
}

/// Behind a proxy that is not named, everybody has its address: failures are not counted by address,
/// and the audit log does not say from where.
fn proxies(settings: &Settings) -> Option<Finding> {
    let behind_a_proxy =
        settings.issuer.as_ref().is_some_and(Issuer::is_https) && settings.tls.is_none();
    let is_named = settings.trusted_proxies != Networks::default();
    (behind_a_proxy && !is_named).then(|| {
        Finding::new(
            "proxies",
            Verdict::Warning,
            "TLS ends at a proxy, but trusted_proxies is not set: the addresses of clients are not known",
        )
    })
}

/// Replicas switch keys by the clock.
async fn clocks(administration: &Administration) -> Finding {
    const TOLERANCE_MS: i64 = 2_000;
    match administration.store.database_time().await {
        Err(error) => Finding::new("clock", Verdict::Failed, error.to_string()),
        Ok(None) => Finding::new("clock", Verdict::Ok, "is that of this machine"),
        Ok(Some(theirs)) => {
            let difference = (administration.clock.now() - theirs).num_milliseconds();
            let detail = format!("differs from that of the database by {difference} ms");
            let verdict = if difference.abs() <= TOLERANCE_MS {
                Verdict::Ok
            } else {
                Verdict::Warning
            };
            Finding::new("clock", verdict, detail)
        }
    }
}

/// Whether an upgrade is under way. Two builds side by side work; but it should not stay so.
async fn replicas(administration: &Administration) -> Option<Finding> {
    const CHECK: &str = "replicas";
    let since = administration.clock.now() - RunningReplica::COUNTS_FOR;
    let running = match administration.store.running_replicas(since).await {
        Ok(running) => running,
        Err(error) => return Some(Finding::new(CHECK, Verdict::Failed, error.to_string())),
    };
    let mut builds = BTreeMap::<&str, Vec<&str>>::new();
    for replica in &running {
        builds
            .entry(&replica.build)
            .or_default()
            .push(&replica.host);
    }
    let detail: Vec<String> = builds
        .iter()
        .map(|(build, hosts)| format!("{} of build {build} ({})", hosts.len(), hosts.join(", ")))
        .collect();
    let detail = detail.join(", ");
    match builds.len() {
        0 => None,
        1 => Some(Finding::new(CHECK, Verdict::Ok, detail)),
        _ => {
            let detail = format!("{detail}: an upgrade is under way");
            Some(Finding::new(CHECK, Verdict::Warning, detail))
        }
    }
}

async fn keys(administration: &Administration, settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "signing keys";
    let keys = match administration.keys.list().await {
        Ok(keys) => keys,
        Err(error) => {
            return vec![Finding::new(CHECK, Verdict::Failed, error.to_string())];
        }
    };
    let now = administration.clock.now();
    let mut findings = Vec::new();
    for algorithm in Algorithm::ALL {
        let chain = KeyChain::of(&keys, algorithm);
        match chain.signer(now) {
            Some(signer) => findings.push(match administration.keys.vault.open(signer) {
                Err(error) => Finding::new(CHECK, Verdict::Failed, error.to_string()),
                Ok(_) => signer_finding(&chain, signer, now, settings),
            }),
            None if algorithm == Algorithm::default() => findings.push(Finding::new(
                CHECK,
                Verdict::Warning,
                format!("there is no {algorithm} key yet; the first start of the server makes it"),
            )),
            None => {}
        }
    }
    findings
}

/// Whether the next key will be there in time.
fn signer_finding(
    chain: &KeyChain<'_>,
    signer: &SigningKey,
    now: Timestamp,
    settings: &Settings,
) -> Finding {
    let until = signer.schedule.retires_at;
    let detail = format!(
        "{} key {} signs until {until}",
        signer.algorithm, signer.kid
    );
    let is_late = now > until - settings.rotation.lead_time / 2 && chain.pending(now).is_none();
    if is_late {
        let detail = format!("{detail}, and the next one is not published yet");
        Finding::new("signing keys", Verdict::Warning, detail)
    } else {
        Finding::new("signing keys", Verdict::Ok, detail)
    }
}
