//! Holds a history against the rules of `docs/chaos.md`: a pure function, so that a history can be checked
//! again.

mod book;
mod delays;
mod endings;
mod failures;
mod finale;
mod records;
mod rejections;
mod session;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub(super) use delays::{Delays, WATCH};

use super::history::{Entry, Event};
use book::Book;

/// Microseconds of a second.
const SECOND: u64 = 1_000_000;
/// After a fault the service is itself again within this time.
const RECOVERY: u64 = 5 * SECOND;
/// After a fault nothing is wrong any more.
const QUIET_AFTER: u64 = 10 * SECOND;
/// So long an access token lives in every run.
const ACCESS_LIFETIME: u64 = 3_600 * SECOND;

/// A promise of the service that this history breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    NoHonestClientIsLoggedOut,
    OneSuccessor,
    TheftIsCaught,
    LogoutReachesVerifiers,
    NoRevocationIsLost,
    NoRecordIsLost,
    NoFailureWithoutFault,
    NoUnexpectedAnswer,
}

/// One time that it is broken.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) rule: Rule,
    pub(super) what: String,
    /// The session that it is about.
    pub(super) session: Option<String>,
    /// When it was seen.
    pub(super) at: u64,
}

/// What a history shows.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) violations: Vec<Violation>,
    /// Failures shortly after the time in which they are explained.
    pub(super) unexplained: Vec<String>,
    /// What this history is too short to show. It is no clean bill then.
    pub(super) unchecked: Vec<&'static str>,
    /// In hundredths of the time, how much was so near to a fault that some rules forgive, and that others do.
    pub(super) recovering: u64,
    pub(super) disturbed: u64,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) delays: Delays,
}

/// Checks a history.
pub(super) fn check(history: &[Entry]) -> Verdict {
    let book = Book::of(history);
    let mut verdict = Verdict {
        counts: counts(history, &book),
        recovering: book.disturbed_share(RECOVERY),
        disturbed: book.disturbed_share(QUIET_AFTER),
        ..Verdict::default()
    };
    if book.sessions.is_empty() {
        let what = "no session began in it, so there is nothing that could break a rule";
        verdict.unchecked.push(what);
    }
    if book.calm.is_none() {
        let what = "it ends before the last questions: rules 5 and 6, and the end of rule 2, were NOT CHECKED";
        verdict.unchecked.push(what);
    }
    for session in book.sessions.values() {
        sessions::check(session, &book, &mut verdict);
        endings::check(session, &book, &mut verdict);
        finale::check(session, &book, &mut verdict);
    }
    endings::nothing_for_disabled_clients(history, &book, &mut verdict);
    records::check(history, &book, &mut verdict);
    failures::check(history, &book, &mut verdict);
    rejections::check(history, &book, &mut verdict);
    delays::measure(&book, &mut verdict);
    verdict.violations.sort_by_key(|violation| violation.at);
    verdict
}

impl Verdict {
    fn breaks(&mut self, rule: Rule, session: Option<&str>, at: u64, what: impl Into<String>) {
        self.violations.push(Violation {
            rule,
            what: what.into(),
            session: session.map(ToOwned::to_owned),
            at,
        });
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHonestClientIsLoggedOut => "1: no honest client is logged out",
            Self::OneSuccessor => "2: a refresh token has one successor",
            Self::TheftIsCaught => "3: theft is caught",
            Self::LogoutReachesVerifiers => "4: a logout reaches every verifier in time",
            Self::NoRevocationIsLost => "5: no acknowledged revocation is lost",
            Self::NoRecordIsLost => "6: no acknowledged audit record is lost",
            Self::NoFailureWithoutFault => "7: no failure without a fault",
            Self::NoUnexpectedAnswer => "8: no answer that the protocol does not have",
        })
    }
}

/// What the history is made of.
fn counts(history: &[Entry], book: &Book<'_>) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    let mut count = |what| *counts.entry(what).or_default() += 1;
    for entry in history {
        if entry
            .what
            .answer()
            .is_some_and(super::history::Answer::is_failure)
        {
            count("requests without an answer, or 5xx");
        }
        match &entry.what {
            Event::Fault { .. } if entry.who == "machine" => {
                count("times that the machine or its disk stood still by itself");
            }
            Event::Fault { .. } => count("faults"),
            Event::SignIn { answer, .. } if answer.status == 200 => count("sessions begun"),
            Event::Refresh { answer, .. } if answer.status == 200 => count("refreshes answered"),
            Event::Refresh { answer, .. } if answer.status == 400 => count("refreshes refused"),
            Event::Refresh {
                sabotaged: true, ..
            } => count("answers lost on purpose"),
            Event::Service { answer, .. } if answer.status == 200 => count("tokens of services"),
            Event::Logout { answer, .. } if answer.status == 200 => count("logouts acknowledged"),
            Event::SignOut { answer, .. } if answer.status == 204 => {
                count("sign-outs everywhere acknowledged");
            }
            Event::Admin { answer, .. } if answer.status == 200 => count("acts of administrators"),
            Event::Introspect { answer, .. } if answer.status == 200 => count("introspections"),
            Event::Verify { reject: None, .. } => count("verifications that accepted"),
            Event::Verify { .. } => count("verifications that rejected"),
            Event::Bit { .. } => count("bits looked at"),
            Event::Audit { .. } => count("audit records read"),
            _ => {}
        }
        if entry.what.answer().is_some() {
            count("requests");
        }
    }
    for session in book.sessions.values() {
        if session.caught_at().is_some() {
            count("thefts caught");
        }
        if session.death.is_some() {
            count("sessions whose end was acknowledged");
        }
        if finale::is_given_up(session, book) {
            count("sessions given up after a minute without an answer");
        }
    }
    counts
}
