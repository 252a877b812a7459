//! What happens in browsers: logins, codes for people who are signed in, consents, pushed requests,
//! and the word that a session is over.

use super::accounts::find_account_by_id;
use super::logins::{insert_code, settle_attempts};
use super::sessions::end_each;
use super::{Outcome, audit};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::browser_login::BrowserLogin;
use crate::domain::consent::Consent;
use crate::domain::device::DeviceLabel;
use crate::domain::id::{ClientId, LoginId, SessionId, UserId};
use crate::domain::ports::{
    AuthorizationCode, CodeGrant, CodeGranting, GrantBasis, LoginEnd, LogoutDelivery, PushedName,
    PushedRequest, RequestDigest, SignIn, SignInOutcome, StoredLogin, UserChange,
};
use crate::domain::session::{SessionEnd, goes_on_while_away};
use crate::domain::user::Profile;
use crate::store::connection::Connection;
use crate::store::error::StatementError;
use crate::store::rows::{self, browser, people};
use crate::store::sql;

// --- Logins ------------------------------------------------------------------------------------

pub(in crate::store) async fn sign_in(
    connection: &mut impl Connection,
    order: &SignIn,
    record: &AuditRecord,
) -> Outcome<SignInOutcome> {
    let login = &order.login;
    let params = [
        login.user_id.0.as_slice().into(),
        rows::milliseconds(login.authentication.at).into(),
        rows::milliseconds(order.password_changed_at).into(),
    ];
    if connection.execute(sql::NOTE_LOGIN, &params).await? == 0 {
        return Ok(SignInOutcome::AccountChanged);
    }
    let statement = if order.renews {
        sql::RENEW_LOGIN
    } else {
        sql::INSERT_LOGIN
    };
    if write_login(connection, statement, login).await? == 0 {
        return Ok(SignInOutcome::LoginOver);
    }
    settle_attempts(connection, &order.forget, &order.refund).await?;
    audit::record(connection, record).await?;
    Ok(SignInOutcome::SignedIn)
}

/// Writes a login by one of the two statements that take all of it; answers how many rows that was.
async fn write_login(
    connection: &mut impl Connection,
    statement: &'static str,
    login: &BrowserLogin,
) -> Outcome<u64> {
    let methods = people::methods_text(&login.authentication);
    let address = login.address.map(|address| address.to_string());
    let params = [
        login.id.0.as_slice().into(),
        login.user_id.0.as_slice().into(),
        login.secret.0.as_slice().into(),
        rows::milliseconds(login.authentication.at).into(),
        methods.as_str().into(),
        login.device.as_ref().map(DeviceLabel::as_str).into(),
        address.as_deref().into(),
        rows::milliseconds(login.created_at).into(),
        rows::milliseconds(login.last_seen_at).into(),
        rows::milliseconds(login.idle_expires_at).into(),
        rows::milliseconds(login.expires_at).into(),
    ];
    connection.execute(statement, &params).await
}

pub(in crate::store) async fn find_login(
    connection: &mut impl Connection,
    id: LoginId,
) -> Outcome<Option<StoredLogin>> {
    let found = connection
        .fetch(sql::FIND_LOGIN, &[id.0.as_slice().into()])
        .await?;
    let Some(login) = found.first().map(browser::login).transpose()? else {
        return Ok(None);
    };
    drop(found);
    let user = find_account_by_id(connection, login.user_id)
        .await?
        .map(|account| account.user)
        .filter(|user| user.disabled_at.is_none());
    Ok(Some(StoredLogin { login, user }))
}

pub(in crate::store) async fn note_login_use(
    connection: &mut impl Connection,
    id: LoginId,
    now: Timestamp,
    idle_expires_at: Timestamp,
) -> Outcome<()> {
    let params = [
        id.0.as_slice().into(),
        rows::milliseconds(now).into(),
        rows::milliseconds(idle_expires_at).into(),
    ];
    connection.execute(sql::NOTE_LOGIN_USE, &params).await?;
    Ok(())
}

pub(in crate::store) async fn end_login(
    connection: &mut impl Connection,
    id: LoginId,
    user: UserId,
    end: LoginEnd,
    record: &AuditRecord,
) -> Outcome<bool> {
    let (login, user) = (id.0.as_slice(), user.0.as_slice());
    // The account first, as everywhere: then no code is given out or redeemed in between.
    connection.execute(sql::LOCK_USER, &[user.into()]).await?;
    let at = rows::milliseconds(end.end.at);
    let params = [login.into(), user.into(), at.into()];
    if connection.execute(sql::END_LOGIN, &params).await? == 0 {
        return Ok(false);
    }
    let params = [user.into(), login.into()];
    connection
        .execute(sql::DELETE_UNUSED_CODES_OF_LOGIN, &params)
        .await?;
    let sessions = connection
        .fetch(sql::LIST_SESSIONS_OF_LOGIN, &params)
        .await?;
    let mut ending = Vec::with_capacity(sessions.len());
    for row in &sessions {
        let is_offline = goes_on_while_away(&people::scope(row)?);
        if end.with_offline_sessions || !is_offline {
            ending.push(people::session_id(row)?);
        }
    }
    end_each(connection, &ending, end.end).await?;
    audit::record(connection, record).await?;
    Ok(true)
}

