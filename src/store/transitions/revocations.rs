//! The log of revocations.
//!
//! Rows come without a number, in whatever transaction takes something back. Numbers are given under the lock
//! of the one row that says where the log ends: without gaps, and in the order in which every
//! replica will read them.

use tokensmith_verify::revocation::LIST_SIZE;

use super::{Outcome, audit};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::ports::LogState;
use crate::domain::revocation::{
    Batch, CutOff, CutOffOrder, CutOffScope, LogEnd, LogTerms, MOST_IN_A_BATCH, Revocation,
    StatusIndex,
};
use crate::store::connection::{Columns, Connection};
use crate::store::error::StatementError;
use crate::store::rows::{self, revocations as read};
use crate::store::sql;

/// How long a replica counts as there after it has said so.
const ALIVE_FOR: chrono::TimeDelta = chrono::TimeDelta::seconds(6);
/// A list is announced when so many numbers are left before it. Logins cannot use them up in the
/// seconds that the word takes: passwords are hashed, some hundred a second.
const ANNOUNCED_AHEAD: u64 = 65_536;

/// Takes back the tokens of a session or secret, in the transaction that ends it.
pub(super) async fn revoke_status(
    connection: &mut impl Connection,
    id: &[u8],
    at: Timestamp,
    status: StatusIndex,
) -> Outcome<()> {
    let params = [
        id.into(),
        rows::milliseconds(at).into(),
        status.to_stored().into(),
    ];
    connection.execute(sql::REVOKE_STATUS, &params).await?;
    Ok(())
}

/// Takes back all older tokens of a client, a key or the issuer.
pub(super) async fn revoke_before(
    connection: &mut impl Connection,
    id: &[u8],
    at: Timestamp,
    cut_off: &CutOff,
) -> Outcome<()> {
    let params = [
        id.into(),
        rows::milliseconds(at).into(),
        cut_off.scope_name().into(),
        cut_off.subject().into(),
        cut_off.not_before.into(),
    ];
    connection.execute(sql::REVOKE_BEFORE, &params).await?;
    Ok(())
}

pub(in crate::store) async fn cut_off(
    connection: &mut impl Connection,
    order: &CutOffOrder,
    record: &AuditRecord,
) -> Outcome<()> {
    let cut_off = &order.cut_off;
    let params = [
        cut_off.scope_name().into(),
        cut_off.subject().into(),
        rows::milliseconds(order.before).into(),
    ];
    connection.execute(sql::CUT_OFF, &params).await?;
    revoke_before(connection, &record.id.0, record.at, cut_off).await?;
    if order.sets_bits {
        revoke_cut_off_sessions(connection, order, record.at).await?;
    }
    enqueue_logouts(connection, order, record.at).await?;
    audit::record(connection, record).await
}

/// Sets the bits of the sessions that a cut-off ends.
async fn revoke_cut_off_sessions(
    connection: &mut impl Connection,
    order: &CutOffOrder,
    now: Timestamp,
) -> Outcome<()> {
    let before = rows::milliseconds(order.before).into();
    let now = rows::milliseconds(now).into();
    match &order.cut_off.whose {
        CutOffScope::Issuer => {
            let statement = sql::REVOKE_CUT_OFF_SESSIONS;
            connection.execute(statement, &[before, now]).await?;
        }
        CutOffScope::Client(client) => {
            let statement = sql::REVOKE_CUT_OFF_SESSIONS_OF_CLIENT;
            let params = [before, now, client.as_str().into()];
            connection.execute(statement, &params).await?;
        }
        CutOffScope::Key(_) => {}
    }
    Ok(())
}

