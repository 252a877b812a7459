//! Word for clients that a session is over.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokensmith::domain::client::{ClientMetadata, GrantType};
use tokensmith::domain::consent::Consent;
use tokensmith::domain::id::{LoginId, SessionId, UserId};
use tokensmith::domain::ports::{
    ClientChange, CodeGrant, LogoutDelivery, NewClient, PasswordOrder, Store,
};
use tokensmith::domain::session::EndReason;

use super::super::sessions::HASH;
use super::super::{at, record};
use super::{agreed, begin_by, end_of_device, ended, grant, person, sign_in, sign_out};
use crate::harness::on_every_database;

/// Registers `phone`, which wants to be told, and `shop`, which does not.
async fn clients(store: &dyn Store) {
    for (id, receiver) in [
        ("phone", Some("https://app.example.com/logout")),
        ("shop", None),
    ] {
        let client = NewClient {
            id: id.parse().unwrap(),
            metadata: ClientMetadata {
                grant_types: [GrantType::AuthorizationCode].into(),
                backchannel_logout_uri: receiver.map(|uri| uri.parse().unwrap()),
                ..ClientMetadata::default()
            },
            secret: None,
        };
        let made = store.create_client(&client, &record(0)).await.unwrap();
        assert_eq!(made, ClientChange::Changed);
    }
}

fn of(number: u8, login: (u8, u8), client: &str) -> CodeGrant {
    let mut grant = grant(number, login, "openid");
    grant.code.client_id = client.parse().unwrap();
    grant
}

/// Ada with sessions of the phone.
async fn ada_with_sessions(store: &dyn Store, numbers: std::ops::RangeInclusive<u8>) {
    clients(store).await;
    person(store, 1).await;
    sign_in(store, 200, 1).await;
    for number in numbers {
        begin_by(store, &of(number, (200, 1), "phone")).await;
    }
}

async fn sign_ada_out(store: &dyn Store, seconds: i64) {
    let end = sign_out(seconds);
    let (login, user) = (LoginId([200; 16]), UserId([1; 16]));
    assert!(
        store
            .end_login(login, user, end, &record(seconds))
            .await
            .unwrap()
    );
}

/// Claims what is due, for ten seconds; answers which sessions it is about.
async fn claim(store: &dyn Store, seconds: i64, limit: u32) -> Vec<LogoutDelivery> {
    let claimed = store
        .claim_deliveries(at(seconds), at(seconds + 10), limit)
        .await;
    claimed.unwrap()
}

fn numbers(deliveries: &[LogoutDelivery]) -> BTreeSet<u8> {
    deliveries.iter().map(|it| it.session.0[0]).collect()
}

on_every_database! {
    async fn a_session_that_ends_is_told_to_a_client_that_wants_it(database) {
        let store = database.open().await;
        ada_with_sessions(&*store, 1..=1).await;
        begin_by(&*store, &of(2, (200, 1), "shop")).await;
        begin_by(&*store, &of(3, (200, 1), "gone")).await;
        assert_eq!(claim(&*store, 1, 10).await, []);
        sign_ada_out(&*store, 5).await;
        assert_eq!(claim(&*store, 4, 10).await, [], "not before it has ended");
        let expected = LogoutDelivery {
            session: SessionId([1; 16]),
            client_id: "phone".parse().unwrap(),
            user_id: UserId([1; 16]),
            tries: 1,
            created_at: at(5),
        };
        assert_eq!(claim(&*store, 5, 10).await, [expected]);
    }
}

