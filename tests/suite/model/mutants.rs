//! Wrong designs, each of which breaks the property that is there for it. A property that lets its
//! mutant live says nothing.

use chrono::TimeDelta;
use tokensmith::domain::rotation::{Decision, Presented, RotationPolicy, Step, decide};

use super::design::{Decide, Design, Store};
use super::explorer::{Claim, Questions, explore};
use super::isolation::TWO_DEVICES;
use super::properties::{
    ENDED_STAYS_ENDED, GETS_THROUGH, NOBODY_SHARES_A_TOKEN, ONE_SUCCESSOR, ONE_WAY_FORWARD,
    REPEAT_WRITES_NOTHING, SESSIONS_ARE_ISOLATED, SHARED_WITHIN_THE_WINDOW, STAYS_LOGGED_IN,
    THEFT_SHOWS,
};
use super::setting::{Assumption, Fault, Keys, RetryWindow, Setting, Theft};
use super::sights::NOBODY_WAITS;

const HONEST: Setting = Setting {
    faults: &[Fault::Restore],
    assuming: &[Assumption::TokensSettle],
    ..Setting::PLAIN
};

const WITH_A_THIEF: Setting = Setting {
    theft: Theft::OfAToken,
    ticks: 0,
    ..Setting::PLAIN
};

#[test]
fn that_every_replaced_token_is_reuse_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| match decide(
        chain, is_live, presented, now, policy,
    ) {
        Decision::Repeat => Decision::Reuse,
        other => other,
    };
    assert_caught(HONEST, mutant, STAYS_LOGGED_IN);
    assert_caught(HONEST, mutant, GETS_THROUGH);
}

#[test]
fn that_keys_are_ignored_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| {
        let without_key = Presented {
            retry_key: None,
            ..*presented
        };
        decide(chain, is_live, &without_key, now, policy)
    };
    assert_caught(HONEST, mutant, STAYS_LOGGED_IN);
}

#[test]
fn that_a_token_from_the_future_is_reuse_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| match decide(
        chain, is_live, presented, now, policy,
    ) {
        Decision::CatchUp(_) => Decision::Reuse,
        other => other,
    };
    assert_caught(HONEST, mutant, STAYS_LOGGED_IN);
}

#[test]
fn that_catching_up_takes_one_step_only_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| match decide(
        chain, is_live, presented, now, policy,
    ) {
        Decision::CatchUp(step) => Decision::CatchUp(Step {
            to: chain.generation.next().unwrap(),
            ..step
        }),
        other => other,
    };
    assert_caught(HONEST, mutant, ONE_SUCCESSOR);
}

#[test]
fn that_every_older_token_is_a_retry_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| match decide(
        chain, is_live, presented, now, policy,
    ) {
        Decision::Reuse => Decision::Repeat,
        other => other,
    };
    assert_caught(WITH_A_THIEF, mutant, NOBODY_SHARES_A_TOKEN);
    assert_caught(WITH_A_THIEF, mutant, THEFT_SHOWS);
    assert_caught(WITH_A_THIEF, mutant, ONE_SUCCESSOR);
}

#[test]
fn that_no_key_is_taken_for_the_same_key_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| {
        let is_previous = presented.generation.next() == Some(chain.generation);
        let same_key = presented.retry_key == chain.rotated_with;
        match decide(chain, is_live, presented, now, policy) {
            Decision::Reuse if is_previous && same_key => Decision::Repeat,
            other => other,
        }
    };
    let setting = Setting {
        keys: Keys::Never,
        ..WITH_A_THIEF
    };
    assert_caught(setting, mutant, NOBODY_SHARES_A_TOKEN);
    assert_caught(setting, mutant, THEFT_SHOWS);
}

#[test]
fn that_the_window_never_closes_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| {
        let open = RotationPolicy {
            retry_window: TimeDelta::days(1),
            ..*policy
        };
        decide(chain, is_live, presented, now, &open)
    };
    let setting = Setting {
        retry_window: RetryWindow::Open,
        ticks: 1,
        ..WITH_A_THIEF
    };
    assert_caught(setting, mutant, SHARED_WITHIN_THE_WINDOW);
    assert_caught(setting, mutant, THEFT_SHOWS);
}

#[test]
fn that_a_retry_makes_a_new_token_is_noticed() {
    let mutant: Decide = |chain, is_live, presented, now, policy| match decide(
        chain, is_live, presented, now, policy,
    ) {
        Decision::Repeat => Decision::Rotate(Step {
            from: chain.generation,
            to: chain.generation.next().unwrap(),
            at: now,
            retry_key: presented.retry_key,
            idle_expires_at: now + policy.idle_lifetime,
        }),
        other => other,
    };
    assert_caught(HONEST, mutant, ONE_SUCCESSOR);
}

#[test]
fn that_ended_sessions_go_on_is_noticed() {
    let mutant: Decide =
        |chain, _, presented, now, policy| decide(chain, true, presented, now, policy);
    assert_caught(WITH_A_THIEF, mutant, ENDED_STAYS_ENDED);
    assert_store_is_caught(WITH_A_THIEF, Store::MovesWhatHasEnded, ENDED_STAYS_ENDED);
}

#[test]
fn that_the_store_does_not_compare_is_noticed() {
    assert_store_is_caught(WITH_A_THIEF, Store::Overwrites, ONE_WAY_FORWARD);
    assert_store_is_caught(WITH_A_THIEF, Store::Overwrites, ENDED_STAYS_ENDED);
}

#[test]
fn that_a_repeat_is_written_is_noticed() {
    let setting = Setting {
        retry_window: RetryWindow::Open,
        ..HONEST
    };
    assert_store_is_caught(setting, Store::WritesOnRepeat, REPEAT_WRITES_NOTHING);
}

#[test]
fn that_a_replay_ends_all_sessions_of_a_person_is_noticed() {
    assert_store_is_caught(TWO_DEVICES, Store::EndsEverySession, SESSIONS_ARE_ISOLATED);
    assert_store_is_caught(TWO_DEVICES, Store::EndsEverySession, STAYS_LOGGED_IN);
}

#[test]
fn that_no_request_is_ever_answered_is_noticed() {
    let setting = Setting {
        design: Design {
            store: Store::NeverMoves,
            ..Design::PRODUCTION
        },
        ..HONEST
    };
    let questions = Questions {
        possible_from_everywhere: &[NOBODY_WAITS],
        ..Questions::NONE
    };
    assert!(explore(&setting, &questions).violation.is_some());
}

fn assert_store_is_caught(setting: Setting, store: Store, claim: Claim<Setting>) {
    let design = Design {
        store,
        ..Design::PRODUCTION
    };
    assert_tells_from_production(setting, design, claim);
}

fn assert_caught(setting: Setting, decide: Decide, claim: Claim<Setting>) {
    let design = Design {
        decide,
        ..Design::PRODUCTION
    };
    assert_tells_from_production(setting, design, claim);
}

/// The mutant breaks the claim where the real design does not.
fn assert_tells_from_production(setting: Setting, mutant: Design, claim: Claim<Setting>) {
    let name = claim.name;
    let with_mutant = Setting {
        design: mutant,
        ..setting
    };
    let questions = Questions {
        always: &[claim],
        ..Questions::NONE
    };
    let broken_by = |setting| explore(setting, &questions).violation;
    if let Some(violation) = broken_by(&setting) {
        panic!("of the real design {violation}");
    }
    assert!(broken_by(&with_mutant).is_some(), "nobody noticed: {name}");
}
