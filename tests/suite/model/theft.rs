//! What becomes of a stolen refresh token. But for one test, whose states would be too many, nothing
//! is assumed of the client: copies of its requests come as late as they may.

use tokensmith::domain::rotation::Generation;

use super::explorer::{Claim, Questions};
use super::properties::{
    ENDED_STAYS_ENDED, NOBODY_SHARES_A_TOKEN, ONE_SUCCESSOR, ONE_WAY_FORWARD,
    ONLY_THE_STOLEN_IS_SHARED, REPEAT_WRITES_NOTHING, SHARED_WITHIN_THE_WINDOW, THEFT_SHOWS,
};
use super::setting::{Assumption, Fault, Keys, RetryWindow, Setting, Theft};
use super::sights::{
    A_CATCH_UP, A_CLIENT_AT_THE_END, A_DEAD_TOKEN, A_LOST_RACE, A_REPEAT, A_RESURRECTION, A_REUSE,
    A_THIEF_AT_THE_END,
};
use super::{assert_holds, story_against};

/// Keys are sent and the retry window is closed: then nothing depends on time.
const NO_WINDOW: Setting = Setting {
    theft: Theft::OfAToken,
    ticks: 0,
    ..Setting::PLAIN
};

const WINDOW: Setting = Setting {
    retry_window: RetryWindow::Open,
    ticks: 1,
    last_generation: Generation(3),
    ..NO_WINDOW
};

#[test]
fn without_a_window_no_token_serves_both_client_and_thief() {
    let setting = Setting {
        last_generation: Generation(6),
        ..NO_WINDOW
    };
    assert_thieves_are_bounded(&setting, NOBODY_SHARES_A_TOKEN, 8_000);
    let two_tabs = Setting {
        tabs: 2,
        last_generation: Generation(3),
        ..NO_WINDOW
    };
    assert_thieves_are_bounded(&two_tabs, NOBODY_SHARES_A_TOKEN, 5_000);
}

#[test]
fn a_restore_forgives_what_came_after_the_backup_and_nothing_else() {
    let setting = Setting {
        faults: &[Fault::Restore],
        ..NO_WINDOW
    };
    assert_thieves_are_bounded(&setting, NOBODY_SHARES_A_TOKEN, 40_000);
}

#[test]
fn with_a_window_a_token_serves_both_within_it_only() {
    assert_thieves_are_bounded(&WINDOW, SHARED_WITHIN_THE_WINDOW, 10_000);
    let without_keys = Setting {
        keys: Keys::Never,
        ..WINDOW
    };
    assert_thieves_are_bounded(&without_keys, SHARED_WITHIN_THE_WINDOW, 10_000);
}

#[test]
fn with_a_window_and_a_restore_theft_shows_as_well() {
    let setting = Setting {
        faults: &[Fault::Restore],
        assuming: &[Assumption::TokensSettle],
        ..WINDOW
    };
    assert_thieves_are_bounded(&setting, SHARED_WITHIN_THE_WINDOW, 60_000);
}

#[test]
fn the_key_of_the_stolen_token_is_good_for_that_token_alone() {
    for keys in [Keys::ForEachRequest, Keys::BesideTheToken] {
        let setting = Setting {
            theft: Theft::OfAStore,
            keys,
            ..NO_WINDOW
        };
        assert_thieves_are_bounded(&setting, ONLY_THE_STOLEN_IS_SHARED, 7_000);
    }
}

#[test]
fn a_thief_who_keeps_pace_within_the_window_goes_unnoticed() {
    let story = story_against(&WINDOW, ONLY_THE_STOLEN_IS_SHARED).expect("thieves are noticed");
    assert_eq!(
        story,
        [
            "use 1 by tab A with key a1",
            "1 by tab A with key a1 arrives; 1 is current: rotate",
            "1 by tab A with key a1 is written; 2 is current",
            "1 by thief with a key of its own arrives; 2 is current: repeat",
            "2 by thief with a key of its own arrives; 2 is current: rotate",
            "1 by tab A with key a1 gets 2",
            "use 2 by tab A with key a2",
            "2 by thief with a key of its own is written; 3 is current",
            "2 by tab A with key a2 arrives; 3 is current: repeat",
        ]
    );
}

/// So keys have to be random, and are not to be derived from the token.
#[test]
fn a_thief_who_knows_every_key_goes_unnoticed_for_good() {
    let setting = Setting {
        theft: Theft::OfEveryKey,
        ..NO_WINDOW
    };
    assert!(story_against(&setting, ONLY_THE_STOLEN_IS_SHARED).is_some());
    assert!(story_against(&setting, THEFT_SHOWS).is_some());
}

/// Checks what holds whatever happens, and how far a thief may get along with the client.
fn assert_thieves_are_bounded(setting: &Setting, bound: Claim<Setting>, least_states: usize) {
    let mut sights = vec![
        A_REPEAT,
        A_REUSE,
        A_DEAD_TOKEN,
        A_LOST_RACE,
        A_CLIENT_AT_THE_END,
        A_THIEF_AT_THE_END,
    ];
    if setting.allows(Fault::Restore) {
        sights.extend([A_CATCH_UP, A_RESURRECTION]);
    }
    let questions = Questions {
        always: &[
            bound,
            THEFT_SHOWS,
            ENDED_STAYS_ENDED,
            ONE_SUCCESSOR,
            ONE_WAY_FORWARD,
            REPEAT_WRITES_NOTHING,
        ],
        sometimes: &sights,
        possible_from_everywhere: &[],
    };
    assert_holds(setting, &questions, least_states);
}