/// Word for clients that their sessions are over.
async fn enqueue_logouts(
    connection: &mut impl Connection,
    order: &CutOffOrder,
    now: Timestamp,
) -> Outcome<()> {
    let clients = connection
        .fetch(sql::LIST_CLIENTS_WITH_LOGOUTS, &[])
        .await?;
    let clients: Vec<_> = clients
        .iter()
        .map(|row| Ok::<_, StatementError>((row.text("id")?, row.integer("created_at")?)))
        .collect::<Result<_, _>>()?;
    let is_everything = matches!(order.cut_off.whose, CutOffScope::Issuer);
    let concerned = |id: &str| is_everything || order.cut_off.subject() == id;
    for (client, registered_at) in clients.iter().filter(|(id, _)| concerned(id)) {
        let params = [
            rows::milliseconds(order.before).into(),
            rows::milliseconds(now).into(),
            client.as_str().into(),
            (*registered_at).into(),
            i64::from(is_everything).into(),
        ];
        connection
            .execute(sql::ENQUEUE_LOGOUTS_OF_CUT_OFF, &params)
            .await?;
    }
    Ok(())
}

pub(in crate::store) async fn lease_status_numbers(
    connection: &mut impl Connection,
    count: u32,
    now: Timestamp,
) -> Outcome<u64> {
    let params = [i64::from(count).into()];
    let leased = connection.fetch(sql::LEASE_STATUS_NUMBERS, &params).await?;
    let row = leased
        .first()
        .ok_or(StatementError::Unreadable("status_numbers"))?;
    let next = read::unsigned(row, "next_number")?;
    let announced = read::unsigned(row, "announced")?;
    drop(leased);
    let wanted = (next + ANNOUNCED_AHEAD).div_ceil(u64::from(LIST_SIZE));
    for number in announced..wanted {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let id = format!("list {number}");
        let params = [
            id.as_bytes().into(),
            rows::milliseconds(now).into(),
            number.into(),
        ];
        connection.execute(sql::ANNOUNCE_LIST, &params).await?;
        connection
            .execute(sql::NOTE_ANNOUNCED_LISTS, &[(number + 1).into()])
            .await?;
    }
    Ok(next - u64::from(count))
}

pub(in crate::store) async fn log_state(connection: &mut impl Connection) -> Outcome<LogState> {
    let found = connection.fetch(sql::READ_LOG_STATE, &[]).await?;
    found
        .first()
        .map(read::log_state)
        .transpose()?
        .ok_or(StatementError::Unreadable("revocation_log"))
}

pub(in crate::store) async fn enter_log(
    connection: &mut impl Connection,
    now: Timestamp,
    has_replicas: bool,
) -> Outcome<LogState> {
    // Of one server alone nobody could tell what was lost while it was away.
    let until = if has_replicas {
        rows::milliseconds(now + ALIVE_FOR)
    } else {
        0
    };
    loop {
        let params = [rows::milliseconds(now).into(), until.into()];
        if connection.execute(sql::JOIN_LOG, &params).await? > 0 {
            return log_state(connection).await;
        }
        let seen = log_state(connection).await?.end.position.epoch;
        let epoch = LogEnd::next_epoch(seen, now);
        let has_begun = begin(connection, seen, epoch, until).await?;
        if has_begun {
            return log_state(connection).await;
        }
        // Another replica that starts at this moment was first, and is there now.
    }
}

pub(in crate::store) async fn begin_epoch(
    connection: &mut impl Connection,
    seen: u64,
    epoch: u64,
) -> Outcome<()> {
    begin(connection, seen, epoch, 0).await?;
    Ok(())
}

async fn begin(
    connection: &mut impl Connection,
    seen: u64,
    epoch: u64,
    alive_until: i64,
) -> Outcome<bool> {
    let start = LogEnd::start_of(epoch);
    let params = [
        stored(seen).into(),
        stored(epoch).into(),
        start.chain.as_bytes().as_slice().into(),
        alive_until.into(),
    ];
    Ok(connection.execute(sql::BEGIN_EPOCH, &params).await? > 0)
}

