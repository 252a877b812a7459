//! The background task that keeps a key set fresh, and the door through which tokens of unknown
//! keys may ask it to hurry.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::KeySet;

use super::http::{Fetched, Jwks};
use super::{Discovery, FetchError};

/// How long after a cut-off every replica of an issuer publishes the keys without that one, and with the next.
const KNOWN_EVERYWHERE: Duration = Duration::from_secs(1);
/// Unknown `kid`s that are remembered. Beyond it the cooldown alone protects the issuer.
const MAX_REMEMBERED_KIDS: usize = 256;
/// The first pause after a failure; it doubles up to [`LONGEST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

/// A handle on the task; dropping it stops the task.
pub(crate) struct Refresher {
    requests: KeyRequests,
    task: AbortHandle,
}

/// The door through which a key is asked for.
#[derive(Clone)]
pub(crate) struct KeyRequests {
    desk: Arc<Desk>,
}

/// A refetch that is under way or about to start.
pub(crate) struct Refetch {
    finished: watch::Receiver<u64>,
    longest_wait: Duration,
}

/// What verifiers and the task share.
struct Desk {
    settings: Discovery,
    wake: Notify,
    finished: watch::Sender<u64>,
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct Requests {
    /// A refetch was asked for and has not finished.
    is_pending: bool,
    last_accepted: Option<Instant>,
    /// The kids that the pending refetch is to find.
    wanted: Vec<String>,
    /// Kids that a refetch did not find, and when: the negative cache.
    absent: HashMap<String, Instant>,
    /// Kids of cut-off keys for whose sake the keys were fetched again.
    cut_off: HashSet<String>,
    /// When they are fetched again for the last of these.
    ask_again_at: Option<Instant>,
}

impl Refresher {
    pub(super) fn spawn(
        jwks: Jwks,
        keys: Arc<ArcSwap<KeySet>>,
        settings: Discovery,
        fresh_for: Duration,
    ) -> Self {
        let requests = KeyRequests::new(settings);
        let desk = Arc::clone(&requests.desk);
        let task = tokio::spawn(run(jwks, keys, desk, fresh_for)).abort_handle();
        Self { requests, task }
    }

    pub(crate) fn requests(&self) -> &KeyRequests {
        &self.requests
    }
}

impl KeyRequests {
    /// A door behind which nobody works yet.
    pub(super) fn new(settings: Discovery) -> Self {
        let desk = Desk {
            settings,
            wake: Notify::new(),
            finished: watch::Sender::new(0),
            requests: Mutex::default(),
        };
        Self {
            desk: Arc::new(desk),
        }
    }

