//! Who is there beside the apps of people: services, an administrator, and whoever collects dead tokens.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::history::{Act, Event, Role, name_of};
use super::random::Random;
use super::site::{AUDIENCE, Access, Content, Credentials, Reply, Request, text};
use super::town::{KIOSK, Town};
use super::wallet::Presenting;
use super::watch;

/// A rotation of keys is over before the next one, and there are never more keys than may be published.
const BETWEEN_ROTATIONS: Duration = Duration::from_mins(8);
const FIRST_ROTATION: Duration = Duration::from_secs(15);
/// Well within the lifetime of an access token.
const TOKEN_IS_FRESH: Duration = Duration::from_mins(10);

/// A service asks for tokens of its own all the time, and looks whether verifiers accept them.
pub(super) async fn serve(town: Arc<Town>, client: Credentials) {
    let mut random = Random::new(town.seed, &client.id);
    while !town.site.is_over() {
        let replica = random.below(town.site.replicas());
        if let Some(token) = service_token(&town, &client, AUDIENCE, replica).await {
            let access = Access {
                token,
                session: None,
            };
            let verifier = random.below(town.site.verifiers.len());
            let _reject = town.site.verify(&client.id, verifier, &access).await;
        }
        let pause = random.between(50, 600);
        sleep(pause).await;
    }
}

async fn service_token(
    town: &Town,
    client: &Credentials,
    resource: &str,
    replica: usize,
) -> Option<String> {
    let form = [("grant_type", "client_credentials"), ("resource", resource)];
    let request = Request {
        credentials: Some(client),
        ..Request::form("/oauth/token", &form)
    };
    let reply = town.site.send(replica, request).await;
    let token = text(&reply.body, "access_token").map(ToOwned::to_owned);
    let event = Event::Service {
        client: client.id.clone(),
        access: token.as_deref().map(name_of),
        answer: reply.answer,
    };
    town.site.recorder.record(reply.began, &client.id, event);
    token
}

/// Tries the tokens of sessions that are over, whenever and wherever.
pub(super) async fn rob_graves(town: Arc<Town>) {
    const NAME: &str = "grave robber";
    let mut random = Random::new(town.seed, NAME);
    while !town.site.is_over() {
        let pause = random.between(20, 250);
        sleep(pause).await;
        let Some(grave) = town.some_grave(&mut random) else {
            continue;
        };
        let wallet = &grave.wallet;
        let replica = random.below(town.site.replicas());
        match random.below(10) {
            0..=5 => {
                let verifier = random.below(town.site.verifiers.len());
                for access in grave.access_tokens() {
                    let _reject = town.site.verify(NAME, verifier, access).await;
                }
            }
            6..=7 => {
                let all: Vec<_> = wallet.past.iter().chain([&wallet.refresh]).collect();
                let Some(refresh) = random.choice(&all) else {
                    continue;
                };
                let presenting = Presenting {
                    who: NAME,
                    role: Role::Ghost,
                    key: &random.name(),
                    replica,
                    sabotaged: false,
                    resource: None,
                };
                town.site.present((wallet, refresh), presenting).await;
            }
            _ => {
                town.site
                    .introspect(NAME, (&town.api, replica), &wallet.access)
                    .await;
            }
        }
    }
}

/// Disables a client and enables it again, ends sessions, rotates the keys.
pub(super) async fn administer(town: Arc<Town>) {
    let mut administrator = Administrator {
        random: Random::new(town.seed, NAME),
        token: None,
        next_rotation: Instant::now() + FIRST_ROTATION,
        town,
    };
    while !administrator.town.site.is_over() {
        let pause = administrator.random.between(1_500, 7_000);
        sleep(pause).await;
        administrator.act().await;
    }
}

const NAME: &str = "administrator";

struct Administrator {
    town: Arc<Town>,
    random: Random,
    token: Option<(String, Instant)>,
    next_rotation: Instant,
}

impl Administrator {
    async fn act(&mut self) {
        if Instant::now() >= self.next_rotation {
            self.next_rotation = Instant::now() + BETWEEN_ROTATIONS;
            self.insist(Act::RotateKeys, "the issuer").await;
        } else if self.random.percent(25) {
            self.insist(Act::DisableClient, KIOSK).await;
            let pause = self.random.between(200, 3_000);
            sleep(pause).await;
            self.insist(Act::EnableClient, KIOSK).await;
        } else if let Some(access) = self.town.some_living(&mut self.random)
            && let Some(session) = access.session.clone()
            && self.insist(Act::EndSession, &session).await
        {
            let town = Arc::clone(&self.town);
            self.town
                .spawn(async move { watch::verifiers(&town.site, &access).await });
        }
    }

    /// Does it again and again until that is acknowledged; whether it was.
    async fn insist(&mut self, act: Act, subject: &str) -> bool {
        let until = Instant::now() + Duration::from_mins(1);
        while Instant::now() < until {
            let replica = self.random.below(self.town.site.replicas());
            if let Some(token) = self.token(replica).await {
                let Reply {
                    began,
                    answer,
                    position,
                    ..
                } = self.ask(act, subject, (&token, replica)).await;
                let status = answer.status;
                let event = Event::Admin {
                    act,
                    subject: subject.to_owned(),
                    position,
                    answer,
                };
                self.town.site.recorder.record(began, NAME, event);
                match status {
                    200 => return true,
                    401 => self.token = None,
                    404 => return false,
                    _ => {}
                }
            }
            let pause = self.random.between(50, 500);
            sleep(pause).await;
        }
        false
    }

    async fn ask(&self, act: Act, subject: &str, (token, replica): (&str, usize)) -> Reply {
        let (path, body): (_, Option<Value>) = match act {
            Act::DisableClient => (format!("/clients/{subject}/disable"), None),
            Act::EnableClient => (format!("/clients/{subject}/enable"), None),
            Act::RotateKeys => ("/keys/rotate".to_owned(), Some(json!({}))),
            Act::EndSession => ("/revocations".to_owned(), Some(json!({ "sid": subject }))),
        };
        let path = format!("/api/admin{path}");
        let request = Request {
            bearer: Some(token),
            content: body.as_ref().map_or(Content::Nothing, Content::Json),
            ..Request::new(Method::POST, &path)
        };
        self.town.site.send(replica, request).await
    }

    async fn token(&mut self, replica: usize) -> Option<String> {
        if let Some((token, _)) = self
            .token
            .as_ref()
            .filter(|(_, until)| *until > Instant::now())
        {
            return Some(token.clone());
        }
        let client = self.town.administrator.clone();
        let issuer = self.town.site.issuer.clone();
        let token = service_token(&self.town, &client, &issuer, replica).await?;
        self.token = Some((token.clone(), Instant::now() + TOKEN_IS_FRESH));
        Some(token)
    }
}
