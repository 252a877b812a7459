//! Clients and their secrets.

use chrono::TimeDelta;
use tokensmith::domain::client::{
    AccessTokenFormat, ClientAuthMethod, ClientMetadata, GrantType, PkcePolicy, SecretDigest,
};
use tokensmith::domain::id::SecretId;
use tokensmith::domain::ports::{
    ClientChange, ClientState, MasterKeyFingerprint, NewClient, NewSecret, SecretRotation,
    SecretRotationOrder, Store, Version,
};

use tokensmith::domain::revocation::StatusIndex;

use super::{at, record, record_at};
use crate::harness::on_every_database;

fn secret(number: u8) -> NewSecret {
    NewSecret {
        id: SecretId([number; 16]),
        digest: SecretDigest([number; 32]),
        status: StatusIndex::new(0, number.into()),
    }
}

fn client(id: &str, number: u8) -> NewClient {
    let metadata = ClientMetadata {
        client_name: Some("Ünïcode".to_owned()),
        grant_types: [GrantType::ClientCredentials].into(),
        scope: "a b".parse().unwrap(),
        audiences: vec!["https://api.example.com".parse().unwrap()],
        access_token_ttl: Some(60),
        ..ClientMetadata::default()
    };
    NewClient {
        id: id.parse().unwrap(),
        metadata,
        secret: Some(secret(number)),
    }
}

async fn create(store: &dyn Store, id: &str, number: u8) {
    let change = store
        .create_client(&client(id, number), &record(0))
        .await
        .unwrap();
    assert_eq!(change, ClientChange::Changed);
}

