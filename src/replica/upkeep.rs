//! The background task of a replica.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Replica;

/// How often a replica looks for changes. A change is seen everywhere within a second.
const TICK: Duration = Duration::from_millis(250);
/// How often uses of secrets are written down.
const SECRET_USE_INTERVAL: Duration = Duration::from_secs(60);
/// How long an attempt to make a key ahead of time is left alone after it has failed.
const UPKEEP_RETRY: Duration = Duration::from_secs(5);

impl Replica {
    /// Keeps the memory of this replica true, and the keys ahead of their time, until it is
    /// dropped.
    pub async fn keep_up(self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut secrets_written_at = Instant::now();
        let mut upkeep_from = Instant::now();
        let mut database_was_there = true;
        loop {
            ticks.tick().await;
            let refreshed = self.refresh().await;
            // Said once when it starts and once when it ends, not four times a second.
            match (&refreshed, database_was_there) {
                (Err(error), true) => {
                    tracing::error!(%error, "cannot read changes; going on with what is known");
                }
                (Ok(()), false) => tracing::info!("changes can be read again"),
                _ => {}
            }
            database_was_there = refreshed.is_ok();
            let now = self.clock.now();
            self.keys.publish(now);
            self.measure();
            if !database_was_there {
                continue;
            }
            if upkeep_from <= Instant::now() && !self.keep_keys_ahead().await {
                upkeep_from = Instant::now() + UPKEEP_RETRY;
            }
            if secrets_written_at.elapsed() >= SECRET_USE_INTERVAL {
                secrets_written_at = Instant::now();
                self.write_secret_uses().await;
            }
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
        }
    }

    /// Makes keys that are due; answers whether that went well.
    async fn keep_keys_ahead(&self) -> bool {
        let now = self.clock.now();
        for algorithm in self.clients.algorithms() {
            if !self
                .keys
                .chain_needs_upkeep(algorithm, now, &self.administration.policy)
            {
                continue;
            }
            let kept = self.administration.upkeep(algorithm, now).await;
            if let Err(error) = kept.and(self.refresh().await) {
                tracing::error!(%error, %algorithm, "cannot prepare the next signing key");
                return false;
            }
            tracing::info!(%algorithm, "signing keys brought up to date");
        }
        true
    }

    fn measure(&self) {
        self.keys.measure(&self.metrics.keys, self.clock.now());
        let pool = self.store.pool_use();
        self.metrics.store.set_pool(pool.open, pool.idle, pool.most);
    }
}
