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

use crate::harness::on_every_database;

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

on_every_database! {
    async fn a_transition_that_fails_leaves_nothing_behind_not_even_a_lock(database) {
        let store = database.open().await;
        let record = record(0);
        store.create_user(&sessions::user(1, "ada"), &record).await.unwrap();
        // The account is written, and then the record of it is one that is there already.
        let bob = sessions::user(2, "bob");
        store.create_user(&bob, &record).await.unwrap_err();
        if database.url.starts_with("postgres") {
            // Not granted as long as a transaction is open that has touched the table.
            database.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT").await;
        }
        assert!(store.find_user(bob.id).await.unwrap().is_none());
    }
}
