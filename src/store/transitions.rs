//! Each transition as one sequence of statements, for either database. The caller commits when it
//! answers `Ok` and rolls back when it answers `Err`.

pub(super) mod accounts;
pub(super) mod audit;
pub(super) mod browser;
pub(super) mod fleet;
pub(super) mod logins;
pub(super) mod master_key;
pub(super) mod revocations;
pub(super) mod sessions;

use super::connection::{Columns, Connection, Param};
use super::error::StatementError;
use super::{rows, sql};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::client::{Client, ClientSecret};
use crate::domain::id::{ClientId, SecretId};
use crate::domain::key::SigningKey;
use crate::domain::ports::{
    ClientChange, ClientState, KeyTransition, MasterKeyFingerprint, NewClient, SecretRotation,
    SecretRotationOrder, Version, Versions,
};
use crate::domain::revocation::{CutOff, CutOffScope, StatusIndex};

type Outcome<T> = Result<T, StatementError>;

// --- Installation ------------------------------------------------------------------------------

pub(super) async fn master_key_fingerprint(
    connection: &mut impl Connection,
) -> Outcome<Option<MasterKeyFingerprint>> {
    let found = connection
        .fetch(sql::FIND_MASTER_KEY_FINGERPRINT, &[])
        .await?;
    found.first().map(rows::fingerprint).transpose()
}

pub(super) async fn claim_for_master_key(
    connection: &mut impl Connection,
    fingerprint: MasterKeyFingerprint,
) -> Outcome<MasterKeyFingerprint> {
    connection
        .execute(
            sql::CLAIM_FOR_MASTER_KEY,
            &[fingerprint.0.as_slice().into()],
        )
        .await?;
    master_key_fingerprint(connection)
        .await?
        .ok_or(StatementError::Unreadable("installation"))
}

pub(super) async fn versions(connection: &mut impl Connection) -> Outcome<Versions> {
    let mut versions = Versions::default();
    for row in connection.fetch(sql::READ_VERSIONS, &[]).await? {
        let version = Version(row.integer("version")?);
        match row.text("name")?.as_str() {
            "clients" => versions.clients = version,
            "keys" => versions.keys = version,
            // A newer release, running beside this one, may watch more.
            _ => {}
        }
    }
    Ok(versions)
}

// --- Clients -----------------------------------------------------------------------------------

pub(super) async fn create_client(
    connection: &mut impl Connection,
    new: &NewClient,
    record: &AuditRecord,
) -> Outcome<ClientChange> {
    let version = next_clients_version(connection).await?;
    let metadata =
        serde_json::to_string(&new.metadata).map_err(|_| StatementError::Unreadable("metadata"))?;
    let id = new.id.as_str();
    let now = rows::milliseconds(record.at);
    let params = [
        id.into(),
        metadata.as_str().into(),
        now.into(),
        version.into(),
        i64::from(new.metadata.backchannel_logout_uri.is_some()).into(),
    ];
    if connection.execute(sql::INSERT_CLIENT, &params).await? == 0 {
        return Ok(ClientChange::Unchanged);
    }
    if let Some(secret) = &new.secret {
        let params = [
            secret.id.0.as_slice().into(),
            id.into(),
            secret.digest.0.as_slice().into(),
            now.into(),
            secret.status.to_stored().into(),
        ];
        connection
            .execute(sql::INSERT_FIRST_SECRET, &params)
            .await?;
    }
    audit::record(connection, record).await?;
    Ok(ClientChange::Changed)
}

pub(super) async fn find_client(
    connection: &mut impl Connection,
    id: &ClientId,
) -> Outcome<Option<Client>> {
    let found = connection
        .fetch(sql::FIND_CLIENT, &[id.as_str().into()])
        .await?;
    Ok(present(rows::clients(&found)?).pop())
}

pub(super) async fn list_clients(
    connection: &mut impl Connection,
    after: Option<&ClientId>,
    limit: u32,
) -> Outcome<Vec<Client>> {
    // No id is empty, so the empty text stands before all of them.
    let after = after.map_or("", ClientId::as_str);
    let params = [after.into(), i64::from(limit).into()];
    let found = connection.fetch(sql::LIST_CLIENTS, &params).await?;
    Ok(present(rows::clients(&found)?))
}

pub(super) async fn clients_changed_since(
    connection: &mut impl Connection,
    seen: Version,
    limit: u32,
) -> Outcome<(Vec<ClientState>, Version)> {
    let params = [seen.0.into(), i64::from(limit).into()];
    let changed = rows::clients(&connection.fetch(sql::LIST_CHANGED_CLIENTS, &params).await?)?;
    let complete_up_to = changed.last().map_or(seen, |(_, version)| *version);
    Ok((
        changed.into_iter().map(|(state, _)| state).collect(),
        complete_up_to,
    ))
}

