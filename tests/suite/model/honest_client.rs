//! A client that retries until it has an answer stays logged in as long as nobody steals its token:
//! on which assumptions, and what happens without them.

use tokensmith::domain::rotation::Generation;

use super::explorer::{Claim, Questions};
use super::properties::{
    ENDED_STAYS_ENDED, GETS_THROUGH, ONE_SUCCESSOR, ONE_WAY_FORWARD, REPEAT_WRITES_NOTHING,
    STAYS_LOGGED_IN,
};
use super::setting::{Assumption, Fault, Keys, RetryWindow, Setting};
use super::sights::{
    A_CATCH_UP, A_CLIENT_AT_THE_END, A_KEPT_TOKEN, A_LOST_ANSWER, A_LOST_RACE, A_REPEAT,
    A_STOPPED_SERVER, NOBODY_WAITS,
};
use super::{assert_holds, story_against};

/// One request at a time, retried with its key, at any time: there is no retry window.
const ONE_TAB_WITH_KEYS: Setting = Setting {
    faults: &[Fault::Restore],
    assuming: &[Assumption::TokensSettle],
    ..Setting::PLAIN
};

/// Two requests at a time, each with its key.
const TWO_TABS_WITH_KEYS: Setting = Setting {
    tabs: 2,
    retry_window: RetryWindow::Open,
    assuming: &[Assumption::TokensSettle, Assumption::AnswersComeInTime],
    ..ONE_TAB_WITH_KEYS
};

/// Two requests at a time, without keys.
const TWO_TABS_WITHOUT_KEYS: Setting = Setting {
    keys: Keys::Never,
    ..TWO_TABS_WITH_KEYS
};

/// Two requests at a time, at any time, with the key that is kept beside the token.
const KEY_BESIDE_THE_TOKEN: Setting = Setting {
    tabs: 2,
    keys: Keys::BesideTheToken,
    faults: &[Fault::Restore, Fault::ClientRestart],
    last_generation: Generation(3),
    ticks: 1,
    ..ONE_TAB_WITH_KEYS
};

const ALL_OF_IT: Questions<'_, Setting> = Questions {
    always: &[
        STAYS_LOGGED_IN,
        GETS_THROUGH,
        ENDED_STAYS_ENDED,
        ONE_SUCCESSOR,
        ONE_WAY_FORWARD,
        REPEAT_WRITES_NOTHING,
    ],
    sometimes: &[
        A_REPEAT,
        A_CATCH_UP,
        A_LOST_ANSWER,
        A_LOST_RACE,
        A_STOPPED_SERVER,
    ],
    possible_from_everywhere: &[A_CLIENT_AT_THE_END, NOBODY_WAITS],
};

#[test]
fn one_request_at_a_time_with_a_key_never_logs_out() {
    let setting = Setting {
        last_generation: Generation(5),
        at_once: 3,
        ..ONE_TAB_WITH_KEYS
    };
    assert_holds(&setting, &ALL_OF_IT, 8_000);
}

#[test]
fn a_key_needs_no_clock() {
    let setting = Setting {
        faults: &[Fault::Restore, Fault::SlowClock],
        last_generation: Generation(3),
        ..ONE_TAB_WITH_KEYS
    };
    assert_holds(&setting, &ALL_OF_IT, 2_000);
}

#[test]
fn two_requests_at_once_never_log_out_within_the_window() {
    assert_holds(&TWO_TABS_WITH_KEYS, &ALL_OF_IT, 12_000);
}

#[test]
fn retries_without_keys_never_log_out_within_the_window() {
    assert_holds(&TWO_TABS_WITHOUT_KEYS, &ALL_OF_IT, 6_000);
}

#[test]
fn a_key_beside_the_token_never_logs_out_whatever_the_time_and_over_restarts() {
    assert_holds(&KEY_BESIDE_THE_TOKEN, &ALL_OF_IT, 8_000);
}

#[test]
fn a_client_that_keeps_its_token_needs_no_assumption() {
    let setting = Setting {
        rotates: false,
        assuming: &[],
        ..TWO_TABS_WITHOUT_KEYS
    };
    let questions = Questions {
        always: &[
            STAYS_LOGGED_IN,
            GETS_THROUGH,
            ONE_SUCCESSOR,
            REPEAT_WRITES_NOTHING,
        ],
        sometimes: &[A_KEPT_TOKEN, A_LOST_ANSWER],
        possible_from_everywhere: &[NOBODY_WAITS],
    };
    assert_holds(&setting, &questions, 300);
}

#[test]
fn a_session_that_is_used_in_time_does_not_idle_out() {
    let setting = Setting {
        idle_lifetime: 2,
        ticks: 4,
        faults: &[],
        ..ONE_TAB_WITH_KEYS
    };
    let questions = Questions {
        sometimes: &[A_REPEAT],
        possible_from_everywhere: &[],
        ..ALL_OF_IT
    };
    assert_holds(&setting, &questions, 300);
}

