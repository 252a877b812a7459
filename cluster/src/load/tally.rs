//! What was done, and what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokensmith_verify::revocation::STALE_AFTER;

/// Everything that is done again and again.
pub(super) const STEPS: [&str; 10] = [
    "tokens for services",
    "logins",
    "refreshes",
    "repeated refreshes",
    "logouts",
    HONOURED,
    "refreshes refused after a logout",
    "key sets",
    "tokens verified",
    "tokens that the follower accepted",
];
/// The verifier knows that the token is dead; one that is only stale does not count.
pub(super) const HONOURED: &str = "logouts that the verifier honoured";
/// One logout in so many may meet a stale verifier.
const STALE_ONE_IN: u64 = 20;
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
    /// The slowest verifier to accept no more what was logged out.
    pub slowest_logout: Duration,
    /// How many logouts met a verifier that was stale: it accepted nothing until it heard of them.
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

    /// Why this is not what clients were promised; `None` if it is.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        let (honoured, stale) = (self.of(HONOURED), self.stale);
        if self.failures > 0 {
            Some(format!("{} failures", self.failures))
        } else if honoured <= stale {
            Some("no verifier heard of a logout in time".to_owned())
        } else if stale * STALE_ONE_IN > honoured {
            Some(format!(
                "{stale} of {honoured} logouts met a stale verifier"
            ))
        } else if self.slowest_logout > STALE_AFTER {
            Some(format!(
                "a logout was honoured after {:?}",
                self.slowest_logout
            ))
        } else {
            None
        }
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

    /// A verifier knows that a token is dead. It accepted it no longer than this, perhaps because it was
    /// stale before it knew.
    pub(super) fn honoured_after(&self, took: Duration, was_stale: bool) {
        let mut counts = self.lock();
        counts.slowest_logout = counts.slowest_logout.max(took);
        counts.stale += u64::from(was_stale);
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many logouts, honoured within a second; so many of them met a stale verifier first.
    fn after(logouts: u64, stale: u64) -> Tally {
        let tally = Tally::default();
        for number in 0..logouts {
            tally.honoured_after(Duration::from_secs(1), number < stale);
            tally.note(HONOURED, Ok(()));
        }
        tally
    }

    fn objection(tally: &Tally) -> Option<String> {
        tally.counts().objection()
    }

    #[test]
    fn a_verifier_that_is_stale_once_in_a_while_is_what_was_promised() {
        assert_eq!(objection(&after(20, 0)), None);
        assert_eq!(objection(&after(20, 1)), None);
    }

    #[test]
    fn a_verifier_that_is_stale_more_often_is_not() {
        let said = objection(&after(20, 2)).unwrap();
        assert_eq!(said, "2 of 20 logouts met a stale verifier");
    }

    #[test]
    fn a_verifier_that_is_down_is_noticed() {
        let said = "no verifier heard of a logout in time";
        assert_eq!(objection(&after(0, 0)).unwrap(), said);
        assert_eq!(objection(&after(3, 3)).unwrap(), said);
    }

    #[test]
    fn a_logout_that_takes_longer_than_promised_is_noticed() {
        let tally = after(20, 0);
        tally.honoured_after(STALE_AFTER, false);
        assert_eq!(objection(&tally), None);
        tally.honoured_after(STALE_AFTER + Duration::from_millis(1), false);
        assert_eq!(
            objection(&tally).unwrap(),
            "a logout was honoured after 2.001s"
        );
    }

    #[test]
    fn a_failure_is_noticed() {
        let tally = after(20, 0);
        tally.note::<()>("logins", Err("503".to_owned()));
        assert_eq!(objection(&tally).unwrap(), "1 failures");
    }
}
