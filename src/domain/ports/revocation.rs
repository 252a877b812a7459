//! The log of revocations, and what needs it.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::client::Client;
use crate::domain::revocation::{Batch, CutOffOrder, LogEnd, LogTerms, Revocation, StatusIndex};

/// How the log of revocations stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogState {
    /// Where it ends.
    pub end: LogEnd,
    /// Whether there are revocations that have no number yet.
    pub has_unnumbered: bool,
    /// How many lists are announced.
    pub announced: u32,
}

/// Storage of the log. A revocation is written without a number in the transaction of what it takes
/// back; numbers are given a moment later, to all that wait at once, by whichever replica comes first.
#[async_trait]
pub trait RevocationStore: Send + Sync {
    /// Takes `count` numbers for status indices, which nobody else will get; answers the first. Opens
    /// the next list well before its first number is taken.
    async fn lease_status_numbers(&self, count: u32, now: Timestamp) -> Result<u64, StoreError>;
    /// Joins the log of an epoch that other replicas keep up, or begins a new epoch when none does:
    /// then nobody could tell whether the database has lost events.
    async fn enter_log(&self, now: Timestamp) -> Result<LogState, StoreError>;
    /// Says that this replica is there and would notice a loss.
    async fn keep_log_alive(&self, now: Timestamp) -> Result<(), StoreError>;
    /// Begins a new epoch because events were lost, unless somebody has done so already.
    async fn begin_epoch(&self, seen: u64, epoch: u64) -> Result<(), StoreError>;
    /// How the log stands.
    async fn log_state(&self) -> Result<LogState, StoreError>;
    /// Numbers what waits, if the log still ends where it was seen to. `None` when somebody else was
    /// first or nothing waits.
    async fn number_revocations(
        &self,
        seen: &LogEnd,
        terms: &LogTerms,
    ) -> Result<Option<(Batch, LogEnd)>, StoreError>;
    /// The batches of an epoch after a number, oldest first, at most `limit` revocations (a batch is
    /// never cut).
    async fn batches_since(
        &self,
        epoch: u64,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError>;
    /// A page of all revocations that have a number, in the order of their keys, after a key; with
    /// the key to go on from, `None` at the end.
    async fn numbered_revocations(
        &self,
        after: &[u8],
        limit: u32,
    ) -> Result<(Vec<(Timestamp, Revocation)>, Option<Vec<u8>>), StoreError>;
    /// Cuts tokens off, and with that the sessions and logins that began before an instant: they are as
    /// if they were not there, and their clients are told.
    async fn cut_off(&self, order: &CutOffOrder, record: &AuditRecord) -> Result<(), StoreError>;
    /// Removes revocations that no longer count, at most `limit`; those of keys by an instant of their
    /// own.
    async fn sweep_revocations(
        &self,
        over_before: Timestamp,
        keys_over_before: Timestamp,
        limit: u32,
    ) -> Result<(), StoreError>;
    /// Wakes other replicas, where there are any. They look by themselves, too, only later.
    async fn wake_replicas(&self) -> Result<(), StoreError>;
    /// Waits until another replica has something to say. Never returns where there is none.
    async fn woken(&self) -> Result<(), StoreError>;
}

/// Spreads numbers over a list, so that an index does not tell when it was given out
/// (draft-ietf-oauth-status-list §12.5.2).
pub trait StatusPermutation: Send + Sync {
    /// The index of a number. Two numbers never have the same.
    fn index(&self, number: u64) -> StatusIndex;
}

/// Gives out status indices.
#[async_trait]
pub trait StatusIndices: Send + Sync {
    /// An index that nobody else has or will have.
    async fn next(&self, now: Timestamp) -> Result<StatusIndex, StoreError>;
}

/// What this replica knows of revocations, without a database operation.
pub trait RevocationView: Send + Sync {
    /// Whether tokens of this index are dead.
    fn is_revoked(&self, index: StatusIndex) -> bool;
    /// Whether a token of a client that was issued then, in Unix seconds, is cut off.
    fn is_cut_off(&self, client: &str, issued_at: i64) -> bool;
    /// From when a token of the client would not be cut off; `None` when it would not be now.
    fn held_back_until(&self, client: &Client, now: Timestamp) -> Option<Timestamp>;
}
