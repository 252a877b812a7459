//! Settings: `tokensmith.toml`, then `TOKENSMITH_*` variables, then flags. Each value knows where
//! it came from, so that a mistake can be named with its place.

mod browser;
mod layers;
mod limits;
mod people;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::crypto::MasterKeySource;
use crate::domain::issuer::Issuer;
use crate::domain::key_schedule::RotationPolicy;
use crate::domain::network::Networks;
use crate::http::StreamLimits;
use crate::store::{DatabaseLocation, StoreLimits};
use crate::telemetry::logs::{LogFormat, parse_filter};

pub use browser::BrowserSettings;
pub use layers::{ConfigError, Environment, Flags, Origin, PrintedSetting};
use layers::{Layers, Setting};
pub use limits::LimitSettings;
pub use people::PeopleSettings;

/// How long a key stays in the JWKS after the longest token it signed has expired: verifiers allow
/// for clocks that differ.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// The settings of the service. Units and defaults are those of [`settings`].
#[derive(Clone)]
pub struct Settings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The issuer; `serve` insists on it, `dev` makes one of the address.
    pub issuer: Option<Issuer>,
    /// Where the database is.
    pub database: DatabaseLocation,
    /// What the server asks of the database at most.
    pub database_limits: StoreLimits,
    /// Where the master key is.
    pub master_key: MasterKeySource,
    /// The home of key material.
    pub keys_dir: PathBuf,
    /// The home of the embedded database.
    pub data_dir: PathBuf,
    /// Lifetime of access tokens, unless a client has its own.
    pub access_token_ttl: Duration,
    /// How long others may keep the JWKS.
    pub jwks_max_age: Duration,
    /// When keys rotate.
    pub rotation: RotationPolicy,
    /// Certificate chain and private key, when TLS is not left to a proxy.
    pub tls: Option<TlsFiles>,
    /// Sessions, sign-up and passwords.
    pub people: PeopleSettings,
    /// Logins in browsers, and the pages.
    pub browser: BrowserSettings,
    /// Whose word about the address of a client counts.
    pub trusted_proxies: Networks,
    /// What may be called although it is not public, when a client registers a URL there.
    pub private_receivers: Networks,
    /// How many may follow the log of revocations at once.
    pub streams: StreamLimits,
    /// What one caller, and all together, may use up.
    pub limits: LimitSettings,
    /// Threads that answer requests.
    pub workers: usize,
    /// How long running requests may take to finish when the process is told to stop.
    pub shutdown_timeout: Duration,
    /// What is logged.
    pub log_filter: String,
    /// How it looks.
    pub log_format: LogFormat,
}

/// PEM files for TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain, leaf first.
    pub certificates: PathBuf,
    /// Private key.
    pub private_key: PathBuf,
}

/// Every setting: name in the file, default, and what is right. The variable is the name in upper
/// case behind `TOKENSMITH_`, with `_` for the dot.
const SETTINGS: &[Setting] = &[
    Setting::new(
        "listen",
        "127.0.0.1:8080",
        "address:port, such as 127.0.0.1:8080",
    ),
    Setting::optional(
        "issuer",
        "an https URL without trailing slash (http on loopback only)",
    ),
    Setting::optional(
        "database_url",
        "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME",
    ),
    Setting::new("database.connections", "10", "a number from 1 to 1000"),
    Setting::new("database.timeout", "3s", "a duration from 1s to 1m"),
    Setting::new("keys_dir", "./keys", "a directory"),
    Setting::new("data_dir", "./data", "a directory"),
    Setting::secret("master_key", "32 bytes in base64"),
    Setting::optional(
        "master_key_file",
        "the path of a file with 32 bytes in base64",
    ),
    Setting::new("tokens.access_token_ttl", "5m", "a duration from 1s to 1h"),
    Setting::new(
        "jwks.max_age",
        "5m",
        "a duration of whole seconds from 1s to 24h",
    ),
    Setting::new(
        "keys.rotation_period",
        "30d",
        "a duration longer than keys.lead_time",
    ),
    Setting::new(
        "keys.lead_time",
        "24h",
        "a duration of at least twice jwks.max_age",
    ),
    Setting::optional("tls.cert", "a PEM file with the certificate chain"),
    Setting::optional("tls.key", "a PEM file with the private key"),
    Setting::list(
        "trusted_proxies",
        "addresses and networks such as 10.0.0.0/8, with commas between",
    ),
    Setting::list(
        "private_receivers",
        "addresses and networks such as 10.0.0.0/8, with commas between",
    ),
    Setting::new(
        "revocation.streams_per_address",
        "256",
        "a number from 1 to 1000000",
    ),
    Setting::new(
        "revocation.max_streams",
        "20000",
        "a number from 1 to 1000000",
    ),
    Setting::new(
        "workers",
        "0",
        "a number of threads; 0 for one on each core",
    ),
    Setting::new("shutdown_timeout", "10s", "a duration up to 10m"),
    Setting::new(
        "log",
        "info,sqlx=warn,actix_server=warn",
        "a filter such as info or warn,tokensmith=debug",
    ),
    Setting::new("log_format", "json", "json or text"),
];

