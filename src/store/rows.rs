//! Rows to domain values and back.

pub(super) mod browser;
pub(super) mod people;
pub(super) mod revocations;

use super::connection::Columns;
use super::error::StatementError;
use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientSecret, SecretDigest};
use crate::domain::fleet::RunningReplica;
use crate::domain::id::{ClientId, ReplicaId, SecretId};
use crate::domain::key::{KeySchedule, SealedPrivateKey, SigningKey};
use crate::domain::ports::{ClientState, MasterKeyFingerprint, Version};
use crate::domain::revocation::StatusIndex;

/// Milliseconds since the epoch.
pub(super) fn milliseconds(instant: Timestamp) -> i64 {
    instant.timestamp_millis()
}

fn instant(row: &impl Columns, column: &'static str) -> Result<Timestamp, StatementError> {
    Timestamp::from_timestamp_millis(row.integer(column)?).ok_or(StatementError::Unreadable(column))
}

fn optional_instant(
    row: &impl Columns,
    column: &'static str,
) -> Result<Option<Timestamp>, StatementError> {
    row.optional_integer(column)?
        .map(|value| {
            Timestamp::from_timestamp_millis(value).ok_or(StatementError::Unreadable(column))
        })
        .transpose()
}

fn parsed<T: std::str::FromStr>(
    row: &impl Columns,
    column: &'static str,
) -> Result<T, StatementError> {
    row.text(column)?
        .parse()
        .map_err(|_| StatementError::Unreadable(column))
}

fn json<T: serde::de::DeserializeOwned>(
    row: &impl Columns,
    column: &'static str,
) -> Result<T, StatementError> {
    serde_json::from_str(&row.text(column)?).map_err(|_| StatementError::Unreadable(column))
}

fn array<const N: usize>(bytes: Vec<u8>, column: &'static str) -> Result<[u8; N], StatementError> {
    bytes
        .try_into()
        .map_err(|_| StatementError::Unreadable(column))
}

pub(super) fn running_replica(row: &impl Columns) -> Result<RunningReplica, StatementError> {
    Ok(RunningReplica {
        id: ReplicaId(array(row.bytes("id")?, "id")?),
        build: row.text("build")?,
        host: row.text("host")?,
        started_at: instant(row, "started_at")?,
        seen_at: instant(row, "seen_at")?,
    })
}

/// Clients from rows of which each holds a client and one of its secrets, or none. Rows of one
/// client stand together.
pub(super) fn clients(
    rows: &[impl Columns],
) -> Result<Vec<(ClientState, Version)>, StatementError> {
    let mut clients: Vec<(ClientState, Version)> = Vec::new();
    for row in rows {
        let id: ClientId = parsed(row, "id")?;
        let secret = client_secret(row).unwrap_or_else(|error| {
            // It opens nothing; the client and its other secret go on.
            tracing::error!(client_id = %id, ?error, "a client's secret cannot be read");
            None
        });
        match clients.last_mut() {
            Some((ClientState::Present(client), _)) if client.id == id => {
                client.secrets.extend(secret);
            }
            Some((ClientState::Gone(gone), _)) if *gone == id => {}
            _ => {
                let state = client_state(row, id.clone(), secret).unwrap_or_else(|error| {
                    // One row must not keep a replica from learning of all others.
                    tracing::error!(client_id = %id, ?error, "a client's row cannot be read");
                    ClientState::Gone(id)
                });
                clients.push((state, Version(row.integer("version")?)));
            }
        }
    }
    Ok(clients)
}

fn client_state(
    row: &impl Columns,
    id: ClientId,
    secret: Option<ClientSecret>,
) -> Result<ClientState, StatementError> {
    if optional_instant(row, "deleted_at")?.is_some() {
        return Ok(ClientState::Gone(id));
    }
    Ok(ClientState::Present(Box::new(Client {
        id,
        metadata: json(row, "metadata")?,
        created_at: instant(row, "created_at")?,
        disabled_at: optional_instant(row, "disabled_at")?,
        secrets: secret.into_iter().collect(),
    })))
}

/// The secret in a row of the outer join.
fn client_secret(row: &impl Columns) -> Result<Option<ClientSecret>, StatementError> {
    let Some(id) = row.optional_bytes("secret_id")? else {
        return Ok(None);
    };
    Ok(Some(ClientSecret {
        id: SecretId(array(id, "secret_id")?),
        digest: SecretDigest(array(row.bytes("digest")?, "digest")?),
        status: status_index(row)?,
        created_at: instant(row, "secret_created_at")?,
        expires_at: optional_instant(row, "expires_at")?,
        last_used_at: optional_instant(row, "last_used_at")?,
    }))
}

pub(super) fn signing_key(row: &impl Columns) -> Result<SigningKey, StatementError> {
    Ok(SigningKey {
        kid: parsed(row, "kid")?,
        algorithm: parsed(row, "algorithm")?,
        slot: row.integer("slot")?,
        public_jwk: json(row, "public_jwk")?,
        sealed_private: row.optional_bytes("sealed_private")?.map(SealedPrivateKey),
        created_at: instant(row, "created_at")?,
        schedule: KeySchedule {
            active_from: instant(row, "active_from")?,
            retires_at: instant(row, "retires_at")?,
            removed_at: instant(row, "removed_at")?,
        },
        revoked_at: optional_instant(row, "revoked_at")?,
    })
}

/// The id of a secret, and its bit.
pub(super) fn status_of_secret(
    row: &impl Columns,
) -> Result<(Vec<u8>, StatusIndex), StatementError> {
    Ok((row.bytes("id")?, status_index(row)?))
}

/// The bit of a session or secret.
fn status_index(row: &impl Columns) -> Result<StatusIndex, StatementError> {
    const COLUMN: &str = "status_index";
    StatusIndex::from_stored(row.integer(COLUMN)?).ok_or(StatementError::Unreadable(COLUMN))
}

pub(super) fn fingerprint(row: &impl Columns) -> Result<MasterKeyFingerprint, StatementError> {
    const COLUMN: &str = "master_key_fingerprint";
    Ok(MasterKeyFingerprint(array(row.bytes(COLUMN)?, COLUMN)?))
}
