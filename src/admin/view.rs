//! Clients and keys as administrators see them, on the command line (`--json`) and over HTTP.
//! Instants are RFC 3339 in UTC.

use serde::Serialize;

use super::clients::ClientWithSecret;
use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientMetadata, ClientSecret};
use crate::domain::id::{ClientId, SecretId};
use crate::domain::key::{KeyState, PublicJwk, SigningKey};
use crate::domain::key_schedule::KeyChain;

/// A client without anything secret.
#[derive(Debug, Serialize)]
pub struct ClientView {
    client_id: ClientId,
    #[serde(flatten)]
    metadata: ClientMetadata,
    enabled: bool,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    secrets: Vec<SecretView>,
}

/// Dates of a secret.
#[derive(Debug, Serialize)]
pub struct SecretView {
    secret_id: SecretId,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

/// A client with the secret that was just made for it, if it has one. Without `Debug`.
#[derive(Serialize)]
pub struct ClientWithSecretView {
    #[serde(flatten)]
    client: ClientView,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// A key without its private half.
#[derive(Debug, Serialize)]
pub struct KeyView {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// What it signs with.
    pub alg: &'static str,
    created_at: Timestamp,
    /// From when it signs.
    pub active_from: Timestamp,
    /// When its successor takes over.
    pub retires_at: Timestamp,
    removed_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    public_jwk: PublicJwk,
}

impl From<Client> for ClientView {
    fn from(client: Client) -> Self {
        Self {
            client_id: client.id,
            metadata: client.metadata,
            enabled: client.disabled_at.is_none(),
            created_at: client.created_at,
            disabled_at: client.disabled_at,
            secrets: client.secrets.into_iter().map(SecretView::from).collect(),
        }
    }
}

impl From<ClientSecret> for SecretView {
    fn from(secret: ClientSecret) -> Self {
        Self {
            secret_id: secret.id,
            created_at: secret.created_at,
            expires_at: secret.expires_at,
            last_used_at: secret.last_used_at,
        }
    }
}

impl From<ClientWithSecret> for ClientWithSecretView {
    fn from(created: ClientWithSecret) -> Self {
        Self {
            client: created.client.into(),
            client_secret: created.secret,
        }
    }
}

/// The keys with their states at `now`, newest first in each algorithm. The order never changes.
#[must_use]
pub fn keys(keys: &[SigningKey], now: Timestamp) -> Vec<KeyView> {
    let mut newest_first: Vec<&SigningKey> = keys.iter().collect();
    newest_first.sort_by_key(|key| (key.algorithm, std::cmp::Reverse(key.slot)));
    newest_first
        .into_iter()
        .map(|key| KeyView {
            kid: key.kid.to_string(),
            state: KeyChain::of(keys, key.algorithm).state(key, now),
            alg: key.algorithm.as_str(),
            created_at: key.created_at,
            active_from: key.schedule.active_from,
            retires_at: key.schedule.retires_at,
            removed_at: key.schedule.removed_at,
            revoked_at: key.revoked_at,
            public_jwk: key.public_jwk.clone(),
        })
        .collect()
}
