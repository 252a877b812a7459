//! The background task that keeps up with revocations.
//!
//! It opens the stream, feeds what arrives to the [`Follower`], and does what that says. When it
//! has to begin again from a snapshot, what is known stays in force beside it: first the snapshot
//! is *added* to that, so that nothing that was revoked comes back to life for an instant, and only
//! when a heartbeat has shown that the new state is complete does it take the place of the old one.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::RevocationReader;
use crate::clock::unix_now_millis;
use crate::revocation::follower::{Beat, Follower, Resync, Step};
use crate::revocation::pulse::Now;
use crate::revocation::sse::{EventReader, MalformedStream, Message};
use crate::revocation::state::{Change, State, TooManyLists};
use crate::revocation::{Frame, Position, STALE_AFTER, Transport, Watermark, WatermarkScope};

use super::FetchError;
use super::backoff::Backoff;
use super::documents::{Loaded, RevocationError, Trust, load};
use super::feed::Feed;
use super::trial::{HEARTBEATS_OF_A_STREAM, is_stream};

/// How often the stream is tried while the long poll is used.
const BETWEEN_TRIALS: Duration = Duration::from_mins(1);
/// The shortest time between two polls that bring no event, whatever a cache on the way answers.
const BETWEEN_POLLS: Duration = Duration::from_millis(250);
/// A long poll that makes nobody fresh for so long is given up.
const LONGEST_USELESS_POLLING: Duration = Duration::from_secs(6);
/// A snapshot taken while a new epoch begins is taken again.
const FIRST_ATTEMPTS: u32 = 3;
/// What was applied and not confirmed may be unknown to the server that answers for so long.
const SETTLING: Duration = Duration::from_secs(1);

/// A handle on the task; dropping it stops the task.
pub(super) struct FollowTask(AbortHandle);

/// The task's state.
pub(super) struct Follow {
    reader: Arc<RevocationReader>,
    feed: Arc<Feed>,
    trust: Trust,
    follower: Follower,
    rebuild: Option<Rebuild>,
    backoff: Backoff,
    is_warned: bool,
}

/// A state that is not complete yet.
struct Rebuild {
    state: State,
    /// Where the reader stood before.
    from: Position,
    /// When a server that had not heard of the last event must have.
    settled_at: Duration,
}

/// How a connection ended.
enum End {
    /// No good heartbeat for too long; so many had come, good or not.
    Silent(u32),
    Failed(FetchError),
    Closed,
    Malformed(MalformedStream),
    Resync(Resync),
    /// The stream can be used again.
    StreamIsBack,
}

/// What a message leads to.
pub(super) enum Flow {
    GoOn,
    /// Nothing was missed at this instant of the reader's monotonic clock.
    Fresh(Duration),
    Resync(Resync),
}

impl Follow {
    /// Takes the first snapshot.
    pub(super) async fn begin(
        reader: Arc<RevocationReader>,
        feed: Arc<Feed>,
        trust: Trust,
    ) -> Result<Self, RevocationError> {
        let mut attempt = 1;
        let loaded = loop {
            match load(&feed, &trust, attempt > 1, |_, _| false).await {
                Err(RevocationError::EpochsDiffer) if attempt < FIRST_ATTEMPTS => attempt += 1,
                outcome => break outcome?,
            }
        };
        Ok(Self::standing_at(loaded, reader, feed, trust))
    }

    pub(super) fn standing_at(
        loaded: Loaded,
        reader: Arc<RevocationReader>,
        feed: Arc<Feed>,
        trust: Trust,
    ) -> Self {
        let mut follower = Follower::new(reader.uris().clone(), trust.leeway);
        follower.stand_at(loaded.anchor, loaded.announced, &loaded.watermarks);
        reader.replace(loaded.state);
        reader.progress().advance(loaded.anchor.position);
        Self {
            reader,
            feed,
            trust,
            follower,
            rebuild: None,
            backoff: Backoff::default(),
            is_warned: false,
        }
    }

    pub(super) fn spawn(self) -> FollowTask {
        FollowTask(tokio::spawn(self.run()).abort_handle())
    }

    async fn run(mut self) {
        let mut transport = Transport::Stream;
        loop {
            self.reader.uses(transport);
            let end = match transport {
                Transport::Stream => self.stream().await,
                Transport::LongPoll => self.poll().await,
            };
            match end {
                End::Resync(reason) => self.resync(reason).await,
                End::StreamIsBack => transport = Transport::Stream,
                End::Silent(heartbeats)
                    if transport == Transport::Stream && heartbeats < HEARTBEATS_OF_A_STREAM =>
                {
                    transport = Transport::LongPoll;
                }
                end => {
                    transport = Transport::Stream;
                    self.reader.count_reconnect();
                    self.tell(&end);
                    let retry_after = match &end {
                        End::Failed(error) => error.retry_after(),
                        _ => None,
                    };
                    sleep(self.backoff.next_pause_after(retry_after)).await;
                }
            }
        }
    }

