//! Sessions, codes and counts: the store does what the pure rules say, whatever comes in which
//! order.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokensmith::domain::device::DeviceLabel;
use tokensmith::domain::id::{SessionId, UserId};
use tokensmith::domain::ports::{
    AuthorizationCode, Charge, CodeDigest, LoginSuccess, NewUser, PasswordOrder, Redemption,
    Rotation, SessionUse, Store, StoreError, UserChange, UserCreation,
};
use tokensmith::domain::revocation::StatusIndex;
use tokensmith::domain::rotation::{
    Chain, Decision, Generation, Presented, RetryKeyDigest, RotationPolicy, Step, decide,
};
use tokensmith::domain::session::{
    Authentication, AuthenticationMethod, Device, EndReason, Session, SessionEnd, SessionSecret,
    SessionTerms, Staying,
};
use tokensmith::domain::throttle::{Attempts, ThrottleKey, ThrottlePolicy};
use tokensmith::domain::user::Profile;
use tokensmith_verify::Audience;

use super::{at, record, record_at};
use crate::harness::on_every_database;

const POLICY: RotationPolicy = RotationPolicy {
    rotates: true,
    retry_window: TimeDelta::seconds(30),
    idle_lifetime: TimeDelta::days(30),
};

/// Of no known password.
pub(super) const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn user(number: u8, name: &str) -> NewUser {
    NewUser {
        id: UserId([number; 16]),
        username: name.parse().unwrap(),
        email: None,
        profile: Profile::default(),
        password: Some(HASH.parse().unwrap()),
        created_at: at(0),
    }
}

pub(super) fn authentication() -> Authentication {
    Authentication {
        at: at(0),
        methods: vec![AuthenticationMethod::Password],
    }
}

pub(super) fn code(number: u8, user: u8) -> AuthorizationCode {
    AuthorizationCode {
        digest: CodeDigest([number; 32]),
        client_id: "phone".parse().unwrap(),
        user_id: UserId([user; 16]),
        scope: "openid orders:read".parse().unwrap(),
        audience: Audience::try_from(vec!["https://a.example".into(), "https://b.example".into()])
            .unwrap(),
        code_challenge: Some("challenge".to_owned()),
        redirect_uri: None,
        login_id: None,
        nonce: Some("n".to_owned()),
        userinfo_claims: "name".parse().unwrap(),
        id_token_claims: "email phone_number".parse().unwrap(),
        authentication: authentication(),
        device: Some(DeviceLabel::parse("Küche").unwrap()),
        address: Some([192, 0, 2, 1].into()),
        expires_at: at(60),
    }
}

pub(super) fn session(number: u8, user: u8) -> Session {
    let code = code(number, user);
    Session {
        terms: SessionTerms {
            id: SessionId([number; 16]),
            user_id: code.user_id,
            client_id: code.client_id,
            login_id: code.login_id,
            secret: SessionSecret([number; 16]),
            status: StatusIndex::new(1, number.into()),
            scope: code.scope,
            audience: code.audience,
            claims: code.userinfo_claims,
            authentication: code.authentication,
            created_at: at(0),
            expires_at: at(180 * 86_400),
        },
        chain: Chain::new(at(0), &POLICY),
        last_seen_at: None,
        device: code.device,
        address: code.address,
        end: None,
    }
}

pub(super) async fn issue(store: &dyn Store, code: AuthorizationCode) -> bool {
    let login = LoginSuccess {
        code,
        password_changed_at: at(0),
        forget: vec![],
        refund: vec![],
    };
    store.issue_code(&login, at(0), &record(0)).await.unwrap()
}

/// Begins a session through a code of the same number.
pub(super) async fn begin(store: &dyn Store, number: u8, user: u8) -> Session {
    assert!(issue(store, code(number, user)).await);
    let session = session(number, user);
    let redeemed = store
        .redeem_code(CodeDigest([number; 32]), &session, &record(0))
        .await
        .unwrap();
    assert_eq!(redeemed, Redemption::Started);
    session
}

pub(super) async fn stored(store: &dyn Store, number: u8) -> Session {
    let found = store.find_session(SessionId([number; 16])).await.unwrap();
    found.unwrap().session
}

