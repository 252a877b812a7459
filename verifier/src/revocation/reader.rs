//! What the verifier asks for every token, and what feeds it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::progress::Progress;
use super::state::{BitStatus, Change, State, TooManyLists};
use super::watch::{Callback, Registration, Registry, Watched};
use super::{ListUris, Position, RevocationStats, Transport};
use crate::clock::{coarse_monotonic_nanos, monotonic_nanos};
use crate::{Claims, Freshness, Reject, Status};

/// The shortest time between two resyncs that tokens with an unknown list cause.
const ASK_COOLDOWN: Duration = Duration::from_secs(5);
/// Instants are counted from so long before the clock began, so that zero means never.
const HEADROOM: Duration = Duration::from_hours(24);

/// What is known of revocations, and how far it goes.
///
/// It belongs to a [`Verifier`](crate::Verifier) that was set up with revocation; see
/// [`Verifier::revocation`](crate::Verifier::revocation).
#[derive(Debug)]
pub struct RevocationReader {
    uris: ListUris,
    /// `None` before the first snapshot.
    state: ArcSwapOption<State>,
    /// Held while `state` changes.
    writing: Mutex<()>,
    /// Of the last good heartbeat: nanoseconds of the monotonic clock and [`HEADROOM`]; 0 for never.
    good_at: AtomicU64,
    progress: Progress,
    registry: Arc<Registry>,
    is_asked: AtomicBool,
    /// As `good_at`.
    asked_at: AtomicU64,
    resyncs: AtomicU64,
    reconnects: AtomicU64,
    is_long_poll: AtomicBool,
}

impl RevocationReader {
    pub(crate) fn new(issuer: &str) -> Self {
        Self {
            uris: list_uris(issuer),
            state: ArcSwapOption::empty(),
            writing: Mutex::default(),
            good_at: AtomicU64::new(0),
            progress: Progress::default(),
            registry: Arc::default(),
            is_asked: AtomicBool::new(false),
            asked_at: AtomicU64::new(0),
            resyncs: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            is_long_poll: AtomicBool::new(false),
        }
    }

    /// Where the reader stands: every event up to there is applied.
    ///
    /// Events are not signed, so whoever stands between issuer and reader could make this look
    /// further than it is, for a second or two. `confirmed` in the [`stats`](Self::stats) they
    /// cannot.
    #[must_use]
    pub fn position(&self) -> Position {
        self.progress.position()
    }

    /// Waits until the reader has reached a position, such as the one in `Revocation-Seq` of the
    /// answer to a logout: from then on the tokens concerned are rejected.
    ///
    /// It waits for as long as it takes; put a timeout around it.
    pub async fn reached(&self, position: Position) {
        self.progress.reached(position).await;
    }

