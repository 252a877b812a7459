//! Codes for people who are signed in, with the consents and pushed requests behind them.

use std::sync::Arc;

use tokensmith::domain::consent::Consent;
use tokensmith::domain::id::{LoginId, UserId};
use tokensmith::domain::ports::{
    CodeGrant, CodeGranting, GrantBasis, PushedName, PushedRequest, RequestDigest, Store,
    UserChange,
};
use tokensmith::domain::session::EndReason;
use tokensmith_verify::Audience;

use super::super::{at, record};
use super::{
    DAY, agreed, begin_by, code_is_there, end_of, ended, grant, live, live_logins, login, order,
    person, sign_in, sign_out,
};
use crate::harness::on_every_database;

async fn granted(store: &dyn Store, grant: &CodeGrant, seconds: i64) -> CodeGranting {
    let outcome = store.grant_code(grant, at(seconds), &record(seconds)).await;
    outcome.unwrap()
}

fn consent(user: u8, client: &str, scope: &str) -> Consent {
    Consent {
        user_id: UserId([user; 16]),
        client_id: client.parse().unwrap(),
        scope: scope.parse().unwrap(),
        audience: Audience::one("https://a.example"),
        granted_at: at(0),
    }
}

fn pushed(number: u8) -> PushedRequest {
    PushedRequest {
        digest: RequestDigest([number; 32]),
        client_id: "phone".parse().unwrap(),
        request: r#"{"ü":1}"#.to_owned(),
        expires_at: at(90),
    }
}

on_every_database! {
    async fn a_code_is_given_out_under_a_live_login_and_prolongs_it(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        let mut grant = grant(1, (7, 1), "openid");
        grant.idle_expires_at = at(4 * DAY);
        assert_eq!(granted(&*store, &grant, DAY).await, CodeGranting::Granted);
        let stored = store.find_code(grant.code.digest).await.unwrap().unwrap();
        assert_eq!((stored.code, stored.redeemed_for), (grant.code, None));
        let used = store.find_login(LoginId([7; 16])).await.unwrap().unwrap().login;
        assert_eq!((used.last_seen_at, used.idle_expires_at), (at(DAY), at(4 * DAY)));
    }
}

on_every_database! {
    async fn no_code_is_given_out_under_a_login_that_does_not_vouch_for_the_person(database) {
        let store = database.open().await;
        for number in 1..=3 {
            person(&*store, number).await;
        }
        for (number, user) in [(1, 1), (2, 1), (4, 2), (5, 3)] {
            sign_in(&*store, number, user).await;
        }
        let mut old = login(3, 1);
        old.idle_expires_at = at(8 * DAY);
        store.sign_in(&order(old), &record(0)).await.unwrap();
        store.end_login(LoginId([1; 16]), UserId([1; 16]), sign_out(1), &record(1)).await.unwrap();
        let disabled = ended(1, EndReason::UserDisabled);
        store.disable_user(UserId([3; 16]), disabled, &record(1)).await.unwrap();
        store.enable_user(UserId([3; 16]), &record(1)).await.unwrap();
        store.disable_user(UserId([3; 16]), disabled, &record(1)).await.unwrap();
        for (under, user, seconds, why) in [
            (1, 1, 2, "signed out"),
            (2, 1, 3 * DAY, "idle"),
            (3, 1, 7 * DAY, "at its end"),
            (4, 1, 2, "somebody else's"),
            (5, 3, 2, "disabled"),
            (6, 1, 2, "not there"),
        ] {
            store.push_request(&pushed(under)).await.unwrap();
            let refused = CodeGrant {
                basis: agreed(consent(user, "phone", "openid")),
                pushed: Some(PushedName::Stored(RequestDigest([under; 32]))),
                ..grant(under, (under, user), "openid")
            };
            let outcome = granted(&*store, &refused, seconds).await;
            assert_eq!(outcome, CodeGranting::LoginOver, "{why}");
            assert!(!code_is_there(&*store, under).await, "{why}");
            let kept = store.find_pushed_request(RequestDigest([under; 32])).await.unwrap();
            assert!(kept.is_some(), "{why}: whoever signs in again goes on with it");
            assert_eq!(store.list_consents(UserId([user; 16])).await.unwrap(), [], "{why}");
        }
    }
}

on_every_database! {
    async fn a_pushed_request_is_kept_and_answered_once(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        let find = async || store.find_pushed_request(RequestDigest([1; 32])).await.unwrap();
        assert_eq!(find().await, None);
        store.push_request(&pushed(1)).await.unwrap();
        assert_eq!(find().await, Some(pushed(1)));
        assert_eq!(find().await, Some(pushed(1)), "looking at it changes nothing");
        let answer = |number| CodeGrant {
            pushed: Some(PushedName::Stored(RequestDigest([1; 32]))),
            basis: agreed(consent(1, "phone", "openid")),
            ..grant(number, (7, 1), "openid")
        };
        assert_eq!(granted(&*store, &answer(1), 1).await, CodeGranting::Granted);
        assert_eq!(find().await, None);
        assert!(store.withdraw_consent(
            UserId([1; 16]), &"phone".parse().unwrap(), ended(2, EndReason::ConsentWithdrawn),
            &record(2),
        ).await.unwrap());
        assert_eq!(granted(&*store, &answer(2), 3).await, CodeGranting::RequestUsed);
        assert!(!code_is_there(&*store, 2).await);
        assert_eq!(store.list_consents(UserId([1; 16])).await.unwrap(), []);

        let discard = async || store.discard_pushed_request(RequestDigest([2; 32])).await.unwrap();
        assert!(!discard().await, "there is none");
        store.push_request(&pushed(2)).await.unwrap();
        assert!(discard().await);
        assert!(!discard().await);
    }
}

