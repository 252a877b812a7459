//! The audit log. Other transitions call [`record`] in their own transaction.

use super::Outcome;
use crate::domain::audit::{AuditKind, AuditRecord, Seal, StoredRecord};
use crate::domain::id::{AuditId, ClientId};
use crate::domain::ports::AuditFilter;
use crate::store::connection::{Connection, Param};
use crate::store::error::StatementError;
use crate::store::rows::{self, people};
use crate::store::sql;

pub(in crate::store) async fn record(
    connection: &mut impl Connection,
    record: &AuditRecord,
) -> Outcome<()> {
    let actor = record.origin.actor.to_string();
    let address = record.origin.address.map(|address| address.to_string());
    let params = [
        record.id.0.as_slice().into(),
        rows::milliseconds(record.at).into(),
        record.kind.as_str().into(),
        actor.as_str().into(),
        address.as_deref().into(),
        record.user.as_ref().map(|id| id.0.as_slice()).into(),
        record.client.as_ref().map(ClientId::as_str).into(),
        record.session.as_ref().map(|id| id.0.as_slice()).into(),
        record.detail.as_deref().into(),
        record.mac.as_ref().map(|mac| mac.0.as_slice()).into(),
    ];
    connection
        .execute(sql::INSERT_AUDIT_RECORD, &params)
        .await?;
    Ok(())
}

pub(in crate::store) async fn list_audit(
    connection: &mut impl Connection,
    filter: &AuditFilter,
    before: Option<AuditId>,
    limit: u32,
) -> Outcome<Vec<StoredRecord>> {
    // No id is above this one.
    let before = before.map_or([0xff; 16], |id| id.0);
    let mut params: Vec<Param<'_>> = vec![
        before.as_slice().into(),
        filter.kind.map(AuditKind::as_str).into(),
        filter.client.as_ref().map(ClientId::as_str).into(),
        i64::from(limit).into(),
        filter.session.as_ref().map(|id| id.0.as_slice()).into(),
    ];
    let statement = match &filter.user {
        None => sql::LIST_AUDIT_RECORDS,
        Some(user) => {
            params.push(user.0.as_slice().into());
            sql::LIST_AUDIT_RECORDS_OF_USER
        }
    };
    let found = connection.fetch(statement, &params).await?;
    found.iter().map(people::audit_record).collect()
}

pub(in crate::store) async fn sealed_records(
    connection: &mut impl Connection,
    after: i64,
    limit: u32,
) -> Outcome<Vec<StoredRecord>> {
    let params = [after.into(), i64::from(limit).into()];
    let found = connection.fetch(sql::LIST_SEALED_RECORDS, &params).await?;
    found.iter().map(people::audit_record).collect()
}

pub(in crate::store) async fn unsealed_records(
    connection: &mut impl Connection,
    limit: u32,
) -> Outcome<(Vec<AuditRecord>, Seal)> {
    // The end of the chain first: should another replica seal in between, the compare-and-swap
    // fails.
    let end = connection.fetch(sql::FIND_END_OF_CHAIN, &[]).await?;
    let end = end
        .first()
        .map(people::seal)
        .transpose()?
        .ok_or(StatementError::Unreadable("audit_chain"))?;
    let params = [i64::from(limit).into()];
    let found = connection
        .fetch(sql::LIST_UNSEALED_RECORDS, &params)
        .await?;
    let records = found
        .iter()
        .map(|row| people::audit_record(row).map(|stored| stored.record))
        .collect::<Result<_, _>>()?;
    Ok((records, end))
}

pub(in crate::store) async fn seal_records(
    connection: &mut impl Connection,
    seals: &[(AuditId, Seal)],
    seen: Seal,
) -> Outcome<bool> {
    let Some((_, last)) = seals.last() else {
        return Ok(true);
    };
    let params = [
        seen.sequence.into(),
        last.sequence.into(),
        last.hash.0.as_slice().into(),
    ];
    if connection.execute(sql::EXTEND_CHAIN, &params).await? == 0 {
        return Ok(false);
    }
    for (id, seal) in seals {
        let params = [
            id.0.as_slice().into(),
            seal.sequence.into(),
            seal.hash.0.as_slice().into(),
        ];
        connection.execute(sql::SEAL_RECORD, &params).await?;
    }
    Ok(true)
}
