//! Rules 7 and 8: what fails has a reason, and nothing answers what the protocol does not have.

use super::super::history::{Act, Answer, Entry, Event, Role};
use super::book::Book;
use super::endings::QUIET_AFTER;
use super::{Rule, SECOND, Verdict};

/// After a fault the service is itself again within this time.
const RECOVERY: u64 = 5 * SECOND;

pub(super) fn check(history: &[Entry], book: &Book<'_>, verdict: &mut Verdict) {
    for entry in history {
        if let Event::Logged { replica, line } = &entry.what {
            let what = format!("replica {replica} logs: {line}");
            verdict.breaks(Rule::NoUnexpectedAnswer, None, entry.ended, what);
        }
        if let Some(answer) = entry.what.answer() {
            if answer.is_failure() {
                explain(entry, answer, book, verdict);
            } else if !is_expected(entry, answer, book) {
                let what = format!("{} gets {}", name(entry), in_words(answer));
                let session = entry.what.session();
                verdict.breaks(Rule::NoUnexpectedAnswer, session, entry.ended, what);
            }
        }
        if let Some(what) = odd_rejection(entry, book) {
            let session = entry.what.session();
            verdict.breaks(Rule::NoFailureWithoutFault, session, entry.ended, what);
        }
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

/// Where nothing is wrong a verifier says of each token what is true of it.
fn odd_rejection(entry: &Entry, book: &Book<'_>) -> Option<String> {
    let Event::Verify {
        verifier,
        reject: Some(reason),
        ..
    } = &entry.what
    else {
        return None;
    };
    let is_ordinary = matches!(reason.as_str(), "revoked" | "cut_off" | "expired");
    if is_ordinary || book.is_disturbed((entry.began, entry.ended), QUIET_AFTER) {
        return None;
    }
    let name = book.verifiers.get(*verifier).map_or("?", String::as_str);
    Some(format!(
        "verifier {verifier} ({name}) says {reason}, and there was no fault for ten seconds"
    ))
}

/// Whether an answer is one that this request may get at this time.
fn is_expected(entry: &Entry, answer: &Answer, book: &Book<'_>) -> bool {
    let when = (entry.began, entry.ended);
    let may_be_disabled = |client: &str| book.may_be_disabled(client, when);
    match &entry.what {
        // Attempts count before the password is looked at, also those that a crash cut short and those of the
        // same person on other devices; so somebody may have to wait.
        Event::Password { client, .. } => {
            matches!(answer.status, 200 | 429) || may_be_disabled(client)
        }
        // A code from before the client was disabled, or the person signed out, is cut off with everything else.
        Event::SignIn { client, person, .. } => {
            answer.status == 200
                || may_be_disabled(client)
                || (answer.is(400, "invalid_grant") && book.may_sign_out(person, when))
        }
        Event::Logout { client, .. } => answer.status == 200 || may_be_disabled(client),
        Event::Refresh { client, role, .. } => {
            answer.status == 200
                || answer.is(400, "invalid_grant")
                || may_be_disabled(client)
                || (*role == Role::Ghost && answer.status == 401)
        }
        // The session was over already, so its access token opens nothing.
        Event::SignOut { .. } => matches!(answer.status, 204 | 401),
        Event::Admin {
            act: Act::EndSession,
            ..
        } => matches!(answer.status, 200 | 404),
        Event::Service { .. } | Event::Introspect { .. } | Event::Admin { .. } => {
            answer.status == 200
        }
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
