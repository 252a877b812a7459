//! Rules 7 and 8: what fails has a reason, and nothing answers what the protocol does not have.

use super::super::history::{Act, Answer, Entry, Event};
use super::book::Book;
use super::{QUIET_AFTER, RECOVERY, Rule, Verdict};

/// Of all logins so many, and of a hundred so many, may be told to wait.
const FEW_WAITS: usize = 10;
const WAITS_IN_HUNDRED: usize = 5;

pub(super) fn check(history: &[Entry], book: &Book<'_>, verdict: &mut Verdict) {
    for entry in history {
        if let Event::Logged { replica, line } = &entry.what {
            let what = format!("replica {replica} logs: {line}");
            verdict.breaks(Rule::NoUnexpectedAnswer, None, entry.ended, what);
        }
        if let Some(answer) = entry.what.answer() {
            if answer.is_explicable() {
                explain(entry, answer, book, verdict);
            } else if !is_expected(entry, answer, book) {
                let what = format!("{} gets {}", name(entry), in_words(answer));
                let session = entry.what.session();
                verdict.breaks(Rule::NoUnexpectedAnswer, session, entry.ended, what);
            }
        }
    }
    few_have_to_wait(history, verdict);
}

/// Whoever knows the password is told to wait now and then, and not as a rule.
fn few_have_to_wait(history: &[Entry], verdict: &mut Verdict) {
    let logins = history.iter().filter_map(|entry| match &entry.what {
        Event::Password { answer, .. } => Some((entry.ended, answer.status)),
        _ => None,
    });
    let answered: Vec<_> = logins.filter(|(_, it)| matches!(it, 200 | 429)).collect();
    let mut waits = answered.iter().filter(|(_, status)| *status == 429);
    let count = waits.clone().count();
    if let Some((last, _)) = waits.next_back()
        && count > FEW_WAITS + answered.len() * WAITS_IN_HUNDRED / 100
    {
        let what = format!("{count} of {} logins were told to wait", answered.len());
        verdict.breaks(Rule::NoUnexpectedAnswer, None, *last, what);
    }
}

fn explain(entry: &Entry, answer: &Answer, book: &Book<'_>, verdict: &mut Verdict) {
    let when = (entry.began, entry.ended);
    let is_ours = matches!(
        &entry.what,
        Event::Refresh {
            sabotaged: true,
            ..
        }
    );
    if is_ours || book.is_disturbed(when, RECOVERY) {
        return;
    }
    let what = format!("{} gets {}", name(entry), in_words(answer));
    if book.is_disturbed(when, QUIET_AFTER) {
        verdict.unexplained.push(what);
    } else {
        let what = format!("{what}, and there was no fault for ten seconds");
        verdict.breaks(
            Rule::NoFailureWithoutFault,
            entry.what.session(),
            entry.ended,
            what,
        );
    }
}

/// Whether an answer is one that this request may get at this time.
fn is_expected(entry: &Entry, answer: &Answer, book: &Book<'_>) -> bool {
    let when = (entry.began, entry.ended);
    let is_disabled =
        |client: &str| answer.is(401, "invalid_client") && book.may_be_disabled(client, when);
    match &entry.what {
        Event::Password { person, client, .. } => match answer.status {
            200 => true,
            429 => book.may_have_to_wait(person, when),
            _ => is_disabled(client),
        },
        // A code from before the client was disabled, or the person signed out, is cut off with everything else.
        Event::SignIn {
            session,
            client,
            person,
            ..
        } => match answer.status {
            200 => session.is_some(),
            400 => {
                let is_cut_off =
                    book.may_be_disabled(client, when) || book.may_sign_out(person, when);
                answer.is(400, "invalid_grant") && is_cut_off
            }
            _ => is_disabled(client),
        },
        Event::Logout { client, .. } => answer.status == 200 || is_disabled(client),
        Event::Refresh { client, .. } => {
            answer.status == 200 || answer.is(400, "invalid_grant") || is_disabled(client)
        }
        // The session was over already, so its access token opens nothing.
        Event::SignOut { session, .. } => match answer.status {
            204 => true,
            401 => book.may_be_over(session, when),
            _ => false,
        },
        Event::Admin {
            act: Act::EndSession,
            subject,
            ..
        } => match answer.status {
            200 => true,
            404 => book.may_be_over(subject, when),
            _ => false,
        },
        Event::Service { access, .. } => answer.status == 200 && access.is_some(),
        // RFC 7662 §2.2: `active` is the one member that must be there.
        Event::Introspect { active, .. } => answer.status == 200 && active.is_some(),
        Event::Admin { .. } => answer.status == 200,
        _ => true,
    }
}

fn name(entry: &Entry) -> String {
    let what = match &entry.what {
        Event::Password { .. } => "a login",
        Event::SignIn { .. } => "the redemption of a code",
        Event::Refresh { .. } => "a refresh",
        Event::Service { .. } => "a service",
        Event::Logout { .. } => "a logout",
        Event::SignOut { .. } => "a sign-out everywhere",
        Event::Admin { .. } => "an administrator",
        Event::Introspect { .. } => "an introspection",
        _ => "something",
    };
    format!("{what} ({})", entry.who)
}

fn in_words(answer: &Answer) -> String {
    let error = answer.error.as_deref().unwrap_or_default();
    match answer.status {
        0 => format!("no answer from replica {} ({error})", answer.replica),
        status => format!("{status} {error} from replica {}", answer.replica),
    }
}