/// Every setting there is.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    let of_people = people::SETTINGS.iter();
    let further = [of_people, browser::SETTINGS.iter(), limits::SETTINGS.iter()];
    SETTINGS.iter().chain(further.into_iter().flatten())
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// Names the setting, its value, where that came from, and what would be right.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        Self::from_layers(&Layers::read(flags, environment)?)
    }

    /// Every setting with its value and origin, for `config print`. Secrets are not shown.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn print(
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Vec<PrintedSetting>, ConfigError> {
        let layers = Layers::read(flags, environment)?;
        let settings = Self::from_layers(&layers)?;
        Ok(layers.print(&settings.database.to_string()))
    }

    fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let data_dir: PathBuf = layers.parse("data_dir", parse_path)?;
        let keys_dir: PathBuf = layers.parse("keys_dir", parse_path)?;
        let database = layers
            .parse_optional("database_url", |text| text.parse().map_err(display))?
            .unwrap_or_else(|| DatabaseLocation::Sqlite(data_dir.join("tokensmith.db")));
        let workers = layers.parse("workers", |text| parse_number(text, 0..=1024))?;
        Ok(Self {
            listen: layers.parse("listen", |text| text.parse().map_err(display))?,
            issuer: layers.parse_optional("issuer", |text| Issuer::parse(text).map_err(display))?,
            database,
            database_limits: StoreLimits {
                connections: layers
                    .parse("database.connections", |text| parse_number(text, 1..=1000))?,
                timeout: layers.parse("database.timeout", |text| {
                    duration(text, Duration::from_secs(1)..=Duration::from_mins(1))
                })?,
            },
            master_key: master_key(layers, &keys_dir)?,
            keys_dir,
            data_dir,
            access_token_ttl: layers.parse("tokens.access_token_ttl", |text| {
                duration(
                    text,
                    Duration::from_secs(1)..=tokensmith_verify::MAX_ACCESS_TOKEN_LIFETIME,
                )
            })?,
            jwks_max_age: layers.parse("jwks.max_age", |text| {
                duration(text, Duration::from_secs(1)..=Duration::from_hours(24))
            })?,
            rotation: rotation(layers)?,
            tls: tls(layers)?,
            people: people::read(layers)?,
            browser: browser::read(layers)?,
            trusted_proxies: networks(layers, "trusted_proxies")?,
            private_receivers: networks(layers, "private_receivers")?,
            streams: streams(layers)?,
            limits: limits::read(layers)?,
            workers: if workers == 0 {
                available_cores()
            } else {
                workers as usize
            },
            shutdown_timeout: layers.parse("shutdown_timeout", |text| {
                duration(text, Duration::ZERO..=Duration::from_mins(10))
            })?,
            log_filter: layers.parse("log", |text| {
                parse_filter(text).map(|_| text.to_owned()).map_err(display)
            })?,
            log_format: layers.parse("log_format", |text| match text {
                "json" => Ok(LogFormat::Json),
                "text" => Ok(LogFormat::Text),
                _ => Err(String::new()),
            })?,
        })
    }
}