#[test]
fn a_copy_that_comes_two_tokens_late_ends_the_session() {
    let setting = Setting {
        assuming: &[],
        ..ONE_TAB_WITH_KEYS
    };
    assert_story(
        &setting,
        STAYS_LOGGED_IN,
        &[
            "use 1 by tab A with key a1",
            "1 by tab A with key a1 arrives; 1 is current: rotate",
            "1 by tab A with key a1 is written; 2 is current",
            "1 by tab A with key a1 gets 2",
            "use 2 by tab A with key a2",
            "2 by tab A with key a2 arrives; 2 is current: rotate",
            "2 by tab A with key a2 is written; 3 is current",
            "1 by tab A with key a1 arrives; 3 is current: reuse",
            "1 by tab A with key a1 is written; the session is ended",
        ],
    );
}

#[test]
fn a_tab_that_is_overtaken_twice_ends_the_session_whatever_the_keys() {
    let setting = Setting {
        faults: &[],
        assuming: &[Assumption::NoCopyComesLater, Assumption::AnswersComeInTime],
        ..KEY_BESIDE_THE_TOKEN
    };
    assert_story(
        &setting,
        STAYS_LOGGED_IN,
        &[
            "use 1 by tab A with key 1",
            "use 1 by tab B with key 1",
            "1 by tab A with key 1 arrives; 1 is current: rotate",
            "1 by tab A with key 1 is written; 2 is current",
            "1 by tab A with key 1 gets 2",
            "use 2 by tab A with key 2",
            "2 by tab A with key 2 arrives; 2 is current: rotate",
            "2 by tab A with key 2 is written; 3 is current",
            "1 by tab B with key 1 arrives; 3 is current: reuse",
            "1 by tab B with key 1 is written; the session is ended",
        ],
    );
}

#[test]
fn a_second_tab_with_a_key_of_its_own_has_to_come_within_the_window() {
    let setting = Setting {
        assuming: &[Assumption::TokensSettle],
        ..TWO_TABS_WITH_KEYS
    };
    assert_story(
        &setting,
        STAYS_LOGGED_IN,
        &[
            "use 1 by tab A with key a1",
            "use 1 by tab B with key b1",
            "1 by tab A with key a1 arrives; 1 is current: rotate",
            "the retry window passes",
            "1 by tab A with key a1 is written; 2 is current",
            "1 by tab B with key b1 arrives; 2 is current: reuse",
            "1 by tab B with key b1 is written; the session is ended",
        ],
    );
}

/// The window counts from when the server that rotated read its clock, not from the write.
#[test]
fn a_retry_without_a_key_has_to_come_within_the_window() {
    let setting = Setting {
        tabs: 1,
        assuming: &[Assumption::TokensSettle],
        ..TWO_TABS_WITHOUT_KEYS
    };
    assert_story(
        &setting,
        STAYS_LOGGED_IN,
        &[
            "use 1 by tab A",
            "1 by tab A arrives; 1 is current: rotate",
            "the retry window passes",
            "1 by tab A is written; 2 is current",
            "1 by tab A arrives; 2 is current: reuse",
            "1 by tab A is written; the session is ended",
        ],
    );
}

#[test]
fn without_keys_the_clocks_of_servers_have_to_agree() {
    let setting = Setting {
        tabs: 1,
        faults: &[Fault::SlowClock],
        ..TWO_TABS_WITHOUT_KEYS
    };
    assert_story(
        &setting,
        STAYS_LOGGED_IN,
        &[
            "the retry window passes",
            "use 1 by tab A",
            "1 by tab A arrives; 1 is current by a slow clock: rotate",
            "1 by tab A is written; 2 is current",
            "1 by tab A arrives; 2 is current: reuse",
            "1 by tab A is written; the session is ended",
        ],
    );
}

#[test]
fn a_client_that_forgets_its_key_logs_itself_out() {
    let setting = Setting {
        faults: &[Fault::ClientRestart],
        ..ONE_TAB_WITH_KEYS
    };
    assert_story(
        &setting,
        STAYS_LOGGED_IN,
        &[
            "use 1 by tab A with key a1",
            "the client restarts",
            "use 1 by tab A with key a1'",
            "1 by tab A with key a1 arrives; 1 is current: rotate",
            "1 by tab A with key a1 is written; 2 is current",
            "1 by tab A with key a1' arrives; 2 is current: reuse",
            "1 by tab A with key a1' is written; the session is ended",
        ],
    );
}

#[test]
fn a_restore_brings_back_an_older_idle_deadline() {
    let setting = Setting {
        idle_lifetime: 2,
        ..ONE_TAB_WITH_KEYS
    };
    assert_story(
        &setting,
        STAYS_LOGGED_IN,
        &[
            "the retry window passes",
            "the database is backed up",
            "use 1 by tab A with key a1",
            "1 by tab A with key a1 arrives; 1 is current: rotate",
            "1 by tab A with key a1 is written; 2 is current",
            "the retry window passes",
            "the database is restored: 1 is current",
            "1 by tab A with key a1 arrives; 1 is current: dead",
            "1 by tab A with key a1 is refused",
        ],
    );
}

/// The shortest way to break a claim, so that the limits of the design stay written down.
fn assert_story(setting: &Setting, claim: Claim<Setting>, expected: &[&str]) {
    let story = story_against(setting, claim).expect("the claim holds");
    assert_eq!(story, expected);
}