    async fn stream(&mut self) -> End {
        let mut deadline = Instant::now() + STALE_AFTER;
        let after = self.follower.position();
        let mut response = match timeout_at(deadline, self.feed.stream(after)).await {
            Err(_) => return End::Silent(0),
            Ok(Err(error)) => return End::Failed(error),
            Ok(Ok(response)) => response,
        };
        let mut events = EventReader::default();
        let mut heartbeats = 0;
        loop {
            let chunk = match timeout_at(deadline, response.chunk()).await {
                Err(_) => return End::Silent(heartbeats),
                Ok(Err(error)) => return End::Failed(super::http::request_failed(error)),
                Ok(Ok(None)) => return End::Closed,
                Ok(Ok(Some(chunk))) => chunk,
            };
            let events = match events.read(&chunk) {
                Ok(events) => events,
                Err(error) => return End::Malformed(error),
            };
            for event in events {
                let Ok(message) = event.into_message() else {
                    return End::Resync(Resync::UnknownEvent);
                };
                heartbeats += u32::from(matches!(message, Message::Heartbeat(_)));
                match self.take(message, now) {
                    Flow::GoOn => {}
                    Flow::Fresh(at) => deadline = deadline.max(Self::stale_at(at)),
                    Flow::Resync(reason) => return End::Resync(reason),
                }
            }
            if self.reader.take_ask() {
                return End::Resync(Resync::Asked);
            }
            // Whoever keeps the stream busy without a heartbeat never lets the timeout come.
            if Instant::now() >= deadline {
                return End::Silent(heartbeats);
            }
        }
    }

    async fn poll(&mut self) -> End {
        let mut useful_until = Instant::now() + LONGEST_USELESS_POLLING;
        let mut next_trial = Instant::now() + BETWEEN_TRIALS;
        let mut trial = JoinSet::new();
        loop {
            let asked_at = Instant::now();
            let changes = match self.feed.changes(self.follower.position()).await {
                Err(FetchError::Status(410)) => return End::Resync(Resync::Reset),
                Err(error) => return End::Failed(error),
                Ok(changes) => changes,
            };
            let has_events = !changes.events.is_empty();
            let is_of_before = self.stands_at_heartbeat(&changes.heartbeat);
            let mut messages: Vec<_> = changes.events.into_iter().map(Message::Frame).collect();
            let place = if is_of_before { 0 } else { messages.len() };
            messages.insert(place, Message::Heartbeat(changes.heartbeat));
            for message in messages {
                match self.take(message, now) {
                    Flow::Fresh(_) => useful_until = Instant::now() + LONGEST_USELESS_POLLING,
                    Flow::GoOn => {}
                    Flow::Resync(reason) => return End::Resync(reason),
                }
            }
            if self.reader.take_ask() {
                return End::Resync(Resync::Asked);
            }
            if let Some(Ok(true)) = trial.try_join_next() {
                return End::StreamIsBack;
            }
            let now = Instant::now();
            if now >= useful_until {
                return End::Silent(0);
            }
            if now >= next_trial {
                next_trial = now + BETWEEN_TRIALS;
                let feed = Arc::clone(&self.feed);
                trial.spawn(is_stream(feed, self.follower.position()));
            }
            if !has_events {
                sleep_until(asked_at + BETWEEN_POLLS).await;
            }
        }
    }

    pub(super) fn take(&mut self, message: Message, now: impl FnOnce() -> Now) -> Flow {
        match message {
            Message::Frame(frame) => self.take_frame(&frame),
            Message::Heartbeat(jws) => self.take_heartbeat(&jws, now),
            Message::Reset(_) => Flow::Resync(Resync::Reset),
        }
    }

    /// Whether a heartbeat speaks of the present place, and so of the time before the events that came with
    /// it. A server does not hold events back until its next heartbeat; where they keep coming, one that was
    /// only taken after them would never be of the reader's place.
    fn stands_at_heartbeat(&self, jws: &str) -> bool {
        let signed = self.trust.heartbeat(jws);
        signed.is_ok_and(|signed| signed.document.position() == self.follower.position())
    }

    fn take_frame(&mut self, frame: &Frame) -> Flow {
        match self.follower.frame(frame) {
            Step::Ignore => Flow::GoOn,
            Step::Resync(reason) => Flow::Resync(reason),
            Step::Apply(change) => {
                let known = self.reader.apply(&change);
                let rebuilt = self.rebuild.as_mut();
                let rebuilt = rebuilt.map_or(Ok(()), |rebuild| rebuild.state.apply(&change));
                if let Err(TooManyLists) = known.and(rebuilt) {
                    return Flow::Resync(Resync::TooManyLists);
                }
                self.reader.progress().advance(self.follower.position());
                if let Change::CutOff(Watermark {
                    scope: WatermarkScope::Kid(kid),
                    ..
                }) = change
                {
                    // The key set without that key is worth having at once.
                    self.trust
                        .requests
                        .ask_without(&kid, &self.trust.keys.load());
                }
                Flow::GoOn
            }
        }
    }

