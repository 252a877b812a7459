//! An app of one person on one device, which keeps the rules of the guide for apps.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::history::{Event, Role};
use super::random::Random;
use super::site::{Request, Site};
use super::theft;
use super::town::{App, Person, Town};
use super::wallet::{Outcome, Presenting, Refresh, Wallet};
use super::watch;

/// A request that was not answered has its effect within this time, or never. Until then the refresh after it
/// waits: a request that two others overtake looks like theft.
const LONGEST_UNDER_WAY: Duration = Duration::from_secs(8);
/// Who was not answered for so long gives up, and the checker asks why.
const LONGEST_TRYING: Duration = Duration::from_mins(1);

/// The app.
pub(super) struct Device {
    pub(super) town: Arc<Town>,
    pub(super) name: String,
    pub(super) random: Random,
    pub(super) app: App,
    person: Person,
    /// Until then the next generation is not presented.
    hold_until: Instant,
}

impl Device {
    pub(super) fn new(town: Arc<Town>, number: usize) -> Option<Self> {
        let name = format!("device {number}");
        let mut random = Random::new(town.seed, &name);
        // Most are phones, and few are at the client that is disabled now and then.
        let app = match number % 10 {
            0..=5 => 0,
            6..=8 => 1,
            _ => 2,
        };
        Some(Self {
            app: town.apps.get(app)?.clone(),
            person: random.choice(&town.people)?.clone(),
            town,
            name,
            random,
            hold_until: Instant::now(),
        })
    }

    pub(super) fn site(&self) -> &Site {
        &self.town.site
    }

    pub(super) fn some_replica(&mut self) -> usize {
        let replicas = self.site().replicas();
        self.random.below(replicas)
    }

    /// Lives until everybody is to come to an end; what it then has of a session is left.
    pub(super) async fn live(mut self) -> Option<Wallet> {
        let mut wallet = None;
        while !self.site().is_over() {
            wallet = match wallet {
                Some(wallet) => self.act(wallet).await,
                None => self.sign_in().await,
            };
            let pause = self.random.between(20, 700);
            sleep(pause).await;
        }
        wallet
    }

    async fn sign_in(&mut self) -> Option<Wallet> {
        let (who, whose) = (self.name.clone(), (&self.person, &self.app));
        let signed_in = self.town.site.sign_in(&who, whose, &mut self.random).await;
        if let Some(wallet) = &signed_in {
            self.town.lives(&wallet.session, &wallet.access);
        }
        signed_in
    }

    async fn act(&mut self, wallet: Wallet) -> Option<Wallet> {
        match self.random.below(100) {
            0..=49 => self.refresh(wallet).await,
            50..=57 => self.refresh_twice_at_once(wallet).await,
            58..=86 => {
                self.verify(&wallet).await;
                Some(wallet)
            }
            87..=91 => {
                let (who, replica) = (self.name.clone(), self.some_replica());
                let api = (&self.town.api, replica);
                self.site().introspect(&who, api, &wallet.access).await;
                Some(wallet)
            }
            92..=94 => {
                self.log_out(wallet).await;
                None
            }
            95 => {
                self.sign_out_everywhere(wallet).await;
                None
            }
            _ => {
                theft::befall(self, wallet).await;
                None
            }
        }
    }

    async fn refresh(&mut self, mut wallet: Wallet) -> Option<Wallet> {
        if self.rotate(&mut wallet, None).await? {
            self.verify(&wallet).await;
            Some(wallet)
        } else {
            // Whatever has ended it; nobody has told this app when.
            self.town.bury(wallet, Vec::new());
            None
        }
    }

    async fn verify(&mut self, wallet: &Wallet) {
        let verifier = self.random.below(self.site().verifiers.len());
        let _reject = self
            .site()
            .verify(&self.name, verifier, &wallet.access)
            .await;
    }

    /// Refreshes, and repeats the same request until there is an answer. Whether the session is still there;
    /// `None` when there was no answer for a long time.
    pub(super) async fn rotate(
        &mut self,
        wallet: &mut Wallet,
        resource: Option<&str>,
    ) -> Option<bool> {
        sleep_until(self.hold_until).await;
        let key = self.random.name();
        let loses_answer = self.random.percent(8);
        let presented = wallet.refresh.clone();
        let how = Insisting {
            role: Role::Honest,
            key: &key,
            loses_answer,
            resource,
        };
        let outcome = self.insist(wallet, &presented, how).await?;
        Some(self.note(wallet, outcome))
    }

    /// Takes the tokens of an answer; whether the session is still there.
    fn note(&mut self, wallet: &mut Wallet, outcome: Outcome) -> bool {
        let Outcome::Issued(refresh, access) = outcome else {
            return false;
        };
        wallet.take(refresh, access);
        self.town.lives(&wallet.session, &wallet.access);
        true
    }

