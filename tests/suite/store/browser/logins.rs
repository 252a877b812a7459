//! Logins: how they begin, go on and end.

use tokensmith::domain::device::DeviceLabel;
use tokensmith::domain::id::{LoginId, SessionId, UserId};
use tokensmith::domain::ports::{
    Charge, PasswordOrder, SignIn, SignInOutcome, Store, StoredLogin, UserChange,
};
use tokensmith::domain::session::{Device, EndReason, SessionSecret, Staying};
use tokensmith::domain::throttle::{ThrottleKey, ThrottlePolicy};
use tokensmith::domain::user::Profile;

use super::super::sessions::{HASH, begin as begin_without_browser};
use super::super::{at, record};
use super::{
    DAY, NOTHING, begin, code_is_there, end_of, end_of_device, ended, grant, live, live_logins,
    login, order, person, sign_in, sign_out,
};
use crate::harness::on_every_database;

async fn found(store: &dyn Store, number: u8) -> Option<StoredLogin> {
    store.find_login(LoginId([number; 16])).await.unwrap()
}

async fn outcome(store: &dyn Store, order: &SignIn) -> SignInOutcome {
    store.sign_in(order, &record(0)).await.unwrap()
}

on_every_database! {
    async fn a_login_begins_and_comes_back_as_it_was_stored(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        let mut begun = login(7, 1);
        begun.authentication.at = at(5);
        assert_eq!(outcome(&*store, &order(begun.clone())).await, SignInOutcome::SignedIn);
        let stored = found(&*store, 7).await.unwrap();
        assert_eq!(stored.login, begun);
        let user = stored.user.unwrap();
        assert_eq!((user.id, user.last_login_at), (UserId([1; 16]), Some(at(5))));
        assert_eq!(found(&*store, 8).await, None);
        assert_eq!(store.list_logins(UserId([1; 16]), at(6)).await.unwrap(), vec![begun]);
        assert_eq!(store.list_logins(UserId([2; 16]), at(6)).await.unwrap(), vec![]);
        for over in [at(3 * DAY), at(7 * DAY)] {
            assert_eq!(store.list_logins(UserId([1; 16]), over).await.unwrap(), vec![]);
        }
    }
}

on_every_database! {
    async fn a_sign_in_settles_what_was_counted_against_it(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        let (account, address) = (ThrottleKey([9; 16]), ThrottleKey([1; 16]));
        let strict = ThrottlePolicy { free: 1, ..ThrottlePolicy::ACCOUNT };
        let keys = [(account, strict), (address, strict)];
        let charge = async || store.charge_attempt(&keys, at(0)).await.unwrap();
        assert_eq!(charge().await, Charge::Charged);
        assert!(matches!(charge().await, Charge::BlockedUntil(_)));
        let settling = SignIn {
            forget: vec![account],
            refund: vec![address],
            ..order(login(7, 1))
        };
        assert_eq!(outcome(&*store, &settling).await, SignInOutcome::SignedIn);
        assert_eq!(charge().await, Charge::Charged, "both are free again");
    }
}

on_every_database! {
    async fn who_signs_in_again_has_the_same_login_with_a_new_secret(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        let mut again = login(7, 1);
        again.secret = SessionSecret([99; 16]);
        again.authentication.at = at(60);
        again.device = Some(DeviceLabel::parse("Flur").unwrap());
        again.address = None;
        (again.last_seen_at, again.idle_expires_at) = (at(60), at(4 * DAY));
        again.expires_at = at(8 * DAY);
        let renewal = SignIn { renews: true, ..order(again.clone()) };
        assert_eq!(outcome(&*store, &renewal).await, SignInOutcome::SignedIn);
        assert_eq!(found(&*store, 7).await.unwrap().login, again);
        assert_eq!(live_logins(&*store, 1).await, [7], "there is no second one");
    }
}

on_every_database! {
    async fn a_login_that_is_over_or_somebody_elses_is_not_renewed(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        person(&*store, 2).await;
        let theirs = sign_in(&*store, 5, 2).await;
        sign_in(&*store, 7, 1).await;
        store.end_login(LoginId([7; 16]), UserId([1; 16]), sign_out(1), &record(1)).await.unwrap();
        for number in [5, 7, 9] {
            let renewal = SignIn { renews: true, ..order(login(number, 1)) };
            assert_eq!(outcome(&*store, &renewal).await, SignInOutcome::LoginOver, "{number}");
        }
        assert_eq!(found(&*store, 5).await.unwrap().login, theirs);
        assert_eq!(found(&*store, 7).await.unwrap().login.ended_at, Some(at(1)));
        assert_eq!(live_logins(&*store, 1).await, NOTHING);
    }
}