pub(in crate::store) async fn list_logins(
    connection: &mut impl Connection,
    user: UserId,
    now: Timestamp,
) -> Outcome<Vec<BrowserLogin>> {
    const MOST: i64 = 1_000;
    let params = [
        user.0.as_slice().into(),
        rows::milliseconds(now).into(),
        MOST.into(),
    ];
    let found = connection.fetch(sql::LIST_LOGINS, &params).await?;
    found.iter().map(browser::login).collect()
}

// --- Codes for people who are signed in --------------------------------------------------------

pub(in crate::store) async fn grant_code(
    connection: &mut impl Connection,
    grant: &CodeGrant,
    now: Timestamp,
    record: &AuditRecord,
) -> Outcome<CodeGranting> {
    let user = grant.code.user_id.0.as_slice();
    if connection
        .execute(sql::LOCK_ENABLED_USER, &[user.into()])
        .await?
        == 0
    {
        return Ok(CodeGranting::LoginOver);
    }
    let params = [
        grant.login.0.as_slice().into(),
        user.into(),
        rows::milliseconds(now).into(),
        rows::milliseconds(grant.idle_expires_at).into(),
    ];
    if connection.execute(sql::USE_LOGIN, &params).await? == 0 {
        return Ok(CodeGranting::LoginOver);
    }
    if !is_allowed(connection, grant).await? {
        return Ok(CodeGranting::ConsentChanged);
    }
    if !use_pushed_request(connection, grant).await? {
        return Ok(CodeGranting::RequestUsed);
    }
    if let GrantBasis::Agreed {
        consent,
        client_since,
    } = &grant.basis
    {
        let earlier = find_consent(connection, consent.user_id, &consent.client_id).await?;
        let joined = consent.clone().joined_with(earlier.as_ref(), *client_since);
        remember_consent(connection, &joined).await?;
    }
    insert_code(connection, &grant.code).await?;
    audit::record(connection, record).await?;
    Ok(CodeGranting::Granted)
}

/// Whether an agreement that is relied on is still the one that was read. The account's row is locked,
/// so nobody takes it back meanwhile.
async fn is_allowed(connection: &mut impl Connection, grant: &CodeGrant) -> Outcome<bool> {
    let GrantBasis::Remembered(granted_at) = grant.basis else {
        return Ok(true);
    };
    let AuthorizationCode {
        user_id, client_id, ..
    } = &grant.code;
    let consent = find_consent(connection, *user_id, client_id).await?;
    Ok(consent.is_some_and(|consent| consent.granted_at == granted_at))
}

/// Uses the name of a pushed request up. `false` when that was done before.
async fn use_pushed_request(connection: &mut impl Connection, grant: &CodeGrant) -> Outcome<bool> {
    match grant.pushed {
        None => Ok(true),
        Some(PushedName::Stored(digest)) => discard_pushed_request(connection, digest).await,
        Some(PushedName::Sealed(digest, expires_at)) => {
            let params = [
                digest.0.as_slice().into(),
                grant.code.client_id.as_str().into(),
                rows::milliseconds(expires_at).into(),
            ];
            let kept = connection.execute(sql::KEEP_IN_MIND_AS_ANSWERED, &params);
            Ok(kept.await? > 0)
        }
    }
}

// --- Consents ----------------------------------------------------------------------------------

async fn remember_consent(connection: &mut impl Connection, consent: &Consent) -> Outcome<()> {
    let audience = people::audience_text(&consent.audience);
    let params = [
        consent.user_id.0.as_slice().into(),
        consent.client_id.as_str().into(),
        consent.scope.as_str().into(),
        audience.as_str().into(),
        rows::milliseconds(consent.granted_at).into(),
    ];
    connection.execute(sql::REMEMBER_CONSENT, &params).await?;
    Ok(())
}

pub(in crate::store) async fn find_consent(
    connection: &mut impl Connection,
    user: UserId,
    client: &ClientId,
) -> Outcome<Option<Consent>> {
    let params = [user.0.as_slice().into(), client.as_str().into()];
    let found = connection.fetch(sql::FIND_CONSENT, &params).await?;
    found.first().map(browser::consent).transpose()
}

pub(in crate::store) async fn list_consents(
    connection: &mut impl Connection,
    user: UserId,
) -> Outcome<Vec<Consent>> {
    let found = connection
        .fetch(sql::LIST_CONSENTS, &[user.0.as_slice().into()])
        .await?;
    found.iter().map(browser::consent).collect()
}

