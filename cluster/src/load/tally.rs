//! What was done, and what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Everything that is done again and again.
pub(super) const STEPS: [&str; 9] = [
    "tokens for services",
    "logins",
    "refreshes",
    "repeated refreshes",
    "logouts",
    "logouts that the verifier honoured",
    "refreshes refused after a logout",
    "key sets",
    "tokens verified",
];
/// More than these are only counted.
const FAILURES_TOLD: usize = 20;

/// What clients have seen.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    done: BTreeMap<&'static str, u64>,
    /// How many failures there were.
    pub failures: u64,
    /// What the first of them were.
    pub told: Vec<String>,
    /// The slowest verifier to honour a logout.
    pub slowest_logout: Duration,
    /// How many logouts were honoured by a verifier that was stale, and so accepted nothing.
    pub stale: u64,
    /// The headers of the tokens: one for each key that has signed.
    pub signers: BTreeSet<String>,
}

impl Counts {
    /// How many times a step was done.
    #[must_use]
    pub fn of(&self, step: &str) -> u64 {
        self.done.get(step).copied().unwrap_or_default()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, count) in &self.done {
            writeln!(formatter, "{count:>8}  {step}")?;
        }
        writeln!(formatter, "{:>8}  keys that signed", self.signers.len())?;
        let slowest = self.slowest_logout;
        writeln!(formatter, "{slowest:>8.0?}  slowest logout to be honoured")?;
        writeln!(
            formatter,
            "{:>8}  logouts met by a stale verifier",
            self.stale
        )?;
        write!(formatter, "{:>8}  failures", self.failures)?;
        for failure in &self.told {
            write!(formatter, "\n          {failure}")?;
        }
        Ok(())
    }
}

/// Shared by all workers.
#[derive(Default)]
pub(super) struct Tally(Mutex<Counts>);

impl Tally {
    /// Counts a step, or its failure.
    pub(super) fn note<T>(&self, step: &'static str, outcome: Result<T, String>) -> Option<T> {
        let mut counts = self.lock();
        match outcome {
            Ok(done) => {
                *counts.done.entry(step).or_default() += 1;
                Some(done)
            }
            Err(reason) => {
                counts.failures += 1;
                if counts.told.len() < FAILURES_TOLD {
                    counts.told.push(format!("{step}: {reason}"));
                }
                None
            }
        }
    }

    pub(super) fn signed(&self, token: &str) {
        if let Some((header, _)) = token.split_once('.') {
            let mut counts = self.lock();
            if !counts.signers.contains(header) {
                counts.signers.insert(header.to_owned());
            }
        }
    }

    pub(super) fn honoured_after(&self, took: Duration) {
        let mut counts = self.lock();
        counts.slowest_logout = counts.slowest_logout.max(took);
    }

    pub(super) fn stale(&self) {
        self.lock().stale += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
