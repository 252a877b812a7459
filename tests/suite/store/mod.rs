//! The storage contract, on both databases.

mod browser;
mod clients;
mod distribution;
mod master_key;
mod migrations;
mod revocations;
mod rotations;
mod schema;
mod sessions;
mod signing_keys;

use chrono::{DateTime, Utc};
use tokensmith::crypto::SystemEntropy;
use tokensmith::domain::audit::{AuditKind, AuditRecord, Origin};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// A record of something that happened `seconds` after the start.
fn record(seconds: i64) -> AuditRecord {
    record_at(at(seconds))
}

fn record_at(now: DateTime<Utc>) -> AuditRecord {
    let entropy = SystemEntropy::default();
    AuditRecord::new(AuditKind::ClientCreated, &Origin::SYSTEM, now, &entropy).unwrap()
}