pub(super) async fn disable_client(
    connection: &mut impl Connection,
    client: &ClientId,
    record: &AuditRecord,
) -> Outcome<ClientChange> {
    let version = next_clients_version(connection).await?;
    let id = client.as_str();
    let now = rows::milliseconds(record.at);
    let params = [id.into(), now.into(), version.into()];
    if connection.execute(sql::DISABLE_CLIENT, &params).await? == 0 {
        return unchanged_or_gone(connection, id).await;
    }
    // Also what a replica signs that is cut off from the database, and so hears of nothing.
    revoke_secrets(connection, sql::LIST_SECRETS, &[id.into()], record.at).await?;
    bar_client(connection, client, record).await?;
    audit::record(connection, record).await?;
    Ok(ClientChange::Changed)
}

pub(super) async fn enable_client(
    connection: &mut impl Connection,
    client: &ClientId,
    fresh: &[StatusIndex],
    record: &AuditRecord,
) -> Outcome<ClientChange> {
    let version = next_clients_version(connection).await?;
    let id = client.as_str();
    let params = [id.into(), version.into()];
    if connection.execute(sql::ENABLE_CLIENT, &params).await? == 0 {
        return unchanged_or_gone(connection, id).await;
    }
    // The bits of before are set, and stay so.
    let secrets = connection.fetch(sql::LIST_SECRETS, &[id.into()]).await?;
    let secrets: Vec<_> = secrets
        .iter()
        .map(|row| row.bytes("id"))
        .collect::<Result<_, _>>()?;
    for (secret, status) in secrets.iter().zip(fresh) {
        let params = [secret.as_slice().into(), status.to_stored().into()];
        connection
            .execute(sql::RENEW_STATUS_OF_SECRET, &params)
            .await?;
    }
    audit::record(connection, record).await?;
    Ok(ClientChange::Changed)
}

async fn unchanged_or_gone(connection: &mut impl Connection, id: &str) -> Outcome<ClientChange> {
    let exists = connection.fetch(sql::CLIENT_EXISTS, &[id.into()]).await?;
    Ok(if exists.is_empty() {
        ClientChange::NoSuchClient
    } else {
        ClientChange::Unchanged
    })
}

pub(super) async fn rotate_client_secret(
    connection: &mut impl Connection,
    id: &ClientId,
    order: &SecretRotationOrder,
    record: &AuditRecord,
) -> Outcome<SecretRotation> {
    let version = next_clients_version(connection).await?;
    let id = id.as_str();
    let now = rows::milliseconds(record.at);
    if connection
        .execute(sql::TOUCH_CLIENT, &[id.into(), version.into()])
        .await?
        == 0
    {
        return Ok(SecretRotation::NoSuchClient);
    }
    if order.force {
        connection
            .execute(sql::END_OLDER_SECRETS, &[id.into(), now.into()])
            .await?;
        let ended = [id.into(), now.into()];
        revoke_secrets(connection, sql::LIST_SECRETS_ENDED_AT, &ended, record.at).await?;
    }
    let secret = order.secret.id.0.as_slice();
    #[expect(clippy::cast_possible_wrap, reason = "two")]
    let most_live = ClientSecret::MOST_LIVE as i64;
    let params = [
        secret.into(),
        id.into(),
        order.secret.digest.0.as_slice().into(),
        now.into(),
        most_live.into(),
        order.secret.status.to_stored().into(),
    ];
    if connection
        .execute(sql::INSERT_FURTHER_SECRET, &params)
        .await?
        == 0
    {
        return Ok(SecretRotation::TwoAreLive);
    }
    let end = rows::milliseconds(order.others_end_at);
    let params = [id.into(), secret.into(), end.into()];
    connection
        .execute(sql::SCHEDULE_END_OF_OTHER_SECRETS, &params)
        .await?;
    if end <= now {
        let ended = [id.into(), end.into()];
        revoke_secrets(connection, sql::LIST_SECRETS_ENDED_AT, &ended, record.at).await?;
    }
    connection
        .execute(sql::DELETE_EXPIRED_SECRETS, &[id.into(), now.into()])
        .await?;
    audit::record(connection, record).await?;
    let found = connection.fetch(sql::FIND_CLIENT, &[id.into()]).await?;
    let client = present(rows::clients(&found)?).pop();
    Ok(client.map_or(SecretRotation::NoSuchClient, |client| {
        SecretRotation::Rotated(Box::new(client))
    }))
}

pub(super) async fn delete_client(
    connection: &mut impl Connection,
    client: &ClientId,
    record: &AuditRecord,
) -> Outcome<ClientChange> {
    let version = next_clients_version(connection).await?;
    let id = client.as_str();
    let now = rows::milliseconds(record.at);
    let params = [id.into(), now.into(), version.into()];
    if connection.execute(sql::DELETE_CLIENT, &params).await? == 0 {
        return Ok(ClientChange::NoSuchClient);
    }
    revoke_secrets(connection, sql::LIST_SECRETS, &[id.into()], record.at).await?;
    connection
        .execute(sql::DELETE_SECRETS, &[id.into()])
        .await?;
    bar_client(connection, client, record).await?;
    audit::record(connection, record).await?;
    Ok(ClientChange::Changed)
}

