//! Accounts.
//!
//! Transitions that touch an account and something of it take the row of the account first, so
//! that they come one after the other and never wait for each other in a circle.

use super::sessions::{NO_ID, end_each};
use super::{Outcome, audit};
use crate::domain::audit::AuditRecord;
use crate::domain::id::UserId;
use crate::domain::identifier::{EmailAddress, IdentifierKey};
use crate::domain::password::PasswordHash;
use crate::domain::ports::{Account, NewUser, PasswordOrder, UserChange, UserCreation};
use crate::domain::session::{Device, SessionEnd, Staying};
use crate::domain::user::{User, identifiers};
use crate::store::connection::{Connection, Param};
use crate::store::error::StatementError;
use crate::store::rows::{self, people};
use crate::store::sql;

pub(in crate::store) async fn create_user(
    connection: &mut impl Connection,
    new: &NewUser,
    record: &AuditRecord,
) -> Outcome<UserCreation> {
    let created = insert_user(connection, new).await?;
    if created == UserCreation::Created {
        audit::record(connection, record).await?;
    }
    Ok(created)
}

pub(in crate::store) async fn import_users(
    connection: &mut impl Connection,
    users: &[NewUser],
    record: &AuditRecord,
) -> Outcome<Vec<UserCreation>> {
    let mut outcomes = Vec::with_capacity(users.len());
    for new in users {
        outcomes.push(insert_user(connection, new).await?);
    }
    if outcomes.contains(&UserCreation::Created) {
        audit::record(connection, record).await?;
    }
    Ok(outcomes)
}

async fn insert_user(connection: &mut impl Connection, new: &NewUser) -> Outcome<UserCreation> {
    let keys = identifiers(&new.username, new.email.as_ref());
    for (position, key) in keys.iter().enumerate() {
        let params = [key.as_str().into(), new.id.0.as_slice().into()];
        if connection.execute(sql::INSERT_IDENTIFIER, &params).await? == 0 {
            // What was inserted before is taken back by hand: others may share the transaction.
            for key in keys.iter().take(position) {
                delete_identifier(connection, key, new.id).await?;
            }
            return Ok(UserCreation::NameTaken);
        }
    }
    let profile =
        serde_json::to_string(&new.profile).map_err(|_| StatementError::Unreadable("profile"))?;
    let created_at = rows::milliseconds(new.created_at);
    let params = [
        new.id.0.as_slice().into(),
        new.username.as_str().into(),
        new.email.as_ref().map(EmailAddress::as_str).into(),
        profile.as_str().into(),
        new.password.as_ref().map(PasswordHash::as_str).into(),
        new.password.as_ref().map(|_| created_at).into(),
        created_at.into(),
    ];
    connection.execute(sql::INSERT_USER, &params).await?;
    Ok(UserCreation::Created)
}

async fn delete_identifier(
    connection: &mut impl Connection,
    key: &IdentifierKey,
    id: UserId,
) -> Outcome<()> {
    let params = [key.as_str().into(), id.0.as_slice().into()];
    connection.execute(sql::DELETE_IDENTIFIER, &params).await?;
    Ok(())
}

pub(in crate::store) async fn find_account(
    connection: &mut impl Connection,
    key: &IdentifierKey,
) -> Outcome<Option<Account>> {
    let found = connection
        .fetch(sql::FIND_USER_BY_IDENTIFIER, &[key.as_str().into()])
        .await?;
    found.first().map(people::account).transpose()
}

/// As many as [`sql::FIND_USERS_BY_IDENTIFIERS`] has room for.
pub(in crate::store) const KEYS_AT_A_TIME: usize = 20;

pub(in crate::store) async fn find_users(
    connection: &mut impl Connection,
    keys: &[IdentifierKey],
) -> Outcome<Vec<User>> {
    /// Nobody's key; it fills the room that is left.
    const NO_KEY: &str = "";
    let mut users = Vec::with_capacity(keys.len());
    for some in keys.chunks(KEYS_AT_A_TIME) {
        let some = some.iter().map(IdentifierKey::as_str);
        let padded = some.chain(std::iter::repeat(NO_KEY)).take(KEYS_AT_A_TIME);
        let params: Vec<Param<'_>> = padded.map(Param::from).collect();
        let found = connection
            .fetch(sql::FIND_USERS_BY_IDENTIFIERS, &params)
            .await?;
        for row in &found {
            users.push(people::account(row)?.user);
        }
    }
    Ok(users)
}

pub(in crate::store) async fn find_account_by_id(
    connection: &mut impl Connection,
    id: UserId,
) -> Outcome<Option<Account>> {
    let found = connection
        .fetch(sql::FIND_USER, &[id.0.as_slice().into()])
        .await?;
    found.first().map(people::account).transpose()
}

pub(in crate::store) async fn list_users(
    connection: &mut impl Connection,
    after: Option<UserId>,
    limit: u32,
) -> Outcome<Vec<User>> {
    let after = after.map_or([0; 16], |id| id.0);
    let params = [after.as_slice().into(), i64::from(limit).into()];
    let found = connection.fetch(sql::LIST_USERS, &params).await?;
    found
        .iter()
        .map(|row| people::account(row).map(|account| account.user))
        .collect()
}