on_every_database! {
    async fn a_client_comes_back_as_it_was_stored(database) {
        let store = database.open().await;
        create(&*store, "orders", 1).await;
        let found = store.find_client(&"orders".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(found.metadata, client("orders", 1).metadata);
        assert_eq!((found.created_at, found.disabled_at), (at(0), None));
        assert_eq!(found.secrets.len(), 1);
        assert_eq!(found.secrets[0].digest, SecretDigest([1; 32]));
        assert_eq!(store.find_client(&"other".parse().unwrap()).await.unwrap(), None);
    }
}

on_every_database! {
    async fn a_public_client_comes_back_without_a_secret(database) {
        let store = database.open().await;
        let metadata = ClientMetadata {
            grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
            token_endpoint_auth_method: Some(ClientAuthMethod::None),
            logo_uri: Some("https://app.example.com/logo.png".parse().unwrap()),
            redirect_uris: vec!["http://127.0.0.1/callback".parse().unwrap()],
            post_logout_redirect_uris: vec!["http://127.0.0.1/bye".parse().unwrap()],
            backchannel_logout_uri: Some("https://app.example.com/logout".parse().unwrap()),
            first_party: true,
            pkce: PkcePolicy::Optional,
            require_pushed_authorization_requests: true,
            access_token_format: AccessTokenFormat::Reference,
            session_idle_ttl: Some(3600),
            session_ttl: Some(7200),
            rotate_refresh_tokens: Some(true),
            retry_window: Some(0),
            resource_servers: vec!["https://api.example.com".parse().unwrap()],
            ..ClientMetadata::default()
        };
        let phone = NewClient {
            id: "phone".parse().unwrap(),
            metadata: metadata.clone(),
            secret: None,
        };
        assert_eq!(store.create_client(&phone, &record(0)).await.unwrap(), ClientChange::Changed);
        create(&*store, "orders", 1).await;
        let found = store.find_client(&phone.id).await.unwrap().unwrap();
        assert_eq!((found.metadata, found.secrets.len()), (metadata, 0));
        let (changes, _) = store.clients_changed_since(Version(0), 10).await.unwrap();
        assert_eq!(names(&changes), ["phone", "orders"]);
    }
}

on_every_database! {
    async fn an_id_is_taken_until_its_client_is_deleted(database) {
        let store = database.open().await;
        let id = "orders".parse().unwrap();
        create(&*store, "orders", 1).await;
        let second = store.create_client(&client("orders", 2), &record(1)).await.unwrap();
        assert_eq!(second, ClientChange::Unchanged);
        let found = store.find_client(&id).await.unwrap().unwrap();
        assert_eq!(found.secrets[0].digest, SecretDigest([1; 32]), "nothing was overwritten");

        assert_eq!(store.delete_client(&id, &record(2)).await.unwrap(), ClientChange::Changed);
        assert_eq!(store.delete_client(&id, &record(2)).await.unwrap(), ClientChange::NoSuchClient);
        assert_eq!(store.find_client(&id).await.unwrap(), None);
        create(&*store, "orders", 3).await;
        let found = store.find_client(&id).await.unwrap().unwrap();
        assert_eq!(found.secrets.len(), 1);
        assert_eq!(found.secrets[0].digest, SecretDigest([3; 32]), "old secrets stay dead");
    }
}

on_every_database! {
    async fn pages_follow_the_bytes_of_the_ids(database) {
        let store = database.open().await;
        for (number, id) in ["b", "A", "a", "~", "B", "_"].into_iter().enumerate() {
            create(&*store, id, u8::try_from(number).unwrap()).await;
        }
        let mut seen: Vec<String> = Vec::new();
        let mut after = None;
        loop {
            let page = store.list_clients(after.as_ref(), 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            seen.extend(page.iter().map(|client| client.id.to_string()));
        }
        assert_eq!(seen, ["A", "B", "_", "a", "b", "~"]);
    }
}

on_every_database! {
    async fn disabling_and_enabling_are_idempotent(database) {
        let store = database.open().await;
        create(&*store, "orders", 1).await;
        let id = "orders".parse().unwrap();
        let set = async |enabled, now| {
            let record = record_at(now);
            if enabled {
                store.enable_client(&id, &[], &record).await.unwrap()
            } else {
                store.disable_client(&id, &record).await.unwrap()
            }
        };
        assert_eq!(set(false, at(5)).await, ClientChange::Changed);
        assert_eq!(set(false, at(9)).await, ClientChange::Unchanged);
        let found = store.find_client(&id).await.unwrap().unwrap();
        assert_eq!(found.disabled_at, Some(at(5)));
        assert_eq!(set(true, at(9)).await, ClientChange::Changed);
        assert_eq!(set(true, at(9)).await, ClientChange::Unchanged);
        let nobody = "nobody".parse().unwrap();
        let change = store.enable_client(&nobody, &[], &record(0)).await.unwrap();
        assert_eq!(change, ClientChange::NoSuchClient);
    }
}

on_every_database! {
    async fn at_most_two_secrets_are_live_and_a_rotation_is_no_outage(database) {
        let store = database.open().await;
        create(&*store, "orders", 1).await;
        let id = "orders".parse().unwrap();
        let rotate = async |number, force, now| {
            let others_end_at = now + TimeDelta::hours(1);
            let order = SecretRotationOrder { secret: secret(number), others_end_at, force };
            store.rotate_client_secret(&id, &order, &record_at(now)).await.unwrap()
        };
        let live = async |now| {
            let client = store.find_client(&id).await.unwrap().unwrap();
            client.live_secrets(now).map(|secret| secret.digest.0[0]).collect::<Vec<_>>()
        };
        assert!(matches!(rotate(2, false, at(10)).await, SecretRotation::Rotated(_)));
        assert_eq!(live(at(11)).await, [1, 2], "both work for the overlap");
        assert_eq!(rotate(3, false, at(12)).await, SecretRotation::TwoAreLive);
        assert_eq!(live(at(13)).await, [1, 2], "a refusal changes nothing");
        assert_eq!(live(at(3_610)).await, [2], "the older one has ended");
        assert!(matches!(rotate(3, false, at(3_611)).await, SecretRotation::Rotated(_)));
        assert!(matches!(rotate(4, true, at(3_612)).await, SecretRotation::Rotated(_)));
        assert_eq!(live(at(3_613)).await, [3, 4], "by force the oldest ends at once");
        let nobody = "nobody".parse().unwrap();
        let order = SecretRotationOrder { secret: secret(9), others_end_at: at(0), force: false };
        let outcome = store.rotate_client_secret(&nobody, &order, &record(0)).await.unwrap();
        assert_eq!(outcome, SecretRotation::NoSuchClient);
    }
}

on_every_database! {
    async fn the_last_use_of_a_secret_only_moves_forward(database) {
        let store = database.open().await;
        create(&*store, "orders", 1).await;
        let used = async |now| store.record_secret_use(&[(SecretId([1; 16]), now)]).await.unwrap();
        used(at(60)).await;
        used(at(30)).await;
        let client = store.find_client(&"orders".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(client.secrets[0].last_used_at, Some(at(60)));
    }
}

on_every_database! {
    async fn replicas_learn_of_every_change_in_order(database) {
        let store = database.open().await;
        let start = store.versions().await.unwrap().clients;
        create(&*store, "a", 1).await;
        create(&*store, "b", 2).await;
        let (changes, seen) = store.clients_changed_since(start, 100).await.unwrap();
        assert_eq!(names(&changes), ["a", "b"]);
        assert_eq!(seen, store.versions().await.unwrap().clients);

        store.disable_client(&"a".parse().unwrap(), &record(1)).await.unwrap();
        store.delete_client(&"b".parse().unwrap(), &record(1)).await.unwrap();
        let (first, seen) = store.clients_changed_since(seen, 1).await.unwrap();
        assert_eq!(names(&first), ["a"], "pages are complete up to the version they name");
        let (second, seen) = store.clients_changed_since(seen, 1).await.unwrap();
        assert_eq!(second, [ClientState::Gone("b".parse().unwrap())]);
        let (none, same) = store.clients_changed_since(seen, 1).await.unwrap();
        assert_eq!((none.len(), same), (0, seen));
    }
}

on_every_database! {
    async fn many_writers_at_once_lose_nothing(database) {
        let store = database.open().await;
        let tasks: Vec<_> = (0..100_u8)
            .map(|number| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move {
                    let new = client(&format!("c{}", number % 50), number);
                    store.create_client(&new, &record(0)).await.unwrap()
                })
            })
            .collect();
        let mut changed = 0;
        for task in tasks {
            changed += usize::from(task.await.unwrap() == ClientChange::Changed);
        }
        assert_eq!(changed, 50, "of two that want one id, one gets it");
        let (changes, _) = store.clients_changed_since(Version(0), 1_000).await.unwrap();
        assert_eq!(changes.len(), 50);
    }
}

on_every_database! {
    async fn a_database_belongs_to_the_first_master_key(database) {
        let store = database.open().await;
        let (one, two) = (MasterKeyFingerprint([1; 16]), MasterKeyFingerprint([2; 16]));
        assert_eq!(store.master_key_fingerprint().await.unwrap(), None);
        assert_eq!(store.claim_for_master_key(one).await.unwrap(), one);
        assert_eq!(store.claim_for_master_key(two).await.unwrap(), one);
        assert_eq!(store.master_key_fingerprint().await.unwrap(), Some(one));
    }
}

fn names(changes: &[ClientState]) -> Vec<String> {
    changes
        .iter()
        .map(|change| match change {
            ClientState::Present(client) => client.id.to_string(),
            ClientState::Gone(id) => format!("-{id}"),
        })
        .collect()
}
