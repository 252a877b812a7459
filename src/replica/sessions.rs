//! Sessions that were used lately. What never changes of a session is remembered, so that the next
//! refresh is one round trip; when it was used is gathered and written down in batches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use crate::domain::Timestamp;
use crate::domain::id::SessionId;
use crate::domain::ports::{SessionMemory, SessionUse};
use crate::domain::session::SessionTerms;

/// How many sessions are remembered. One takes about half a kilobyte.
const MOST_REMEMBERED: usize = 32_768;

/// The sessions as this replica remembers them.
pub struct SessionCache {
    terms: Cache<SessionId, Arc<SessionTerms>>,
    uses: Mutex<HashMap<SessionId, SessionUse>>,
}

impl Default for SessionCache {
    fn default() -> Self {
        Self {
            terms: Cache::new(MOST_REMEMBERED),
            uses: Mutex::default(),
        }
    }
}

impl SessionCache {
    /// Takes the uses that are not written down yet.
    pub(super) fn take_uses(&self) -> Vec<SessionUse> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.drain().map(|(_, used)| used).collect()
    }

    /// Takes back uses that could not be written down.
    pub(super) fn restore_uses(&self, unwritten: Vec<SessionUse>) {
        for used in unwritten {
            self.note_use(used.session, used.seen_at, used.idle_expires_at);
        }
    }
}

impl SessionMemory for SessionCache {
    fn recall(&self, id: SessionId) -> Option<Arc<SessionTerms>> {
        self.terms.get(&id)
    }

    fn remember(&self, terms: Arc<SessionTerms>) {
        self.terms.insert(terms.id, terms);
    }

    fn note_use(&self, id: SessionId, seen_at: Timestamp, idle_expires_at: Option<Timestamp>) {
        /// Beyond so many the database has been away for long; what is lost is a date.
        const MOST_GATHERED: usize = 100_000;
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() >= MOST_GATHERED && !uses.contains_key(&id) {
            return;
        }
        let known = uses.entry(id).or_insert(SessionUse {
            session: id,
            seen_at,
            idle_expires_at,
        });
        known.seen_at = known.seen_at.max(seen_at);
        known.idle_expires_at = known.idle_expires_at.max(idle_expires_at);
    }
}
