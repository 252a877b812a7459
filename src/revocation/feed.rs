//! Fans the log out: what is published once is shared by every reader, and a reader that waits costs
//! no more than its place.
//!
//! A reader holds no buffer. What it has not read yet stands in the [`Ring`]; when a slow one finds
//! that the ring no longer reaches back to its place, it is told to begin again (`reset`), and its
//! stream ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokensmith_verify::revocation::sse::{self, EventReader, Message};
use tokensmith_verify::revocation::{Frame, Position};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::ring::{Limits, Ring};
use crate::telemetry::metrics::FeedMetrics;

/// Under load all readers are woken together, and no more often than this: a revocation is later by
/// so much at the most, and a thousand a second cost no more than forty.
const WAKE_INTERVAL: Duration = Duration::from_millis(25);

/// After so many heartbeats from before its place a reader is not merely ahead of a replica that is
/// late: five seconds.
const MOST_EARLIER_HEARTBEATS: u8 = 10;

/// The most text of events in one answer to a reader that polls. It asks again for the rest.
const MOST_POLLED_BYTES: usize = 256 * 1024;

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
    /// Nothing is known before the first restart.
    epoch: Option<u64>,
    ring: Ring,
    limits: Limits,
    /// The number that the latest restart began at.
    restarted_at: u64,
    heartbeat: Option<Heartbeat>,
    heartbeats: u64,
    last_wake: Option<Instant>,
    next_wake: Option<Instant>,
    is_closed: bool,
}

/// The latest heartbeat.
struct Heartbeat {
    signed: Arc<str>,
    text: Bytes,
    /// Counts heartbeats, so that each is sent once.
    serial: u64,
    /// The number of the last event before it.
    seq: u64,
    at: Instant,
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

/// Nobody has said yet where the log begins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log of revocations is not known yet")]
pub struct NotBegun;

/// The feed cannot go on from where the reader stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read from there ({reason}): take a new snapshot")]
pub struct Behind {
    /// `new_epoch`, `behind`, `restarted`, `too_slow` or `ahead`.
    pub reason: &'static str,
    /// A place that the feed does go on from, for some time yet.
    pub earliest: Position,
}

/// What is new since a place, for readers that poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// In their order.
    pub events: Vec<Frame>,
    /// The latest heartbeat.
    pub heartbeat: Option<Arc<str>>,
}

impl Feed {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(metrics: FeedMetrics) -> Self {
        Self::with_limits(metrics, Limits::ORDINARY)
    }

    fn with_limits(metrics: FeedMetrics, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                epoch: None,
                ring: Ring::new(0, limits),
                limits,
                restarted_at: 0,
                heartbeat: None,
                heartbeats: 0,
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
        state.epoch = Some(at.epoch);
        state.ring = Ring::new(at.seq, state.limits);
        state.restarted_at = at.seq;
        state.heartbeat = None;
        self.0.metrics.reached(at.seq);
        self.0.wake(&mut state);
    }

    /// Adds events. Those that are here already are skipped; where some are missing, the log begins
    /// anew behind the gap.
    pub fn publish(&self, frames: &[Frame]) {
        let mut state = self.0.lock();
        let mut added = 0;
        for frame in frames {
            let Position { epoch, seq } = frame.position;
            let end = state.ring.end();
            if state.epoch == Some(epoch) && seq <= end {
                continue;
            }
            if state.epoch != Some(epoch) || seq != end + 1 {
                tracing::warn!(position = %frame.position, "the log of revocations has a gap");
                state.epoch = Some(epoch);
                state.restarted_at = seq.saturating_sub(1);
                state.ring = Ring::new(state.restarted_at, state.limits);
                state.heartbeat = None;
            }
            state.ring.push(frame);
            added += 1;
        }
        if added > 0 {
            self.0.metrics.published(added);
            self.0.metrics.reached(state.ring.end());
            self.0.wake(&mut state);
        }
    }

    /// A signed heartbeat for the place where the log stands now. Readers get it between the events
    /// before it and those after it, because it says nothing to a reader that stands elsewhere.
    pub fn beat(&self, signed: &str) {
        let mut state = self.0.lock();
        // So that no segment goes beyond its place.
        state.ring.seal();
        state.heartbeats += 1;
        state.heartbeat = Some(Heartbeat {
            signed: signed.into(),
            text: sse::heartbeat(signed).into(),
            serial: state.heartbeats,
            seq: state.ring.end(),
            at: Instant::now(),
        });
        self.0.wake(&mut state);
    }

    /// How long ago the latest heartbeat came; `None` when there has been none since the restart.
    #[must_use]
    pub fn heartbeat_age(&self) -> Option<Duration> {
        let state = self.0.lock();
        state.heartbeat.as_ref().map(|last| last.at.elapsed())
    }