on_every_database! {
    async fn of_many_that_answer_one_pushed_request_one_gets_a_code(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        store.push_request(&pushed(1)).await.unwrap();
        let tasks: Vec<_> = (0..30_u8)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let pushed = RequestDigest([1; 32]);
                    if number % 3 == 0 {
                        return store.discard_pushed_request(pushed).await.unwrap();
                    }
                    let grant = CodeGrant { pushed: Some(PushedName::Stored(pushed)), ..grant(number, (7, 1), "openid") };
                    granted(&*store, &grant, 1).await == CodeGranting::Granted
                })
            })
            .collect();
        let mut answers = 0;
        for task in tasks {
            answers += usize::from(task.await.unwrap());
        }
        assert_eq!(answers, 1);
        let mut codes = 0;
        for number in 0..30 {
            codes += usize::from(code_is_there(&*store, number).await);
        }
        assert!(codes <= 1, "{codes} codes");
    }
}

on_every_database! {
    async fn a_consent_is_written_with_its_code_and_replaces_the_one_before(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        person(&*store, 2).await;
        sign_in(&*store, 7, 1).await;
        sign_in(&*store, 8, 2).await;
        let agree = async |number: u8, login: (u8, u8), consent: Consent| {
            let grant = CodeGrant { basis: agreed(consent), ..grant(number, login, "openid") };
            assert_eq!(granted(&*store, &grant, 1).await, CodeGranting::Granted);
        };
        let phone = "phone".parse().unwrap();
        let find = async || store.find_consent(UserId([1; 16]), &phone).await.unwrap();
        assert_eq!(find().await, None);
        agree(1, (7, 1), consent(1, "phone", "openid")).await;
        assert_eq!(find().await, Some(consent(1, "phone", "openid")));
        agree(2, (8, 2), consent(2, "phone", "openid email")).await;
        agree(3, (7, 1), consent(1, "shop", "email")).await;
        let joined = Consent {
            audience: Audience::from_recipients(["https://a.example", "https://b.example"]).unwrap(),
            granted_at: at(60),
            ..consent(1, "phone", "openid profile")
        };
        agree(4, (7, 1), joined.clone()).await;
        assert_eq!(find().await, Some(joined.clone()));
        let all = store.list_consents(UserId([1; 16])).await.unwrap();
        assert_eq!(all, [joined, consent(1, "shop", "email")]);
        assert_eq!(store.list_consents(UserId([2; 16])).await.unwrap().len(), 1);
        granted(&*store, &grant(5, (7, 1), "openid"), 2).await;
        assert_eq!(store.list_consents(UserId([1; 16])).await.unwrap(), all, "none said, none changed");
    }
}

on_every_database! {
    async fn a_consent_that_is_withdrawn_ends_what_the_client_has(database) {
        let store = database.open().await;
        for (user, login) in [(1, 7), (2, 8)] {
            person(&*store, user).await;
            sign_in(&*store, login, user).await;
        }
        let of = |number: u8, login: (u8, u8), client: &str, scope: &str| {
            let mut grant = grant(number, login, scope);
            grant.code.client_id = client.parse().unwrap();
            grant.basis = agreed(consent(login.1, client, scope));
            grant
        };
        begin_by(&*store, &of(1, (7, 1), "phone", "openid")).await;
        begin_by(&*store, &of(2, (7, 1), "phone", "openid offline_access")).await;
        begin_by(&*store, &of(3, (7, 1), "shop", "openid")).await;
        begin_by(&*store, &of(4, (8, 2), "phone", "openid")).await;
        granted(&*store, &of(5, (7, 1), "phone", "openid"), 0).await;
        granted(&*store, &of(6, (7, 1), "shop", "openid"), 0).await;
        let end = ended(1, EndReason::ConsentWithdrawn);
        let withdraw = async |client: &str| {
            let (user, client) = (UserId([1; 16]), client.parse().unwrap());
            store.withdraw_consent(user, &client, end, &record(1)).await.unwrap()
        };
        assert!(!withdraw("other").await);
        assert!(withdraw("phone").await);
        assert_eq!((live(&*store, 1).await, live(&*store, 2).await), (vec![3], vec![4]));
        assert_eq!(end_of(&*store, 2).await, Some(end), "offline or not");
        assert_eq!(live_logins(&*store, 1).await, [7], "the browser stays signed in");
        assert!(!code_is_there(&*store, 5).await);
        assert!(code_is_there(&*store, 6).await);
        let left = store.list_consents(UserId([1; 16])).await.unwrap();
        assert_eq!(left, [consent(1, "shop", "openid")]);
        assert!(!withdraw("phone").await, "it is withdrawn once");
    }
}

