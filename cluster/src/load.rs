//! Clients that use the service all the time, through whatever stands in front of the replicas: services
//! that ask for tokens, people who log in, refresh and log out, verifiers that follow. Everything that an
//! honest client would call a failure is counted as one: an answer other than the expected one, a
//! connection that breaks after it was made, a good token that is rejected, a dead one that is accepted.

mod clients;
mod http;
mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokensmith_verify::revocation::STALE_AFTER;
use tokensmith_verify::{Freshness, Reject, Verifier};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Failure;
pub use clients::{AUDIENCE, Clients, Person};
use http::Service;
pub use tally::Counts;
use tally::Tally;

/// How many services ask for tokens at the same time.
const SERVICES: usize = 2;
/// So that a small machine has time for what happens meanwhile.
const PAUSE: Duration = Duration::from_millis(15);
/// How often a session is refreshed before its person logs out.
const REFRESHES: u32 = 4;
/// A verifier that hears nothing notices after [`STALE_AFTER`]; the rest is for a busy machine.
const HONOURED_WITHIN: Duration = STALE_AFTER.saturating_add(Duration::from_millis(500));
/// As soon as this a verifier hears again, whose replica was stopped.
const FRESH_WITHIN: Duration = Duration::from_secs(5);
/// How often a verifier is asked that has not made up its mind.
const ASKED_EVERY: Duration = Duration::from_millis(5);

/// Clients at work; they stop when this is dropped.
pub struct Load {
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
    tally: Arc<Tally>,
}

/// What all workers know.
#[derive(Clone)]
struct Scene {
    service: Service,
    clients: Arc<Clients>,
    /// Knows keys, and fetches them again for one that it does not know.
    by_keys: Verifier,
    /// Follows revocations.
    follower: Verifier,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
}

impl Load {
    /// Begins, with one session at a time for each person.
    pub async fn begin(issuer: &str, clients: &Clients) -> Result<Self, Failure> {
        let verifier = || {
            Verifier::discover(issuer)
                .audience(AUDIENCE)
                .refetch_cooldown(Duration::from_millis(100))
        };
        let failed = |error| Failure::Service(format!("connecting a verifier: {error}"));
        let tally = Arc::new(Tally::default());
        let (stop, is_over) = watch::channel(false);
        let scene = Scene {
            service: Service::at(issuer)?,
            clients: Arc::new(clients.clone()),
            by_keys: verifier().connect().await.map_err(failed)?,
            follower: verifier()
                .revocation(Freshness::Strict)
                .connect()
                .await
                .map_err(failed)?,
            tally: Arc::clone(&tally),
            stop: is_over,
        };
        let mut workers = JoinSet::new();
        for _ in 0..SERVICES {
            workers.spawn(scene.clone().serve());
        }
        for person in &clients.people {
            workers.spawn(scene.clone().live(person.clone()));
        }
        workers.spawn(scene.read_documents());
        Ok(Self {
            stop,
            workers,
            tally,
        })
    }

    /// What was counted so far.
    #[must_use]
    pub fn so_far(&self) -> Counts {
        self.tally.counts()
    }

    /// Waits until everything that is done here was done so many times more.
    pub async fn until_done_again(&self, times: u64) -> Result<(), Failure> {
        let before = self.so_far();
        let limit = Duration::from_mins(1);
        let again = crate::waiting::until("everything was done again", limit, || async {
            let now = self.so_far();
            let enough = tally::STEPS
                .iter()
                .all(|step| now.of(step) >= before.of(step) + times);
            enough.then_some(())
        });
        again.await.map_err(|_late| Failure::Late {
            what: format!("everything was done {times} times:\n{}", self.so_far()),
            limit,
        })
    }

    /// Lets everybody finish, and answers what was counted.
    pub async fn end(mut self) -> Counts {
        let _nobody_is_left = self.stop.send(true);
        while self.workers.join_next().await.is_some() {}
        self.tally.counts()
    }
}

impl Scene {
    fn is_over(&self) -> bool {
        *self.stop.borrow()
    }

