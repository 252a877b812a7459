//! The log of revocations: whatever ends something writes one row in the same transaction, and rows get
//! numbers without gaps, in one order for every replica.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokensmith::domain::id::{ClientId, SessionId, UserId};
use tokensmith::domain::issuer::Issuer;
use tokensmith::domain::ports::{ClientChange, NewClient, NewSecret, SecretRotationOrder, Store};
use tokensmith::domain::revocation::{
    Batch, CutOff, CutOffOrder, CutOffScope, LogEnd, LogTerms, MOST_IN_A_BATCH, Revocation,
    StatusIndex,
};
use tokensmith::domain::session::EndReason;
use tokensmith_verify::revocation::LIST_SIZE;

use super::sessions::{begin, end, rotation, session, stored, user};
use super::{at, record};
use crate::harness::{Database, on_every_database};

fn terms() -> LogTerms {
    LogTerms::of(&Issuer::parse("https://auth.example.com").unwrap())
}

async fn end_one(store: &dyn Store, number: u8) -> bool {
    let ending = end(at(5), EndReason::Revoked);
    let id = SessionId([number; 16]);
    store.end_session(id, ending, &record(5)).await.unwrap()
}

/// Numbers all that waits, from a known end on.
pub(super) async fn number_all(store: &dyn Store, mut seen: LogEnd) -> (Vec<Batch>, LogEnd) {
    let mut batches = Vec::new();
    while let Some((batch, end)) = store.number_revocations(&seen, &terms()).await.unwrap() {
        batches.push(batch);
        seen = end;
    }
    (batches, seen)
}

pub(super) fn what(batches: &[Batch]) -> Vec<Revocation> {
    let all = batches.iter().flat_map(|batch| &batch.revocations);
    all.map(|(_, revocation)| revocation.clone()).collect()
}

async fn people(store: &dyn Store, sessions: std::ops::RangeInclusive<u8>) {
    store
        .create_user(&user(1, "ada"), &record(0))
        .await
        .unwrap();
    for number in sessions {
        begin(store, number, 1).await;
    }
}

on_every_database! {
    async fn ending_a_session_writes_its_bit_once_and_only_that(database) {
        let store = database.open().await;
        people(&*store, 1..=2).await;
        let log = store.enter_log(at(0)).await.unwrap();
        assert!(!log.has_unnumbered, "what begins revokes nothing");
        assert!(end_one(&*store, 1).await);
        assert!(!end_one(&*store, 1).await, "it has ended already");
        assert!(store.log_state().await.unwrap().has_unnumbered);
        let (batches, _) = number_all(&*store, log.end).await;
        let index = session(1, 1).terms.status;
        assert_eq!(what(&batches), [Revocation::Status(index)]);
        assert!(!store.log_state().await.unwrap().has_unnumbered);
    }
}

on_every_database! {
    async fn logout_everywhere_is_one_transaction_and_one_batch(database) {
        let store = database.open().await;
        people(&*store, 1..=9).await;
        let log = store.enter_log(at(0)).await.unwrap();
        let ending = end(at(5), EndReason::EndedByUser);
        let ended = store.end_sessions_of(UserId([1; 16]), None, ending, &record(5)).await.unwrap();
        assert_eq!(ended, 9);
        let (batches, after) = number_all(&*store, log.end).await;
        assert_eq!((batches.len(), batches[0].revocations.len()), (1, 9));
        assert_eq!(after.position.seq, 1, "one list, one event");
    }
}

on_every_database! {
    async fn many_who_number_at_once_leave_no_gap_and_nothing_twice(database) {
        let store = database.open().await;
        people(&*store, 1..=60).await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        let ending = {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 1..=60 {
                    end_one(&*store, number).await;
                }
            })
        };
        // Four replicas, each of which numbers whatever it finds until all is there.
        let replicas: Vec<_> = (0..4)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut seen = start;
                    let mut mine = 0;
                    loop {
                        let state = store.log_state().await.unwrap();
                        if state.end != seen {
                            let seq = seen.position.seq;
                            let epoch = seen.position.epoch;
                            for batch in store.batches_since(epoch, seq, 100).await.unwrap() {
                                assert_eq!(batch.first, seen.position.seq + 1, "a gap");
                                mine += batch.revocations.len();
                                seen = batch.frames(&seen, &terms()).1;
                            }
                        } else if let Some((batch, end)) =
                            store.number_revocations(&seen, &terms()).await.unwrap()
                        {
                            mine += batch.revocations.len();
                            seen = end;
                        }
                        if mine == 60 {
                            return seen;
                        }
                    }
                })
            })
            .collect();
        ending.await.unwrap();
        let mut ends = Vec::new();
        for replica in replicas {
            ends.push(replica.await.unwrap());
        }
        let state = store.log_state().await.unwrap();
        assert!(ends.iter().all(|end| *end == state.end), "one chain for all: {ends:?}");
        let (all, _) = store.numbered_revocations(&[], 1_000).await.unwrap();
        let indices: BTreeSet<_> = all.iter().map(|(_, one)| format!("{one:?}")).collect();
        assert_eq!((all.len(), indices.len()), (60, 60));
    }
}

