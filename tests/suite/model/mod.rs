//! Every way in which requests, failures and a thief can get between each other around one refresh
//! token, tried out on [`tokensmith::domain::rotation::decide`] itself.
//!
//! The model is the row of a session, the tabs of a client that share one stored token, the
//! requests between them and the servers, and somebody who stole a token. A server reads the row
//! and decides in one step and writes in another, by compare-and-swap, as the store does; or it
//! remembers the session and writes without reading first. Every request may be lost, repeated, delayed and overtaken; a server may stop at any point; the
//! database may once be put back to an earlier state; the retry window may pass at any time.
//!
//! What always holds, and on which [assumptions](setting::Assumption), is tested in
//! [`honest_client`], [`theft`] and [`isolation`]; there, too, is what happens without each of the
//! assumptions, as the shortest story of how it goes wrong. [`mutants`] are wrong designs that the
//! properties have to tell from the right one.
//!
//! Bounds: a handful of tokens, two tabs, two requests at servers at once, one restore, one theft.
//! Not in the model: clocks that are ahead, lifetimes that end by themselves, and guessed tokens.
//!
//! The explorer is our own: stateright always brings a web server along, and its `eventually`
//! overlooks cycles, of which retries are made.

mod design;
mod explorer;
mod honest_client;
mod isolation;
mod mutants;
mod properties;
mod setting;
mod sights;
mod story;
mod system;
mod theft;
mod world;

use explorer::{Claim, Questions, explore};
use setting::Setting;

/// Explores all of a setting, and fails with a story when a claim breaks, when something that
/// should be seen is not, or when there is less to see than there should be.
fn assert_holds(setting: &Setting, questions: &Questions<'_, Setting>, least_states: usize) {
    let exploration = explore(setting, questions);
    if let Some(violation) = exploration.violation {
        panic!("{violation}");
    }
    let unseen = exploration.unseen;
    assert!(unseen.is_empty(), "never seen: {unseen:?}");
    let states = exploration.states;
    println!("{states} states");
    assert!(states >= least_states, "only {states} states");
}

/// The shortest story in which a claim breaks.
fn story_against(setting: &Setting, claim: Claim<Setting>) -> Option<Vec<String>> {
    let questions = Questions {
        always: &[claim],
        ..Questions::NONE
    };
    let violation = explore(setting, &questions).violation?;
    Some(violation.story)
}