on_every_database! {
    async fn an_account_that_changed_in_between_voids_a_sign_in(database) {
        let store = database.open().await;
        for number in 1..=3 {
            person(&*store, number).await;
        }
        let change = PasswordOrder {
            user: UserId([1; 16]),
            password: HASH.parse().unwrap(),
            replaces: Some(at(0)),
            keep: None,
            end: ended(5, EndReason::PasswordChanged),
        };
        store.set_password(&change, &record(5)).await.unwrap();
        let disabled = ended(5, EndReason::UserDisabled);
        store.disable_user(UserId([2; 16]), disabled, &record(5)).await.unwrap();
        store.delete_user(UserId([3; 16]), disabled, &record(5)).await.unwrap();
        for user in 1..=3 {
            let void = outcome(&*store, &order(login(user, user))).await;
            assert_eq!(void, SignInOutcome::AccountChanged, "{user}");
            assert_eq!(found(&*store, user).await, None);
        }
        let with_the_new_one = SignIn { password_changed_at: at(5), ..order(login(1, 1)) };
        assert_eq!(outcome(&*store, &with_the_new_one).await, SignInOutcome::SignedIn);
    }
}

on_every_database! {
    async fn the_use_of_a_login_is_noted_while_it_lives(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        sign_in(&*store, 8, 1).await;
        store.end_login(LoginId([8; 16]), UserId([1; 16]), sign_out(1), &record(1)).await.unwrap();
        let note = async |number: u8, seconds: i64| {
            let idle = at(seconds + 3 * DAY);
            store.note_login_use(LoginId([number; 16]), at(seconds), idle).await.unwrap();
            let login = found(&*store, number).await.unwrap().login;
            (login.last_seen_at, login.idle_expires_at)
        };
        assert_eq!(note(7, 60).await, (at(60), at(60 + 3 * DAY)));
        assert_eq!(note(7, 30).await, (at(60), at(60 + 3 * DAY)), "another replica was late");
        assert_eq!(note(7, 60 + 3 * DAY).await, (at(60), at(60 + 3 * DAY)), "it revives nothing");
        assert_eq!(note(8, 60).await, (at(0), at(3 * DAY)), "it was signed out");
    }
}

on_every_database! {
    async fn signing_out_ends_the_login_and_what_does_not_outlive_it(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        sign_in(&*store, 8, 1).await;
        begin(&*store, 1, (7, 1), "openid").await;
        begin(&*store, 2, (7, 1), "openid offline_access").await;
        begin(&*store, 3, (8, 1), "openid").await;
        for (number, under) in [(4, 7), (5, 7), (6, 8)] {
            let scope = if number == 5 { "openid offline_access" } else { "openid" };
            let code = grant(number, (under, 1), scope);
            store.grant_code(&code, at(0), &record(0)).await.unwrap();
        }
        let end = sign_out(1);
        let ends = async |user: u8| {
            store.end_login(LoginId([7; 16]), UserId([user; 16]), end, &record(1)).await.unwrap()
        };
        assert!(!ends(2).await, "somebody else's");
        assert_eq!(live_logins(&*store, 1).await, [7, 8]);
        assert!(ends(1).await);
        assert_eq!(live_logins(&*store, 1).await, [8]);
        assert_eq!(live(&*store, 1).await, [2, 3]);
        assert_eq!(end_of(&*store, 1).await, Some(end.end));
        for (number, stays) in [(1, true), (2, true), (4, false), (5, false), (6, true)] {
            assert_eq!(code_is_there(&*store, number).await, stays, "{number}");
        }
        assert!(!ends(1).await, "it ends once");
        assert_eq!(found(&*store, 7).await.unwrap().login.ended_at, Some(at(1)));
    }
}

on_every_database! {
    async fn a_device_ends_with_everything_on_it(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        begin(&*store, 1, (7, 1), "openid").await;
        begin(&*store, 2, (7, 1), "openid offline_access").await;
        let end = end_of_device(1);
        let done = store.end_login(LoginId([7; 16]), UserId([1; 16]), end, &record(1)).await;
        assert!(done.unwrap());
        assert_eq!(live(&*store, 1).await, NOTHING);
        assert_eq!(end_of(&*store, 2).await, Some(end.end));
    }
}

/// Two browsers and two apps without one of a person, and a browser of somebody else.
async fn at_home(store: &dyn Store) {
    person(store, 1).await;
    person(store, 2).await;
    for (login, user) in [(7, 1), (8, 1), (9, 2)] {
        sign_in(store, login, user).await;
    }
    begin(store, 1, (7, 1), "openid").await;
    begin(store, 2, (7, 1), "openid offline_access").await;
    begin(store, 3, (8, 1), "openid offline_access").await;
    begin(store, 4, (9, 2), "openid").await;
    for number in [5, 6] {
        begin_without_browser(store, number, 1).await;
    }
    let unused = grant(10, (7, 1), "openid");
    store.grant_code(&unused, at(0), &record(0)).await.unwrap();
}

