//! The renewal of the master key: all of it at once, and only when nobody is in the way.

use tokensmith::domain::audit::{ChainHash, Seal};
use tokensmith::domain::id::SessionId;
use tokensmith::domain::ports::{
    KeyTransition, MasterKeyFingerprint, MasterKeyRenewal, RenewalOutcome, RenewalRecords,
    SealedInheritance, Store, Version,
};
use tokensmith::domain::revocation::{CutOff, CutOffOrder, CutOffScope, Revocation};

use super::revocations::{number_all, what};
use super::sessions::{begin, user};
use super::signing_keys::{insert, key};
use super::{at, record};
use crate::harness::on_every_database;

const OLD: MasterKeyFingerprint = MasterKeyFingerprint([1; 16]);
const NEW: MasterKeyFingerprint = MasterKeyFingerprint([2; 16]);

/// An installation of the old master key with a signing key and two sessions; all records are sealed.
async fn installation(store: &dyn Store) -> (Seal, Version) {
    store.claim_for_master_key(OLD).await.unwrap();
    let (_, seen) = store.signing_keys().await.unwrap();
    let made = store
        .change_signing_keys(&insert(key(1)), seen, &record(0))
        .await;
    assert!(made.unwrap());
    let ada = user(1, "ada");
    store.create_user(&ada, &record(0)).await.unwrap();
    for number in 1..=2 {
        begin(store, number, 1).await;
    }
    let (_, seen) = store.signing_keys().await.unwrap();
    (seal_all(store).await, seen)
}

/// Seals as if by some key.
async fn seal_all(store: &dyn Store) -> Seal {
    let (records, seen) = store.unsealed_records(100).await.unwrap();
    let seals: Vec<_> = (seen.sequence + 1..)
        .zip(&records)
        .map(|(sequence, record)| {
            let hash = ChainHash([7; 32]);
            (record.id, Seal { sequence, hash })
        })
        .collect();
    assert!(store.seal_records(&seals, seen).await.unwrap());
    seals.last().map_or(seen, |(_, end)| *end)
}

fn renewal(audit_end: Seal, keys_seen: Version) -> MasterKeyRenewal {
    MasterKeyRenewal {
        from: OLD,
        to: NEW,
        inheritance: SealedInheritance(vec![1, 2, 3]),
        audit_end,
        keys: KeyTransition {
            insert: Some(key(2)),
            revoke: vec![key(1).kid],
            destroy_private: vec![key(1).kid],
            ..KeyTransition::default()
        },
        keys_seen,
        cut_off: CutOffOrder::new(CutOffScope::Issuer, at(20), at(20)),
        records: RenewalRecords {
            renewed: record(20),
            keys: record(20),
            cut_off: record(20),
        },
    }
}

on_every_database! {
    async fn a_renewal_of_the_master_key_is_made_whole(database) {
        let store = database.open().await;
        let (audit_end, keys_seen) = installation(&*store).await;
        assert_eq!(store.inheritance().await.unwrap(), None);
        let renewal = renewal(audit_end, keys_seen);
        let outcome = store.renew_master_key(&renewal).await.unwrap();
        assert_eq!(outcome, RenewalOutcome::Renewed { ended_sessions: 2 });

        assert_eq!(store.master_key_fingerprint().await.unwrap(), Some(NEW));
        assert_eq!(store.inheritance().await.unwrap(), Some(renewal.inheritance.clone()));
        let again = store.renew_master_key(&renewal).await.unwrap();
        assert_eq!(again, RenewalOutcome::AnotherMasterKey);
        assert_eq!(store.claim_for_master_key(OLD).await.unwrap(), NEW, "nobody takes it back");
        let (keys, _) = store.signing_keys().await.unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!((keys[0].revoked_at, &keys[0].sealed_private), (Some(at(20)), &None));
        assert!(keys[1].revoked_at.is_none() && keys[1].sealed_private.is_some());
        for number in 1..=2 {
            let session = store.find_session(SessionId([number; 16])).await.unwrap();
            assert!(session.is_none(), "{number}");
        }
        let log = store.enter_log(at(30)).await.unwrap();
        let (batches, _) = number_all(&*store, log.end).await;
        let revoked = what(&batches);
        for cut_off in [CutOff::of_key(key(1).kid), CutOff::until_now(CutOffScope::Issuer, at(20))] {
            assert!(revoked.contains(&Revocation::CutOff(cut_off.clone())), "{cut_off:?}: {revoked:?}");
        }
        let (unsealed, end) = store.unsealed_records(100).await.unwrap();
        assert_eq!((unsealed.len(), end), (3, audit_end));
    }
}

on_every_database! {
    async fn a_renewal_that_meets_anything_unforeseen_changes_nothing(database) {
        let store = database.open().await;
        let (audit_end, keys_seen) = installation(&*store).await;
        let planned = renewal(audit_end, keys_seen);
        let cut_short = Seal { sequence: audit_end.sequence - 1, ..audit_end };
        let written_anew = Seal { hash: ChainHash([8; 32]), ..audit_end };
        for (why, renewal, expected) in [
            (
                "another key",
                MasterKeyRenewal { from: MasterKeyFingerprint([3; 16]), ..planned.clone() },
                RenewalOutcome::AnotherMasterKey,
            ),
            ("a longer log", renewal(cut_short, keys_seen), RenewalOutcome::Overtaken),
            ("another log", renewal(written_anew, keys_seen), RenewalOutcome::Overtaken),
            ("other keys", renewal(audit_end, Version(keys_seen.0 - 1)), RenewalOutcome::Overtaken),
        ] {
            assert_eq!(store.renew_master_key(&renewal).await.unwrap(), expected, "{why}");
            nothing_has_changed(&*store, keys_seen).await;
        }
        store.record(&record(10)).await.unwrap();
        let outcome = store.renew_master_key(&planned).await.unwrap();
        assert_eq!(outcome, RenewalOutcome::Overtaken, "a record that the old key has still to seal");
        let planned = renewal(seal_all(&*store).await, keys_seen);

        // Of SQLite servers are not known here: `open_alone` finds them.
        if let Some(now) = store.database_time().await.unwrap() {
            store.enter_log(now).await.unwrap();
            let outcome = store.renew_master_key(&planned).await.unwrap();
            assert_eq!(outcome, RenewalOutcome::ServersAreThere);
        }
        nothing_has_changed(&*store, keys_seen).await;

        // What breaks half way is undone.
        let same_slot = MasterKeyRenewal {
            keys: KeyTransition { insert: Some(key(1)), ..planned.keys.clone() },
            ..planned
        };
        if store.database_time().await.unwrap().is_none() {
            assert!(store.renew_master_key(&same_slot).await.is_err());
        }
        nothing_has_changed(&*store, keys_seen).await;
    }
}

async fn nothing_has_changed(store: &dyn Store, keys_seen: Version) {
    assert_eq!(store.master_key_fingerprint().await.unwrap(), Some(OLD));
    assert_eq!(store.inheritance().await.unwrap(), None);
    let (keys, version) = store.signing_keys().await.unwrap();
    assert_eq!((keys, version), (vec![key(1)], keys_seen));
    let session = store.find_session(SessionId([1; 16])).await.unwrap();
    assert!(session.is_some());
    assert!(!store.log_state().await.unwrap().has_unnumbered);
    let (unsealed, _) = store.unsealed_records(100).await.unwrap();
    assert!(unsealed.is_empty());
}
