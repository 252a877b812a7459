//! Rotations that come together: each does what it does alone, whatever else its commit takes along.

use std::sync::Arc;

use tokensmith::domain::ports::Rotation;
use tokensmith::domain::rotation::{Generation, RetryKeyDigest};
use tokensmith::domain::session::EndReason;

use super::sessions::{begin, end, rotation, stored, user};
use super::{at, record};
use crate::harness::on_every_database;

const SESSIONS: u8 = 90;
/// Whose sessions must not move.
const ENDED: u8 = 3;
const OF_A_DISABLED_PERSON: u8 = 5;
const AT_ANOTHER_GENERATION: u8 = 7;
const EXPIRED: u8 = 11;

fn wanted(number: u8) -> Rotation {
    let mut rotation = rotation(number);
    if number.is_multiple_of(AT_ANOTHER_GENERATION) {
        rotation.step.from = Generation(2);
        rotation.step.to = Generation(3);
    }
    if number.is_multiple_of(EXPIRED) {
        rotation.step.at = at(400 * 86_400);
    }
    rotation.step.retry_key = number
        .is_multiple_of(2)
        .then_some(RetryKeyDigest([number; 16]));
    rotation.address = number.is_multiple_of(4).then(|| [10, 0, 0, number].into());
    rotation
}

fn may_move(number: u8) -> bool {
    [ENDED, OF_A_DISABLED_PERSON, AT_ANOTHER_GENERATION, EXPIRED]
        .iter()
        .all(|hindrance| !number.is_multiple_of(*hindrance))
}

on_every_database! {
    async fn rotations_that_wait_together_each_do_what_they_do_alone(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        store.create_user(&user(2, "bob"), &record(0)).await.unwrap();
        let mut before = Vec::new();
        for number in 1..=SESSIONS {
            let person = if number.is_multiple_of(OF_A_DISABLED_PERSON) { 2 } else { 1 };
            begin(&*store, number, person).await;
            if number.is_multiple_of(ENDED) {
                let end = end(at(1), EndReason::Revoked);
                let id = wanted(number).session;
                assert!(store.end_session(id, end, &record(1)).await.unwrap());
            }
        }
        // As in the moment before the sessions of a disabled person end.
        database.execute("UPDATE users SET disabled_at = 1 WHERE username = 'bob'").await;
        for number in 1..=SESSIONS {
            before.push(stored(&*store, number).await);
        }

        // Each twice: the second of the same step must find the session moved.
        let tasks: Vec<_> = (1..=SESSIONS)
            .chain(1..=SESSIONS)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    (number, store.rotate_session(&wanted(number)).await.unwrap())
                })
            })
            .collect();
        let mut moves = vec![0; usize::from(SESSIONS) + 1];
        for task in tasks {
            let (number, moved) = task.await.unwrap();
            moves[usize::from(number)] += u8::from(moved);
        }

        for (number, mut expected) in (1..).zip(before) {
            assert_eq!(moves[usize::from(number)], u8::from(may_move(number)), "{number}");
            if may_move(number) {
                let Rotation { step, address, .. } = wanted(number);
                expected.chain.generation = step.to;
                expected.chain.rotated_at = step.at;
                expected.chain.rotated_with = step.retry_key;
                expected.chain.idle_expires_at = step.idle_expires_at;
                expected.address = address.or(expected.address);
            }
            assert_eq!(stored(&*store, number).await, expected, "{number}");
        }
    }
}