fn master_key(layers: &Layers, keys_dir: &std::path::Path) -> Result<MasterKeySource, ConfigError> {
    let value = layers.parse_optional("master_key", |text| Ok(Zeroizing::new(text.to_owned())))?;
    let file = layers.parse_optional("master_key_file", parse_path)?;
    match (value, file) {
        (Some(_), Some(_)) => Err(layers.contradiction(
            "master_key_file",
            "either master_key or master_key_file, not both",
        )),
        (Some(value), None) => Ok(MasterKeySource::Value(value)),
        (None, Some(path)) => Ok(MasterKeySource::File(path)),
        (None, None) => Ok(MasterKeySource::KeysDirectory(keys_dir.to_owned())),
    }
}

/// Checks the durations of keys against each other: a key must be known to every verifier before
/// it signs.
fn rotation(layers: &Layers) -> Result<RotationPolicy, ConfigError> {
    const YEARS: Duration = Duration::from_hours(10 * 365 * 24);
    let long = |text: &str| duration(text, Duration::from_secs(1)..=YEARS);
    let max_age = layers.parse("jwks.max_age", long)?;
    let lead_time = layers.parse("keys.lead_time", |text| {
        long(text).and_then(|lead| at_least(lead, max_age * 2, "twice jwks.max_age"))
    })?;
    let rotation_period = layers.parse("keys.rotation_period", |text| {
        long(text).and_then(|period| {
            at_least(
                period,
                lead_time + Duration::from_secs(1),
                "longer than keys.lead_time",
            )
        })
    })?;
    let retention = tokensmith_verify::MAX_ACCESS_TOKEN_LIFETIME + CLOCK_SKEW;
    Ok(RotationPolicy {
        rotation_period: delta(rotation_period),
        lead_time: delta(lead_time),
        retention: delta(retention),
    })
}

fn tls(layers: &Layers) -> Result<Option<TlsFiles>, ConfigError> {
    let certificates = layers.parse_optional("tls.cert", parse_path)?;
    let private_key = layers.parse_optional("tls.key", parse_path)?;
    match (certificates, private_key) {
        (Some(certificates), Some(private_key)) => Ok(Some(TlsFiles {
            certificates,
            private_key,
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(layers.contradiction("tls.cert", "tls.key beside tls.cert")),
        (None, Some(_)) => Err(layers.contradiction("tls.key", "tls.cert beside tls.key")),
    }
}

fn streams(layers: &Layers) -> Result<StreamLimits, ConfigError> {
    let number = |name| layers.parse(name, |text| parse_number(text, 1..=1_000_000));
    Ok(StreamLimits {
        per_address: number("revocation.streams_per_address")?,
        total: number("revocation.max_streams")?,
    })
}

fn networks(layers: &Layers, name: &'static str) -> Result<Networks, ConfigError> {
    let listed = layers.parse_optional(name, |text| text.parse().map_err(display))?;
    Ok(listed.unwrap_or_default())
}

fn display(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn parse_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err(String::new())
    } else {
        Ok(text.into())
    }
}

fn parse_number(text: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(String::new)
}

fn duration(text: &str, range: std::ops::RangeInclusive<Duration>) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(display)?;
    if parsed.subsec_nanos() != 0 {
        return Err("not a whole number of seconds".to_owned());
    }
    if range.contains(&parsed) {
        Ok(parsed)
    } else {
        Err("out of range".to_owned())
    }
}

/// Ten years at most, so this cannot overflow.
fn delta(duration: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX)
}

fn at_least(given: Duration, least: Duration, what: &str) -> Result<Duration, String> {
    if given >= least {
        return Ok(given);
    }
    Err(format!(
        "must be at least {} ({what})",
        humantime::format_duration(least)
    ))
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests;
