//! Rules 1 to 3: honest clients stay, a token has one successor, thieves are caught.

use std::collections::BTreeMap;

use super::super::history::{Event, Role};
use super::book::Book;
use super::session::{Presented, Session};
use super::{Rule, Verdict};

pub(super) fn check(session: &Session<'_>, book: &Book<'_>, verdict: &mut Verdict) {
    honest_clients_stay(session, verdict);
    living_tokens_are_believed(session, book, verdict);
    one_successor(session, verdict);
    theft_is_caught(session, verdict);
}

fn honest_clients_stay(session: &Session<'_>, verdict: &mut Verdict) {
    let refused = session.presented().filter(|it| {
        it.role == Role::Honest && it.status == 400 && it.error == Some("invalid_grant")
    });
    for it in refused.filter(|it| !session.is_touched_before(it.entry.ended)) {
        let what = format!(
            "generation {} was refused, and nobody had ended the session",
            it.generation
        );
        let rule = Rule::NoHonestClientIsLoggedOut;
        verdict.breaks(rule, Some(session.id), it.entry.ended, what);
    }
}

/// An access token of a session that nobody has ended is not dead.
fn living_tokens_are_believed(session: &Session<'_>, book: &Book<'_>, verdict: &mut Verdict) {
    for entry in &session.entries {
        let (access, what) = match &entry.what {
            Event::Verify {
                verifier,
                access,
                reject: Some(reason),
                ..
            } if matches!(reason.as_str(), "revoked" | "cut_off") => {
                let name = book.verifiers.get(*verifier).map_or("?", String::as_str);
                let what = format!("verifier {verifier} ({name}) calls a living token {reason}");
                (access, what)
            }
            Event::Introspect {
                access,
                active: Some(false),
                answer,
                ..
            } => {
                let what = format!("replica {} calls a living token inactive", answer.replica);
                (access, what)
            }
            _ => continue,
        };
        let is_cut_off = book.may_be_cut_off(session, access, entry.ended);
        if !is_cut_off && !session.is_touched_before(entry.ended) {
            let rule = Rule::NoHonestClientIsLoggedOut;
            verdict.breaks(rule, Some(session.id), entry.ended, what);
        }
    }
}

fn one_successor(session: &Session<'_>, verdict: &mut Verdict) {
    let mut successors: BTreeMap<&str, &(String, u32)> = BTreeMap::new();
    let mut breaks = |it: &Presented<'_>, what: String| {
        verdict.breaks(Rule::OneSuccessor, Some(session.id), it.entry.ended, what);
    };
    for it in session.presented().filter(|it| it.status == 200) {
        let Some(successor) = it.successor else {
            breaks(
                &it,
                format!("generation {} got no successor", it.generation),
            );
            continue;
        };
        if Some(successor.1) != it.generation.checked_add(1) {
            let what = format!(
                "generation {} was followed by {}",
                it.generation, successor.1
            );
            breaks(&it, what);
        }
        let first = *successors.entry(it.token).or_insert(successor);
        if first != successor {
            breaks(
                &it,
                format!("generation {} has two successors", it.generation),
            );
        }
    }
}

fn theft_is_caught(session: &Session<'_>, verdict: &mut Verdict) {
    let caught_at = session.caught_at();
    for it in session.presented().filter(|it| it.status == 200) {
        let what = if session.is_reuse(&it) {
            format!(
                "generation {} was superseded, and was answered",
                it.generation
            )
        } else if caught_at.is_some_and(|caught| it.entry.began > caught) {
            format!(
                "generation {} was answered after a thief was caught",
                it.generation
            )
        } else {
            continue;
        };
        verdict.breaks(Rule::TheftIsCaught, Some(session.id), it.entry.ended, what);
    }
}
