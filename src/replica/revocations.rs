//! Follows the log of revocations: reads what other replicas have numbered, numbers what waits, and
//! says twice a second that nothing is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use chrono::TimeDelta;
use tokensmith_verify::revocation::{Heartbeat, Position};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::DATABASE_PATIENCE;
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::ports::{Clock, LogState, SigningKeys, Store, StoreError, TokenKind};
use crate::domain::revocation::{COUNTS_FOR, KEY_COUNTS_FOR, LogEnd, LogStep};
use crate::revocation::{Documents, Feed, RevocationState};

/// How many revocations are read at a time.
const PAGE: u32 = 10_000;
/// How long the knowledge that nothing is missing may be old for a heartbeat to say so.
const OLDEST_WORD: Duration = Duration::from_secs(1);
/// How far back the feed goes at the start, in events, for readers that come from another replica.
const READ_BACK: u64 = 1_000;

/// The log of revocations as this replica follows it.
pub struct RevocationLog {
    /// What the revocations add up to.
    pub state: Arc<RevocationState>,
    /// Brings them to readers.
    pub feed: Feed,
    /// Status lists and the snapshot.
    pub documents: Arc<Documents>,
    keys: Arc<dyn SigningKeys>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Held while the log is read or extended.
    following: Mutex<()>,
    /// How many times that has begun, and the last time that it went well.
    rounds: AtomicU64,
    done: AtomicU64,
    /// When it was last known that nothing is missing.
    confirmed: ArcSwapOption<(Instant, Timestamp)>,
}

