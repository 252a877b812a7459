//! The end of rule 2: a session that nobody has ended is still there when all faults are over, and is used up.

use super::super::history::Role;
use super::book::Book;
use super::session::{Presented, Session};
use super::{Rule, Verdict};

/// The newest token is presented so often before one from long before comes.
const ROTATIONS: usize = 2;

pub(super) fn check(session: &Session<'_>, book: &Book<'_>, verdict: &mut Verdict) {
    let Some(calm) = book.calm else {
        return;
    };
    if session.is_touched_before(calm) || is_given_up(session, book) {
        return;
    }
    let last = || session.presented().filter(|it| it.entry.began >= calm);
    let honest = || last().filter(|it| it.role == Role::Honest);
    let good = honest().filter(|it| it.status == 200);
    let good: Vec<_> = good.map(|it| it.entry.ended).collect();
    let mut ghosts = last().filter(|it| it.role == Role::Ghost);
    let mut breaks = |what: &str| verdict.breaks(Rule::OneSuccessor, Some(session.id), calm, what);
    // Why there was no answer, another rule asks.
    if good.len() < ROTATIONS && !honest().any(|it| !is_answered(&it)) {
        breaks("nobody had ended it, and at the end its newest refresh token was not good");
    }
    if let (true, Some(used)) = (good.len() >= ROTATIONS, good.iter().max())
        && !ghosts.any(|it| it.entry.began >= *used && (it.status == 400 || !is_answered(&it)))
    {
        breaks("at the end no replica refused a refresh token of it from long before");
    }
}

/// Whether its app got no answer to its last refresh before the end, and does not have it any more.
pub(super) fn is_given_up(session: &Session<'_>, book: &Book<'_>) -> bool {
    let Some(calm) = book.calm else {
        return false;
    };
    let is_asked = session.presented().any(|it| it.entry.began >= calm);
    let last = session.presented().last();
    !is_asked && !session.is_touched_before(calm) && last.is_some_and(|it| !is_answered(&it))
}

fn is_answered(presented: &Presented<'_>) -> bool {
    matches!(presented.status, 200 | 400)
}
