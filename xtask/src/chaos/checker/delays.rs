//! How long it took until a verifier refused the tokens of a session that was ended.

use super::super::history::Event;
use super::book::Book;
use super::session::Session;
use super::{QUIET_AFTER, SECOND, Verdict};

/// Who looks at all verifiers from the moment on that a session has ended.
pub(in super::super) const WATCH: &str = "watch of ";
/// A watch that began later than this after the acknowledgement says nothing about times.
const LONGEST_BLINK: u64 = SECOND / 20;

/// Microseconds from an acknowledgement until each verifier refused, in ascending order.
#[derive(Debug, Default)]
pub(in super::super) struct Delays {
    pub(in super::super) quiet: Vec<u64>,
    pub(in super::super) disturbed: Vec<u64>,
}

pub(super) fn measure(book: &Book<'_>, verdict: &mut Verdict) {
    let delays = &mut verdict.delays;
    for session in book.sessions.values() {
        let Some(death) = session.death.and_then(|end| end.acknowledged) else {
            continue;
        };
        for verifier in 0..book.verifiers.len() {
            let Some(refused) = first_refusal(session, verifier, death) else {
                continue;
            };
            let when = (death, refused);
            let delay = refused.saturating_sub(death);
            if book.is_disturbed(when, QUIET_AFTER) {
                delays.disturbed.push(delay);
            } else {
                delays.quiet.push(delay);
            }
        }
    }
    delays.quiet.sort_unstable();
    delays.disturbed.sort_unstable();
}

fn first_refusal(session: &Session<'_>, verifier: usize, death: u64) -> Option<u64> {
    let mut watched = session.entries.iter().filter(|entry| {
        let is_it = matches!(&entry.what, Event::Verify { verifier: of, .. } if *of == verifier);
        is_it && entry.who.starts_with(WATCH) && entry.began >= death
    });
    let first = watched.next()?;
    if first.began > death + LONGEST_BLINK {
        return None;
    }
    let refused = std::iter::once(first).chain(watched);
    let mut refused = refused.filter(|it| {
        matches!(
            &it.what,
            Event::Verify {
                reject: Some(_),
                ..
            }
        )
    });
    refused.next().map(|entry| entry.ended)
}

impl Delays {
    /// So many in a hundred took no longer; in milliseconds.
    pub(in super::super) fn percentile(sorted: &[u64], share: usize) -> f64 {
        let place = (sorted.len() * share).div_ceil(100).saturating_sub(1);
        let microseconds = sorted.get(place).copied().unwrap_or_default();
        f64::from(u32::try_from(microseconds).unwrap_or(u32::MAX)) / 1_000.0
    }
}