/// The first refresh of a session.
pub(super) fn rotation(number: u8) -> Rotation {
    Rotation {
        session: SessionId([number; 16]),
        step: Step {
            from: Generation::FIRST,
            to: Generation(2),
            at: at(5),
            retry_key: None,
            idle_expires_at: at(5) + POLICY.idle_lifetime,
        },
        address: None,
    }
}

pub(super) fn end(now: DateTime<Utc>, reason: EndReason) -> SessionEnd {
    SessionEnd { at: now, reason }
}

on_every_database! {
    async fn a_session_survives_the_database_unchanged(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        let begun = begin(&*store, 7, 1).await;
        assert_eq!(stored(&*store, 7).await, begun);
        let found = store.find_session(begun.terms.id).await.unwrap().unwrap();
        assert!(found.user_is_enabled);
        assert_eq!(store.find_session(SessionId([8; 16])).await.unwrap(), None);
    }
}

on_every_database! {
    async fn many_that_look_for_sessions_at_once_each_get_their_own(database) {
        let store = database.open().await;
        let ada = user(1, "ada");
        store.create_user(&ada, &record(0)).await.unwrap();
        for number in 1..=40 {
            begin(&*store, number, 1).await;
        }
        // Each four times, and some that are not there.
        let look = || async {
            let wanted = (0..200).map(|number| SessionId([number % 50; 16]));
            let found = wanted.map(|id| {
                let store = Arc::clone(&store);
                async move { (id.0[0], store.find_session(id).await) }
            });
            join_all(found).await
        };
        for (number, found) in look().await {
            let found = found.unwrap().map(|stored| stored.session);
            let expected = (1..=40).contains(&number).then(|| session(number, 1));
            assert_eq!(found, expected, "{number}");
        }
        let open = store.pool_use().open;
        assert!(open <= 4, "they waited for each other, and not for {open} connections");

        // One whose row cannot be read takes no other along.
        let broken = DeviceLabel::parse("broken").unwrap();
        store.rename_session(ada.id, SessionId([7; 16]), &broken).await.unwrap();
        database
            .execute("UPDATE sessions SET generation = -1 WHERE device = 'broken'")
            .await;
        for (number, found) in look().await {
            if number == 7 {
                assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
            } else {
                let is_there = found.unwrap().is_some();
                assert_eq!(is_there, (1..=40).contains(&number), "{number}");
            }
        }
    }
}

on_every_database! {
    async fn a_code_is_redeemed_once_and_in_time(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        begin(&*store, 7, 1).await;
        let again = async |number: u8| {
            let session = session(number, 1);
            store.redeem_code(CodeDigest([7; 32]), &session, &record(0)).await.unwrap()
        };
        assert_eq!(again(8).await, Redemption::AlreadyUsed);
        let found = store.find_code(CodeDigest([7; 32])).await.unwrap().unwrap();
        assert_eq!((found.code, found.redeemed_for), (code(7, 1), Some(SessionId([7; 16]))));
        assert_eq!(store.find_session(SessionId([8; 16])).await.unwrap(), None);

        assert!(issue(&*store, code(9, 1)).await);
        let mut late = session(9, 1);
        late.terms.created_at = at(60);
        let redeemed = store.redeem_code(CodeDigest([9; 32]), &late, &record(0)).await.unwrap();
        assert_eq!(redeemed, Redemption::AlreadyUsed, "it has expired");
    }
}

on_every_database! {
    async fn of_many_that_redeem_one_code_one_begins_a_session(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        assert!(issue(&*store, code(200, 1)).await);
        let tasks: Vec<_> = (0..50_u8)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let session = session(number, 1);
                    store.redeem_code(CodeDigest([200; 32]), &session, &record(0)).await.unwrap()
                })
            })
            .collect();
        let mut started = 0;
        for task in tasks {
            started += usize::from(task.await.unwrap() == Redemption::Started);
        }
        assert_eq!(started, 1);
        let sessions = store.list_sessions(UserId([1; 16]), at(1)).await.unwrap();
        assert_eq!(sessions.len(), 1);
    }
}

