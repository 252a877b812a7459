//! Who there is: people, their apps, services, and what is known of their sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::task::JoinSet;

use super::ChaosError;
use super::fleet::Fleet;
use super::history::ClientTerms;
use super::random::Random;
use super::site::{AUDIENCE, Access, Credentials, Site, text};
use super::wallet::Wallet;

/// The password of everybody.
pub(super) const PASSWORD: &str = "seven herons at dawn";
/// What the apps of people ask for.
pub(super) const SCOPE: &str = "openid offline_access orders:read";
/// The app that administrators disable now and then.
pub(super) const KIOSK: &str = "kiosk";
const APPS: &[(&str, u64)] = &[("phone", 30), ("tablet", 1), (KIOSK, 30)];
const PEOPLE: usize = 12;
const SERVICES: usize = 3;

/// Everybody and everything that actors share.
pub(super) struct Town {
    pub(super) site: Site,
    pub(super) seed: u64,
    pub(super) people: Vec<Person>,
    pub(super) apps: Vec<App>,
    pub(super) services: Vec<Credentials>,
    /// The API that asks replicas about tokens.
    pub(super) api: Credentials,
    pub(super) administrator: Credentials,
    known: Mutex<Known>,
}

#[derive(Clone)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) username: String,
}

#[derive(Clone)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) retry_window_ms: u64,
}

#[derive(Default)]
struct Known {
    /// The sessions that somebody uses.
    living: BTreeMap<String, Access>,
    /// What is left of those that are over.
    graves: Vec<Arc<Grave>>,
    /// Tasks that must come to an end before the history does.
    tasks: JoinSet<()>,
}

/// The tokens of a session that is over.
pub(super) struct Grave {
    pub(super) wallet: Wallet,
    /// Further access tokens of it, such as those that a thief got.
    pub(super) others: Vec<Access>,
}

impl Town {
    /// Registers everybody at the command line of the service.
    pub(super) async fn found(fleet: &Fleet, site: Site, seed: u64) -> Result<Self, ChaosError> {
        let mut apps = Vec::new();
        for (id, window) in APPS {
            let of_people = ["--public", "--first-party", "--scope", SCOPE];
            let grants = ["--grant", "authorization_code", "--grant", "refresh_token"];
            let redirect = ["--redirect-uri", "http://127.0.0.1/callback"];
            let window_text = format!("{window}s");
            let retry = ["--retry-window", window_text.as_str()];
            let arguments = [&of_people[..], &grants, &redirect, &retry].concat();
            register(fleet, id, AUDIENCE, &arguments).await?;
            apps.push(App {
                id: (*id).to_owned(),
                retry_window_ms: window * 1_000,
            });
        }
        let mut services = Vec::new();
        let service = ["--grant", "client_credentials", "--scope", "orders:read"];
        for number in 0..SERVICES {
            let id = format!("service-{number}");
            services.push(register(fleet, &id, AUDIENCE, &service).await?);
        }
        let api = [&service[..], &["--resource-server", AUDIENCE]].concat();
        let administrator = [
            "--grant",
            "client_credentials",
            "--scope",
            "tokensmith:admin",
        ];
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            people.push(person(fleet, number).await?);
        }
        Ok(Self {
            seed,
            people,
            apps,
            services,
            api: register(fleet, "api", AUDIENCE, &api).await?,
            administrator: register(fleet, "admin", &site.issuer, &administrator).await?,
            site,
            known: Mutex::default(),
        })
    }

    /// What the checker has to know of the apps.
    pub(super) fn terms(&self) -> Vec<ClientTerms> {
        let terms = self.apps.iter().map(|app| ClientTerms {
            id: app.id.clone(),
            retry_window_ms: app.retry_window_ms,
        });
        terms.collect()
    }

    /// A session is used, and this is its newest access token.
    pub(super) fn lives(&self, session: &str, access: &Access) {
        let mut known = self.lock();
        known.living.insert(session.to_owned(), access.clone());
    }

    /// Some session that is used.
    pub(super) fn some_living(&self, random: &mut Random) -> Option<Access> {
        let known = self.lock();
        let place = random.below(known.living.len());
        known.living.values().nth(place).cloned()
    }

    /// A session is over; what is left of it is tried again and again.
    pub(super) fn bury(&self, wallet: Wallet, others: Vec<Access>) -> Arc<Grave> {
        let mut known = self.lock();
        known.living.remove(&wallet.session);
        let grave = Arc::new(Grave { wallet, others });
        known.graves.push(Arc::clone(&grave));
        grave
    }

    pub(super) fn some_grave(&self, random: &mut Random) -> Option<Arc<Grave>> {
        random.choice(&self.lock().graves).cloned()
    }

    pub(super) fn graves(&self) -> Vec<Arc<Grave>> {
        self.lock().graves.clone()
    }

    /// Does something beside everything else.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut known = self.lock();
        while known.tasks.try_join_next().is_some() {}
        known.tasks.spawn(task);
    }

    /// Waits until all of that is done.
    pub(super) async fn until_tasks_are_done(&self) {
        let tasks = std::mem::take(&mut self.lock().tasks);
        tasks.join_all().await;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grave {
    /// All access tokens that are known of the session, its own newest first.
    pub(super) fn access_tokens(&self) -> impl Iterator<Item = &Access> {
        std::iter::once(&self.wallet.access).chain(&self.others)
    }
}

async fn register(
    fleet: &Fleet,
    id: &str,
    audience: &str,
    further: &[&str],
) -> Result<Credentials, ChaosError> {
    let first = [
        "client",
        "create",
        "--json",
        "--id",
        id,
        "--audience",
        audience,
    ];
    let said = fleet.command(&[&first[..], further].concat(), "").await?;
    let created: Value = serde_json::from_str(&said).map_err(ChaosError::NotJson)?;
    let secret = text(&created, "client_secret").unwrap_or_default();
    Ok(Credentials {
        id: id.to_owned(),
        secret: secret.to_owned(),
    })
}

async fn person(fleet: &Fleet, number: usize) -> Result<Person, ChaosError> {
    let username = format!("person-{number}");
    let create = [
        "user",
        "create",
        "--json",
        "--password-stdin",
        "--username",
        &username,
    ];
    let said = fleet.command(&create, PASSWORD).await?;
    let created: Value = serde_json::from_str(&said).map_err(ChaosError::NotJson)?;
    Ok(Person {
        id: text(&created, "user_id").unwrap_or_default().to_owned(),
        username,
    })
}
