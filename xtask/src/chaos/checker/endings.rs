//! Rules 4 and 5: what was ended is over, everywhere and for good.

use super::super::history::{Entry, Event};
use super::book::Book;
use super::session::{Session, Why};
use super::{ACCESS_LIFETIME, QUIET_AFTER, Rule, SECOND, Verdict};

/// A verifier that is told nothing believes for so long that it has missed nothing: two seconds, and the
/// granularity of its clock.
const LONGEST_BELIEF: u64 = 2 * SECOND + SECOND / 20;
/// Where nothing was wrong, a verifier hears of a logout within this time.
const USUAL_DELAY: u64 = SECOND;
/// After a fault a replica has heard of every client within this time: it waits up to 5 s for an answer of its
/// database, and then asks again.
const CLIENTS_ARE_KNOWN: u64 = 6 * SECOND;

pub(super) fn check(session: &Session<'_>, book: &Book<'_>, verdict: &mut Verdict) {
    verifiers_hear_of_it(session, book, verdict);
    no_token_follows(session, book, verdict);
    let death = session.death.and_then(|end| end.acknowledged);
    if let (Some(death), Some(calm)) = (death, book.calm)
        && death < calm
    {
        it_stays_so(session, calm, verdict);
        // A bit stays for as long as an access token may live; a longer run has seen some go.
        if death + ACCESS_LIFETIME > calm {
            its_bit_is_set(session, calm, book, verdict);
        }
    }
}

/// Since when an access token is certain to be dead.
fn dead_since(session: &Session<'_>, access: &str, book: &Book<'_>) -> Option<u64> {
    let death = session.death.and_then(|end| end.acknowledged);
    death
        .into_iter()
        .chain(book.cut_off_at(session, access))
        .min()
}

fn verifiers_hear_of_it(session: &Session<'_>, book: &Book<'_>, verdict: &mut Verdict) {
    for entry in &session.entries {
        let Event::Verify {
            verifier,
            access,
            reject: None,
            ..
        } = &entry.what
        else {
            continue;
        };
        let Some(dead) = dead_since(session, access, book) else {
            continue;
        };
        let late = entry.began.saturating_sub(dead);
        let is_quiet = !book.is_disturbed((dead, entry.ended), QUIET_AFTER);
        if late > LONGEST_BELIEF || (late > USUAL_DELAY && is_quiet) {
            let name = book.verifiers.get(*verifier).map_or("?", String::as_str);
            let what = format!(
                "verifier {verifier} ({name}) accepts an access token {} ms after its end was \
                 acknowledged{}",
                late / 1_000,
                if is_quiet { ", without any fault" } else { "" }
            );
            let rule = Rule::LogoutReachesVerifiers;
            verdict.breaks(rule, Some(session.id), entry.ended, what);
        }
    }
}

fn no_token_follows(session: &Session<'_>, book: &Book<'_>, verdict: &mut Verdict) {
    for entry in &session.entries {
        let what = match &entry.what {
            Event::Refresh {
                generation, answer, ..
            } if answer.status == 200 => {
                let ends = session.ends.iter().filter(|end| end.why != Why::Reuse);
                let ended = ends.filter_map(|end| end.acknowledged).min();
                if ended.is_some_and(|ended| ended < entry.began) {
                    format!("generation {generation} was answered after the session was ended")
                } else {
                    continue;
                }
            }
            Event::Introspect {
                access,
                active: Some(true),
                answer,
                ..
            } if dead_since(session, access, book).is_some_and(|dead| dead < entry.began) => {
                let replica = answer.replica;
                format!("replica {replica} calls an access token active after its end")
            }
            _ => continue,
        };
        let rule = Rule::NoRevocationIsLost;
        verdict.breaks(rule, Some(session.id), entry.ended, what);
    }
}

/// A client that is disabled gets no session, no code and no tokens.
pub(super) fn nothing_for_disabled_clients(
    history: &[Entry],
    book: &Book<'_>,
    verdict: &mut Verdict,
) {
    for entry in history {
        let (client, answer, what) = match &entry.what {
            Event::Refresh { client, answer, .. } => (client, answer, "a refresh"),
            Event::SignIn { client, answer, .. } => (client, answer, "the redemption of a code"),
            Event::Password { client, answer, .. } => (client, answer, "a login"),
            _ => continue,
        };
        let when = (entry.began, entry.ended);
        if answer.status == 200
            && book.is_disabled(client, when)
            && !book.is_disturbed(when, CLIENTS_ARE_KNOWN)
        {
            let what = format!("{what} was answered while the client was disabled");
            let session = entry.what.session();
            verdict.breaks(Rule::NoRevocationIsLost, session, entry.ended, what);
        }
    }
}

/// The last questions were asked, and answered right.
fn it_stays_so(session: &Session<'_>, calm: u64, verdict: &mut Verdict) {
    let mut breaks = |what: &str| {
        verdict.breaks(Rule::NoRevocationIsLost, Some(session.id), calm, what);
    };
    let last = || session.entries.iter().filter(|entry| entry.began >= calm);
    let is_refused = last().any(|entry| {
        matches!(&entry.what, Event::Refresh { answer, .. } if answer.is(400, "invalid_grant"))
    });
    if !is_refused {
        breaks("at the end, no replica refuses its refresh token");
    }
    let is_inactive = last().any(|entry| {
        matches!(
            &entry.what,
            Event::Introspect {
                active: Some(false),
                ..
            }
        )
    });
    if !is_inactive {
        breaks("at the end, no replica calls its access token inactive");
    }
}

fn its_bit_is_set(session: &Session<'_>, calm: u64, book: &Book<'_>, verdict: &mut Verdict) {
    let last = || session.entries.iter().filter(|entry| entry.began >= calm);
    for replica in 0..book.replicas {
        let bits = last().filter_map(|entry| match &entry.what {
            Event::Bit {
                replica: of,
                is_set,
                ..
            } if *of == replica => *is_set,
            _ => None,
        });
        if !bits.fold(false, |any, is_set| any | is_set) {
            let what = format!("at the end, its bit is not set in the lists of replica {replica}");
            verdict.breaks(Rule::NoRevocationIsLost, Some(session.id), calm, what);
        }
    }
}
