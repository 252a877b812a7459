//! What to do while revocations cannot be heard of.

use std::time::Duration;

/// A reader that has had no good heartbeat for so long is stale. The server sends one twice a second.
pub const STALE_AFTER: Duration = Duration::from_secs(2);
/// The grace unless another is set.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// What a verifier does with tokens that are not known to be revoked, while the reader is stale: its
/// last good heartbeat is older than [`STALE_AFTER`], so somebody may have been logged out unheard.
///
/// A rejection for this reason is [transient](crate::Reject::is_transient): 503 with `Retry-After`,
/// and clients keep their tokens. Whatever the policy, a token that is known to be revoked is
/// rejected.
///
/// | | how long a dead token may be accepted | an outage of the issuer |
/// |---|---|---|
/// | `Strict` | 2 s | is felt after 2 s |
/// | `Grace(d)` | 2 s + d | is felt after 2 s + d |
/// | `UntilExpiry` | until it expires | is not felt |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Rejects as soon as the reader is stale: for what must not happen after a logout.
    Strict,
    /// Goes on for so long after the reader became stale. The default, with ten seconds: enough for
    /// a restart of the issuer.
    Grace(Duration),
    /// Goes on until the tokens expire, as without revocation: for what is better served to
    /// somebody logged out than to nobody.
    UntilExpiry,
}

impl Default for Freshness {
    fn default() -> Self {
        Self::Grace(DEFAULT_GRACE)
    }
}

impl Freshness {
    /// How old the last good heartbeat may be; `None` for any age.
    pub(crate) const fn longest_silence(self) -> Option<Duration> {
        match self {
            Self::Strict => Some(STALE_AFTER),
            Self::Grace(grace) => Some(STALE_AFTER.saturating_add(grace)),
            Self::UntilExpiry => None,
        }
    }

    /// Whether what passes this policy passes the other, too.
    #[cfg(feature = "actix")]
    pub(crate) fn is_at_least(self, other: Self) -> bool {
        let silence = |policy: Self| policy.longest_silence().unwrap_or(Duration::MAX);
        silence(self) <= silence(other)
    }
}