pub(in crate::store) async fn withdraw_consent(
    connection: &mut impl Connection,
    user: UserId,
    client: &ClientId,
    end: SessionEnd,
    record: &AuditRecord,
) -> Outcome<bool> {
    let params = [user.0.as_slice().into(), client.as_str().into()];
    connection
        .execute(sql::LOCK_USER, &[user.0.as_slice().into()])
        .await?;
    let withdrawn = connection.execute(sql::WITHDRAW_CONSENT, &params).await?;
    connection
        .execute(sql::DELETE_UNUSED_CODES_FOR_CLIENT, &params)
        .await?;
    let sessions = connection
        .fetch(sql::LIST_SESSIONS_OF_CLIENT, &params)
        .await?;
    let sessions = people::session_ids(&sessions)?;
    // Also without an agreement: whoever takes it back twice wants the client out.
    let ended = end_each(connection, &sessions, end).await?;
    if withdrawn + ended == 0 {
        return Ok(false);
    }
    audit::record(connection, record).await?;
    Ok(true)
}

// --- Pushed requests ---------------------------------------------------------------------------

pub(in crate::store) async fn push_request(
    connection: &mut impl Connection,
    pushed: &PushedRequest,
) -> Outcome<()> {
    let params = [
        pushed.digest.0.as_slice().into(),
        pushed.client_id.as_str().into(),
        pushed.request.as_str().into(),
        rows::milliseconds(pushed.expires_at).into(),
    ];
    connection
        .execute(sql::INSERT_PUSHED_REQUEST, &params)
        .await?;
    Ok(())
}

pub(in crate::store) async fn find_pushed_request(
    connection: &mut impl Connection,
    digest: RequestDigest,
) -> Outcome<Option<PushedRequest>> {
    let found = connection
        .fetch(sql::FIND_PUSHED_REQUEST, &[digest.0.as_slice().into()])
        .await?;
    found.first().map(browser::pushed_request).transpose()
}

pub(in crate::store) async fn discard_pushed_request(
    connection: &mut impl Connection,
    digest: RequestDigest,
) -> Outcome<bool> {
    let params = [digest.0.as_slice().into()];
    let removed = connection.execute(sql::DELETE_PUSHED_REQUEST, &params);
    Ok(removed.await? > 0)
}

// --- Profile -----------------------------------------------------------------------------------

pub(in crate::store) async fn change_profile(
    connection: &mut impl Connection,
    user: UserId,
    profile: &Profile,
    record: &AuditRecord,
) -> Outcome<UserChange> {
    let profile =
        serde_json::to_string(profile).map_err(|_| StatementError::Unreadable("profile"))?;
    let params = [user.0.as_slice().into(), profile.as_str().into()];
    if connection.execute(sql::CHANGE_PROFILE, &params).await? == 0 {
        return Ok(UserChange::NoSuchUser);
    }
    audit::record(connection, record).await?;
    Ok(UserChange::Changed)
}

// --- Word that a session is over ---------------------------------------------------------------

pub(in crate::store) async fn has_due_delivery(
    connection: &mut impl Connection,
    now: Timestamp,
) -> Outcome<bool> {
    let params = [rows::milliseconds(now).into()];
    let found = connection.fetch(sql::FIND_DUE_LOGOUT_DELIVERY, &params);
    Ok(!found.await?.is_empty())
}

pub(in crate::store) async fn claim_deliveries(
    connection: &mut impl Connection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Outcome<Vec<LogoutDelivery>> {
    /// So many of one client at a time: one that does not answer must not keep others waiting.
    const MOST_OF_ONE_CLIENT: i64 = 32;
    let params = [
        rows::milliseconds(now).into(),
        rows::milliseconds(until).into(),
        i64::from(limit).into(),
        MOST_OF_ONE_CLIENT.into(),
    ];
    let claimed = connection
        .fetch(sql::CLAIM_LOGOUT_DELIVERIES, &params)
        .await?;
    claimed.iter().map(browser::logout_delivery).collect()
}

pub(in crate::store) async fn postpone_delivery(
    connection: &mut impl Connection,
    session: SessionId,
    due_at: Timestamp,
) -> Outcome<()> {
    let params = [
        session.0.as_slice().into(),
        rows::milliseconds(due_at).into(),
    ];
    connection
        .execute(sql::POSTPONE_LOGOUT_DELIVERY, &params)
        .await?;
    Ok(())
}

pub(in crate::store) async fn finish_delivery(
    connection: &mut impl Connection,
    session: SessionId,
    record: &AuditRecord,
) -> Outcome<()> {
    let params = [session.0.as_slice().into()];
    let finished = connection.execute(sql::FINISH_LOGOUT_DELIVERY, &params);
    if finished.await? > 0 {
        audit::record(connection, record).await?;
    }
    Ok(())
}