on_every_database! {
    async fn who_missed_the_beginning_of_an_epoch_numbers_nothing(database) {
        let store = database.open().await;
        people(&*store, 1..=1).await;
        let old = store.enter_log(at(0)).await.unwrap().end;
        store.begin_epoch(old.position.epoch, old.position.epoch + 5).await.unwrap();
        end_one(&*store, 1).await;
        assert_eq!(store.number_revocations(&old, &terms()).await.unwrap(), None);
        // Nor does a second who noticed the same loss begin another.
        store.begin_epoch(old.position.epoch, old.position.epoch + 9).await.unwrap();
        let new = store.log_state().await.unwrap();
        assert_eq!(new.end, LogEnd::start_of(old.position.epoch + 5));
        assert!(new.has_unnumbered);
        let (batches, _) = number_all(&*store, new.end).await;
        assert_eq!(batches.len(), 1);
        // With a chain that is not the stored one, either.
        let stale = LogEnd { chain: new.end.chain, ..store.log_state().await.unwrap().end };
        assert_eq!(store.number_revocations(&stale, &terms()).await.unwrap(), None);
    }
}

on_every_database! {
    async fn an_epoch_is_joined_only_while_somebody_would_notice_a_loss(database) {
        let store = database.open().await;
        let first = store.enter_log(at(0)).await.unwrap().end.position.epoch;
        assert_eq!(first, u64::try_from(at(0).timestamp_millis()).unwrap());
        store.keep_log_alive(at(3)).await.unwrap();
        let second = store.enter_log(at(8)).await.unwrap().end.position.epoch;
        let later = store.enter_log(at(60)).await.unwrap().end.position.epoch;
        assert!(later > second, "nobody was there");
        // A clock that was set back does not bring an old epoch again.
        let back = store.enter_log(at(-1_000)).await.unwrap().end.position.epoch;
        assert!(back >= later);
    }
}

on_every_database! {
    async fn numbers_for_indices_are_given_out_once_and_lists_are_opened_ahead(database) {
        let store = database.open().await;
        let leases: Vec<_> = (1..=40_u32)
            .map(|count| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let first = store.lease_status_numbers(count, at(0)).await.unwrap();
                    (first, u64::from(count))
                })
            })
            .collect();
        let mut given = BTreeSet::new();
        for lease in leases {
            let (first, count) = lease.await.unwrap();
            assert!((first..first + count).all(|number| given.insert(number)), "twice");
        }
        assert_eq!(store.log_state().await.unwrap().announced, 1);
        // Nearly all of the first list: the second is opened before its first number is given out.
        let rest = LIST_SIZE - 60_000 - u32::try_from(given.len()).unwrap();
        store.lease_status_numbers(rest, at(1)).await.unwrap();
        assert_eq!(store.log_state().await.unwrap().announced, 2);
        let start = store.enter_log(at(2)).await.unwrap().end;
        let (batches, _) = number_all(&*store, start).await;
        assert_eq!(what(&batches), [Revocation::ListOpened(0), Revocation::ListOpened(1)]);
    }
}

