//! Rows of the log of revocations.

use tokensmith_verify::revocation::{Chain, Position};

use super::{array, instant, parsed, status_index};
use crate::domain::Timestamp;
use crate::domain::ports::LogState;
use crate::domain::revocation::{CutOff, CutOffScope, LogEnd, Revocation};
use crate::store::connection::Columns;
use crate::store::error::StatementError;

type Read<T> = Result<T, StatementError>;

/// When, and what.
pub(in crate::store) fn revocation(row: &impl Columns) -> Read<(Timestamp, Revocation)> {
    let at = instant(row, "at")?;
    if row.optional_integer("status_index")?.is_some() {
        return Ok((at, Revocation::Status(status_index(row)?)));
    }
    if let Some(number) = row.optional_integer("list")? {
        let number = u32::try_from(number).map_err(|_| StatementError::Unreadable("list"))?;
        return Ok((at, Revocation::ListOpened(number)));
    }
    let scope = row
        .optional_text("scope")?
        .ok_or(StatementError::Unreadable("scope"))?;
    let whose = match scope.as_str() {
        "client" => CutOffScope::Client(parsed(row, "subject")?),
        "key" => CutOffScope::Key(parsed(row, "subject")?),
        "issuer" => CutOffScope::Issuer,
        _ => return Err(StatementError::Unreadable("scope")),
    };
    let not_before = row.integer("not_before")?;
    Ok((at, Revocation::CutOff(CutOff { whose, not_before })))
}

pub(in crate::store) fn log_state(row: &impl Columns) -> Read<LogState> {
    let position = Position {
        epoch: unsigned(row, "epoch")?,
        seq: unsigned(row, "seq")?,
    };
    let chain = Chain::from_bytes(array(row.bytes("chain")?, "chain")?);
    let announced = row.integer("announced")?;
    Ok(LogState {
        end: LogEnd { position, chain },
        has_unnumbered: row.integer("has_unnumbered")? != 0,
        announced: u32::try_from(announced).map_err(|_| StatementError::Unreadable("announced"))?,
    })
}

pub(in crate::store) fn unsigned(row: &impl Columns, column: &'static str) -> Read<u64> {
    u64::try_from(row.integer(column)?).map_err(|_| StatementError::Unreadable(column))
}