/// Cuts off what a client holds that gets no more tokens.
async fn bar_client(
    connection: &mut impl Connection,
    client: &ClientId,
    record: &AuditRecord,
) -> Outcome<()> {
    let cut_off = CutOff::until_now(CutOffScope::Client(client.clone()), record.at);
    revocations::revoke_before(connection, &record.id.0, record.at, &cut_off).await
}

/// Takes back the tokens of secrets that are taken away. Those of a secret whose planned end has come
/// were honestly made, and run out.
async fn revoke_secrets(
    connection: &mut impl Connection,
    which: &'static str,
    params: &[Param<'_>],
    at: Timestamp,
) -> Outcome<()> {
    let secrets = connection.fetch(which, params).await?;
    let secrets: Vec<_> = secrets
        .iter()
        .map(rows::status_of_secret)
        .collect::<Result<_, _>>()?;
    for (secret, status) in secrets {
        // A secret has another bit each time its client is enabled.
        let id = [secret.as_slice(), &status.to_stored().to_be_bytes()].concat();
        revocations::revoke_status(connection, &id, at, status).await?;
    }
    Ok(())
}

pub(super) async fn record_secret_use(
    connection: &mut impl Connection,
    uses: &[(SecretId, Timestamp)],
) -> Outcome<()> {
    for (secret, used_at) in uses {
        let params = [
            secret.0.as_slice().into(),
            rows::milliseconds(*used_at).into(),
        ];
        connection.execute(sql::RECORD_SECRET_USE, &params).await?;
    }
    Ok(())
}

async fn next_clients_version(connection: &mut impl Connection) -> Outcome<i64> {
    let taken = connection.fetch(sql::NEXT_CLIENTS_VERSION, &[]).await?;
    taken
        .first()
        .ok_or(StatementError::Unreadable("watched_versions"))?
        .integer("version")
}

fn present(clients: Vec<(ClientState, Version)>) -> Vec<Client> {
    let present = |(state, _)| match state {
        ClientState::Present(client) => Some(*client),
        ClientState::Gone(_) => None,
    };
    clients.into_iter().filter_map(present).collect()
}

// --- Signing keys ------------------------------------------------------------------------------

pub(super) async fn signing_keys(
    connection: &mut impl Connection,
) -> Outcome<(Vec<SigningKey>, Version)> {
    // The version first: should a change come in between, a later compare-and-swap fails and the
    // keys are read again; the other way round it would succeed on keys not seen.
    let version = versions(connection).await?.keys;
    let keys = connection.fetch(sql::LIST_SIGNING_KEYS, &[]).await?;
    Ok((
        keys.iter()
            .map(rows::signing_key)
            .collect::<Result<_, _>>()?,
        version,
    ))
}

pub(super) async fn change_signing_keys(
    connection: &mut impl Connection,
    transition: &KeyTransition,
    seen: Version,
    record: &AuditRecord,
) -> Outcome<bool> {
    if connection
        .execute(sql::NEXT_KEYS_VERSION_AFTER, &[seen.0.into()])
        .await?
        == 0
    {
        return Ok(false);
    }
    for (kid, schedule) in &transition.reschedule {
        let params = [
            kid.as_str().into(),
            rows::milliseconds(schedule.active_from).into(),
            rows::milliseconds(schedule.retires_at).into(),
            rows::milliseconds(schedule.removed_at).into(),
        ];
        connection
            .execute(sql::RESCHEDULE_SIGNING_KEY, &params)
            .await?;
    }
    for kid in &transition.revoke {
        let params = [kid.as_str().into(), rows::milliseconds(record.at).into()];
        connection.execute(sql::REVOKE_SIGNING_KEY, &params).await?;
        let (id, cut_off) = (kid.as_str().as_bytes(), CutOff::of_key(kid.clone()));
        revocations::revoke_before(connection, id, record.at, &cut_off).await?;
    }
    for kid in &transition.destroy_private {
        connection
            .execute(sql::DESTROY_PRIVATE_KEY, &[kid.as_str().into()])
            .await?;
    }
    if let Some(key) = &transition.insert {
        insert_signing_key(connection, key).await?;
    }
    audit::record(connection, record).await?;
    Ok(true)
}

async fn insert_signing_key(connection: &mut impl Connection, key: &SigningKey) -> Outcome<()> {
    let public_jwk = serde_json::to_string(&key.public_jwk)
        .map_err(|_| StatementError::Unreadable("public_jwk"))?;
    let params = [
        key.kid.as_str().into(),
        key.algorithm.as_str().into(),
        key.slot.into(),
        public_jwk.as_str().into(),
        Param::Bytes(
            key.sealed_private
                .as_ref()
                .map(|sealed| sealed.0.as_slice()),
        ),
        rows::milliseconds(key.created_at).into(),
        rows::milliseconds(key.schedule.active_from).into(),
        rows::milliseconds(key.schedule.retires_at).into(),
        rows::milliseconds(key.schedule.removed_at).into(),
    ];
    connection.execute(sql::INSERT_SIGNING_KEY, &params).await?;
    Ok(())
}
