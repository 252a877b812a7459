//! The servers that are at work on one database. They need nothing of each other; this is for the operator, who
//! wants to know during an upgrade which builds are still there.

use chrono::TimeDelta;

use super::Timestamp;
use super::id::ReplicaId;

/// A running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningReplica {
    /// From its start to its stop.
    pub id: ReplicaId,
    /// The version of the program.
    pub build: String,
    /// The name of its machine, or of its pod.
    pub host: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it last said that it is there.
    pub seen_at: Timestamp,
}

impl RunningReplica {
    /// Who has not said for so long that it is there, has died without a word: three times as long as a
    /// replica is ever silent, and room for clocks that differ.
    pub const COUNTS_FOR: TimeDelta = TimeDelta::seconds(10);
}
