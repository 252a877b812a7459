//! Word of the servers that are at work. Each is one statement.

use super::Outcome;
use crate::domain::Timestamp;
use crate::domain::fleet::RunningReplica;
use crate::domain::id::ReplicaId;
use crate::store::connection::Connection;
use crate::store::{rows, sql};

pub(in crate::store) async fn note_replica(
    connection: &mut impl Connection,
    replica: &RunningReplica,
) -> Outcome<()> {
    let params = [
        replica.id.0.as_slice().into(),
        replica.build.as_str().into(),
        replica.host.as_str().into(),
        rows::milliseconds(replica.started_at).into(),
        rows::milliseconds(replica.seen_at).into(),
    ];
    connection.execute(sql::NOTE_REPLICA, &params).await?;
    Ok(())
}

pub(in crate::store) async fn forget_replica(
    connection: &mut impl Connection,
    id: ReplicaId,
) -> Outcome<()> {
    let params = [id.0.as_slice().into()];
    connection.execute(sql::FORGET_REPLICA, &params).await?;
    Ok(())
}

pub(in crate::store) async fn running_replicas(
    connection: &mut impl Connection,
    since: Timestamp,
) -> Outcome<Vec<RunningReplica>> {
    let params = [rows::milliseconds(since).into()];
    let found = connection.fetch(sql::LIST_REPLICAS, &params).await?;
    found.iter().map(rows::running_replica).collect()
}