/// What may happen to a session.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A refresh token is presented: so many generations before or after the current one, with a
    /// key or without; decided on the row as it is, or as it was one event ago.
    Present {
        offset: i64,
        key: Option<u8>,
        on_stale_row: bool,
    },
    Wait {
        seconds: i64,
    },
    End,
    Disable,
    Enable,
}

fn event() -> impl Strategy<Value = Event> {
    let present = (-2_i64..=2, prop::option::of(0_u8..2), any::<bool>()).prop_map(
        |(offset, key, on_stale_row)| Event::Present {
            offset,
            key,
            on_stale_row,
        },
    );
    prop_oneof![
        20 => present,
        6 => prop_oneof![0_i64..60, 0_i64..3_000_000].prop_map(|seconds| Event::Wait { seconds }),
        1 => Just(Event::End),
        1 => Just(Event::Disable),
        1 => Just(Event::Enable),
    ]
}

/// The rules, and the clock of the history.
#[derive(Clone, Copy, Debug)]
struct Rules {
    chain: Chain,
    is_ended: bool,
    user_is_enabled: bool,
    now: DateTime<Utc>,
}

impl Rules {
    fn is_live(&self) -> bool {
        !self.is_ended && self.now < at(180 * 86_400)
    }

    /// The guards of the statement that rotates.
    fn lets_through(&self, step: &Step) -> bool {
        self.is_live()
            && self.user_is_enabled
            && self.chain.generation == step.from
            && step.at < self.chain.idle_expires_at
    }
}

on_every_database! {
    async fn the_store_follows_the_pure_rules_through_any_history(database) {
        let store = database.open().await;
        let mut runner = TestRunner::deterministic();
        for number in 0..60_u8 {
            let history = prop::collection::vec(event(), 5..40)
                .new_tree(&mut runner)
                .unwrap()
                .current();
            let name = format!("user{number}");
            store.create_user(&user(number, &name), &record(0)).await.unwrap();
            begin(&*store, number, number).await;
            play(&*store, number, &history).await;
        }
    }
}

async fn play(store: &dyn Store, number: u8, history: &[Event]) {
    let id = SessionId([number; 16]);
    let mut rules = Rules {
        chain: Chain::new(at(0), &POLICY),
        is_ended: false,
        user_is_enabled: true,
        now: at(1),
    };
    let mut past = vec![rules];
    for event in history {
        let user = UserId([number; 16]);
        match *event {
            Event::Wait { seconds } => rules.now += TimeDelta::seconds(seconds),
            Event::Present {
                offset,
                key,
                on_stale_row,
            } => {
                let generation = i64::from(rules.chain.generation.0) + offset;
                let Ok(generation) = u32::try_from(generation) else {
                    continue;
                };
                let presented = Presented {
                    generation: Generation(generation),
                    retry_key: key.map(|key| RetryKeyDigest([key; 16])),
                };
                let seen = if on_stale_row {
                    *past.last().unwrap()
                } else {
                    rules
                };
                let decision = decide(&seen.chain, seen.is_live(), &presented, rules.now, &POLICY);
                apply(store, id, &mut rules, decision).await;
            }
            Event::End => end_by_rule(store, id, &mut rules, EndReason::EndedByUser).await,
            Event::Disable => {
                let end = end(rules.now, EndReason::UserDisabled);
                let change = store
                    .disable_user(user, end, &record_at(rules.now))
                    .await
                    .unwrap();
                assert_eq!(change == UserChange::Changed, rules.user_is_enabled);
                rules.is_ended |= rules.user_is_enabled;
                rules.user_is_enabled = false;
            }
            Event::Enable => {
                store
                    .enable_user(user, &record_at(rules.now))
                    .await
                    .unwrap();
                rules.user_is_enabled = true;
            }
        }
        let row = store.find_session(id).await.unwrap().unwrap();
        assert_eq!(row.session.chain, rules.chain, "{event:?} in {history:?}");
        assert_eq!(
            row.session.end.is_some(),
            rules.is_ended,
            "{event:?} in {history:?}"
        );
        assert_eq!(
            row.user_is_enabled, rules.user_is_enabled,
            "{event:?} in {history:?}"
        );
        past.push(rules);
    }
}

