//! Signing keys.

use tokensmith::domain::algorithm::Algorithm;
use tokensmith::domain::key::{
    KeySchedule, KeyUse, PublicJwk, PublicKeyParameters, SealedPrivateKey, SigningKey,
};
use tokensmith::domain::ports::KeyTransition;

use super::{at, record};
use crate::harness::on_every_database;

fn schedule(start: i64) -> KeySchedule {
    KeySchedule {
        active_from: at(start),
        retires_at: at(start + 10),
        removed_at: at(start + 20),
    }
}

pub(super) fn key(slot: i64) -> SigningKey {
    let kid = format!("{slot:A>43}");
    SigningKey {
        kid: kid.parse().unwrap(),
        algorithm: Algorithm::ES256,
        slot,
        public_jwk: PublicJwk {
            parameters: PublicKeyParameters::EllipticCurve {
                crv: "P-256".into(),
                x: "x".into(),
                y: "y".into(),
            },
            usage: KeyUse::Signature,
            alg: Algorithm::ES256,
            kid,
        },
        sealed_private: Some(SealedPrivateKey(vec![1, 2, 3])),
        created_at: at(0),
        schedule: schedule(0),
        revoked_at: None,
    }
}

pub(super) fn insert(key: SigningKey) -> KeyTransition {
    KeyTransition {
        insert: Some(key),
        ..KeyTransition::default()
    }
}

on_every_database! {
    async fn a_transition_is_applied_whole(database) {
        let store = database.open().await;
        let (keys, seen) = store.signing_keys().await.unwrap();
        assert!(keys.is_empty());
        assert!(store.change_signing_keys(&insert(key(1)), seen, &record(0)).await.unwrap());
        let (keys, seen) = store.signing_keys().await.unwrap();
        assert_eq!(keys, [key(1)]);

        let transition = KeyTransition {
            insert: Some(key(2)),
            reschedule: vec![(key(1).kid, schedule(5))],
            revoke: vec![],
            destroy_private: vec![key(1).kid],
        };
        assert!(store.change_signing_keys(&transition, seen, &record(1)).await.unwrap());
        let (keys, seen) = store.signing_keys().await.unwrap();
        let expected = SigningKey { schedule: schedule(5), sealed_private: None, ..key(1) };
        assert_eq!(keys, [expected.clone(), key(2)]);

        let revoke = KeyTransition { revoke: vec![key(1).kid], ..KeyTransition::default() };
        assert!(store.change_signing_keys(&revoke, seen, &record(7)).await.unwrap());
        let (keys, _) = store.signing_keys().await.unwrap();
        assert_eq!(keys[0], SigningKey { revoked_at: Some(at(7)), ..expected });
    }
}

on_every_database! {
    async fn of_replicas_that_plan_at_the_same_time_one_wins(database) {
        let store = database.open().await;
        let (_, seen) = store.signing_keys().await.unwrap();
        let tasks: Vec<_> = (1..=10)
            .map(|slot| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move {
                    store.change_signing_keys(&insert(key(slot)), seen, &record(0)).await.unwrap()
                })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!((winners, store.signing_keys().await.unwrap().0.len()), (1, 1));
    }
}

on_every_database! {
    async fn a_transition_that_breaks_half_way_changes_nothing(database) {
        let store = database.open().await;
        let (_, seen) = store.signing_keys().await.unwrap();
        store.change_signing_keys(&insert(key(1)), seen, &record(0)).await.unwrap();
        let (_, seen) = store.signing_keys().await.unwrap();
        let same_slot = SigningKey { kid: "B".repeat(43).parse().unwrap(), ..key(1) };
        let transition = KeyTransition {
            reschedule: vec![(key(1).kid, schedule(99))],
            ..insert(same_slot)
        };
        assert!(store.change_signing_keys(&transition, seen, &record(1)).await.is_err());
        let (keys, version) = store.signing_keys().await.unwrap();
        assert_eq!((keys, version), (vec![key(1)], seen));
    }
}