on_every_database! {
    async fn nothing_of_a_person_who_is_deleted_is_left(database) {
        let store = database.open().await;
        for (user, login) in [(1, 7), (2, 8)] {
            person(&*store, user).await;
            sign_in(&*store, login, user).await;
            let agreed = CodeGrant {
                basis: agreed(consent(user, "phone", "openid")),
                ..grant(user, (login, user), "openid")
            };
            begin_by(&*store, &agreed).await;
            granted(&*store, &grant(user + 10, (login, user), "openid"), 0).await;
        }
        let end = ended(1, EndReason::UserDeleted);
        let deleted = store.delete_user(UserId([1; 16]), end, &record(1)).await.unwrap();
        assert_eq!(deleted, UserChange::Changed);
        assert_eq!(store.list_consents(UserId([1; 16])).await.unwrap(), []);
        assert_eq!((live(&*store, 1).await, live_logins(&*store, 1).await), (vec![], vec![]));
        assert!(!code_is_there(&*store, 11).await);
        let late = granted(&*store, &grant(20, (7, 1), "openid"), 2).await;
        assert_eq!(late, CodeGranting::LoginOver);
        assert_eq!(store.list_consents(UserId([2; 16])).await.unwrap().len(), 1);
        assert_eq!((live(&*store, 2).await, live_logins(&*store, 2).await), (vec![2], vec![8]));
        assert!(code_is_there(&*store, 12).await);
    }
}

on_every_database! {
    async fn old_consents_and_pushed_requests_are_swept(database) {
        const YEAR: i64 = 365 * DAY;
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        for (number, client, seconds) in [(1, "phone", 0), (2, "shop", 60)] {
            let agreed = CodeGrant {
                basis: agreed(Consent { granted_at: at(seconds), ..consent(1, client, "openid") }),
                ..grant(number, (7, 1), "openid")
            };
            assert_eq!(granted(&*store, &agreed, 0).await, CodeGranting::Granted);
            let kept = PushedRequest { expires_at: at(90 + seconds), ..pushed(number) };
            store.push_request(&kept).await.unwrap();
        }
        let left = async || {
            let mut requests = 0;
            for number in 1..=2 {
                let found = store.find_pushed_request(RequestDigest([number; 32])).await.unwrap();
                requests += usize::from(found.is_some());
            }
            (requests, store.list_consents(UserId([1; 16])).await.unwrap().len())
        };
        for (over_before, expected) in [
            (90, (2, 2)),
            (91, (1, 2)),
            (151, (0, 2)),
            (YEAR, (0, 2)),
            (YEAR + 1, (0, 1)),
            (YEAR + 61, (0, 0)),
        ] {
            store.sweep(None, at(over_before), 10).await.unwrap();
            assert_eq!(left().await, expected, "{over_before}");
        }
    }
}

on_every_database! {
    async fn a_consent_that_was_taken_back_meanwhile_gives_no_code(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        let said = CodeGrant { basis: agreed(consent(1, "phone", "openid")), ..grant(1, (7, 1), "openid") };
        assert_eq!(granted(&*store, &said, 1).await, CodeGranting::Granted);
        let phone = "phone".parse().unwrap();
        let found = store.find_consent(UserId([1; 16]), &phone).await.unwrap().unwrap();
        let relying = |number| CodeGrant {
            basis: GrantBasis::Remembered(found.granted_at),
            ..grant(number, (7, 1), "openid")
        };
        assert_eq!(granted(&*store, &relying(2), 1).await, CodeGranting::Granted);
        let end = ended(2, EndReason::ConsentWithdrawn);
        assert!(store.withdraw_consent(UserId([1; 16]), &phone, end, &record(2)).await.unwrap());
        assert_eq!(granted(&*store, &relying(3), 3).await, CodeGranting::ConsentChanged);
        assert!(!code_is_there(&*store, 3).await);
    }
}

on_every_database! {
    async fn a_consent_given_twice_at_once_holds_both(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        let agree = |number: u8, scope: &'static str| {
            let basis = agreed(consent(1, "phone", scope));
            let grant = CodeGrant { basis, ..grant(number, (7, 1), "openid") };
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.grant_code(&grant, at(1), &record(1)).await.unwrap() })
        };
        for task in [agree(1, "openid email"), agree(2, "openid profile")] {
            assert_eq!(task.await.unwrap(), CodeGranting::Granted);
        }
        let phone = "phone".parse().unwrap();
        let found = store.find_consent(UserId([1; 16]), &phone).await.unwrap().unwrap();
        for scope in ["openid", "email", "profile"] {
            assert!(found.scope.contains(scope), "{scope}");
        }
    }
}
