//! What verifiers say of tokens that they do not accept: of each what is true of it, whatever is broken.

use super::super::history::{Entry, Event};
use super::book::Book;
use super::{QUIET_AFTER, Rule, Verdict};

pub(super) fn check(history: &[Entry], book: &Book<'_>, verdict: &mut Verdict) {
    for entry in history {
        let Event::Verify {
            verifier,
            session,
            access,
            reject: Some(reason),
        } = &entry.what
        else {
            continue;
        };
        let session = session.as_deref();
        let known = session.filter(|session| book.sessions.contains_key(session));
        let (rule, why) = match reason.as_str() {
            // Of the tokens of sessions the rules for living and dead ones say whether that is so.
            "revoked" | "cut_off" if known.is_some() => continue,
            "revoked" | "cut_off" => (
                Rule::NoHonestClientIsLoggedOut,
                "of a token that nobody has taken back",
            ),
            "revocation_stale" | "unknown_kid"
                if book.is_disturbed((entry.began, entry.ended), QUIET_AFTER) =>
            {
                continue;
            }
            "revocation_stale" | "unknown_kid" => (
                Rule::NoFailureWithoutFault,
                "and there was no fault for ten seconds",
            ),
            "expired" if book.may_be_expired(session, access, entry.ended) => continue,
            "expired" => (
                Rule::NoFailureWithoutFault,
                "of a token that has time to live",
            ),
            _ => (
                Rule::NoFailureWithoutFault,
                "which is true of no token that the service has issued",
            ),
        };
        let name = book.verifiers.get(*verifier).map_or("?", String::as_str);
        let what = format!("verifier {verifier} ({name}) says {reason}, {why}");
        verdict.breaks(rule, session, entry.ended, what);
    }
}