on_every_database! {
    async fn a_cut_off_ends_what_began_before_it_and_nothing_else(database) {
        let store = database.open().await;
        people(&*store, 1..=1).await;
        store.enter_log(at(0)).await.unwrap();
        let client = |id: &str| CutOffScope::Client(id.parse().unwrap());
        let order = |id, seconds| CutOffOrder::new(client(id), at(seconds), at(200));
        store.cut_off(&order("phone", 10), &record(200)).await.unwrap();
        // An earlier one does not take it back.
        store.cut_off(&order("phone", -10), &record(200)).await.unwrap();
        assert_eq!(store.find_session(SessionId([1; 16])).await.unwrap(), None);
        assert!(store.list_sessions(UserId([1; 16]), at(20)).await.unwrap().is_empty());
        store.cut_off(&order("tablet", 100), &record(200)).await.unwrap();
        let state = store.log_state().await.unwrap();
        let (batches, _) = number_all(&*store, state.end).await;
        // It may have got access tokens since the instant.
        let bit = Revocation::Status(session(1, 1).terms.status);
        assert_eq!(what(&batches).into_iter().filter(|one| *one == bit).count(), 1);
        let scopes = what(&batches).into_iter().filter_map(|one| match one {
            Revocation::CutOff(CutOff { whose: CutOffScope::Client(client), not_before }) => {
                Some((client.to_string(), not_before))
            }
            _ => None,
        });
        let seconds = |offset| at(offset).timestamp();
        let expected = [("phone", seconds(10)), ("phone", seconds(-10)), ("tablet", seconds(100))];
        let scopes: BTreeSet<_> = scopes.collect();
        let expected: BTreeSet<_> =
            expected.map(|(client, at)| (client.to_owned(), at)).into_iter().collect();
        assert_eq!(scopes, expected);
    }
}

on_every_database! {
    async fn what_no_longer_counts_goes_and_what_has_no_number_stays(database) {
        let store = database.open().await;
        people(&*store, 1..=2).await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        end_one(&*store, 1).await;
        let (_, after) = number_all(&*store, start).await;
        end_one(&*store, 2).await;
        store.sweep_revocations(at(5), at(5), 100).await.unwrap();
        let count = async || store.numbered_revocations(&[], 10).await.unwrap().0.len();
        assert_eq!(count().await, 1, "it still counts");
        store.sweep_revocations(at(6), at(6), 100).await.unwrap();
        assert_eq!(count().await, 0);
        let (batches, _) = number_all(&*store, after).await;
        assert_eq!(batches.len(), 1, "whatever its age, it was never told");
    }
}

on_every_database! {
    async fn more_than_a_batch_holds_comes_in_several_and_none_is_cut(database) {
        let store = database.open().await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        let all = u32::try_from(MOST_IN_A_BATCH).unwrap() + 7;
        for number in 0..all {
            let whose = CutOffScope::Client(format!("c{number}").parse().unwrap());
            let order = CutOffOrder::new(whose, at(1), at(1));
            store.cut_off(&order, &record(1)).await.unwrap();
        }
        let (batches, end) = number_all(&*store, start).await;
        let sizes: Vec<_> = batches.iter().map(|batch| batch.revocations.len()).collect();
        assert_eq!(sizes, [MOST_IN_A_BATCH, 7]);
        assert!(!batches[0].is_all() && batches[1].is_all());
        assert_eq!(end.position.seq, u64::from(all));
        let epoch = start.position.epoch;
        let first = store.batches_since(epoch, 0, 10).await.unwrap();
        assert_eq!(first.len(), 1, "a page holds whole batches only");
        assert_eq!(first[0].revocations.len(), MOST_IN_A_BATCH);
        let rest = store.batches_since(epoch, u64::from(all) - 7, 10).await.unwrap();
        assert_eq!(rest[0].revocations.len(), 7);
    }
}

fn secret(number: u8) -> NewSecret {
    NewSecret {
        id: tokensmith::domain::id::SecretId([number; 16]),
        digest: tokensmith::domain::client::SecretDigest([number; 32]),
        status: StatusIndex::new(7, number.into()),
    }
}

/// A client with the first secret.
async fn orders(store: &dyn Store) -> ClientId {
    let new = NewClient {
        id: "orders".parse().unwrap(),
        metadata: tokensmith::domain::client::ClientMetadata::default(),
        secret: Some(secret(1)),
    };
    store.create_client(&new, &record(0)).await.unwrap();
    new.id
}

fn order(number: u8, overlap: TimeDelta, force: bool) -> SecretRotationOrder {
    SecretRotationOrder {
        secret: secret(number),
        others_end_at: at(10) + overlap,
        force,
    }
}

on_every_database! {
    async fn the_bit_of_a_secret_is_set_when_it_is_taken_away_and_not_when_it_runs_out(database) {
        let store = database.open().await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        let id = orders(&*store).await;
        let rotate = async |order| store.rotate_client_secret(&id, &order, &record(10)).await.unwrap();
        rotate(order(2, TimeDelta::days(1), false)).await;
        let (batches, seen) = number_all(&*store, start).await;
        assert_eq!(what(&batches), [], "the old one runs out in a day");
        // By force: the oldest goes at once, the other runs out.
        rotate(order(3, TimeDelta::days(1), true)).await;
        let (batches, seen) = number_all(&*store, seen).await;
        let of = |number: u8| Revocation::Status(StatusIndex::new(7, number.into()));
        assert_eq!(what(&batches), [of(1)]);
        let change = store.delete_client(&id, &record(20)).await.unwrap();
        assert_eq!(change, ClientChange::Changed);
        let (batches, _) = number_all(&*store, seen).await;
        let gone = what(&batches);
        assert!(gone.contains(&of(2)) && gone.contains(&of(3)), "{gone:?}");
        assert!(gone.iter().any(|one| matches!(one, Revocation::CutOff(_))), "{gone:?}");
        assert_eq!(gone.len(), 3);
    }
}

