//! Two devices of one person are two sessions: what becomes of one is nothing to the other.

use tokensmith::domain::rotation::Generation;

use super::assert_holds;
use super::explorer::Questions;
use super::properties::{GETS_THROUGH, SESSIONS_ARE_ISOLATED, STAYS_LOGGED_IN};
use super::setting::{Assumption, Fault, Setting, Theft};
use super::sights::{A_CLIENT_AT_THE_END, A_REPEAT, A_RESURRECTION, A_REUSE, A_THIEF_AT_THE_END};

/// A thief may steal from one device, from the other, from both or from none.
pub(super) const TWO_DEVICES: Setting = Setting {
    sessions: 2,
    theft: Theft::OfAToken,
    assuming: &[Assumption::TokensSettle],
    last_generation: Generation(3),
    ticks: 0,
    at_once: 1,
    ..Setting::PLAIN
};

const ALL_OF_IT: Questions<'_, Setting> = Questions {
    always: &[SESSIONS_ARE_ISOLATED, STAYS_LOGGED_IN, GETS_THROUGH],
    sometimes: &[A_REPEAT, A_REUSE, A_CLIENT_AT_THE_END, A_THIEF_AT_THE_END],
    possible_from_everywhere: &[],
};

#[test]
fn a_theft_on_one_device_leaves_the_other_logged_in() {
    assert_holds(&TWO_DEVICES, &ALL_OF_IT, 20_000);
}

#[test]
fn a_restore_of_both_logs_out_none() {
    let setting = Setting {
        faults: &[Fault::Restore],
        last_generation: Generation(2),
        ..TWO_DEVICES
    };
    let questions = Questions {
        sometimes: &[A_REPEAT, A_REUSE, A_RESURRECTION],
        ..ALL_OF_IT
    };
    assert_holds(&setting, &questions, 20_000);
}
