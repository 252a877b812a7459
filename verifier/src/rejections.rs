//! How often tokens were rejected, and why: for the operator, as the sender learns nothing.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Reject;

/// Counts rejections; all clones of a verifier share one.
pub(crate) struct RejectionCounter(Box<[(&'static str, AtomicU64)]>);

/// The rejections of a [`Verifier`](crate::Verifier) and its clones since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionStats(Box<[(&'static str, u64)]>);

impl RejectionCounter {
    pub(crate) fn new() -> Self {
        let zero = |reason: &&'static str| (*reason, AtomicU64::new(0));
        Self(Reject::REASONS.iter().map(zero).collect())
    }

    pub(crate) fn note(&self, reject: &Reject) {
        let reason = reject.reason();
        #[cfg(feature = "fetch")]
        tracing::debug!(reason, claim = reject.claim(), "a token was rejected");
        if let Some((_, count)) = self.0.iter().find(|(other, _)| *other == reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn stats(&self) -> RejectionStats {
        let read = |(reason, count): &(&'static str, AtomicU64)| {
            let count = count.load(Ordering::Relaxed);
            (*reason, count)
        };
        RejectionStats(self.0.iter().map(read).collect())
    }
}

impl RejectionStats {
    /// Every [reason](Reject::reason) with its number, also those that have not occurred.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }

    /// How many tokens were rejected for this [reason](Reject::reason).
    #[must_use]
    pub fn count(&self, reason: &str) -> u64 {
        self.iter()
            .find(|(other, _)| *other == reason)
            .map_or(0, |(_, count)| count)
    }

    /// How many tokens were rejected.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// The same as text for an `OpenMetrics` scraper, without the closing `# EOF`, so that it can be
    /// put among your own metrics: the counter `tokensmith_verify_rejections_total{reason}`.
    #[must_use]
    pub fn to_openmetrics(&self) -> String {
        let mut text = "# TYPE tokensmith_verify_rejections counter\n".to_owned();
        for (reason, count) in self.iter() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "tokensmith_verify_rejections_total{{reason=\"{reason}\"}} {count}"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_by_itself() {
        let counter = RejectionCounter::new();
        counter.note(&Reject::Expired);
        counter.note(&Reject::Expired);
        counter.note(&Reject::MissingClaim("aud"));
        let stats = counter.stats();
        assert_eq!(stats.count("expired"), 2);
        assert_eq!(stats.count("missing_claim"), 1);
        assert_eq!(stats.count("bad_signature"), 0);
        assert_eq!(stats.total(), 3);
        assert_eq!(stats.iter().count(), Reject::REASONS.len());
        let text = stats.to_openmetrics();
        for line in [
            "# TYPE tokensmith_verify_rejections counter",
            "tokensmith_verify_rejections_total{reason=\"expired\"} 2",
            "tokensmith_verify_rejections_total{reason=\"bad_signature\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