on_every_database! {
    async fn whatever_ends_a_session_is_told_and_told_once(database) {
        let store = database.open().await;
        clients(&*store).await;
        for user in 1..=7 {
            person(&*store, user).await;
            sign_in(&*store, user, user).await;
            let mut grant = of(user, (user, user), "phone");
            grant.basis = agreed(Consent {
                user_id: grant.code.user_id,
                client_id: grant.code.client_id.clone(),
                scope: grant.code.scope.clone(),
                audience: grant.code.audience.clone(),
                granted_at: at(0),
            });
            begin_by(&*store, &grant).await;
        }
        let user = |number: u8| UserId([number; 16]);
        let end = |reason| ended(1, reason);
        let revoked = end(EndReason::Revoked);
        assert!(store.end_session(SessionId([1; 16]), revoked, &record(1)).await.unwrap());
        let login = LoginId([2; 16]);
        store.end_login(login, user(2), end_of_device(1), &record(1)).await.unwrap();
        store.end_sessions_of(user(3), None, end(EndReason::EndedByUser), &record(1)).await.unwrap();
        store.disable_user(user(4), end(EndReason::UserDisabled), &record(1)).await.unwrap();
        store.delete_user(user(5), end(EndReason::UserDeleted), &record(1)).await.unwrap();
        let withdrawn = end(EndReason::ConsentWithdrawn);
        let phone = "phone".parse().unwrap();
        store.withdraw_consent(user(6), &phone, withdrawn, &record(1)).await.unwrap();
        let password = PasswordOrder {
            user: user(7),
            password: HASH.parse().unwrap(),
            replaces: None,
            keep: None,
            end: end(EndReason::PasswordChanged),
        };
        store.set_password(&password, &record(1)).await.unwrap();
        let told = claim(&*store, 1, 100).await;
        assert_eq!(numbers(&told), (1..=7).collect());
        assert_eq!(told.len(), 7);

        assert!(!store.end_session(SessionId([1; 16]), revoked, &record(2)).await.unwrap());
        store.end_sessions_of(user(2), None, revoked, &record(2)).await.unwrap();
        assert_eq!(claim(&*store, 2, 100).await, [], "what has ended does not end again");
    }
}

on_every_database! {
    async fn two_claimers_never_have_the_same_delivery(database) {
        let store = database.open().await;
        ada_with_sessions(&*store, 1..=60).await;
        sign_ada_out(&*store, 1).await;
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { claim(&*store, 1, 7).await })
            })
            .collect();
        let mut claimed = Vec::new();
        for task in tasks {
            let some = task.await.unwrap();
            assert!(some.len() <= 7);
            claimed.extend(some);
        }
        // Whoever waited for another may have come away with less than there was.
        claimed.extend(claim(&*store, 1, 100).await);
        assert_eq!(claimed.len(), 60);
        assert_eq!(numbers(&claimed), (1..=60).collect());
        assert!(claimed.iter().all(|delivery| delivery.tries == 1));
    }
}

on_every_database! {
    async fn a_client_with_many_deliveries_does_not_keep_others_waiting(database) {
        let store = database.open().await;
        ada_with_sessions(&*store, 1..=60).await;
        sign_ada_out(&*store, 1).await;
        assert_eq!(claim(&*store, 1, 512).await.len(), 32);
        assert_eq!(claim(&*store, 1, 512).await.len(), 28, "and what is left comes next");
    }
}

on_every_database! {
    async fn a_delivery_whose_claimer_died_is_due_again(database) {
        let store = database.open().await;
        ada_with_sessions(&*store, 1..=1).await;
        sign_ada_out(&*store, 1).await;
        assert_eq!(claim(&*store, 1, 10).await[0].tries, 1);
        assert_eq!(claim(&*store, 10, 10).await, []);
        assert_eq!(claim(&*store, 11, 10).await[0].tries, 2);
    }
}

on_every_database! {
    async fn a_delivery_is_postponed_and_then_finished(database) {
        let store = database.open().await;
        ada_with_sessions(&*store, 1..=2).await;
        sign_ada_out(&*store, 1).await;
        assert_eq!(claim(&*store, 1, 10).await.len(), 2);
        let (one, other) = (SessionId([1; 16]), SessionId([2; 16]));
        store.postpone_delivery(one, at(30)).await.unwrap();
        store.finish_delivery(other, &record(2)).await.unwrap();
        store.postpone_delivery(other, at(5)).await.unwrap();
        assert_eq!(claim(&*store, 29, 10).await, [], "a finished one does not come back");
        let again = claim(&*store, 30, 10).await;
        assert_eq!((numbers(&again), again[0].tries), ([1].into(), 2));
        store.finish_delivery(one, &record(31)).await.unwrap();
        store.finish_delivery(one, &record(32)).await.unwrap();
        assert_eq!(claim(&*store, 1_000, 10).await, []);
    }
}
