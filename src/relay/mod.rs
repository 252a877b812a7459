//! Passes the log of revocations of a server on to many readers nearby, over one connection.
//!
//! A relay has no key and is not trusted: what it passes on is signed, and readers check it. It can
//! be slow or silent, and then they are stale; it cannot make them believe that a dead token lives.

mod documents;
mod follow;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::domain::ports::Entropy;
use crate::revocation::Feed;

pub use documents::{RelayedDocument, RelayedDocuments, Wanted};
pub use upstream::{InvalidUpstream, Upstream, UpstreamFailed};

/// A heartbeat older than this means that readers are stale, and so that the relay is not ready.
const FRESH: Duration = Duration::from_secs(2);

/// What a relay knows.
pub struct Relay {
    /// The log, as far as it has come.
    pub feed: Feed,
    /// Status lists and the snapshot.
    pub documents: RelayedDocuments,
    upstream: Arc<Upstream>,
    entropy: Arc<dyn Entropy>,
    /// Whether it was said that the upstream is away.
    is_lost: AtomicBool,
}

impl Relay {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(upstream: Upstream, feed: Feed, entropy: Arc<dyn Entropy>) -> Self {
        let upstream = Arc::new(upstream);
        Self {
            feed,
            documents: RelayedDocuments::new(Arc::clone(&upstream)),
            upstream,
            entropy,
            is_lost: AtomicBool::default(),
        }
    }

    /// Whether the upstream's heartbeats arrive.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.feed.heartbeat_age().is_some_and(|age| age < FRESH)
    }
}

#[cfg(test)]
mod tests;