on_every_database! {
    async fn ending_all_others_keeps_a_browser_with_its_apps(database) {
        let store = database.open().await;
        at_home(&*store).await;
        let keep = Staying::from(Device::Browser(LoginId([7; 16])));
        let end = ended(1, EndReason::EndedByUser);
        let others = store.end_sessions_of(UserId([1; 16]), Some(&keep), end, &record(1)).await.unwrap();
        assert_eq!(others, 3);
        assert_eq!((live_logins(&*store, 1).await, live(&*store, 1).await), (vec![7], vec![1, 2]));
        assert_eq!((live_logins(&*store, 2).await, live(&*store, 2).await), (vec![9], vec![4]));
        assert!(!code_is_there(&*store, 10).await, "a code is no session yet");

        let nothing = store.end_sessions_of(UserId([1; 16]), Some(&keep), end, &record(1)).await.unwrap();
        assert_eq!(nothing, 0);
        let all = store.end_sessions_of(UserId([1; 16]), None, end, &record(1)).await.unwrap();
        assert_eq!(all, 2);
        assert_eq!((live_logins(&*store, 1).await, live(&*store, 1).await), (vec![], vec![]));
    }
}

on_every_database! {
    async fn a_new_password_keeps_the_browser_in_which_it_was_changed(database) {
        let store = database.open().await;
        at_home(&*store).await;
        let mut order = PasswordOrder {
            user: UserId([1; 16]),
            password: HASH.parse().unwrap(),
            replaces: Some(at(0)),
            keep: Some(Device::Browser(LoginId([8; 16])).into()),
            end: ended(1, EndReason::PasswordChanged),
        };
        let changed = store.set_password(&order, &record(1)).await.unwrap();
        assert_eq!(changed, UserChange::Changed);
        assert_eq!((live_logins(&*store, 1).await, live(&*store, 1).await), (vec![8], vec![3]));
        assert_eq!(end_of(&*store, 2).await, Some(order.end));
        (order.replaces, order.keep) = (None, Some(Device::App(SessionId([3; 16])).into()));
        store.set_password(&order, &record(2)).await.unwrap();
        assert_eq!(live_logins(&*store, 1).await, NOTHING, "an app keeps itself, not a browser");
        assert_eq!(live(&*store, 1).await, [3]);
        assert_eq!((live_logins(&*store, 2).await, live(&*store, 2).await), (vec![9], vec![4]));
    }
}

on_every_database! {
    async fn who_is_disabled_is_signed_in_nowhere(database) {
        let store = database.open().await;
        at_home(&*store).await;
        let end = ended(1, EndReason::UserDisabled);
        store.disable_user(UserId([1; 16]), end, &record(1)).await.unwrap();
        assert_eq!((live_logins(&*store, 1).await, live(&*store, 1).await), (vec![], vec![]));
        let stored = found(&*store, 7).await.unwrap();
        assert_eq!((stored.login.ended_at, stored.user), (Some(at(1)), None));
        store.enable_user(UserId([1; 16]), &record(2)).await.unwrap();
        assert_eq!(live_logins(&*store, 1).await, NOTHING, "nor afterwards");
    }
}

on_every_database! {
    async fn logins_that_are_over_for_good_are_swept(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        sign_in(&*store, 7, 1).await;
        let mut longer = login(8, 1);
        longer.expires_at = at(9 * DAY);
        outcome(&*store, &order(longer)).await;
        store.sweep(None, at(7 * DAY), 10).await.unwrap();
        assert!(found(&*store, 7).await.is_some());
        store.sweep(None, at(7 * DAY + 1), 10).await.unwrap();
        assert_eq!(found(&*store, 7).await, None);
        assert!(found(&*store, 8).await.is_some());
    }
}

on_every_database! {
    async fn a_profile_is_replaced_while_its_person_is_enabled(database) {
        let store = database.open().await;
        person(&*store, 1).await;
        let profile = Profile {
            name: Some("Ada".to_owned()),
            address: Some("1 Street\nTown".to_owned()),
            ..Profile::default()
        };
        let change = async |user: u8| {
            store.change_profile(UserId([user; 16]), &profile, &record(1)).await.unwrap()
        };
        assert_eq!(change(1).await, UserChange::Changed);
        let user = store.find_user(UserId([1; 16])).await.unwrap().unwrap();
        assert_eq!(user.profile, profile);
        assert_eq!(change(2).await, UserChange::NoSuchUser);
        let disabled = ended(1, EndReason::UserDisabled);
        store.disable_user(UserId([1; 16]), disabled, &record(1)).await.unwrap();
        assert_eq!(change(1).await, UserChange::NoSuchUser);
    }
}
