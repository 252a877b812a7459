//! Attempts to log in, and the codes that successful ones lead to.

use super::sessions::insert_session;
use super::{Outcome, audit};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::device::DeviceLabel;
use crate::domain::ports::{
    AuthorizationCode, Charge, CodeDigest, LoginSuccess, Redemption, StoredCode,
};
use crate::domain::session::Session;
use crate::domain::throttle::{Attempts, ThrottleKey, ThrottlePolicy};
use crate::store::connection::Connection;
use crate::store::rows::{self, people};
use crate::store::sql;

pub(in crate::store) async fn charge_attempt(
    connection: &mut impl Connection,
    keys: &[(ThrottleKey, ThrottlePolicy)],
    now: Timestamp,
) -> Outcome<Charge> {
    /// How often others may count in between before this attempt has to wait. Each login counts twice, before and
    /// after the password; and people who share an address, such as an office, may come together.
    const TRIES: usize = 20;
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
    settle_attempts(connection, &[], keys).await
}

/// Forgets some counts and gives others an attempt back, in the order in which they are charged.
pub(super) async fn settle_attempts(
    connection: &mut impl Connection,
    forget: &[ThrottleKey],
    refund: &[ThrottleKey],
) -> Outcome<()> {
    let forget = forget.iter().map(|key| (*key, sql::FORGET_ATTEMPTS));
    let refund = refund.iter().map(|key| (*key, sql::REFUND_ATTEMPT));
    let mut settled: Vec<_> = forget.chain(refund).collect();
    settled.sort_by_key(|(key, _)| *key);
    for (key, statement) in settled {
        connection
            .execute(statement, &[key.0.as_slice().into()])
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
    let params = [
        user.into(),
        now.into(),
        rows::milliseconds(login.password_changed_at).into(),
    ];
    let noted = connection.execute(sql::NOTE_LOGIN, &params).await?;
    if noted == 0 {
        return Ok(false);
    }
    insert_code(connection, code).await?;
    settle_attempts(connection, &login.forget, &login.refund).await?;
    audit::record(connection, record).await?;
    Ok(true)
}

pub(super) async fn insert_code(
    connection: &mut impl Connection,
    code: &AuthorizationCode,
) -> Outcome<()> {
    let audience = people::audience_text(&code.audience);
    let methods = people::methods_text(&code.authentication);
    let address = code.address.map(|address| address.to_string());
    let userinfo_claims = people::claims_text(&code.userinfo_claims);
    let id_token_claims = people::claims_text(&code.id_token_claims);
    let params = [
        code.digest.0.as_slice().into(),
        code.client_id.as_str().into(),
        code.user_id.0.as_slice().into(),
        code.scope.as_str().into(),
        audience.as_str().into(),
        code.code_challenge.as_deref().into(),
        code.redirect_uri.as_deref().into(),
        rows::milliseconds(code.authentication.at).into(),
        methods.as_str().into(),
        code.device.as_ref().map(DeviceLabel::as_str).into(),
        address.as_deref().into(),
        rows::milliseconds(code.expires_at).into(),
        code.login_id.as_ref().map(|id| id.0.as_slice()).into(),
        code.nonce.as_deref().into(),
        userinfo_claims.as_deref().into(),
        id_token_claims.as_deref().into(),
    ];
    connection.execute(sql::INSERT_CODE, &params).await?;
    Ok(())
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
    audit::record(connection, record).await?;
    Ok(Redemption::Started)
}