async fn apply(store: &dyn Store, id: SessionId, rules: &mut Rules, decision: Decision) {
    match decision {
        Decision::Rotate(step) | Decision::CatchUp(step) => {
            let rotation = Rotation {
                session: id,
                step,
                address: None,
            };
            let moved = if matches!(decision, Decision::Rotate(_)) {
                store.rotate_session(&rotation).await.unwrap()
            } else {
                let record = record_at(rules.now);
                store.catch_up_session(&rotation, &record).await.unwrap()
            };
            assert_eq!(moved, rules.lets_through(&step), "{step:?} {rules:?}");
            if moved {
                rules.chain = rules.chain.after(&step);
            }
        }
        Decision::Reuse => end_by_rule(store, id, rules, EndReason::RefreshReuse).await,
        Decision::Keep | Decision::Repeat | Decision::Dead => {}
    }
}

async fn end_by_rule(store: &dyn Store, id: SessionId, rules: &mut Rules, reason: EndReason) {
    let end = end(rules.now, reason);
    let ended = store
        .end_session(id, end, &record_at(rules.now))
        .await
        .unwrap();
    assert_eq!(ended, !rules.is_ended, "a session ends once");
    rules.is_ended = true;
}

on_every_database! {
    async fn a_hundred_rotations_of_one_generation_move_it_once(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        begin(&*store, 7, 1).await;
        let step = Step {
            from: Generation::FIRST,
            to: Generation(2),
            at: at(5),
            retry_key: None,
            idle_expires_at: at(500),
        };
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let session = SessionId([7; 16]);
                    let rotation = Rotation { session, step, address: None };
                    store.rotate_session(&rotation).await.unwrap()
                })
            })
            .collect();
        let mut moved = 0;
        for task in tasks {
            moved += usize::from(task.await.unwrap());
        }
        assert_eq!(moved, 1);
        assert_eq!(stored(&*store, 7).await.chain.generation, Generation(2));
    }
}

on_every_database! {
    async fn disabling_and_logging_in_at_once_leaves_no_live_session(database) {
        let store = database.open().await;
        for number in 0..30_u8 {
            store.create_user(&user(number, &format!("user{number}")), &record(0)).await.unwrap();
            assert!(issue(&*store, code(number, number)).await);
            let (one, other) = (Arc::clone(&store), Arc::clone(&store));
            let redeem = tokio::spawn(async move {
                let session = session(number, number);
                one.redeem_code(CodeDigest([number; 32]), &session, &record(0)).await.unwrap()
            });
            let disable = tokio::spawn(async move {
                let end = end(at(1), EndReason::UserDisabled);
                other.disable_user(UserId([number; 16]), end, &record(1)).await.unwrap()
            });
            let (_redeemed, changed) = (redeem.await.unwrap(), disable.await.unwrap());
            assert_eq!(changed, UserChange::Changed);
            let live = store.list_sessions(UserId([number; 16]), at(2)).await.unwrap();
            assert!(live.is_empty(), "{live:?}");
        }
    }
}

on_every_database! {
    async fn ending_all_sessions_spares_the_one_and_those_of_others(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        store.create_user(&user(2, "bob"), &record(0)).await.unwrap();
        for number in 1..=4 {
            begin(&*store, number, 1).await;
        }
        begin(&*store, 9, 2).await;
        let all_but = Staying::from(Device::App(SessionId([2; 16])));
        let end = end(at(1), EndReason::EndedByUser);
        let ended = store
            .end_sessions_of(UserId([1; 16]), Some(&all_but), end, &record(1))
            .await
            .unwrap();
        assert_eq!(ended, 3);
        let live = async |user: u8| {
            let sessions = store.list_sessions(UserId([user; 16]), at(2)).await.unwrap();
            sessions.into_iter().map(|session| session.terms.id.0[0]).collect::<Vec<_>>()
        };
        assert_eq!((live(1).await, live(2).await), (vec![2], vec![9]));
        assert_eq!(stored(&*store, 1).await.end, Some(end));
    }
}

