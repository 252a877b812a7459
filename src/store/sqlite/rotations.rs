//! Rotations that wait together are one statement. Each statement is a trip to the driver's thread and back,
//! which costs more than what SQLite does there (docs/decisions/0019).

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use crate::domain::id::SessionId;
use crate::domain::ports::{Rotation, StoreError};
use crate::store::connection::{Columns, Connection, Param};
use crate::store::error::StatementError;
use crate::store::sql;
use crate::store::together::Sizes;
use crate::store::transitions::sessions::{
    ROTATION_PARAMS, address_text, rotate_session, rotation_params,
};

/// A rotation and who waits for it.
pub(super) struct WaitingRotation {
    pub(super) rotation: Rotation,
    pub(super) reply: oneshot::Sender<Result<bool, StoreError>>,
}

/// One that was tried inside the transaction.
pub(super) struct TriedRotation {
    reply: oneshot::Sender<Result<bool, StoreError>>,
    /// Whether the session has moved on.
    pub(super) moved: bool,
}

impl TriedRotation {
    pub(super) fn reply(self, committed: Result<(), StoreError>) {
        // A caller that went away does not undo what is committed.
        let _gone = self.reply.send(committed.map(|()| self.moved));
    }
}

/// Rotates. When it fails, nothing of the transaction counts any more.
pub(super) async fn rotate_together(
    connection: &mut SqliteConnection,
    mut waiting: Vec<WaitingRotation>,
) -> Result<Vec<TriedRotation>, StatementError> {
    // Whoever has given up has said so to somebody, who may try again meanwhile.
    waiting.retain(|one| !one.reply.is_closed());
    let mut tried = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let mut sessions = HashSet::new();
        // Of two that want to move the same session, the second must see what the first has done.
        let (together, later): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|one| sessions.insert(one.rotation.session));
        waiting = later;
        let moved = rotate_each_once(connection, &together).await?;
        tried.extend(together.into_iter().map(|one| TriedRotation {
            moved: moved.contains(&one.rotation.session),
            reply: one.reply,
        }));
    }
    Ok(tried)
}

/// Answers which of the sessions, no two of which are the same, have moved on.
async fn rotate_each_once(
    connection: &mut SqliteConnection,
    rotations: &[WaitingRotation],
) -> Result<HashSet<SessionId>, StatementError> {
    static SIZES: LazyLock<Sizes> = LazyLock::new(|| Sizes::new(rotate_rows));
    let mut moved = HashSet::new();
    if let [alone] = rotations {
        if rotate_session(connection, &alone.rotation).await? {
            moved.insert(alone.rotation.session);
        }
        return Ok(moved);
    }
    for page in rotations.chunks(Sizes::MOST) {
        let addresses: Vec<_> = page.iter().map(|one| address_text(&one.rotation)).collect();
        let mut params: Vec<Param<'_>> = page
            .iter()
            .zip(&addresses)
            .flat_map(|(one, address)| rotation_params(&one.rotation, address.as_deref()))
            .collect();
        let statement = SIZES.for_rows(page.len());
        // No session has no id.
        params.resize(statement.rows * ROTATION_PARAMS, Param::Bytes(None));
        for row in connection.fetch(&statement.text, &params).await? {
            let id = row.bytes("id")?;
            let id = id
                .try_into()
                .map_err(|_| StatementError::Unreadable("id"))?;
            moved.insert(SessionId(id));
        }
    }
    Ok(moved)
}

/// The statement for a number of rows.
fn rotate_rows(rows: usize) -> String {
    let row = |number: usize| {
        let first = number * ROTATION_PARAMS + 1;
        let params: Vec<_> = (first..first + ROTATION_PARAMS)
            .map(|param| format!("${param}"))
            .collect();
        format!("({})", params.join(", "))
    };
    let values: Vec<_> = (0..rows).map(row).collect();
    let rotate = sql::SQLITE_ROTATE_SESSIONS.replace("{rows}", &values.join(", "));
    rotate + sql::SQLITE_RETURNING_ID
}
