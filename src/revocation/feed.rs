//! Fans the log out: what is published once is shared by every reader, and a reader that waits costs
//! no more than its place.
//!
//! A reader holds no buffer. What it has not read yet stands in a ring of the latest events; when a slow one finds
//! that the ring no longer reaches back to its place, it is told to begin again (`reset`), and its
//! stream ends.

mod log;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokensmith_verify::revocation::{Changes, Frame, Position};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::ring::Limits;
use crate::telemetry::metrics::FeedMetrics;

pub use log::Behind;
use log::{Log, Progress};

/// Under load all readers are woken together, and no more often than this: a revocation is later by
/// so much at the most, and a thousand a second cost no more than forty.
const WAKE_INTERVAL: Duration = Duration::from_millis(25);

/// The log of revocations as this process knows it. Clones are the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Changes whenever readers should look again.
    rounds: watch::Sender<()>,
    metrics: FeedMetrics,
}

struct State {
    log: Log,
    last_wake: Option<Instant>,
    /// When the readers are woken who have something waiting.
    next_wake: Option<Instant>,
    is_closed: bool,
}

/// Why there is nothing to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The reader has to begin again.
    #[error(transparent)]
    Behind(#[from] Behind),
    /// The log is not known yet.
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
}

/// Nobody has said yet where the log begins; to readers that poll, nor that it is whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log of revocations is not known yet")]
pub struct NotBegun;

impl Feed {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(metrics: FeedMetrics) -> Self {
        Self::with_limits(metrics, Limits::ORDINARY)
    }

    fn with_limits(metrics: FeedMetrics, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                log: Log::new(limits),
                last_wake: None,
                next_wake: None,
                is_closed: false,
            }),
            rounds: watch::Sender::new(()),
            metrics,
        }))
    }

    /// The log goes on from here: a new epoch has begun, or what came before is lost. Readers that
    /// stand elsewhere begin again.
    pub fn restart(&self, at: Position) {
        let mut state = self.0.lock();
        state.log.restart(at);
        self.0.metrics.reached(at.epoch, at.seq);
        self.0.wake(&mut state);
    }

    /// Adds events. Those that are here already are skipped; where some are missing, the log begins
    /// anew behind the gap.
    pub fn publish(&self, frames: &[Frame]) {
        let mut state = self.0.lock();
        let added = state.log.add(frames);
        if added > 0 {
            self.0.metrics.published(added);
            if let Some(end) = state.log.position() {
                self.0.metrics.reached(end.epoch, end.seq);
            }
            self.0.wake(&mut state);
        }
    }

    /// A signed heartbeat for the place where the log stands now. Readers get it between the events
    /// before it and those after it, because it says nothing to a reader that stands elsewhere.
    pub fn beat(&self, signed: &str) {
        let mut state = self.0.lock();
        state.log.beat(signed);
        self.0.metrics.beaten();
        self.0.wake(&mut state);
    }

    /// How long ago the latest heartbeat came; `None` when there has been none since the restart.
    #[must_use]
    pub fn heartbeat_age(&self) -> Option<Duration> {
        self.0.lock().log.heartbeat_age()
    }

    /// Where the log stands; `None` before the first restart.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.0.lock().log.position()
    }

    /// Ends every stream, so that the process can stop: plainly, because nothing is lost, and readers
    /// go on elsewhere from where they stand.
    pub fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.rounds.send_replace(());
    }

    /// Reads from a place, or from the present.
    ///
    /// A place ahead of the log is waited for: the reader may come from a replica that heard earlier.
    ///
    /// # Errors
    /// When the log does not go on from there.
    pub fn reader(&self, after: Option<Position>) -> Result<Reader, Unreadable> {
        // Before the state is looked at, so that no round is missed.
        let rounds = self.0.rounds.subscribe();
        let state = self.0.lock();
        let present = state.log.present().ok_or(NotBegun)?;
        let place = after.unwrap_or(present);
        state
            .log
            .refuse(place, "behind")
            .inspect_err(|behind| self.0.metrics.reset(behind.reason))?;
        drop(state);
        Ok(Reader {
            shared: Arc::clone(&self.0),
            rounds,
            progress: Progress::at(place),
            has_ended: false,
        })
    }

    /// What is new since a place, at once or as soon as there is an event within the time given.
    /// Without a place only the latest heartbeat.
    ///
    /// The events go no further than the heartbeat, where it is later than the place: so the reader
    /// stands where it does, and gets the rest when it asks again.
    ///
    /// # Errors
    /// When the log does not go on from there, or there was no heartbeat yet.
    pub async fn changes(
        &self,
        after: Option<Position>,
        wait: Duration,
    ) -> Result<Changes, Unreadable> {
        let mut reader = self.reader(after)?;
        if after.is_some() {
            // In vain is an answer, too.
            let _ready = timeout(wait, reader.ready()).await;
        }
        let news = {
            let state = self.0.lock();
            if let Some(place) = after {
                state.log.refuse(place, "too_slow")?;
            }
            state.log.news(after).ok_or(NotBegun)?
        };
        // Without the lock: every other reader waits for it, and so does whoever publishes.
        Ok(news.into_changes())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all readers: at once when the last time is long enough ago, else when it will be.
    fn wake(self: &Arc<Self>, state: &mut State) {
        let now = Instant::now();
        // The task that was to do it may have ended with its runtime.
        if state.next_wake.is_some_and(|at| at >= now) {
            return;
        }
        let due = state.last_wake.map_or(now, |last| last + WAKE_INTERVAL);
        match Handle::try_current() {
            Ok(runtime) if due > now => {
                state.next_wake = Some(due);
                let shared = Arc::clone(self);
                runtime.spawn(async move {
                    sleep(due - now).await;
                    let mut state = shared.lock();
                    if state.next_wake == Some(due) {
                        shared.wake_now(&mut state);
                    }
                });
            }
            _ => self.wake_now(state),
        }
    }

    fn wake_now(&self, state: &mut State) {
        state.log.seal();
        state.next_wake = None;
        state.last_wake = Some(Instant::now());
        self.rounds.send_replace(());
    }
}

/// Follows the log from its place.
pub struct Reader {
    shared: Arc<Shared>,
    rounds: watch::Receiver<()>,
    progress: Progress,
    has_ended: bool,
}

impl Reader {
    /// The next text of the stream: events, a heartbeat, or a `reset`, which is the last. Waits for
    /// one; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Before the state is looked at, so that no round is missed.
            self.rounds.mark_unchanged();
            if let Some(text) = self.look() {
                return Some(text);
            }
            if self.has_ended {
                return None;
            }
            self.rounds.changed().await.ok()?;
        }
    }

    /// What is there to be read now.
    fn look(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        let state = self.shared.lock();
        if state.is_closed {
            self.has_ended = true;
            return None;
        }
        match state.log.next(&mut self.progress) {
            Ok(text) => text,
            Err(behind) => {
                self.has_ended = true;
                self.shared.metrics.reset(behind.reason);
                Some(behind.text())
            }
        }
    }

    /// Waits until there is an event after the place, or nothing to wait for.
    async fn ready(&mut self) {
        loop {
            self.rounds.mark_unchanged();
            let is_ready = {
                let state = self.shared.lock();
                state.is_closed || state.log.is_ready(self.progress.place)
            };
            if is_ready {
                return;
            }
            if self.rounds.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