    /// Whether a snapshot was read. Before, every token is rejected as
    /// [`RevocationUnavailable`](Reject::RevocationUnavailable).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.load().is_some()
    }

    /// How old the last good heartbeat is; `None` before the first.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        self.staleness_nanos().map(Duration::from_nanos)
    }

    fn staleness_nanos(&self) -> Option<u64> {
        match self.good_at.load(Ordering::Acquire) {
            0 => None,
            // Every token asks, so it has to be cheap; a tick is nothing beside two seconds. One
            // that came since the tick is not old at all.
            good_at => Some(with_headroom(coarse_monotonic_nanos()).saturating_sub(good_at)),
        }
    }

    /// Numbers for a dashboard. It counts bits: some microseconds for each list.
    #[must_use]
    pub fn stats(&self) -> RevocationStats {
        let state = self.state.load_full();
        let is_ready = state.is_some();
        let state = state.unwrap_or_default();
        let is_long_poll = self.is_long_poll.load(Ordering::Relaxed);
        RevocationStats {
            position: self.position(),
            confirmed: self.progress.confirmed(),
            staleness: self.staleness(),
            is_ready,
            lists: state.announced() as usize,
            revoked: state.with_bits().map(super::BitList::count).sum(),
            bytes: state.with_bits().count() * super::LIST_BYTES,
            watermarks: state.watermarks().len(),
            resyncs: self.resyncs.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
            transport: if is_long_poll {
                Transport::LongPoll
            } else {
                Transport::Stream
            },
        }
    }

    /// Whether a token whose signature and claims are good is dead, or may be.
    ///
    /// What is certain comes first: a token that is known to be dead is rejected for good, however
    /// stale the reader is.
    pub(crate) fn check<X>(
        &self,
        claims: &Claims<X>,
        kid: &str,
        freshness: Freshness,
    ) -> Result<(), Reject> {
        let state = self.state.load();
        let state = state.as_ref().ok_or(Reject::RevocationUnavailable)?;
        let status = claims.status.as_ref();
        let Status { status_list } = status.ok_or(Reject::MissingClaim("status"))?;
        let list = self.uris.number(&status_list.uri);
        let list = list.ok_or(Reject::ForeignStatusList)?;
        match state.status(list, status_list.idx) {
            BitStatus::Good => {}
            BitStatus::Revoked => return Err(Reject::Revoked),
            BitStatus::BeyondEnd => return Err(Reject::InvalidClaim("status")),
            BitStatus::UnknownList => return Err(Reject::UnknownStatusList),
        }
        let watermarks = state.watermarks();
        if watermarks.cut_off(&claims.iss, &claims.client_id, kid, claims.iat) {
            return Err(Reject::CutOff);
        }
        let Some(longest_silence) = freshness.longest_silence() else {
            return Ok(());
        };
        match self.staleness_nanos() {
            Some(staleness) if staleness <= nanos(longest_silence) => Ok(()),
            _ => Err(Reject::RevocationStale),
        }
    }

    /// Notes that a token names a list that was not announced. The answer to it costs the issuer a
    /// snapshot, so it is given once in a while, whatever tokens arrive.
    pub(crate) fn ask_for_resync(&self) {
        let (now, asked_at) = (now_nanos(), self.asked_at.load(Ordering::Relaxed));
        if asked_at != 0 && now.saturating_sub(asked_at) < nanos(ASK_COOLDOWN) {
            return;
        }
        // Of several at once, one.
        let exchange =
            self.asked_at
                .compare_exchange(asked_at, now, Ordering::Relaxed, Ordering::Relaxed);
        if exchange.is_ok() {
            self.is_asked.store(true, Ordering::Release);
        }
    }

    pub(crate) fn on_revoked<X>(
        &self,
        claims: &Claims<X>,
        kid: &str,
        callback: Callback,
    ) -> Registration {
        let bit = claims.status.as_ref().and_then(|status| {
            let entry = &status.status_list;
            Some((self.uris.number(&entry.uri)?, entry.idx))
        });
        let watched = Watched {
            bit,
            issuer: claims.iss.clone(),
            client_id: claims.client_id.clone(),
            kid: kid.to_owned(),
            iat: claims.iat,
        };
        let registration = self.registry.register(watched, callback);
        // Looked at after registering, so that a revocation cannot slip in between.
        if let Some(state) = self.state.load().as_ref() {
            self.registry.was_registered(&registration, state);
        }
        registration
    }

    /// Applies one event at once.
    pub(crate) fn apply(&self, change: &Change) -> Result<(), TooManyLists> {
        if let Change::Revoke { list, idx } = change {
            self.revoke(*list, idx)?;
            self.registry.bits_were_set(*list, idx);
            return Ok(());
        }
        self.change(|state| state.apply(change))
    }

    fn revoke(&self, list: u32, idx: &[u32]) -> Result<(), TooManyLists> {
        let _writing = self.writing();
        let known = self.state.load();
        let Some(known) = known.as_ref() else {
            return Ok(());
        };
        if known.set_in_place(list, idx) {
            return Ok(());
        }
        let mut state = State::clone(known);
        state.set(list, idx)?;
        self.state.store(Some(Arc::new(state)));
        Ok(())
    }

    /// Knows from here on exactly this.
    pub(crate) fn replace(&self, state: State) {
        self.change(|known| *known = state);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (state, outcome) = {
            let _writing = self.writing();
            let mut state = self.state.load().as_deref().cloned().unwrap_or_default();
            let outcome = change(&mut state);
            let state = Arc::new(state);
            self.state.store(Some(Arc::clone(&state)));
            (state, outcome)
        };
        // Callbacks run without the lock, because they may do anything.
        self.registry.state_has_changed(&state);
        outcome
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// What only a reader with a network needs.
#[cfg(feature = "fetch")]
impl RevocationReader {
    pub(crate) fn uris(&self) -> &ListUris {
        &self.uris
    }

    /// Takes in what a snapshot says, beside what is known.
    pub(crate) fn unite(&self, snapshot: &State) {
        self.change(|state| state.union(snapshot));
    }

    /// A good heartbeat made the reader fresh at this instant of [`monotonic`](Self::monotonic).
    pub(crate) fn was_fresh(&self, at: Duration) {
        self.good_at.fetch_max(nanos(at).max(1), Ordering::AcqRel);
    }

    /// Time since some instant, on a clock that never jumps.
    pub(crate) fn monotonic() -> Duration {
        Duration::from_nanos(now_nanos())
    }

    /// Whether somebody asked for a resync since the last call.
    pub(crate) fn take_ask(&self) -> bool {
        self.is_asked.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn count_resync(&self) {
        self.resyncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn uses(&self, transport: Transport) {
        let is_long_poll = transport == Transport::LongPoll;
        self.is_long_poll.store(is_long_poll, Ordering::Relaxed);
    }
}

/// What only a test may do.
#[cfg(feature = "testing")]
impl RevocationReader {
    /// Holds the age of the last heartbeat at this value, or lets it be fresh for ever.
    pub(crate) fn pretend_staleness(&self, staleness: Option<Duration>) {
        let at = staleness.map_or(u64::MAX, |age| {
            now_nanos().saturating_sub(nanos(age)).max(1)
        });
        self.good_at.store(at, Ordering::Release);
    }
}

pub(crate) fn list_uris(issuer: &str) -> ListUris {
    ListUris::new(&format!("{}/status-lists", issuer.trim_end_matches('/')))
}

fn now_nanos() -> u64 {
    with_headroom(monotonic_nanos())
}

const fn with_headroom(monotonic: u64) -> u64 {
    monotonic.saturating_add(nanos(HEADROOM))
}

/// Without the detour over 128 bits, because every token asks for it.
const fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos() as u64)
}