on_every_database! {
    async fn what_is_over_is_swept_and_what_lives_stays(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        for number in 1..=6 {
            begin(&*store, number, 1).await;
        }
        let over = end(at(10), EndReason::EndedByUser);
        store.end_session(SessionId([2; 16]), over, &record(10)).await.unwrap();
        store.end_session(SessionId([5; 16]), over, &record(10)).await.unwrap();
        let mut after = None;
        let mut pages = 0;
        loop {
            after = store.sweep(after, at(11), 2).await.unwrap();
            pages += 1;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, 4, "three pages and the end");
        let sessions = store.list_sessions(UserId([1; 16]), at(12)).await.unwrap();
        assert_eq!(sessions.len(), 4);
        for number in [2, 5] {
            assert_eq!(store.find_session(SessionId([number; 16])).await.unwrap(), None);
        }
    }
}

on_every_database! {
    async fn old_codes_and_counts_are_swept_with_every_page(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        begin(&*store, 1, 1).await;
        begin(&*store, 2, 1).await;
        let key = ThrottleKey([1; 16]);
        let strict = ThrottlePolicy { free: 1, ..ThrottlePolicy::ACCOUNT };
        store.charge_attempt(&[(key, strict)], at(0)).await.unwrap();
        let digest = CodeDigest([1; 32]);
        let a_day = 86_400;
        for (over_before, is_kept) in [(a_day, true), (a_day + 61, false)] {
            store.sweep(Some(SessionId([1; 16])), at(over_before), 10).await.unwrap();
            assert_eq!(store.find_code(digest).await.unwrap().is_some(), is_kept);
        }
        let charge = store.charge_attempt(&[(key, strict)], at(0)).await.unwrap();
        assert_eq!(charge, Charge::Charged, "forgotten");
    }
}

on_every_database! {
    async fn uses_are_written_down_and_prolong_but_never_revive(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        begin(&*store, 1, 1).await;
        begin(&*store, 2, 1).await;
        let over = end(at(10), EndReason::Revoked);
        store.end_session(SessionId([2; 16]), over, &record(10)).await.unwrap();
        let longer = at(40 * 86_400);
        let uses = [1, 2].map(|number| SessionUse {
            session: SessionId([number; 16]),
            seen_at: at(20),
            idle_expires_at: Some(longer),
        });
        store.record_session_use(&uses).await.unwrap();
        let seen = stored(&*store, 1).await;
        assert_eq!((seen.last_seen_at(), seen.chain.idle_expires_at), (at(20), longer));
        assert_eq!(stored(&*store, 2).await.last_seen_at, None);
        let earlier = SessionUse { seen_at: at(15), idle_expires_at: None, ..uses[0] };
        store.record_session_use(&[earlier]).await.unwrap();
        assert_eq!(stored(&*store, 1).await, seen);
    }
}

on_every_database! {
    async fn attempts_are_counted_one_by_one_even_at_once(database) {
        let store = database.open().await;
        let key = ThrottleKey([1; 16]);
        let policy = ThrottlePolicy { free: 1_000, ..ThrottlePolicy::ACCOUNT };
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    store.charge_attempt(&[(key, policy)], at(0)).await.unwrap()
                })
            })
            .collect();
        let mut charged = 0;
        for task in tasks {
            charged += u32::from(task.await.unwrap() == Charge::Charged);
        }
        // So many are left before the next has to wait: each that was let through was counted.
        let strict = ThrottlePolicy { free: charged, ..policy };
        let next = store.charge_attempt(&[(key, strict)], at(0)).await.unwrap();
        assert_eq!(next, Charge::BlockedUntil(at(1)));
        let expected = Attempts { count: charged, last_at: at(0) };
        assert_eq!(strict.charge(Some(expected), at(0)), Err(at(1)));
        store.refund_attempt(&[key]).await.unwrap();
        assert_eq!(store.charge_attempt(&[(key, strict)], at(0)).await.unwrap(), Charge::Charged);
    }
}