    /// Where the log stands; `None` before the first restart.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.0.lock().position()
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
        let epoch = state.epoch.ok_or(NotBegun)?;
        let place = after.unwrap_or_else(|| {
            // The latest heartbeat is worth something only to a reader that stands where it does.
            let latest = state.heartbeat.as_ref();
            let seq = latest.map_or_else(|| state.ring.end(), |latest| latest.seq);
            Position {
                epoch,
                seq: seq.max(state.ring.start()),
            }
        });
        state.refuse(place, "behind").map_err(|behind| {
            self.0.metrics.reset(behind.reason);
            behind
        })?;
        drop(state);
        Ok(Reader {
            shared: Arc::clone(&self.0),
            rounds,
            progress: Progress {
                place,
                heartbeat: 0,
                earlier_heartbeats: 0,
            },
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
    /// When the log does not go on from there.
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
        let state = self.0.lock();
        let events = match after {
            Some(place) => {
                state.refuse(place, "too_slow")?;
                state.polled(place)
            }
            None => Vec::new(),
        };
        let heartbeat = state.heartbeat.as_ref();
        Ok(Changes {
            events,
            heartbeat: heartbeat.map(|latest| Arc::clone(&latest.signed)),
        })
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
        state.ring.seal();
        state.next_wake = None;
        state.last_wake = Some(Instant::now());
        self.rounds.send_replace(());
    }
}

impl State {
    fn position(&self) -> Option<Position> {
        let seq = self.ring.end();
        self.epoch.map(|epoch| Position { epoch, seq })
    }

    /// Whether the log does not go on from a place. `too_old` is what it is called when the ring does
    /// not reach back.
    fn refuse(&self, place: Position, too_old: &'static str) -> Result<(), Behind> {
        let epoch = self.epoch.unwrap_or_default();
        let reason = if place.epoch < epoch {
            "new_epoch"
        } else if place.epoch > epoch || place.seq >= self.ring.start() {
            return Ok(());
        } else if place.seq < self.restarted_at {
            "restarted"
        } else {
            too_old
        };
        Err(self.behind(reason))
    }

    fn behind(&self, reason: &'static str) -> Behind {
        let (start, end) = (self.ring.start(), self.ring.end());
        Behind {
            reason,
            earliest: Position {
                epoch: self.epoch.unwrap_or_default(),
                // Not the very oldest event: that may be gone when the reader comes back.
                seq: start + (end - start) / 8,
            },
        }
    }

    /// What comes next for a reader.
    fn next(&self, progress: &mut Progress) -> Result<Option<Bytes>, Behind> {
        let place = progress.place;
        self.refuse(place, "too_slow")?;
        let is_ahead = self.position().is_none_or(|end| place > end);
        if let Some(latest) = &self.heartbeat
            && latest.serial > progress.heartbeat
        {
            if !is_ahead && latest.seq == place.seq {
                progress.heartbeat = latest.serial;
                progress.earlier_heartbeats = 0;
                return Ok(Some(latest.text.clone()));
            }
            if is_ahead || latest.seq < place.seq {
                progress.heartbeat = latest.serial;
                progress.earlier_heartbeats += 1;
                if progress.earlier_heartbeats > MOST_EARLIER_HEARTBEATS {
                    return Err(self.behind("ahead"));
                }
            }
        }
        if is_ahead {
            return Ok(None);
        }
        Ok(self.ring.after(place.seq).map(|(text, seq)| {
            progress.place.seq = seq;
            text
        }))
    }

    /// Whether a reader that polls gets something now, if only word that it is behind.
    fn is_ready(&self, place: Position) -> bool {
        let is_here = self.epoch == Some(place.epoch);
        self.is_closed
            || self.refuse(place, "too_slow").is_err()
            || (is_here && self.ring.after(place.seq).is_some())
    }

    /// The events after a place up to the heartbeat, where it is later, else to the end.
    fn polled(&self, place: Position) -> Vec<Frame> {
        let latest = self.heartbeat.as_ref();
        let up_to = latest
            .map(|latest| latest.seq)
            .filter(|seq| *seq > place.seq);
        let mut events = Vec::new();
        let mut size = 0;
        let mut number = place.seq;
        // A place in a later epoch is ahead of everything here.
        let is_here = self.epoch == Some(place.epoch);
        while is_here && size < MOST_POLLED_BYTES && up_to.is_none_or(|seq| number < seq) {
            let Some((text, end)) = self.ring.after(number) else {
                break;
            };
            size += text.len();
            number = end;
            events.extend(frames(&text));
        }
        events
    }
}

/// The events in a text of ours.
fn frames(text: &[u8]) -> impl Iterator<Item = Frame> {
    let events = EventReader::default().read(text).unwrap_or_default();
    events
        .into_iter()
        .filter_map(|event| match event.into_message() {
            Ok(Message::Frame(frame)) => Some(frame),
            _ => None,
        })
}

/// Follows the log from its place.
pub struct Reader {
    shared: Arc<Shared>,
    rounds: watch::Receiver<()>,
    progress: Progress,
    has_ended: bool,
}

/// What one reader has been given.
struct Progress {
    place: Position,
    /// The serial of the latest heartbeat that it got, or that was of no use to it.
    heartbeat: u64,
    /// How many heartbeats in a row were from before its place.
    earlier_heartbeats: u8,
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
        match state.next(&mut self.progress) {
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
            if self.shared.lock().is_ready(self.progress.place) {
                return;
            }
            if self.rounds.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Behind {
    /// The event that tells a reader so, the last of its stream.
    #[must_use]
    pub fn text(&self) -> Bytes {
        let Self { reason, earliest } = self;
        format!("event: reset\ndata: {{\"reason\":\"{reason}\",\"earliest\":\"{earliest}\"}}\n\n")
            .into()
    }
}

#[cfg(test)]
mod tests;