/// One statement and nothing else: it runs outside a transaction.
pub(in crate::store) async fn keep_log_alive(
    connection: &mut impl Connection,
    now: Timestamp,
) -> Outcome<()> {
    let params = [rows::milliseconds(now + ALIVE_FOR).into()];
    connection.execute(sql::KEEP_LOG_ALIVE, &params).await?;
    Ok(())
}

pub(in crate::store) async fn number_revocations(
    connection: &mut impl Connection,
    seen: &LogEnd,
    terms: &LogTerms,
) -> Outcome<Option<(Batch, LogEnd)>> {
    let (epoch, seq) = (stored(seen.position.epoch), stored(seen.position.seq));
    let params = [
        epoch.into(),
        seq.into(),
        seen.chain.as_bytes().as_slice().into(),
    ];
    if connection.execute(sql::LOCK_LOG, &params).await? == 0 {
        return Ok(None);
    }
    let first = seen.position.seq + 1;
    let params = [epoch.into(), stored(first).into(), most_in_a_batch().into()];
    let numbered = connection.fetch(sql::NUMBER_REVOCATIONS, &params).await?;
    if numbered.is_empty() {
        return Ok(None);
    }
    let revocations = numbered.iter().map(read::revocation);
    let batch = Batch {
        first,
        revocations: revocations.collect::<Result<_, _>>()?,
    };
    drop(numbered);
    let (_, end) = batch.frames(seen, terms);
    let params = [
        stored(end.position.seq).into(),
        end.chain.as_bytes().as_slice().into(),
    ];
    connection.execute(sql::EXTEND_LOG, &params).await?;
    Ok(Some((batch, end)))
}

pub(in crate::store) async fn batches_since(
    connection: &mut impl Connection,
    epoch: u64,
    seq: u64,
    limit: u32,
) -> Outcome<Vec<Batch>> {
    // More than any one batch has, so that the first is always whole.
    let limit = i64::from(limit).max(most_in_a_batch() + 1);
    let params = [stored(epoch).into(), stored(seq).into(), limit.into()];
    let found = connection
        .fetch(sql::LIST_REVOCATIONS_SINCE, &params)
        .await?;
    let is_cut = i64::try_from(found.len()).is_ok_and(|found| found == limit);
    let mut batches: Vec<Batch> = Vec::new();
    for row in &found {
        let first = read::unsigned(row, "seq")?;
        let revocation = read::revocation(row)?;
        match batches.last_mut().filter(|batch| batch.first == first) {
            Some(batch) => batch.revocations.push(revocation),
            None => batches.push(Batch {
                first,
                revocations: vec![revocation],
            }),
        }
    }
    if is_cut {
        batches.pop();
    }
    Ok(batches)
}

pub(in crate::store) async fn numbered_revocations(
    connection: &mut impl Connection,
    after: &[u8],
    limit: u32,
) -> Outcome<(Vec<(Timestamp, Revocation)>, Option<Vec<u8>>)> {
    let params = [after.into(), i64::from(limit).into()];
    let found = connection
        .fetch(sql::LIST_NUMBERED_REVOCATIONS, &params)
        .await?;
    let last = found.last().map(|row| row.bytes("id")).transpose()?;
    let page = found.iter().map(read::revocation);
    Ok((page.collect::<Result<_, _>>()?, last))
}

pub(in crate::store) async fn sweep_revocations(
    connection: &mut impl Connection,
    over_before: Timestamp,
    keys_over_before: Timestamp,
    limit: u32,
) -> Outcome<()> {
    let params = [
        rows::milliseconds(over_before).into(),
        i64::from(limit).into(),
    ];
    connection
        .execute(sql::DELETE_OLD_REVOCATIONS, &params)
        .await?;
    let params = [rows::milliseconds(keys_over_before).into()];
    connection
        .execute(sql::DELETE_OLD_KEY_REVOCATIONS, &params)
        .await?;
    Ok(())
}

fn most_in_a_batch() -> i64 {
    i64::try_from(MOST_IN_A_BATCH).unwrap_or(i64::MAX)
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