    /// A service: one token after the other.
    async fn serve(self) {
        while !self.is_over() {
            let asked = self.service.service_token(&self.clients).await;
            if let Some(token) = self.tally.note("tokens for services", asked) {
                self.accept(&token).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// A person with a phone: one session after the other.
    async fn live(self, person: Person) {
        while !self.is_over() {
            // What failed is counted; the person tries again.
            let _given_up = self.session(&person).await;
            sleep(PAUSE).await;
        }
    }

    async fn session(&self, person: &Person) -> Option<()> {
        let (service, tally) = (&self.service, &self.tally);
        let login = service.login(person).await;
        let mut tokens = tally.note("logins", login)?;
        self.accept(&tokens.access).await?;
        for number in 0..REFRESHES {
            sleep(PAUSE).await;
            let key = uuid::Uuid::new_v4().to_string();
            let refreshed = service.refresh(&tokens.refresh, &key).await;
            let next = tally.note("refreshes", refreshed)?;
            if number == 0 {
                // As if the answer had been lost.
                let repeated = service.refresh(&tokens.refresh, &key).await;
                let repeated = repeated.and_then(|again| {
                    let same = again.refresh == next.refresh;
                    same.then_some(()).ok_or("another successor".to_owned())
                });
                tally.note("repeated refreshes", repeated)?;
            }
            tokens = next;
            self.accept(&tokens.access).await?;
        }
        let logout = service.logout(&tokens.refresh).await;
        tally.note("logouts", logout)?;
        let honoured = self.honour(&tokens.access).await;
        tally.note(tally::HONOURED, honoured)?;
        let refused = service.is_refused(&tokens.refresh).await;
        tally.note("refreshes refused after a logout", refused)
    }

    /// What verifiers and operators read.
    async fn read_documents(self) {
        while !self.is_over() {
            let read = self.service.read("/.well-known/jwks.json").await;
            self.tally.note("key sets", read);
            sleep(PAUSE).await;
        }
    }

    /// Whoever only fetches keys accepts what was signed just now, and so does who follows the revocations.
    async fn accept(&self, token: &str) -> Option<()> {
        self.tally.signed(token);
        let verdict = self.by_keys.verify_waiting::<()>(token).await;
        let verdict = verdict.map(drop).map_err(|reject| reject.to_string());
        self.tally.note("tokens verified", verdict)?;
        let verdict = self.accept_in_the_end(token).await;
        self.tally
            .note("tokens that the follower accepted", verdict)
    }

    /// A verifier that follows the revocations may be stale while its replica is replaced, but not for long.
    async fn accept_in_the_end(&self, token: &str) -> Result<(), String> {
        let asked = Instant::now();
        loop {
            match self.follower.verify_waiting::<()>(token).await {
                Ok(_) => return Ok(()),
                Err(Reject::RevocationStale) if asked.elapsed() <= FRESH_WITHIN => {
                    sleep(ASKED_EVERY).await;
                }
                Err(reject) => return Err(format!("{reject}, after {:?}", asked.elapsed())),
            }
        }
    }

    /// A verifier that follows the revocations does not accept what was logged out.
    async fn honour(&self, token: &str) -> Result<(), String> {
        let acknowledged = Instant::now();
        let (mut refused_after, mut was_stale) = (None, false);
        loop {
            let verdict = self.follower.verify(token);
            let took = acknowledged.elapsed();
            match verdict {
                Err(Reject::Revoked | Reject::CutOff) => {
                    let refused_after = refused_after.unwrap_or(took);
                    self.tally.honoured_after(refused_after, was_stale);
                    return Ok(());
                }
                // It accepts nothing, which is safe; but it has not heard of the logout yet.
                Err(Reject::RevocationStale) if took <= FRESH_WITHIN => {
                    refused_after.get_or_insert(took);
                    was_stale = true;
                }
                Err(other) => return Err(format!("{other}, {took:?} after the logout")),
                Ok(_) if took > HONOURED_WITHIN => {
                    return Err(format!("accepted {took:?} after the logout"));
                }
                Ok(_) => refused_after = None,
            }
            sleep(ASKED_EVERY).await;
        }
    }
}
