//! The master key, renewed.

use super::{Outcome, audit, change_signing_keys, master_key_fingerprint, revocations};
use crate::domain::Timestamp;
use crate::domain::ports::{MasterKeyRenewal, RenewalOutcome, SealedInheritance};
use crate::store::connection::{Columns, Connection};
use crate::store::error::StatementError;
use crate::store::rows::{self, revocations::unsigned};
use crate::store::sql;

pub(in crate::store) async fn inheritance(
    connection: &mut impl Connection,
) -> Outcome<Option<SealedInheritance>> {
    let found = connection.fetch(sql::FIND_INHERITANCE, &[]).await?;
    let sealed = found.first().map(|row| row.optional_bytes("inheritance"));
    Ok(sealed.transpose()?.flatten().map(SealedInheritance))
}

pub(in crate::store) async fn renew_master_key(
    connection: &mut impl Connection,
    renewal: &MasterKeyRenewal,
    shared_now: Timestamp,
) -> Outcome<RenewalOutcome> {
    let records = &renewal.records;
    // First of all the lock that a starting server takes, too: it comes before, and is found here, or
    // after, and finds the new master key.
    let params = [rows::milliseconds(shared_now).into()];
    if connection.execute(sql::LOCK_LEFT_LOG, &params).await? == 0 {
        return Ok(RenewalOutcome::ServersAreThere);
    }
    if master_key_fingerprint(connection).await? != Some(renewal.from) {
        return Ok(RenewalOutcome::AnotherMasterKey);
    }
    // What the former master key has written must be sealed while it still counts.
    let (unsealed, end) = audit::unsealed_records(connection, 1).await?;
    if !unsealed.is_empty() || end != renewal.audit_end {
        return Ok(RenewalOutcome::Overtaken);
    }
    let seen = renewal.keys_seen;
    if !change_signing_keys(connection, &renewal.keys, seen, &records.keys).await? {
        return Ok(RenewalOutcome::Overtaken);
    }
    let ended_sessions = live_sessions(connection, records.cut_off.at).await?;
    revocations::cut_off(connection, &renewal.cut_off, &records.cut_off).await?;
    let params = [
        renewal.from.0.as_slice().into(),
        renewal.to.0.as_slice().into(),
        renewal.inheritance.0.as_slice().into(),
    ];
    if connection.execute(sql::RENEW_MASTER_KEY, &params).await? == 0 {
        // It was the expected one under the lock above.
        return Err(StatementError::Unreadable("master_key_fingerprint"));
    }
    audit::record(connection, &records.renewed).await?;
    Ok(RenewalOutcome::Renewed { ended_sessions })
}

async fn live_sessions(connection: &mut impl Connection, now: Timestamp) -> Outcome<u64> {
    let params = [rows::milliseconds(now).into()];
    let counted = connection.fetch(sql::COUNT_LIVE_SESSIONS, &params).await?;
    let row = counted
        .first()
        .ok_or(StatementError::Unreadable("sessions"))?;
    unsigned(row, "live")
}