    fn take_heartbeat(&mut self, jws: &str, now: impl FnOnce() -> Now) -> Flow {
        let signed = match self.trust.heartbeat(jws) {
            Ok(signed) => signed,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "not a heartbeat");
                return Flow::GoOn;
            }
        };
        let now = now();
        match self.follower.heartbeat(&signed.kid, &signed.document, now) {
            Beat::Ignore => Flow::GoOn,
            Beat::Resync(reason) => Flow::Resync(reason),
            Beat::Fresh(at) => {
                self.was_fresh(at, now.monotonic);
                Flow::Fresh(at)
            }
        }
    }

    fn was_fresh(&mut self, at: Duration, now: Duration) {
        let position = self.follower.position();
        // Of several servers the one that answers now may not know yet what another said a moment
        // ago. Until it must, nothing of that is forgotten.
        let is_complete =
            |rebuild: &mut Rebuild| position >= rebuild.from || now >= rebuild.settled_at;
        if let Some(rebuild) = self.rebuild.take_if(is_complete) {
            self.reader.replace(rebuild.state);
        }
        if self.rebuild.is_none() {
            self.reader.progress().confirm(position);
        }
        // While a new state is built what is known is more than that, never less.
        self.reader.was_fresh(at);
        if now.saturating_sub(at) < STALE_AFTER {
            self.backoff.reset();
            if std::mem::take(&mut self.is_warned) {
                tracing::info!(%position, "revocations are heard of again");
            }
        }
    }

    /// When the knowledge of that instant will be too old.
    fn stale_at(at: Duration) -> Instant {
        let left = (at + STALE_AFTER).saturating_sub(RevocationReader::monotonic());
        Instant::now() + left
    }

    /// Begins again from a snapshot, for as long as it takes to get one.
    async fn resync(&mut self, reason: Resync) {
        tracing::info!(
            ?reason,
            position = %self.follower.position(),
            "a new snapshot of revocations is needed"
        );
        self.reader.count_resync();
        let settled_at = RevocationReader::monotonic() + SETTLING;
        let mut retry_after = None;
        loop {
            sleep(self.backoff.next_pause_after(retry_after)).await;
            match self.load_again().await {
                Ok(loaded) => return self.restart(loaded, settled_at),
                Err(error) => {
                    self.warn_when_stale(&error);
                    retry_after = match &error {
                        RevocationError::Fetch(error) => error.retry_after(),
                        _ => None,
                    };
                }
            }
        }
    }

    async fn load_again(&self) -> Result<Loaded, RevocationError> {
        let distrusts = |kid: &str, iat: i64| self.follower.distrusts(kid, iat);
        // What a cache has is as old as what failed.
        let loaded = load(&self.feed, &self.trust, true, distrusts).await?;
        if loaded.anchor.position.epoch < self.follower.position().epoch {
            return Err(RevocationError::EarlierEpoch);
        }
        Ok(loaded)
    }

    fn restart(&mut self, loaded: Loaded, settled_at: Duration) {
        let Loaded {
            mut state,
            anchor,
            announced,
            watermarks,
        } = loaded;
        self.follower.stand_at(anchor, announced, &watermarks);
        // A snapshot may have forgotten a key that was cut off, such as one of a restored backup. Its
        // tokens stay dead as its documents do.
        for mark in self.follower.distrusted() {
            state.raise(mark);
        }
        self.reader.unite(&state);
        let from = self.reader.position();
        self.reader.progress().advance(anchor.position);
        self.rebuild = Some(Rebuild {
            state,
            from,
            settled_at,
        });
    }

    fn tell(&mut self, end: &End) {
        match end {
            End::Failed(error) => self.warn_when_stale(error),
            End::Malformed(error) => self.warn_when_stale(error),
            End::Silent(_) => self.warn_when_stale(&Silence),
            End::Closed | End::Resync(_) | End::StreamIsBack => {}
        }
    }

    /// Once for each time that it matters, not for each attempt.
    fn warn_when_stale(&mut self, error: &(dyn std::error::Error + 'static)) {
        let is_stale = self.reader.staleness().is_none_or(|age| age > STALE_AFTER);
        if is_stale && !std::mem::replace(&mut self.is_warned, true) {
            tracing::warn!(error, "nothing is heard of revocations");
        } else {
            tracing::debug!(error, "the stream of revocations broke off");
        }
    }
}

fn now() -> Now {
    Now {
        wall: unix_now_millis(),
        monotonic: RevocationReader::monotonic(),
    }
}

impl Drop for FollowTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no good heartbeat came")]
struct Silence;
