//! Settings about people: sessions, sign-up, and what a password hash costs.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::layers::{ConfigError, Layers, Setting};
use super::{available_cores, delta, duration, parse_number};
use crate::domain::password::Argon2Parameters;
use crate::domain::session_policy::SessionPolicy;

/// Settings about people. Units and defaults are those of [`super::settings`].
#[derive(Clone, Debug)]
pub struct PeopleSettings {
    /// How long sessions live, and how forgiving rotation is.
    pub sessions: SessionPolicy,
    /// Whether people may make accounts for themselves.
    pub signup: bool,
    /// What new password hashes cost.
    pub argon2: Argon2Parameters,
    /// Threads that hash passwords.
    pub hash_threads: NonZeroUsize,
    /// How many passwords may wait for them.
    pub hash_queue: NonZeroUsize,
}

/// Part of [`super::settings`].
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new("sessions.idle_ttl", "30d", "a duration from 1m to 10y"),
    Setting::new(
        "sessions.ttl",
        "180d",
        "a duration from sessions.idle_ttl to 10y",
    ),
    Setting::new("sessions.retry_window", "30s", "a duration up to 1h"),
    Setting::new("signup", "false", "true or false"),
    Setting::new(
        "passwords.memory_kib",
        "19456",
        "KiB of memory for one hash, 8 to 262144",
    ),
    Setting::new(
        "passwords.iterations",
        "2",
        "passes over the memory, 1 to 16",
    ),
    Setting::new("passwords.parallelism", "1", "lanes, 1 to 16"),
    Setting::new(
        "passwords.threads",
        "0",
        "a number of threads; 0 for one on every second core",
    ),
    Setting::new("passwords.queue", "64", "a number from 1 to 10000"),
];

const TEN_YEARS: Duration = Duration::from_hours(10 * 365 * 24);

pub(super) fn read(layers: &Layers) -> Result<PeopleSettings, ConfigError> {
    let threads = layers.parse("passwords.threads", |text| parse_number(text, 0..=256))?;
    let threads = NonZeroUsize::new(threads as usize)
        .or(NonZeroUsize::new(available_cores() / 2))
        .unwrap_or(NonZeroUsize::MIN);
    let queue = layers.parse("passwords.queue", |text| parse_number(text, 1..=10_000))?;
    Ok(PeopleSettings {
        sessions: sessions(layers)?,
        signup: layers.parse("signup", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(String::new()),
        })?,
        argon2: argon2(layers)?,
        hash_threads: threads,
        hash_queue: NonZeroUsize::new(queue as usize).unwrap_or(NonZeroUsize::MIN),
    })
}

fn sessions(layers: &Layers) -> Result<SessionPolicy, ConfigError> {
    let idle = layers.parse("sessions.idle_ttl", |text| {
        duration(text, Duration::from_mins(1)..=TEN_YEARS)
    })?;
    let lifetime = layers.parse("sessions.ttl", |text| duration(text, idle..=TEN_YEARS))?;
    let window = layers.parse("sessions.retry_window", |text| {
        duration(text, Duration::ZERO..=Duration::from_hours(1))
    })?;
    Ok(SessionPolicy {
        idle_lifetime: delta(idle),
        lifetime: delta(lifetime),
        retry_window: delta(window),
    })
}

fn argon2(layers: &Layers) -> Result<Argon2Parameters, ConfigError> {
    let iterations = layers.parse("passwords.iterations", |text| parse_number(text, 1..=16))?;
    let parallelism = layers.parse("passwords.parallelism", |text| parse_number(text, 1..=16))?;
    // The bounds of the memory depend on the others, so it is checked with them.
    layers.parse("passwords.memory_kib", |text| {
        let memory = parse_number(text, 8..=262_144)?;
        Argon2Parameters::new(memory, iterations, parallelism).map_err(|error| error.to_string())
    })
}