on_every_database! {
    async fn without_overlap_the_old_secrets_tokens_die_at_once(database) {
        let store = database.open().await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        let id = orders(&*store).await;
        let order = order(2, TimeDelta::zero(), false);
        store.rotate_client_secret(&id, &order, &record(10)).await.unwrap();
        let (batches, _) = number_all(&*store, start).await;
        assert_eq!(what(&batches), [Revocation::Status(StatusIndex::new(7, 1))]);
    }
}

on_every_database! {
    async fn a_refresh_that_races_a_logout_leaves_the_bit_set(database) {
        let store = database.open().await;
        people(&*store, 1..=40).await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        for number in 1..=40 {
            let (refreshing, ending) = (Arc::clone(&store), Arc::clone(&store));
            let rotation = rotation(number);
            let refresh = tokio::spawn(async move {
                refreshing.rotate_session(&rotation).await.unwrap()
            });
            let end = tokio::spawn(async move { end_one(&*ending, number).await });
            refresh.await.unwrap();
            assert!(end.await.unwrap(), "logout is never lost");
            assert!(stored(&*store, number).await.end.is_some());
        }
        let (batches, _) = number_all(&*store, start).await;
        assert_eq!(what(&batches).len(), 40);
    }
}

on_every_database! {
    async fn a_cut_off_in_the_past_sets_the_bits_of_what_it_ends_and_one_of_now_need_not(database) {
        let store = database.open().await;
        people(&*store, 1..=2).await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        let now = CutOffOrder::new(CutOffScope::Issuer, at(20), at(20));
        store.cut_off(&now, &record(20)).await.unwrap();
        let (batches, seen) = number_all(&*store, start).await;
        assert_eq!(what(&batches), [Revocation::CutOff(now.cut_off)]);
        let past = CutOffOrder::new(CutOffScope::Issuer, at(20), at(60));
        store.cut_off(&past, &record(60)).await.unwrap();
        let (batches, _) = number_all(&*store, seen).await;
        let bits: BTreeSet<_> = what(&batches)
            .into_iter()
            .filter_map(|one| match one {
                Revocation::Status(index) => Some(index),
                Revocation::CutOff(_) | Revocation::ListOpened(_) => None,
            })
            .collect();
        let of = |number| session(number, 1).terms.status;
        assert_eq!(bits, [of(1), of(2)].into());
        assert!(!store.rotate_session(&rotation(1)).await.unwrap(), "over, bit or no bit");
    }
}

on_every_database! {
    async fn a_client_that_is_enabled_again_has_new_bits(database) {
        let store = database.open().await;
        let start = store.enter_log(at(0)).await.unwrap().end;
        let id = orders(&*store).await;
        let status = async || store.find_client(&id).await.unwrap().unwrap().secrets[0].status;
        for (times, fresh) in [(1, 77), (2, 78)] {
            let before = status().await;
            store.disable_client(&id, &record(times * 10)).await.unwrap();
            let fresh = StatusIndex::new(7, fresh);
            store.enable_client(&id, &[fresh], &record(times * 10 + 1)).await.unwrap();
            assert_eq!(status().await, fresh);
            let (batches, _) = number_all(&*store, store.log_state().await.unwrap().end).await;
            assert!(what(&batches).contains(&Revocation::Status(before)), "{before:?}");
        }
        let (all, _) = store.numbered_revocations(&[], 100).await.unwrap();
        assert_eq!(all.len(), 4, "a bit and a watermark each time: {start:?}");
    }
}

/// A process that ends at once drops the store wherever that happens.
#[tokio::test]
async fn a_store_that_listens_is_dropped_where_there_is_no_runtime() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (store, other) = (database.open().await, database.open().await);
    let call = async {
        loop {
            other.wake_replicas().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        heard = store.woken() => heard.unwrap(),
        () = call => {}
    }
    let dropped = std::thread::spawn(move || drop(store)).join();
    assert!(dropped.is_ok(), "without a panic");
}