pub(in crate::store) async fn enable_user(
    connection: &mut impl Connection,
    id: UserId,
    record: &AuditRecord,
) -> Outcome<UserChange> {
    let params = [id.0.as_slice().into()];
    if connection.execute(sql::ENABLE_USER, &params).await? == 0 {
        return unchanged_or_gone(connection, id).await;
    }
    audit::record(connection, record).await?;
    Ok(UserChange::Changed)
}

pub(in crate::store) async fn disable_user(
    connection: &mut impl Connection,
    id: UserId,
    end: SessionEnd,
    record: &AuditRecord,
) -> Outcome<UserChange> {
    let params = [id.0.as_slice().into(), rows::milliseconds(end.at).into()];
    if connection.execute(sql::DISABLE_USER, &params).await? == 0 {
        return unchanged_or_gone(connection, id).await;
    }
    end_all(connection, id, None, end).await?;
    audit::record(connection, record).await?;
    Ok(UserChange::Changed)
}

pub(in crate::store) async fn delete_user(
    connection: &mut impl Connection,
    id: UserId,
    end: SessionEnd,
    record: &AuditRecord,
) -> Outcome<UserChange> {
    let Some(account) = find_account_by_id(connection, id).await? else {
        return Ok(UserChange::NoSuchUser);
    };
    if connection
        .execute(sql::DELETE_USER, &[id.0.as_slice().into()])
        .await?
        == 0
    {
        return Ok(UserChange::NoSuchUser);
    }
    for key in identifiers(&account.user.username, account.user.email.as_ref()) {
        delete_identifier(connection, &key, id).await?;
    }
    connection
        .execute(sql::DELETE_CONSENTS_OF_USER, &[id.0.as_slice().into()])
        .await?;
    end_all(connection, id, None, end).await?;
    audit::record(connection, record).await?;
    Ok(UserChange::Changed)
}

pub(in crate::store) async fn set_password(
    connection: &mut impl Connection,
    order: &PasswordOrder,
    record: &AuditRecord,
) -> Outcome<UserChange> {
    let id = order.user.0.as_slice();
    let now = rows::milliseconds(order.end.at);
    let changed = match order.replaces {
        None => {
            let params = [id.into(), order.password.as_str().into(), now.into()];
            connection.execute(sql::SET_PASSWORD, &params).await?
        }
        Some(before) => {
            let params = [
                id.into(),
                order.password.as_str().into(),
                now.into(),
                rows::milliseconds(before).into(),
            ];
            connection.execute(sql::REPLACE_PASSWORD, &params).await?
        }
    };
    if changed == 0 {
        return unchanged_or_gone(connection, order.user).await;
    }
    end_all(connection, order.user, order.keep.as_ref(), order.end).await?;
    audit::record(connection, record).await?;
    Ok(UserChange::Changed)
}

pub(in crate::store) async fn upgrade_password_hash(
    connection: &mut impl Connection,
    id: UserId,
    from: &PasswordHash,
    to: &PasswordHash,
) -> Outcome<()> {
    let params = [
        id.0.as_slice().into(),
        from.as_str().into(),
        to.as_str().into(),
    ];
    connection
        .execute(sql::UPGRADE_PASSWORD_HASH, &params)
        .await?;
    Ok(())
}

async fn unchanged_or_gone(connection: &mut impl Connection, id: UserId) -> Outcome<UserChange> {
    Ok(match find_account_by_id(connection, id).await? {
        Some(_) => UserChange::Unchanged,
        None => UserChange::NoSuchUser,
    })
}

/// Ends what a person has begun: logins, sessions, and codes that are not redeemed yet; all but
/// what belongs to one device. Answers how many logins, and how many sessions.
pub(super) async fn end_all(
    connection: &mut impl Connection,
    user: UserId,
    except: Option<&Staying>,
    end: SessionEnd,
) -> Outcome<(u64, u64)> {
    let id = user.0.as_slice();
    connection
        .execute(sql::DELETE_UNUSED_CODES_OF_USER, &[id.into()])
        .await?;
    let (session, login) = match except.map(|staying| &staying.device) {
        None => (NO_ID, NO_ID),
        Some(Device::App(session)) => (session.0.as_slice(), NO_ID),
        Some(Device::Browser(login)) => (NO_ID, login.0.as_slice()),
    };
    if let Some(secret) = except.and_then(|staying| staying.secret.as_ref()) {
        let params = [login.into(), id.into(), secret.0.as_slice().into()];
        connection.execute(sql::RENEW_SECRET, &params).await?;
    }
    let params = [id.into(), login.into(), rows::milliseconds(end.at).into()];
    let logins = connection.execute(sql::END_LOGINS_OF_USER, &params).await?;
    let params = [id.into(), session.into(), login.into()];
    let found = connection.fetch(sql::LIST_SESSIONS_TO_END, &params).await?;
    let sessions = people::session_ids(&found)?;
    Ok((logins, end_each(connection, &sessions, end).await?))
}