impl RevocationLog {
    /// One that has read nothing yet.
    #[must_use]
    pub fn new(
        state: Arc<RevocationState>,
        feed: Feed,
        keys: Arc<dyn SigningKeys>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            documents: Arc::new(Documents::new(Arc::clone(&keys), Arc::clone(&state))),
            state,
            feed,
            keys,
            store,
            clock,
            following: Mutex::default(),
            rounds: AtomicU64::default(),
            done: AtomicU64::default(),
            confirmed: ArcSwapOption::empty(),
        }
    }

    /// Joins the log, or begins a new epoch, and reads all that counts; also what was taken back on the
    /// command line while no server ran.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn start(&self) -> Result<(), StoreError> {
        let _alone = self.following.lock().await;
        // So that the first list is announced before the first verifier asks.
        let now = self.shared_time().await?;
        self.store.lease_status_numbers(0, now).await?;
        let known = self.store.log_state().await?.end.position.epoch;
        let log = self.store.enter_log(now).await?;
        let position = log.end.position;
        if position.epoch == known {
            tracing::info!(%position, "joined the log of revocations that other replicas keep up");
        } else {
            tracing::info!(%position, "began a new epoch of the log of revocations");
        }
        self.read_all(&log).await?;
        self.read_back(&log).await?;
        self.follow().await
    }

    /// Makes sure that whatever was committed before this call has a number and has been taken in
    /// here; answers where the log ends then. A reader that has reached it has seen it.
    ///
    /// # Errors
    /// When the database does not answer. What was committed is numbered a moment later.
    pub async fn settle(&self) -> Result<Position, StoreError> {
        // Around the wait as well: whoever comes while the database hangs waits no longer than the first.
        timeout(DATABASE_PATIENCE, self.take_a_round())
            .await
            .unwrap_or_else(|_| {
                let reason = "no answer within five seconds".to_owned();
                Err(StoreError::Unavailable(reason))
            })?;
        Ok(self.state.end().position)
    }

    /// Where the log ends, as far as this replica knows.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.end().position
    }

    async fn take_a_round(&self) -> Result<(), StoreError> {
        let seen = self.rounds.load(Ordering::Acquire);
        let _alone = self.following.lock().await;
        // A round that began after this call has done it for all who waited.
        if self.done.load(Ordering::Acquire) <= seen {
            let round = self.rounds.fetch_add(1, Ordering::AcqRel) + 1;
            self.follow().await?;
            self.done.store(round, Ordering::Release);
        }
        Ok(())
    }

    /// Reads and numbers until nothing is missing of what was there when it began.
    async fn follow(&self) -> Result<(), StoreError> {
        loop {
            let asked_at = self.clock.now();
            let log = self.store.log_state().await?;
            let mine = self.state.end();
            match mine.step_to(&log.end) {
                LogStep::None => {
                    if !log.has_unnumbered || self.number(&mine).await? {
                        let confirmed = Some(Arc::new((Instant::now(), asked_at)));
                        self.confirmed.store(confirmed);
                        return Ok(());
                    }
                }
                LogStep::Read => self.read_since(&mine).await?,
                LogStep::BeginAnew => {
                    tracing::info!(
                        known = %mine.position,
                        position = %log.end.position,
                        "another replica has begun a new epoch of the log of revocations"
                    );
                    self.read_all(&log).await?;
                }
                LogStep::Lost => self.begin_epoch(&mine, &log.end).await?,
            }
        }
    }

    /// Gives numbers to what waits; answers whether that was everything.
    async fn number(&self, mine: &LogEnd) -> Result<bool, StoreError> {
        let terms = self.state.terms();
        let Some((batch, end)) = self.store.number_revocations(mine, terms).await? else {
            return Ok(false);
        };
        let is_all = batch.is_all();
        let (frames, _) = batch.frames(mine, terms);
        self.state.apply(batch, end);
        self.feed.publish(&frames);
        if let Err(error) = self.store.wake_replicas().await {
            tracing::debug!(%error, "other replicas are not woken; they look by themselves");
        }
        Ok(is_all)
    }

    async fn read_since(&self, mine: &LogEnd) -> Result<(), StoreError> {
        let Position { epoch, seq } = mine.position;
        let mut end = *mine;
        for batch in self.store.batches_since(epoch, seq, PAGE).await? {
            if batch.first != end.position.seq + 1 {
                // Swept away, or from another future: the state says all that counts.
                let log = self.store.log_state().await?;
                return self.read_all(&log).await;
            }
            let (frames, after) = batch.frames(&end, self.state.terms());
            end = after;
            self.state.apply(batch, end);
            self.feed.publish(&frames);
        }
        if end == *mine {
            let log = self.store.log_state().await?;
            return self.read_all(&log).await;
        }
        Ok(())
    }

    /// Takes over the whole state as it stands.
    async fn read_all(&self, log: &LogState) -> Result<(), StoreError> {
        let mut all = Vec::new();
        let mut after = Vec::new();
        loop {
            let (page, last) = self.store.numbered_revocations(&after, PAGE).await?;
            all.extend(page);
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        let now = self.clock.now();
        all.retain(|(at, revocation)| *at >= now - revocation.counts_for());
        self.state.replace(log.end, log.announced, all);
        self.feed.restart(log.end.position);
        Ok(())
    }

    /// Fills the feed with the latest events, for readers that come from another replica.
    async fn read_back(&self, log: &LogState) -> Result<(), StoreError> {
        let Position { epoch, seq } = log.end.position;
        let from = seq.saturating_sub(READ_BACK);
        let mut batches = self.store.batches_since(epoch, from, PAGE).await?;
        let Some(first) = batches.first().map(|batch| batch.first) else {
            return Ok(());
        };
        let mut end = LogEnd {
            position: Position {
                epoch,
                seq: first.saturating_sub(1),
            },
            // The feed carries no chain; what is computed from here on is not looked at.
            chain: log.end.chain,
        };
        let mut read = Vec::new();
        while !batches.is_empty() && end.position.seq < seq {
            for batch in &batches {
                let (frames, after) = batch.frames(&end, self.state.terms());
                read.extend(frames);
                end = after;
            }
            let next = end.position.seq;
            batches = self.store.batches_since(epoch, next, PAGE).await?;
        }
        read.retain(|frame| frame.position.seq <= seq);
        if read.last().is_some_and(|frame| frame.position.seq == seq) {
            self.feed.restart(Position {
                epoch,
                seq: first.saturating_sub(1),
            });
            self.feed.publish(&read);
        }
        Ok(())
    }

    async fn begin_epoch(&self, mine: &LogEnd, stored: &LogEnd) -> Result<(), StoreError> {
        let seen = stored.position.epoch;
        let epoch = LogEnd::next_epoch(seen.max(mine.position.epoch), self.clock.now());
        tracing::warn!(
            known = %mine.position,
            stored = %stored.position,
            "the database has lost revocations; a new epoch begins, and every verifier takes a new snapshot"
        );
        self.store.begin_epoch(seen, epoch).await
    }

    /// Signs a heartbeat, if it is known that nothing was missing a moment ago.
    pub(super) async fn beat(&self) {
        // With the log at rest, so that what the heartbeat says is where the feed stands.
        let _alone = self.following.lock().await;
        let confirmed = self.confirmed.load_full();
        let Some(as_of) = confirmed
            .filter(|confirmed| confirmed.0.elapsed() < OLDEST_WORD)
            .map(|confirmed| confirmed.1)
        else {
            return;
        };
        let end = self.state.end();
        let heartbeat = Heartbeat {
            iss: self.state.terms().issuer.as_str().to_owned(),
            epoch: end.position.epoch,
            seq: end.position.seq,
            chain: end.chain,
            as_of: as_of.timestamp_millis(),
        };
        let signed = serde_json::to_vec(&heartbeat).ok().and_then(|payload| {
            let signer = self.keys.signer(Algorithm::default(), self.clock.now())?;
            signer.sign(TokenKind::RevocationHeartbeat, &payload).ok()
        });
        if let Some(signed) = signed {
            self.feed.beat(&signed);
        } else {
            tracing::error!("no heartbeat can be signed; verifiers will be stale");
        }
    }

    /// Looks for what is new, without anybody waiting for it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn look(&self) -> Result<(), StoreError> {
        self.settle().await.map(|_| ())
    }

    /// Says that this replica would notice a loss.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn keep_alive(&self) -> Result<(), StoreError> {
        let now = self.shared_time().await?;
        self.store.keep_log_alive(now).await
    }

    /// The clock that all replicas share, where there is one: who is there must not depend on whose clock
    /// is right.
    async fn shared_time(&self) -> Result<Timestamp, StoreError> {
        let shared = self.store.database_time().await?;
        Ok(shared.unwrap_or_else(|| self.clock.now()))
    }

    /// Forgets what no living token can be concerned by, here and in the database.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn forget(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.state.forget(now);
        // A minute later, so that a replica that starts in between reads no less than others know.
        let then = now - TimeDelta::minutes(1);
        self.store
            .sweep_revocations(then - COUNTS_FOR, then - KEY_COUNTS_FOR, PAGE)
            .await
    }

    /// Waits until another replica has numbered something.
    pub(super) async fn woken(&self) {
        if self.store.woken().await.is_err() {
            // Trouble with the database shows elsewhere; the clock wakes this one meanwhile.
            tokio::time::sleep(OLDEST_WORD).await;
        }
    }
}
