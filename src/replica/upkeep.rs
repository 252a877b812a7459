//! The background tasks of a replica.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::Replica;
use crate::accounts::AccountError;
use crate::domain::Timestamp;
use crate::domain::fleet::RunningReplica;
use crate::domain::ports::StoreError;
use crate::grants::LogoutDeliveries;

/// How often a replica looks for changes. A change is seen everywhere within a second.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// How often a replica looks whether a key is due.
const KEYS_INTERVAL: Duration = Duration::from_millis(500);
/// How long an attempt to make a key is left alone after it has failed.
const KEYS_RETRY: Duration = Duration::from_secs(5);
/// How often uses of secrets are written down.
const SECRET_USE_INTERVAL: Duration = Duration::from_mins(1);
/// How often uses of sessions are written down. A session lives a minute at least.
const SESSION_USE_INTERVAL: Duration = Duration::from_secs(10);
/// How often audit records are sealed.
const SEAL_INTERVAL: Duration = Duration::from_millis(500);
/// How often a replica looks for sessions that a client has to be told about.
const DELIVERY_INTERVAL: Duration = Duration::from_millis(500);
/// How often a replica looks for revocations when nobody wakes it.
const REVOCATIONS_INTERVAL: Duration = Duration::from_millis(100);
/// How often verifiers are told that they have missed nothing.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// How often a replica says that it is there.
const ALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How often a page of sessions is looked through for such as are over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How many sessions that page has.
const SWEEP_PAGE: u32 = 1_000;
/// How long a session stays after its end: as long as its last access token, and a minute.
const SESSIONS_STAY: Duration = Duration::from_mins(61);

impl Replica {
    /// Keeps the memory of this replica true, and the keys ahead of their time, until it is
    /// dropped. The tasks run beside each other: a replica that is busy making a key still learns
    /// at once that another was first.
    pub async fn keep_up(self, deliveries: LogoutDeliveries, who: RunningReplica) {
        let word = Notify::new();
        tokio::join!(
            self.keep_delivering(&deliveries),
            self.watch_changes(),
            self.keep_keys_ahead(),
            self.keep_secret_uses(),
            self.keep_session_uses(),
            self.keep_audit_log_sealed(),
            self.keep_swept(),
            self.follow_revocations(&word),
            self.listen_for_word(&word),
            self.keep_beating(),
            self.keep_log_alive(),
            self.keep_noted(who),
        );
    }

