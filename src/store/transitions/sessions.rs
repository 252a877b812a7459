//! Sessions.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::accounts::end_all;
use super::revocations::revoke_status;
use super::{Outcome, audit};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::consent::REMEMBERED_FOR;
use crate::domain::device::DeviceLabel;
use crate::domain::id::{SessionId, UserId};
use crate::domain::ports::{Rotation, SessionUse, StoredSession};
use crate::domain::session::{Session, SessionEnd, Staying};
use crate::domain::throttle::ThrottlePolicy;
use crate::store::connection::{Connection, Param};
use crate::store::rows::people::Ended;
use crate::store::rows::{self, people};
use crate::store::sql;
use crate::store::together::Sizes;

/// How many parameters one rotation has.
pub(in crate::store) const ROTATION_PARAMS: usize = 7;

/// Nothing has an empty id.
pub(super) const NO_ID: &[u8] = &[];

pub(super) async fn insert_session(
    connection: &mut impl Connection,
    session: &Session,
) -> Outcome<()> {
    let Session { terms, chain, .. } = session;
    let audience = people::audience_text(&terms.audience);
    let methods = people::methods_text(&terms.authentication);
    let address = session.address.map(|address| address.to_string());
    let claims = people::claims_text(&terms.claims);
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
        terms.login_id.as_ref().map(|id| id.0.as_slice()).into(),
        claims.as_deref().into(),
        terms.status.to_stored().into(),
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

/// Those of the sessions that are there; [`Sizes::MOST`] at the most, each named once.
pub(in crate::store) async fn find_sessions(
    connection: &mut impl Connection,
    ids: &[SessionId],
) -> Outcome<HashMap<SessionId, StoredSession>> {
    static SIZES: LazyLock<Sizes> = LazyLock::new(|| Sizes::new(find_any_of));
    let statement = SIZES.for_rows(ids.len());
    let mut params: Vec<Param<'_>> = ids.iter().map(|id| id.0.as_slice().into()).collect();
    // Whoever is named twice is found once.
    let last = params.last().copied().unwrap_or(Param::Bytes(None));
    params.resize(statement.rows, last);
    let found = connection.fetch(&statement.text, &params).await?;
    let read = found.iter().map(|row| {
        let stored = people::stored_session(row)?;
        Ok((stored.session.terms.id, stored))
    });
    read.collect()
}

/// The statement for a number of ids.
fn find_any_of(ids: usize) -> String {
    let params: Vec<_> = (1..=ids).map(|param| format!("${param}")).collect();
    sql::FIND_SESSIONS.replace("{ids}", &params.join(", "))
}

/// One statement and nothing else: it runs outside a transaction.
pub(in crate::store) async fn rotate_session(
    connection: &mut impl Connection,
    rotation: &Rotation,
) -> Outcome<bool> {
    let address = address_text(rotation);
    let params = rotation_params(rotation, address.as_deref());
    Ok(connection.execute(sql::ROTATE_SESSION, &params).await? > 0)
}

pub(in crate::store) fn address_text(rotation: &Rotation) -> Option<String> {
    rotation.address.map(|address| address.to_string())
}

/// As many as [`ROTATION_PARAMS`].
pub(in crate::store) fn rotation_params<'a>(
    rotation: &'a Rotation,
    address: Option<&'a str>,
) -> [Param<'a>; ROTATION_PARAMS] {
    let step = &rotation.step;
    [
        rotation.session.0.as_slice().into(),
        i64::from(step.from.0).into(),
        i64::from(step.to.0).into(),
        rows::milliseconds(step.at).into(),
        step.retry_key.as_ref().map(|key| key.0.as_slice()).into(),
        rows::milliseconds(step.idle_expires_at).into(),
        address.into(),
    ]
}

pub(in crate::store) async fn catch_up_session(
    connection: &mut impl Connection,
    rotation: &Rotation,
    record: &AuditRecord,
) -> Outcome<bool> {
    let moved = rotate_session(connection, rotation).await?;
    if moved {
        audit::record(connection, record).await?;
    }
    Ok(moved)
}

pub(in crate::store) async fn end_session(
    connection: &mut impl Connection,
    id: SessionId,
    end: SessionEnd,
    record: &AuditRecord,
) -> Outcome<bool> {
    let ended = end_one(connection, id, end).await?;
    if ended {
        audit::record(connection, record).await?;
    }
    Ok(ended)
}

/// Ends a session, and with that whatever must follow: the one place where sessions end. `false` when
/// it has ended before.
pub(super) async fn end_one(
    connection: &mut impl Connection,
    id: SessionId,
    end: SessionEnd,
) -> Outcome<bool> {
    let params = [
        id.0.as_slice().into(),
        rows::milliseconds(end.at).into(),
        end.reason.as_str().into(),
    ];
    let ended = connection.fetch(sql::END_SESSION, &params).await?;
    let Some(Ended {
        client,
        user,
        began,
        status,
    }) = ended.first().map(people::ended).transpose()?
    else {
        return Ok(false);
    };
    drop(ended);
    revoke_status(connection, &id.0, end.at, status).await?;
    let params = [
        id.0.as_slice().into(),
        client.as_str().into(),
        user.0.as_slice().into(),
        rows::milliseconds(end.at).into(),
        rows::milliseconds(began).into(),
    ];
    connection
        .execute(sql::ENQUEUE_LOGOUT_DELIVERY, &params)
        .await?;
    Ok(true)
}

/// Ends sessions; answers how many.
pub(super) async fn end_each(
    connection: &mut impl Connection,
    sessions: &[SessionId],
    end: SessionEnd,
) -> Outcome<u64> {
    let mut ended = 0;
    for id in sessions {
        ended += u64::from(end_one(connection, *id, end).await?);
    }
    Ok(ended)
}

pub(in crate::store) async fn end_sessions_of(
    connection: &mut impl Connection,
    user: UserId,
    except: Option<&Staying>,
    end: SessionEnd,
    record: &AuditRecord,
) -> Outcome<u64> {
    // The account first, as everywhere: then no code is given out in between, and whoever signs out
    // of one browser at the same time waits here and not in a circle.
    let params = [user.0.as_slice().into()];
    connection.execute(sql::LOCK_USER, &params).await?;
    let (logins, ended) = end_all(connection, user, except, end).await?;
    if logins + ended > 0 {
        audit::record(connection, record).await?;
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
    // What lives for minutes comes in greater numbers than sessions do.
    let short_lived = i64::from(limit) * 10;
    let limit = i64::from(limit);
    let over = rows::milliseconds(over_before);
    let codes_over = rows::milliseconds(over_before - CODES_STAY);
    let params = [codes_over.into(), short_lived.into()];
    connection.execute(sql::DELETE_OLD_CODES, &params).await?;
    let longest = ThrottlePolicy::ACCOUNT
        .memory
        .max(ThrottlePolicy::ADDRESS.memory);
    let attempts_over = rows::milliseconds(over_before - longest);
    let params = [attempts_over.into(), short_lived.into()];
    connection
        .execute(sql::DELETE_OLD_ATTEMPTS, &params)
        .await?;
    let consents_over = rows::milliseconds(over_before - REMEMBERED_FOR);
    for (statement, before) in [
        (sql::DELETE_OVER_LOGINS, over),
        (sql::DELETE_OLD_PUSHED_REQUESTS, over),
        (sql::DELETE_GONE_REPLICAS, over),
        (sql::DELETE_OLD_CONSENTS, consents_over),
    ] {
        let params = [before.into(), short_lived.into()];
        connection.execute(statement, &params).await?;
    }
    let after = after.as_ref().map_or(NO_ID, |id| id.0.as_slice());
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
