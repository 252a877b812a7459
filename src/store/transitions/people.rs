//! People, logins and sessions.
//!
//! Transitions that touch an account and something of it take the row of the account first, so
//! that they come one after the other and never wait for each other in a circle.

use super::{Outcome, audit};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::device::DeviceLabel;
use crate::domain::id::{SessionId, UserId};
use crate::domain::identifier::{EmailAddress, IdentifierKey};
use crate::domain::password::PasswordHash;
use crate::domain::ports::{
    Account, Charge, CodeDigest, LoginSuccess, NewUser, PasswordOrder, Redemption, Rotation,
    SessionUse, StoredCode, StoredSession, UserChange, UserCreation,
};
use crate::domain::session::{Session, SessionEnd};
use crate::domain::throttle::{Attempts, ThrottleKey, ThrottlePolicy};
use crate::domain::user::{User, identifiers};
use crate::store::connection::Connection;
use crate::store::error::StatementError;
use crate::store::rows::{self, people};
use crate::store::sql;

/// No session has an empty id.
const NO_SESSION: &[u8] = &[];

// --- Accounts ----------------------------------------------------------------------------------

pub(in crate::store) async fn create_user(
    connection: &mut impl Connection,
    new: &NewUser,
    record: &AuditRecord,
) -> Outcome<UserCreation> {
    let created = insert_user(connection, new).await?;
    if created == UserCreation::Created {
        audit::insert(connection, record).await?;
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
        audit::insert(connection, record).await?;
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
    audit::insert(connection, record).await?;
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
    audit::insert(connection, record).await?;
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
    end_all(connection, id, None, end).await?;
    audit::insert(connection, record).await?;
    Ok(UserChange::Changed)
}

pub(in crate::store) async fn set_password(
    connection: &mut impl Connection,
    order: &PasswordOrder,
    record: &AuditRecord,
) -> Outcome<UserChange> {
    let id = order.user.0.as_slice();
    let now = rows::milliseconds(order.end.at);
    let changed = match &order.replaces {
        None => {
            let params = [id.into(), order.password.as_str().into(), now.into()];
            connection.execute(sql::SET_PASSWORD, &params).await?
        }
        Some(before) => {
            let params = [
                id.into(),
                order.password.as_str().into(),
                now.into(),
                before.as_str().into(),
            ];
            connection.execute(sql::REPLACE_PASSWORD, &params).await?
        }
    };
    if changed == 0 {
        return unchanged_or_gone(connection, order.user).await;
    }
    end_all(connection, order.user, order.keep, order.end).await?;
    audit::insert(connection, record).await?;
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

/// Ends what a person has begun: sessions, and codes that are not redeemed yet.
async fn end_all(
    connection: &mut impl Connection,
    user: UserId,
    except: Option<SessionId>,
    end: SessionEnd,
) -> Outcome<u64> {
    let id = user.0.as_slice();
    connection
        .execute(sql::DELETE_UNUSED_CODES_OF_USER, &[id.into()])
        .await?;
    let params = [
        id.into(),
        rows::milliseconds(end.at).into(),
        end.reason.as_str().into(),
        except
            .as_ref()
            .map_or(NO_SESSION, |session| session.0.as_slice())
            .into(),
    ];
    connection.execute(sql::END_SESSIONS_OF_USER, &params).await
}

// --- Logins ------------------------------------------------------------------------------------

pub(in crate::store) async fn charge_attempt(
    connection: &mut impl Connection,
    keys: &[(ThrottleKey, ThrottlePolicy)],
    now: Timestamp,
) -> Outcome<Charge> {
    /// How often others may count in between before this attempt has to wait.
    const TRIES: usize = 5;
    // In one order, so that two attempts never wait for each other.
    let mut keys = keys.to_vec();
    keys.sort_by_key(|(key, _)| *key);
    let mut charges = Vec::with_capacity(keys.len());
    for (key, policy) in &keys {
        let before = attempts(connection, *key).await?;
        match policy.charge(before, now) {
            Ok(after) => charges.push((*key, *policy, before, after)),
            Err(until) => return Ok(Charge::BlockedUntil(until)),
        }
    }
    for (key, policy, mut before, mut after) in charges {
        let mut tries = 1;
        while !count_attempt(connection, key, before, after).await? {
            before = attempts(connection, key).await?;
            match policy.charge(before, now) {
                Ok(next) if tries < TRIES => after = next,
                // Charged under an earlier key all the same: whoever comes in such numbers waits.
                Ok(_) => return Ok(Charge::BlockedUntil(now + policy.first_wait)),
                Err(until) => return Ok(Charge::BlockedUntil(until)),
            }
            tries += 1;
        }
    }
    Ok(Charge::Charged)
}

async fn attempts(connection: &mut impl Connection, key: ThrottleKey) -> Outcome<Option<Attempts>> {
    let found = connection
        .fetch(sql::FIND_ATTEMPTS, &[key.0.as_slice().into()])
        .await?;
    found.first().map(people::attempts).transpose()
}

/// Counts, unless somebody else has counted since `before` was read.
async fn count_attempt(
    connection: &mut impl Connection,
    key: ThrottleKey,
    before: Option<Attempts>,
    after: Attempts,
) -> Outcome<bool> {
    // No row has such a count.
    const NO_ROW: (i64, i64) = (-1, -1);
    let (count, last_at) = before.map_or(NO_ROW, |before| {
        (i64::from(before.count), rows::milliseconds(before.last_at))
    });
    let params = [
        key.0.as_slice().into(),
        i64::from(after.count).into(),
        rows::milliseconds(after.last_at).into(),
        count.into(),
        last_at.into(),
    ];
    Ok(connection.execute(sql::COUNT_ATTEMPT, &params).await? > 0)
}

pub(in crate::store) async fn refund_attempt(
    connection: &mut impl Connection,
    keys: &[ThrottleKey],
) -> Outcome<()> {
    for key in keys {
        connection
            .execute(sql::REFUND_ATTEMPT, &[key.0.as_slice().into()])
            .await?;
    }
    Ok(())
}

pub(in crate::store) async fn issue_code(
    connection: &mut impl Connection,
    login: &LoginSuccess,
    now: Timestamp,
    record: &AuditRecord,
) -> Outcome<bool> {
    let code = &login.code;
    let user = code.user_id.0.as_slice();
    let now = rows::milliseconds(now);
    let noted = match &login.password {
        None => {
            connection
                .execute(sql::NOTE_LOGIN, &[user.into(), now.into()])
                .await?
        }
        Some(password) => {
            let params = [user.into(), now.into(), password.as_str().into()];
            connection
                .execute(sql::NOTE_LOGIN_WITH_PASSWORD, &params)
                .await?
        }
    };
    if noted == 0 {
        return Ok(false);
    }
    let audience = people::audience_text(&code.audience);
    let methods = people::methods_text(&code.authentication);
    let address = code.address.map(|address| address.to_string());
    let params = [
        code.digest.0.as_slice().into(),
        code.client_id.as_str().into(),
        user.into(),
        code.scope.as_str().into(),
        audience.as_str().into(),
        code.code_challenge.as_deref().into(),
        code.redirect_uri.as_deref().into(),
        rows::milliseconds(code.authentication.at).into(),
        methods.as_str().into(),
        code.device.as_ref().map(DeviceLabel::as_str).into(),
        address.as_deref().into(),
        rows::milliseconds(code.expires_at).into(),
    ];
    connection.execute(sql::INSERT_CODE, &params).await?;
    for key in &login.forget {
        connection
            .execute(sql::FORGET_ATTEMPTS, &[key.0.as_slice().into()])
            .await?;
    }
    refund_attempt(connection, &login.refund).await?;
    audit::insert(connection, record).await?;
    Ok(true)
}

pub(in crate::store) async fn find_code(
    connection: &mut impl Connection,
    digest: CodeDigest,
) -> Outcome<Option<StoredCode>> {
    let found = connection
        .fetch(sql::FIND_CODE, &[digest.0.as_slice().into()])
        .await?;
    found.first().map(people::code).transpose()
}

pub(in crate::store) async fn redeem_code(
    connection: &mut impl Connection,
    digest: CodeDigest,
    session: &Session,
    record: &AuditRecord,
) -> Outcome<Redemption> {
    let terms = &session.terms;
    let params = [terms.user_id.0.as_slice().into()];
    if connection.execute(sql::LOCK_ENABLED_USER, &params).await? == 0 {
        return Ok(Redemption::UserDisabled);
    }
    let params = [
        digest.0.as_slice().into(),
        terms.id.0.as_slice().into(),
        rows::milliseconds(terms.created_at).into(),
    ];
    if connection.execute(sql::REDEEM_CODE, &params).await? == 0 {
        return Ok(Redemption::AlreadyUsed);
    }
    insert_session(connection, session).await?;
    audit::insert(connection, record).await?;
    Ok(Redemption::Started)
}

// --- Sessions ----------------------------------------------------------------------------------

async fn insert_session(connection: &mut impl Connection, session: &Session) -> Outcome<()> {
    let Session { terms, chain, .. } = session;
    let audience = people::audience_text(&terms.audience);
    let methods = people::methods_text(&terms.authentication);
    let address = session.address.map(|address| address.to_string());
    let params = [
        terms.id.0.as_slice().into(),
        terms.user_id.0.as_slice().into(),
        terms.client_id.as_str().into(),
        terms.secret.0.as_slice().into(),
        i64::from(chain.generation.0).into(),
        rows::milliseconds(chain.rotated_at).into(),
        rows::milliseconds(chain.idle_expires_at).into(),
        rows::milliseconds(terms.expires_at).into(),
        rows::milliseconds(terms.created_at).into(),
        rows::milliseconds(terms.authentication.at).into(),
        methods.as_str().into(),
        terms.scope.as_str().into(),
        audience.as_str().into(),
        session.device.as_ref().map(DeviceLabel::as_str).into(),
        address.as_deref().into(),
    ];
    connection.execute(sql::INSERT_SESSION, &params).await?;
    Ok(())
}

pub(in crate::store) async fn find_session(
    connection: &mut impl Connection,
    id: SessionId,
) -> Outcome<Option<StoredSession>> {
    let found = connection
        .fetch(sql::FIND_SESSION, &[id.0.as_slice().into()])
        .await?;
    found.first().map(people::stored_session).transpose()
}

/// One statement and nothing else: it runs outside a transaction.
pub(in crate::store) async fn rotate_session(
    connection: &mut impl Connection,
    rotation: &Rotation,
) -> Outcome<bool> {
    let step = &rotation.step;
    let address = rotation.address.map(|address| address.to_string());
    let params = [
        rotation.session.0.as_slice().into(),
        i64::from(step.from.0).into(),
        i64::from(step.to.0).into(),
        rows::milliseconds(step.at).into(),
        step.retry_key.as_ref().map(|key| key.0.as_slice()).into(),
        rows::milliseconds(step.idle_expires_at).into(),
        address.as_deref().into(),
    ];
    Ok(connection.execute(sql::ROTATE_SESSION, &params).await? > 0)
}

pub(in crate::store) async fn catch_up_session(
    connection: &mut impl Connection,
    rotation: &Rotation,
    record: &AuditRecord,
) -> Outcome<bool> {
    let moved = rotate_session(connection, rotation).await?;
    if moved {
        audit::insert(connection, record).await?;
    }
    Ok(moved)
}

pub(in crate::store) async fn end_session(
    connection: &mut impl Connection,
    id: SessionId,
    end: SessionEnd,
    record: &AuditRecord,
) -> Outcome<bool> {
    let params = [
        id.0.as_slice().into(),
        rows::milliseconds(end.at).into(),
        end.reason.as_str().into(),
    ];
    let ended = connection.execute(sql::END_SESSION, &params).await? > 0;
    if ended {
        audit::insert(connection, record).await?;
    }
    Ok(ended)
}

pub(in crate::store) async fn end_sessions_of(
    connection: &mut impl Connection,
    user: UserId,
    except: Option<SessionId>,
    end: SessionEnd,
    record: &AuditRecord,
) -> Outcome<u64> {
    let ended = end_all(connection, user, except, end).await?;
    if ended > 0 {
        audit::insert(connection, record).await?;
    }
    Ok(ended)
}

pub(in crate::store) async fn list_sessions(
    connection: &mut impl Connection,
    user: UserId,
    now: Timestamp,
) -> Outcome<Vec<Session>> {
    const MOST: i64 = 1_000;
    let params = [
        user.0.as_slice().into(),
        rows::milliseconds(now).into(),
        MOST.into(),
    ];
    let found = connection.fetch(sql::LIST_SESSIONS, &params).await?;
    found.iter().map(people::session).collect()
}

pub(in crate::store) async fn rename_session(
    connection: &mut impl Connection,
    user: UserId,
    id: SessionId,
    device: &DeviceLabel,
) -> Outcome<bool> {
    let params = [
        id.0.as_slice().into(),
        user.0.as_slice().into(),
        device.as_str().into(),
    ];
    Ok(connection.execute(sql::RENAME_SESSION, &params).await? > 0)
}

pub(in crate::store) async fn record_session_use(
    connection: &mut impl Connection,
    uses: &[SessionUse],
) -> Outcome<()> {
    // In one order, so that two replicas never wait for each other.
    let mut uses = uses.to_vec();
    uses.sort_by_key(|used| used.session);
    for used in uses {
        let params = [
            used.session.0.as_slice().into(),
            rows::milliseconds(used.seen_at).into(),
            used.idle_expires_at.map_or(0, rows::milliseconds).into(),
        ];
        connection.execute(sql::RECORD_SESSION_USE, &params).await?;
    }
    Ok(())
}

pub(in crate::store) async fn sweep(
    connection: &mut impl Connection,
    after: Option<SessionId>,
    over_before: Timestamp,
    limit: u32,
) -> Outcome<Option<SessionId>> {
    /// Codes stay for a day after their end, to notice one that is used again.
    const CODES_STAY: chrono::TimeDelta = chrono::TimeDelta::days(1);
    let limit = i64::from(limit);
    let over = rows::milliseconds(over_before);
    let codes_over = rows::milliseconds(over_before - CODES_STAY);
    let params = [codes_over.into(), limit.into()];
    connection.execute(sql::DELETE_OLD_CODES, &params).await?;
    let longest = ThrottlePolicy::ACCOUNT
        .memory
        .max(ThrottlePolicy::ADDRESS.memory);
    let attempts_over = rows::milliseconds(over_before - longest);
    let params = [attempts_over.into(), limit.into()];
    connection
        .execute(sql::DELETE_OLD_ATTEMPTS, &params)
        .await?;
    let after = after.as_ref().map_or(NO_SESSION, |id| id.0.as_slice());
    let page = connection
        .fetch(sql::END_OF_SESSION_PAGE, &[after.into(), limit.into()])
        .await?;
    let Some(last) = page.first().map(people::session_id).transpose()? else {
        return Ok(None);
    };
    let params = [after.into(), last.0.as_slice().into(), over.into()];
    connection
        .execute(sql::DELETE_OVER_SESSIONS, &params)
        .await?;
    Ok(Some(last))
}