    /// Learns what other replicas, or the command line, have revoked.
    async fn follow_revocations(&self, word: &Notify) {
        let mut ticks = every(REVOCATIONS_INTERVAL);
        let mut trouble = Trouble::new("cannot read revocations; verifiers become stale");
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = word.notified() => {}
            }
            trouble.note(&self.revocations.look().await);
        }
    }

    /// Listens to other replicas, apart from the clock: to connect may take longer than a tick.
    async fn listen_for_word(&self, word: &Notify) {
        loop {
            self.revocations.woken().await;
            word.notify_one();
        }
    }

    async fn keep_beating(&self) {
        let mut ticks = every(HEARTBEAT_INTERVAL);
        loop {
            ticks.tick().await;
            self.revocations.beat().await;
        }
    }

    async fn keep_log_alive(&self) {
        let mut ticks = every(ALIVE_INTERVAL);
        let mut trouble = Trouble::new("cannot say that this replica is there");
        loop {
            ticks.tick().await;
            trouble.note(&self.revocations.keep_alive().await);
        }
    }

    /// For the operator, during an upgrade.
    async fn keep_noted(&self, mut who: RunningReplica) {
        let mut ticks = every(ALIVE_INTERVAL);
        let mut trouble = Trouble::new("cannot say of which build this replica is");
        loop {
            ticks.tick().await;
            who.seen_at = self.clock.now();
            trouble.note(&self.store.note_replica(&who).await);
        }
    }

    async fn watch_changes(&self) {
        let mut ticks = every(WATCH_INTERVAL);
        let mut trouble = Trouble::new("cannot read changes; going on with what is known");
        loop {
            ticks.tick().await;
            trouble.note(&self.refresh().await);
        }
    }

    async fn keep_keys_ahead(&self) {
        let mut ticks = every(KEYS_INTERVAL);
        loop {
            ticks.tick().await;
            if !self.make_due_keys().await {
                tokio::time::sleep(KEYS_RETRY).await;
            }
        }
    }

    /// Makes keys that are due; answers whether that went well.
    async fn make_due_keys(&self) -> bool {
        for algorithm in self.clients.algorithms() {
            let now = self.clock.now();
            if !self
                .keys
                .needs_upkeep(algorithm, now, &self.administration.policy)
            {
                continue;
            }
            let kept = match self.administration.upkeep(algorithm).await {
                Ok(()) => self.refresh().await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                tracing::error!(%error, %algorithm, "cannot prepare the next signing key");
                return false;
            }
            if self
                .keys
                .needs_upkeep(algorithm, now, &self.administration.policy)
            {
                tracing::error!(%algorithm, "no signing key is usable; run: tokensmith keys rotate --now");
                return false;
            }
            tracing::info!(%algorithm, "signing keys brought up to date");
        }
        true
    }

    async fn keep_secret_uses(&self) {
        let mut ticks = every(SECRET_USE_INTERVAL);
        loop {
            ticks.tick().await;
            self.write_secret_uses().await;
        }
    }

    /// Writes down when secrets were last used.
    pub async fn write_secret_uses(&self) {
        let used = self.clients.take_used_secrets();
        if used.is_empty() {
            return;
        }
        if let Err(error) = self.store.record_secret_use(&used).await {
            tracing::warn!(%error, "cannot write down when client secrets were last used");
            self.clients.restore_used_secrets(used);
        }
    }

    async fn keep_session_uses(&self) {
        let mut ticks = every(SESSION_USE_INTERVAL);
        let mut trouble = Trouble::new("cannot write down when sessions were last used");
        loop {
            ticks.tick().await;
            trouble.note(&self.write_session_uses().await);
        }
    }

    /// Writes down when sessions were last used.
    ///
    /// # Errors
    /// When the database does not do it; then nothing is forgotten.
    pub async fn write_session_uses(&self) -> Result<(), StoreError> {
        let uses = self.sessions.take_uses();
        let mut outcome = Ok(());
        // A page at a time, so that no transaction is long.
        for page in uses.chunks(SWEEP_PAGE as usize) {
            if outcome.is_ok() {
                outcome = self.store.record_session_use(page).await;
            }
            if outcome.is_err() {
                self.sessions.restore_uses(page.to_vec());
            }
        }
        outcome
    }

    async fn keep_audit_log_sealed(&self) {
        let mut ticks = every(SEAL_INTERVAL);
        let mut trouble = Trouble::new("cannot seal the audit log");
        loop {
            ticks.tick().await;
            trouble.note(&self.seal_audit_log().await);
        }
    }

    /// Writes down what is only counted so far, and seals everything, before the process ends.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn finish_audit_log(&self) -> Result<(), AccountError> {
        self.trail.write_repeated(Timestamp::MAX_UTC).await?;
        Ok(self.trail.seal().await?)
    }

    /// Seals the audit records that have been written since the last time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn seal_audit_log(&self) -> Result<(), AccountError> {
        self.trail.write_repeated(self.clock.now()).await?;
        Ok(self.trail.seal().await?)
    }

    /// Tells clients that sessions are over.
    async fn keep_delivering(&self, deliveries: &LogoutDeliveries) {
        let mut ticks = every(DELIVERY_INTERVAL);
        let mut trouble = Trouble::new("cannot tell clients that sessions are over");
        loop {
            ticks.tick().await;
            trouble.note(&deliveries.take_up_due(self.clock.now()).await);
        }
    }

    /// Goes through all sessions, a page at a time, again and again: expired rows go in small
    /// steps, and nothing that a refresh changes needs an index for it.
    async fn keep_swept(&self) {
        let mut ticks = every(SWEEP_INTERVAL);
        let mut trouble = Trouble::new("cannot remove what is over");
        let mut forgetting = Trouble::new("cannot remove revocations that no longer count");
        let mut after = None;
        loop {
            ticks.tick().await;
            let over_before = self.clock.now() - SESSIONS_STAY;
            let swept = self.store.sweep(after, over_before, SWEEP_PAGE).await;
            trouble.note(&swept);
            after = swept.unwrap_or(after);
            forgetting.note(&self.revocations.forget().await);
        }
    }
}

/// Says that something fails once when that starts and once when it ends, not at each attempt.
struct Trouble {
    what: &'static str,
    is_there: bool,
}

impl Trouble {
    const fn new(what: &'static str) -> Self {
        Self {
            what,
            is_there: false,
        }
    }

    fn note<T, E: std::fmt::Display>(&mut self, outcome: &Result<T, E>) {
        match (outcome, self.is_there) {
            (Err(error), false) => tracing::error!(%error, "{}", self.what),
            (Ok(_), true) => tracing::info!("over: {}", self.what),
            (Err(_), true) | (Ok(_), false) => {}
        }
        self.is_there = outcome.is_err();
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
