//! What a process remembers of sessions.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::id::SessionId;
use crate::domain::session::SessionTerms;

/// Remembers what never changes of sessions that were used lately, and when they were used.
///
/// Nothing is decided by it: a rotation that relies on remembered terms is guarded by the database.
pub trait SessionMemory: Send + Sync {
    /// The terms of a session that was used lately.
    fn recall(&self, id: SessionId) -> Option<Arc<SessionTerms>>;
    /// Remembers the terms of a session.
    fn remember(&self, terms: Arc<SessionTerms>);
    /// Takes note that a session was used without a rotation; written down later, in batches.
    fn note_use(&self, id: SessionId, seen_at: Timestamp, idle_expires_at: Option<Timestamp>);
}
