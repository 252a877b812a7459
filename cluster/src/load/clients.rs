//! Who uses the service.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::http::Service;
use crate::{Failure, Replica, ReplicaSettings, command, command_with_input, waiting};

/// The audience of all tokens.
pub const AUDIENCE: &str = "https://api.example.com";
/// The app on the phones of people.
pub(super) const PHONE: &str = "phone";
pub(super) const PASSWORD: &str = "seven herons at dawn";
/// More than the second that a replica takes, because passwords are checked on the way.
const LEARNT_WITHIN: Duration = Duration::from_secs(5);

/// What is registered.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Id and secret of a service.
    pub service: (String, String),
    /// Those who log in and out all the time.
    pub people: Vec<Person>,
    /// Somebody who does so only when told.
    guest: Person,
}

/// A person with an account.
#[derive(Clone, Debug)]
pub struct Person {
    /// The username.
    pub name: String,
}

impl Clients {
    /// Registers a service, an app and so many people, with commands beside the replicas.
    pub async fn register(settings: &ReplicaSettings, people: usize) -> Result<Self, Failure> {
        let entitled = ["--scope", "orders:read", "--audience", AUDIENCE];
        let service = ["client", "create", "--json", "--id", "orders"];
        let service = [&service[..], &["--grant", "client_credentials"], &entitled].concat();
        let created = command(settings, &service).await?;
        let created: Value = serde_json::from_str(&created)
            .map_err(|error| Failure::Service(format!("registering a service: {error}")))?;
        let secret = created.get("client_secret").and_then(Value::as_str);
        let app = ["client", "create", "--id", PHONE, "--public"];
        let grants = ["--grant", "authorization_code", "--grant", "refresh_token"];
        let may = ["--scope", "openid offline_access orders:read"];
        let place = ["--redirect-uri", "http://127.0.0.1/callback"];
        let kind = ["--first-party", "--audience", AUDIENCE];
        command(settings, &[&app[..], &grants, &may, &place, &kind].concat()).await?;
        let mut all = Vec::with_capacity(people);
        for number in 0..people {
            all.push(Person::register(settings, format!("person{number}")).await?);
        }
        Ok(Self {
            service: ("orders".to_owned(), secret.unwrap_or_default().to_owned()),
            people: all,
            guest: Person::register(settings, "guest".to_owned()).await?,
        })
    }

    /// Waits until each of these replicas has read what was registered.
    pub async fn until_known_to(&self, replicas: &[Replica]) -> Result<(), Failure> {
        for replica in replicas {
            let at = replica.address();
            waiting::until("the clients are known", LEARNT_WITHIN, || async {
                self.session_across(at, at).await.ok()
            })
            .await?;
        }
        Ok(())
    }

    /// A session that is begun at one replica, goes on at another, is ended at the first, and is over at the
    /// other. Only one at a time.
    pub async fn session_across(&self, one: SocketAddr, other: SocketAddr) -> Result<(), Failure> {
        let (here, there) = (
            Service::at(&format!("http://{one}"))?,
            Service::at(&format!("http://{other}"))?,
        );
        let session = async {
            let begun = here.login(&self.guest).await?;
            let next = there.refresh(&begun.refresh, "one").await?;
            let next = here.refresh(&next.refresh, "two").await?;
            let last = there.refresh(&next.refresh, "three").await?;
            here.logout(&last.refresh).await?;
            there.is_refused(&last.refresh).await
        };
        let failed = |reason| Failure::Service(format!("from {one} to {other}: {reason}"));
        session.await.map_err(failed)
    }
}

impl Person {
    async fn register(settings: &ReplicaSettings, name: String) -> Result<Self, Failure> {
        let arguments = ["user", "create", "--username", &name, "--password-stdin"];
        command_with_input(settings, &arguments, PASSWORD).await?;
        Ok(Self { name })
    }
}
