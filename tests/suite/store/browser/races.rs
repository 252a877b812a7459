//! Two transitions at once: whichever comes first, nothing lives on that has been ended.

use std::sync::Arc;

use tokensmith::domain::id::{LoginId, SessionId, UserId};
use tokensmith::domain::ports::{CodeGrant, CodeGranting, LoginEnd, Redemption, SignIn, Store};
use tokensmith::domain::session::EndReason;

use super::super::{at, record};
use super::{
    NOTHING, code_is_there, end_of, end_of_device, ended, grant, live_logins, login, order, person,
    session_of, sign_in, sign_out,
};
use crate::harness::on_every_database;

const RACES: u8 = 50;

const OFFLINE: &str = "openid offline_access";

/// Runs both at once; which comes first is up to the database.
async fn race<A: Send + 'static, B: Send + 'static>(
    one: impl Future<Output = A> + Send + 'static,
    other: impl Future<Output = B> + Send + 'static,
) -> (A, B) {
    let (one, other) = (tokio::spawn(one), tokio::spawn(other));
    (one.await.unwrap(), other.await.unwrap())
}

/// A person of a number, signed in under the same number.
async fn signed_in(store: &Arc<dyn Store>, number: u8) {
    person(&**store, number).await;
    sign_in(&**store, number, number).await;
}

async fn give_out(store: Arc<dyn Store>, grant: CodeGrant) -> CodeGranting {
    store.grant_code(&grant, at(1), &record(1)).await.unwrap()
}

async fn redeem(store: Arc<dyn Store>, grant: CodeGrant) -> Redemption {
    let session = session_of(&grant);
    let digest = grant.code.digest;
    store
        .redeem_code(digest, &session, &record(1))
        .await
        .unwrap()
}

async fn end(store: Arc<dyn Store>, number: u8, end: LoginEnd) -> bool {
    let (login, user) = (LoginId([number; 16]), UserId([number; 16]));
    store.end_login(login, user, end, &record(1)).await.unwrap()
}

async fn end_everything(store: Arc<dyn Store>, number: u8) {
    let end = ended(1, EndReason::EndedByUser);
    let user = UserId([number; 16]);
    store
        .end_sessions_of(user, None, end, &record(1))
        .await
        .unwrap();
}

on_every_database! {
    async fn signing_out_leaves_no_code_that_is_given_out_meanwhile(database) {
        let store = database.open().await;
        for number in 0..RACES {
            signed_in(&store, number).await;
            let (_granted, is_ended) = race(
                give_out(Arc::clone(&store), grant(number, (number, number), OFFLINE)),
                end(Arc::clone(&store), number, sign_out(1)),
            )
            .await;
            assert!(is_ended);
            assert!(!code_is_there(&*store, number).await, "race {number}");
        }
    }
}

on_every_database! {
    async fn signing_out_everywhere_leaves_no_code_that_is_given_out_meanwhile(database) {
        let store = database.open().await;
        for number in 0..RACES {
            signed_in(&store, number).await;
            race(
                give_out(Arc::clone(&store), grant(number, (number, number), OFFLINE)),
                end_everything(Arc::clone(&store), number),
            )
            .await;
            assert_eq!(live_logins(&*store, number).await, NOTHING);
            assert!(!code_is_there(&*store, number).await, "race {number}");
        }
    }
}

on_every_database! {
    async fn signing_out_leaves_no_session_but_one_that_outlives_it(database) {
        let store = database.open().await;
        for number in 0..RACES {
            signed_in(&store, number).await;
            let scope = if number % 2 == 0 { "openid" } else { OFFLINE };
            let grant = grant(number, (number, number), scope);
            give_out(Arc::clone(&store), grant.clone()).await;
            let (redeemed, is_ended) = race(
                redeem(Arc::clone(&store), grant),
                end(Arc::clone(&store), number, sign_out(1)),
            )
            .await;
            assert!(is_ended);
            match redeemed {
                Redemption::Started => {
                    let lives = end_of(&*store, number).await.is_none();
                    assert_eq!(lives, scope == OFFLINE, "race {number}");
                }
                Redemption::AlreadyUsed => {
                    let session = store.find_session(SessionId([number; 16])).await.unwrap();
                    assert_eq!(session, None, "race {number}");
                }
                Redemption::UserDisabled => panic!("nobody is disabled"),
            }
        }
    }
}

on_every_database! {
    async fn ending_a_device_leaves_no_session_that_begins_meanwhile(database) {
        let store = database.open().await;
        for number in 0..RACES {
            signed_in(&store, number).await;
            let grant = grant(number, (number, number), OFFLINE);
            give_out(Arc::clone(&store), grant.clone()).await;
            let ending = end(Arc::clone(&store), number, end_of_device(1));
            race(redeem(Arc::clone(&store), grant), ending).await;
            let live = store.list_sessions(UserId([number; 16]), at(2)).await.unwrap();
            assert!(live.is_empty(), "race {number}: {live:?}");
        }
    }
}

on_every_database! {
    async fn whatever_ends_a_person_at_once_waits_for_nobody_in_a_circle(database) {
        let store = database.open().await;
        for number in 0..RACES {
            signed_in(&store, number).await;
            let first = grant(number, (number, number), OFFLINE);
            let second = grant(number + 100, (number, number), OFFLINE);
            give_out(Arc::clone(&store), first.clone()).await;
            give_out(Arc::clone(&store), second.clone()).await;
            race(
                race(
                    redeem(Arc::clone(&store), first),
                    end(Arc::clone(&store), number, end_of_device(1)),
                ),
                race(
                    redeem(Arc::clone(&store), second),
                    end_everything(Arc::clone(&store), number),
                ),
            )
            .await;
            let live = store.list_sessions(UserId([number; 16]), at(2)).await.unwrap();
            assert!(live.is_empty(), "race {number}: {live:?}");
            assert_eq!(live_logins(&*store, number).await, NOTHING);
        }
    }
}

on_every_database! {
    async fn a_login_that_is_ended_while_it_is_renewed_stays_ended(database) {
        let store = database.open().await;
        for number in 0..RACES {
            signed_in(&store, number).await;
            let one = Arc::clone(&store);
            let renewal = SignIn { renews: true, ..order(login(number, number)) };
            let renewing = async move { one.sign_in(&renewal, &record(1)).await.unwrap() };
            race(renewing, end(Arc::clone(&store), number, sign_out(1))).await;
            assert_eq!(live_logins(&*store, number).await, NOTHING, "race {number}");
        }
    }
}