    /// Asks for a refetch because `kid` is unknown. `None` when none is due: the kid was not found
    /// a moment ago, or the last refetch of this sort is too recent.
    pub(crate) fn ask_for(&self, kid: &str) -> Option<Refetch> {
        let desk = &self.desk;
        let cooldown = desk.settings.refetch_cooldown;
        let mut requests = desk.requests();
        if requests
            .absent
            .get(kid)
            .is_some_and(|since| since.elapsed() < cooldown * 2)
        {
            return None;
        }
        if !requests.is_pending {
            if requests
                .last_accepted
                .is_some_and(|last| last.elapsed() < cooldown)
            {
                return None;
            }
            requests.is_pending = true;
            requests.last_accepted = Some(Instant::now());
            desk.wake.notify_one();
        }
        if requests.wanted.len() < MAX_REMEMBERED_KIDS && !requests.wanted.iter().any(|w| w == kid)
        {
            requests.wanted.push(kid.to_owned());
        }
        // Subscribed under the lock, so that the end cannot slip by.
        Some(Refetch {
            finished: desk.finished.subscribe(),
            longest_wait: desk.settings.request_timeout,
        })
    }
}

impl KeyRequests {
    /// Asks for refetches because a key that is in use was cut off: one at once, and one when every replica
    /// of the issuer must have heard of it. They neither wait for the cooldown nor begin one, and until the
    /// second nothing counts as absent: the key that comes after may be unknown, too, and some replica may
    /// not publish it yet. Nobody has signed for the cut-off; so each key counts once, and a relay that
    /// invents cut-offs causes no more than two refetches for each key that there is.
    pub(super) fn ask_without(&self, kid: &str, keys: &KeySet) {
        if keys.find(kid).is_none() {
            return;
        }
        let mut requests = self.desk.requests();
        if requests.cut_off.len() < MAX_REMEMBERED_KIDS && requests.cut_off.insert(kid.to_owned()) {
            requests.is_pending = true;
            requests.ask_again_at = Some(Instant::now() + KNOWN_EVERYWHERE);
            requests.absent.clear();
            // One that is under way may have asked too early; then there is another after it.
            self.desk.wake.notify_one();
        }
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Refetch {
    /// Waits for the end of the refetch, but not longer than a request may take.
    pub(crate) async fn finished(mut self) {
        // Either way the caller looks at the keys again.
        let _ = timeout(self.longest_wait, self.finished.changed()).await;
    }
}

impl Desk {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long to be asked for the keys; answers whether somebody asks.
    async fn is_asked_within(&self, pause: Duration) -> bool {
        let again_at = self.requests().ask_again_at;
        let until = Instant::now() + pause;
        let asked = tokio::time::timeout_at(
            again_at.map_or(until, |again| again.min(until)),
            self.wake.notified(),
        );
        if asked.await.is_ok() {
            return true;
        }
        let mut requests = self.requests();
        let due = requests
            .ask_again_at
            .take_if(|again| *again <= Instant::now());
        // Who asks for a key meanwhile waits for this one.
        requests.is_pending |= due.is_some();
        due.is_some()
    }

    /// Closes the pending request; what a successful refetch did not find is remembered.
    fn close(&self, current: Option<&KeySet>) {
        let mut requests = self.requests();
        requests.is_pending = false;
        let wanted = std::mem::take(&mut requests.wanted);
        if let Some(keys) = current {
            let now = Instant::now();
            let remembered_for = self.settings.refetch_cooldown * 2;
            requests
                .absent
                .retain(|_, since| now.duration_since(*since) < remembered_for);
            // Some replica may not publish it yet.
            let may_come = requests.ask_again_at.is_some();
            for kid in wanted.into_iter().filter(|_| !may_come) {
                if requests.absent.len() < MAX_REMEMBERED_KIDS && keys.find(&kid).is_none() {
                    requests.absent.insert(kid, now);
                }
            }
        }
        self.finished.send_modify(|count| *count += 1);
    }
}

/// The interval where the answer must not be kept at all.
const UNCACHEABLE: Duration = Duration::from_mins(1);

async fn run(mut jwks: Jwks, keys: Arc<ArcSwap<KeySet>>, desk: Arc<Desk>, fresh_for: Duration) {
    let settings = desk.settings.clone();
    let mut last_success = Instant::now();
    let mut failures = 0;
    let mut pause = refresh_interval(&settings, fresh_for);
    loop {
        let was_asked = desk.is_asked_within(pause).await;
        let outcome = if was_asked {
            jwks.fetch_revalidated().await
        } else {
            jwks.fetch().await
        };
        let is_success = outcome.is_ok();
        match outcome {
            Ok(Fetched {
                keys: fetched,
                fresh_for,
            }) => {
                last_success = Instant::now();
                failures = 0;
                pause = refresh_interval(&settings, fresh_for);
                if let Some(fetched) = fetched {
                    log_refused(&fetched);
                    // Replaced, never merged: a key that the issuer withdrew is gone.
                    keys.store(Arc::new(fetched));
                }
            }
            Err(error) => {
                let stale_for = last_success.elapsed();
                log_failure(&jwks, &error, stale_for);
                pause = backoff(&settings, failures);
                failures = failures.saturating_add(1);
                match settings.max_stale.checked_sub(stale_for) {
                    Some(rest) if !rest.is_zero() => pause = pause.min(rest),
                    _ => {
                        keys.store(Arc::default());
                        // The next answer must bring the keys again, not "not modified".
                        jwks.forget();
                    }
                }
            }
        }
        if was_asked {
            desk.close(is_success.then(|| keys.load_full()).as_deref());
        }
    }
}

fn refresh_interval(settings: &Discovery, fresh_for: Duration) -> Duration {
    let fresh_for = if fresh_for.is_zero() {
        UNCACHEABLE
    } else {
        fresh_for
    };
    jittered(fresh_for.clamp(settings.shortest_refresh, settings.longest_refresh))
}

fn backoff(settings: &Discovery, failures: u32) -> Duration {
    let first = FIRST_BACKOFF.min(settings.shortest_refresh);
    let longest = LONGEST_BACKOFF.min(settings.longest_refresh);
    jittered(
        first
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(longest),
    )
}

/// Between 80 % and 100 % of `duration`, so that a fleet does not refresh in step, and never after
/// the document has become stale.
fn jittered(duration: Duration) -> Duration {
    let mut random = [0_u8];
    // Without randomness the fleet is in step, which is no reason to stop.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let [random] = random;
    duration.mul_f64(1.0 - 0.2 * f64::from(random) / 255.0)
}

pub(super) fn log_refused(keys: &KeySet) {
    for refused in keys.refused() {
        tracing::warn!(
            index = refused.index,
            kid = refused.kid,
            reason = %refused.reason,
            "a key of the key set is not used"
        );
    }
}

fn log_failure(jwks: &Jwks, error: &FetchError, stale_for: Duration) {
    tracing::warn!(
        url = jwks.url(),
        error = error as &dyn std::error::Error,
        stale_seconds = stale_for.as_secs(),
        "the key set could not be refreshed; the last one stays in use"
    );
}