    /// Presents a refresh token until there is an answer.
    pub(super) async fn insist(
        &mut self,
        wallet: &Wallet,
        refresh: &Refresh,
        how: Insisting<'_>,
    ) -> Option<Outcome> {
        let trying = async {
            for attempt in 0_u64.. {
                let replica = self.some_replica();
                if how.loses_answer && attempt == 0 {
                    self.site().lose_the_answer(replica, how.key);
                }
                let began = Instant::now();
                let presenting = Presenting {
                    who: &self.name,
                    role: how.role,
                    key: how.key,
                    replica,
                    sabotaged: how.loses_answer,
                    resource: how.resource,
                };
                match self.site().present((wallet, refresh), presenting).await {
                    Outcome::Again => self.hold_until = began + LONGEST_UNDER_WAY,
                    outcome => return Some(outcome),
                }
                let pause = self.random.between(50, 500);
                sleep(pause).await;
            }
            None
        };
        timeout(LONGEST_TRYING, trying).await.ok().flatten()
    }

    /// Two requests go out at once, with the same token and key, to two replicas.
    async fn refresh_twice_at_once(&mut self, mut wallet: Wallet) -> Option<Wallet> {
        sleep_until(self.hold_until).await;
        let key = self.random.name();
        let presented = wallet.refresh.clone();
        let replicas = [self.some_replica(), self.some_replica()];
        let began = Instant::now();
        let [one, other] = replicas.map(|replica| {
            let presenting = Presenting {
                who: &self.name,
                role: Role::Honest,
                key: &key,
                replica,
                sabotaged: false,
                resource: None,
            };
            self.town.site.present((&wallet, &presented), presenting)
        });
        let (one, other) = tokio::join!(one, other);
        let is_open = |outcome: &Outcome| matches!(outcome, Outcome::Again);
        if is_open(&one) || is_open(&other) {
            self.hold_until = began + LONGEST_UNDER_WAY;
        }
        let outcome = match (one, other) {
            (Outcome::Again, Outcome::Again) => {
                let how = Insisting {
                    role: Role::Honest,
                    key: &key,
                    loses_answer: false,
                    resource: None,
                };
                self.insist(&wallet, &presented, how).await?
            }
            (Outcome::Again, answered) | (answered, _) => answered,
        };
        if self.note(&mut wallet, outcome) {
            Some(wallet)
        } else {
            self.town.bury(wallet, Vec::new());
            None
        }
    }

    /// Revokes the session by one of its tokens, again and again until that is acknowledged.
    async fn log_out(&mut self, wallet: Wallet) {
        let by_refresh = self.random.percent(70);
        let (with, token) = if by_refresh {
            ("refresh_token", &wallet.refresh.token)
        } else {
            ("access_token", &wallet.access.token)
        };
        let form = [("client_id", wallet.client.as_str()), ("token", token)];
        let until = Instant::now() + LONGEST_TRYING;
        while Instant::now() < until {
            let replica = self.some_replica();
            let reply = self
                .site()
                .send(replica, Request::form("/oauth/revoke", &form))
                .await;
            let status = reply.answer.status;
            let event = Event::Logout {
                session: wallet.session.clone(),
                client: wallet.client.clone(),
                with: with.to_owned(),
                position: reply.position,
                answer: reply.answer,
            };
            self.site().recorder.record(reply.began, &self.name, event);
            if status == 200 {
                return watch::over(&self.town, wallet, Vec::new());
            }
            let pause = self.random.between(50, 500);
            sleep(pause).await;
        }
        self.town.bury(wallet, Vec::new());
    }

    /// Ends all sessions of the person, with an access token for the account.
    async fn sign_out_everywhere(&mut self, mut wallet: Wallet) {
        let issuer = self.site().issuer.clone();
        // A token for the account is no token for the API, so the one before is what can be watched.
        let access = wallet.access.clone();
        if self.rotate(&mut wallet, Some(&issuer)).await != Some(true) {
            self.town.bury(wallet, Vec::new());
            return;
        }
        let bearer = std::mem::replace(&mut wallet.access, access).token;
        self.town.lives(&wallet.session, &wallet.access);
        let until = Instant::now() + LONGEST_TRYING;
        while Instant::now() < until {
            let replica = self.some_replica();
            let request = Request {
                bearer: Some(&bearer),
                ..Request::new(reqwest::Method::DELETE, "/api/me/sessions")
            };
            let reply = self.site().send(replica, request).await;
            let status = reply.answer.status;
            let event = Event::SignOut {
                session: wallet.session.clone(),
                person: self.person.id.clone(),
                position: reply.position,
                answer: reply.answer,
            };
            self.site().recorder.record(reply.began, &self.name, event);
            match status {
                204 => return watch::over(&self.town, wallet, Vec::new()),
                // An attempt before has done it, or somebody else has.
                401 => break,
                _ => {}
            }
            let pause = self.random.between(50, 500);
            sleep(pause).await;
        }
        self.town.bury(wallet, Vec::new());
    }
}

/// How a refresh token is presented again and again.
pub(super) struct Insisting<'a> {
    pub(super) role: Role,
    pub(super) key: &'a str,
    pub(super) loses_answer: bool,
    pub(super) resource: Option<&'a str>,
}