on_every_database! {
    async fn an_account_takes_its_names_and_gives_them_back(database) {
        let store = database.open().await;
        let mut ada = user(1, "ada");
        ada.email = Some("ada@example.com".parse().unwrap());
        let create = async |new: &NewUser| store.create_user(new, &record(0)).await.unwrap();
        assert_eq!(create(&ada).await, UserCreation::Created);
        let mut other = user(2, "other");
        other.email = Some("ADA@example.com".parse().unwrap());
        assert_eq!(create(&other).await, UserCreation::NameTaken);
        other.email = None;
        assert_eq!(create(&other).await, UserCreation::Created, "its name was not kept");
        let key = "ada@example.com".parse::<tokensmith::domain::identifier::EmailAddress>();
        let found = store.find_account(&key.unwrap().key()).await.unwrap().unwrap();
        assert_eq!(found.user.id, ada.id);
        begin(&*store, 7, 1).await;
        let gone = end(at(1), EndReason::UserDeleted);
        let deleted = store.delete_user(ada.id, gone, &record(1)).await.unwrap();
        assert_eq!(deleted, UserChange::Changed);
        assert_eq!(stored(&*store, 7).await.end, Some(gone));
        let again = user(3, "ADA");
        assert_eq!(create(&again).await, UserCreation::Created);
        let deleted = store.delete_user(ada.id, gone, &record(1)).await.unwrap();
        assert_eq!(deleted, UserChange::NoSuchUser);
    }
}

on_every_database! {
    async fn a_use_that_is_written_down_late_still_prolongs(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        begin(&*store, 1, 1).await;
        let longer = at(40 * 86_400);
        // One replica saw a refresh, another an introspection a moment later, and was first.
        let introspected = SessionUse {
            session: SessionId([1; 16]),
            seen_at: at(21),
            idle_expires_at: None,
        };
        let refreshed = SessionUse {
            seen_at: at(20),
            idle_expires_at: Some(longer),
            ..introspected
        };
        store.record_session_use(&[introspected]).await.unwrap();
        store.record_session_use(&[refreshed]).await.unwrap();
        let seen = stored(&*store, 1).await;
        assert_eq!((seen.last_seen_at(), seen.chain.idle_expires_at), (at(21), longer));
    }
}

on_every_database! {
    async fn logins_that_settle_at_once_do_not_wait_in_a_circle(database) {
        let store = database.open().await;
        store.create_user(&user(1, "ada"), &record(0)).await.unwrap();
        let (account, address) = (ThrottleKey([9; 16]), ThrottleKey([1; 16]));
        let policy = ThrottlePolicy { free: 10_000, ..ThrottlePolicy::ADDRESS };
        let tasks: Vec<_> = (0..40_u8)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let keys = [(account, policy), (address, policy)];
                    store.charge_attempt(&keys, at(0)).await.unwrap();
                    let login = LoginSuccess {
                        code: code(number, 1),
                        password_changed_at: at(0),
                        forget: vec![account],
                        refund: vec![address],
                    };
                    store.issue_code(&login, at(0), &record(0)).await.unwrap()
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap());
        }
    }
}

on_every_database! {
    async fn a_password_that_was_changed_in_between_voids_a_login_and_its_codes(database) {
        let store = database.open().await;
        let ada = user(1, "ada");
        store.create_user(&ada, &record(0)).await.unwrap();
        assert!(issue(&*store, code(1, 1)).await);
        let (old, new) = (ada.password.unwrap(), HASH.replace("m=64", "m=72").parse().unwrap());
        store.upgrade_password_hash(ada.id, &old, &new).await.unwrap();
        assert!(issue(&*store, code(2, 1)).await, "an upgrade of the hash voids nothing");
        let order = PasswordOrder {
            user: ada.id,
            password: old,
            replaces: Some(at(0)),
            keep: None,
            end: end(at(5), EndReason::PasswordChanged),
        };
        let changed = store.set_password(&order, &record(5)).await.unwrap();
        assert_eq!(changed, UserChange::Changed);
        assert!(!issue(&*store, code(3, 1)).await, "it was for the old password");
        for number in [1, 2] {
            assert_eq!(store.find_code(CodeDigest([number; 32])).await.unwrap(), None);
        }
        let again = store.set_password(&order, &record(6)).await.unwrap();
        assert_eq!(again, UserChange::Unchanged);
    }
}
