//! Rule 6: the audit log has a record of everything that was acknowledged, and is whole.

use std::collections::BTreeMap;

use super::super::history::{Act, Entry, Event};
use super::book::Book;
use super::session::{Session, Why};
use super::{Rule, Verdict};

/// How many records there are of a kind about a session, a person or a client.
#[derive(Default)]
struct Records<'a> {
    sessions: BTreeMap<(&'a str, &'a str), u64>,
    people: BTreeMap<(&'a str, &'a str), u64>,
    /// Only those that are about no single session.
    people_without_session: BTreeMap<(&'a str, &'a str), u64>,
    clients: BTreeMap<(&'a str, &'a str), u64>,
    kinds: BTreeMap<&'a str, u64>,
    /// How often a signing key was made.
    keys_made: u64,
}

/// The kind of record that keys have.
const KEYS_CHANGED: &str = "signing_keys_changed";

/// How often something was acknowledged, by the kind of record and whom it is about.
type Acknowledged<'a> = BTreeMap<(&'static str, &'a str), u64>;

pub(super) fn check(history: &[Entry], book: &Book<'_>, verdict: &mut Verdict) {
    // Without the last questions the log was not read.
    let Some(calm) = book.calm else {
        return;
    };
    let records = Records::of(history);
    for session in book.sessions.values() {
        of_session(session, &records, calm, verdict);
    }
    of_acts(history, (book, &records), verdict);
    of_keys(history, records.keys_made, calm, verdict);
    let mut breaks = |what: String| verdict.breaks(Rule::NoRecordIsLost, None, calm, what);
    let mut verified = history.iter().filter_map(|entry| match &entry.what {
        Event::AuditVerified { is_whole, said } => Some((*is_whole, said)),
        _ => None,
    });
    match verified.next_back() {
        Some((true, _)) => {}
        Some((false, said)) => breaks(format!("the audit log is not whole: {said}")),
        None => breaks("the audit log was not verified".to_owned()),
    }
    if records.kinds.contains_key("refresh_caught_up") {
        let what = "the database has lost rotations that were acknowledged (refresh_caught_up)";
        verdict.breaks(Rule::NoRevocationIsLost, None, calm, what);
    }
}

impl<'a> Records<'a> {
    fn of(history: &'a [Entry]) -> Self {
        let mut records = Self::default();
        for entry in history {
            let Event::Audit {
                kind,
                session,
                person,
                client,
                detail,
            } = &entry.what
            else {
                continue;
            };
            *records.kinds.entry(kind).or_default() += 1;
            let is_made = detail.as_deref().is_some_and(|it| it.starts_with("made "));
            records.keys_made += u64::from(kind == KEYS_CHANGED && is_made);
            if let Some(session) = session {
                *records.sessions.entry((kind, session)).or_default() += 1;
            }
            if let Some(person) = person {
                *records.people.entry((kind, person)).or_default() += 1;
                if session.is_none() {
                    let of = records.people_without_session.entry((kind, person));
                    *of.or_default() += 1;
                }
            }
            if let Some(client) = client {
                *records.clients.entry((kind, client)).or_default() += 1;
            }
        }
        records
    }

    fn has(&self, kind: &str, session: &str) -> bool {
        self.sessions.contains_key(&(kind, session))
    }
}

fn of_session(session: &Session<'_>, records: &Records<'_>, calm: u64, verdict: &mut Verdict) {
    let mut breaks = |rule, what: &str| verdict.breaks(rule, Some(session.id), calm, what);
    if !records.has("session_started", session.id) {
        breaks(Rule::NoRecordIsLost, "no record says that it began");
    }
    let is_reused = records.has("refresh_reused", session.id);
    let has_end = is_reused || records.has("session_ended", session.id);
    // Where one act ends many sessions, one record speaks of all.
    if session.death.is_some() && !session.may_have_ended_with_others() && !has_end {
        breaks(Rule::NoRecordIsLost, "no record says that it ended");
    }
    let others = session.ends.iter().filter(|end| end.why != Why::Reuse);
    let first_other = others.map(|end| end.began).min().unwrap_or(u64::MAX);
    if session
        .caught_at()
        .is_some_and(|caught| caught < first_other)
        && !is_reused
    {
        breaks(
            Rule::NoRecordIsLost,
            "no record says that a thief was caught",
        );
    }
    if is_reused && session.touched_at.is_none() {
        breaks(
            Rule::NoHonestClientIsLoggedOut,
            "its owner was taken for a thief",
        );
    }
}

/// Where somebody else was faster, a sign-out ends nothing, and there is nothing to record. Of several at
/// once one has something to end.
fn has_something_to_end(session: &str, entry: &Entry, book: &Book<'_>) -> bool {
    let session = book.sessions.get(session);
    let mut ends = session.map_or(&[][..], |session| &session.ends).iter();
    !ends.any(|end| match end.why {
        Why::SignOut => end.began < entry.began,
        _ => end.began < entry.ended,
    })
}

/// What administrators, and people at the login, have done.
fn of_acts(history: &[Entry], (book, records): (&Book<'_>, &Records<'_>), verdict: &mut Verdict) {
    let mut people = Acknowledged::new();
    let mut people_without_session = Acknowledged::new();
    let mut clients = Acknowledged::new();
    for entry in history {
        match &entry.what {
            Event::Password { person, answer, .. } if answer.status == 200 => {
                *people.entry(("login_succeeded", person)).or_default() += 1;
            }
            Event::SignOut {
                session,
                person,
                answer,
                ..
            } if answer.status == 204 && has_something_to_end(session, entry, book) => {
                let of = people_without_session.entry(("session_ended", person));
                *of.or_default() += 1;
            }
            Event::Admin {
                act,
                subject,
                answer,
                ..
            } if answer.status == 200 => match act {
                Act::DisableClient => {
                    *clients.entry(("client_disabled", subject)).or_default() += 1;
                }
                Act::EnableClient => *clients.entry(("client_enabled", subject)).or_default() += 1,
                Act::RotateKeys | Act::EndSession => {}
            },
            _ => {}
        }
    }
    let at = history.last().map_or(0, |entry| entry.ended);
    let mut compare = |acknowledged: &Acknowledged<'_>, found: &BTreeMap<(&str, &str), u64>| {
        for (of, acknowledged) in acknowledged {
            let found = found.get(of).copied().unwrap_or_default();
            if found < *acknowledged {
                let what = format!(
                    "{} of {} was acknowledged {acknowledged} times and is recorded {found} times",
                    of.0, of.1
                );
                verdict.breaks(Rule::NoRecordIsLost, None, at, what);
            }
        }
    };
    compare(&people, &records.people);
    compare(&people_without_session, &records.people_without_session);
    compare(&clients, &records.clients);
}

/// There is a record of the first key, and of that of each rotation. One that was not answered may have one: who
/// then asks again is told that the next key is there already, and there is nothing to record.
fn of_keys(history: &[Entry], made: u64, calm: u64, verdict: &mut Verdict) {
    let rotations = history.iter().filter_map(|entry| match &entry.what {
        Event::Admin {
            act: Act::RotateKeys,
            answer,
            ..
        } => Some(answer),
        _ => None,
    });
    let (mut least, mut most) = (1, 1);
    for answer in rotations {
        least += u64::from(answer.status == 200);
        most += u64::from(answer.status == 200 || answer.is_failure());
    }
    if !(least..=most).contains(&made) {
        let what = format!(
            "{least} to {most} signing keys were made, and {made} are recorded ({KEYS_CHANGED})"
        );
        verdict.breaks(Rule::NoRecordIsLost, None, calm, what);
    }
}
