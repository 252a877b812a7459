//! What is claimed of rotation.

use tokensmith::domain::rotation::{Decision, Generation};

use super::explorer::{Change, Claim};
use super::setting::Setting;
use super::system::{Event, Happening};
use super::world::{Backup, Key, Party, Request, Row, Session, Tick, Use, World};

pub(super) const STAYS_LOGGED_IN: Claim<Setting> = Claim {
    name: "no client is told that its token is not good, and no session ends, but for a theft",
    is_true: |_, change| untouched(change.after).all(is_logged_in),
};

pub(super) const GETS_THROUGH: Claim<Setting> = Claim {
    name: "whatever a client sends or sends again would be answered with a token, came it through now",
    is_true: |setting, change| {
        untouched(change.after).all(|session| {
            (0..setting.tabs).all(|tab| {
                let request = request_of(setting, session, tab);
                let decision = setting.decision(request, session.row, change.after.now);
                gives_a_token(&decision)
            })
        })
    },
};

pub(super) const ENDED_STAYS_ENDED: Claim<Setting> = Claim {
    name: "after a replay outside the rules no token of the session works, until a restore",
    is_true: |setting, change| {
        let is_restore = change.event == Event::BackupIsPutBack;
        sessions(change).all(|(before, after)| {
            let stays = is_restore || !before.history.was_replayed || before.row == after.row;
            let is_over = after.row.has_ended && all_are_dead(setting, after, change.after.now);
            stays && (!after.history.was_replayed || is_over)
        })
    },
};

pub(super) const ONE_SUCCESSOR: Claim<Setting> = Claim {
    name: "whoever asks and however often, the answer to a token is the one after it",
    is_true: |setting, change| {
        uses(change.after).all(|used| {
            let successor = if setting.rotates {
                used.generation.next()
            } else {
                Some(used.generation)
            };
            let (oldest, newest) = used.answers;
            (Some(oldest), Some(newest)) == (successor, successor)
        })
    },
};

pub(super) const ONE_WAY_FORWARD: Claim<Setting> = Claim {
    name: "of all tokens that were made only the newest moves a live session on; after a restore, \
           all from the restored one on",
    is_true: |setting, change| {
        let is_restored = change.after.backup == Backup::PutBack;
        change.after.sessions.iter().all(|session| {
            let current = session.row.generation;
            let as_expected = session.history.tokens().all(|generation| {
                let request = Request {
                    from: Party::Thief,
                    generation,
                    key: None,
                };
                let decision = setting.decision(request, session.row, change.after.now);
                let moves = matches!(decision, Decision::Rotate(_) | Decision::CatchUp(_));
                moves == (generation >= current)
            });
            let is_newest = current == session.history.newest;
            session.row.has_ended || (as_expected && (is_restored || is_newest))
        })
    },
};

pub(super) const REPEAT_WRITES_NOTHING: Claim<Setting> = Claim {
    name: "a repeated answer writes nothing",
    is_true: |setting, change| {
        decided(setting, change) != Some(Decision::Repeat) || !has_written(change)
    },
};

pub(super) const NOBODY_SHARES_A_TOKEN: Claim<Setting> = Claim {
    name: "no token is honoured both for the client and for a thief",
    is_true: |_, change| uses(change.after).all(|used| used.last_by_other.is_none()),
};

pub(super) const SHARED_WITHIN_THE_WINDOW: Claim<Setting> = Claim {
    name: "a token that was honoured for one of client and thief is honoured for the other within \
           the retry window only",
    is_true: |_, change| {
        let mut uses = uses(change.after);
        uses.all(|used| used.last_by_other.is_none_or(|at| at <= used.first_at))
    },
};

pub(super) const ONLY_THE_STOLEN_IS_SHARED: Claim<Setting> = Claim {
    name: "no token but the stolen one is honoured both for the client and for a thief",
    is_true: |_, change| {
        change.after.sessions.iter().all(|session| {
            let mut uses = session.history.uses.iter();
            let stolen = session.thief.stolen;
            uses.all(|used| used.last_by_other.is_none() || stolen == Some(used.generation))
        })
    },
};

pub(super) const THEFT_SHOWS: Claim<Setting> = Claim {
    name: "when client and thief take turns in using what they have, each later than the retry \
           window after the other, the session is ended by the time that both had two",
    is_true: |setting, change| {
        let now = change.after.now;
        change.after.sessions.iter().all(|session| {
            session.row.has_ended
                || session.thief.stolen.is_none()
                || [[true, false], [false, true]]
                    .into_iter()
                    .all(|turns| taking_turns_ends_it(setting, session, turns.repeat(2), now))
        })
    },
};

pub(super) const SESSIONS_ARE_ISOLATED: Claim<Setting> = Claim {
    name: "what happens to one session leaves the others as they are",
    is_true: |_, change| match change.event {
        Event::In(index, _) => sessions(change)
            .enumerate()
            .all(|(other, (before, after))| other == index || before == after),
        _ => true,
    },
};

/// The sessions that no thief has to do with.
fn untouched(world: &World) -> impl Iterator<Item = &Session> {
    let sessions = world.sessions.iter();
    sessions.filter(|session| session.thief.stolen.is_none())
}

fn is_logged_in(session: &Session) -> bool {
    !session.client.is_logged_out && !session.row.has_ended
}

/// What a tab waits for, or would send.
fn request_of(setting: &Setting, session: &Session, tab: u8) -> Request {
    let waiting = session.client.waiting[usize::from(tab)];
    waiting.unwrap_or_else(|| setting.next_request(&session.client, tab))
}

fn all_are_dead(setting: &Setting, session: &Session, now: Tick) -> bool {
    let keys = [None, Some(Key::Thief), session.row.rotated_with];
    session.history.tokens().all(|generation| {
        keys.into_iter().all(|key| {
            let request = Request {
                from: Party::Thief,
                generation,
                key,
            };
            setting.decision(request, session.row, now) == Decision::Dead
        })
    })
}

/// Lets client and thief use the newest tokens that they have, in turns, one request after the
/// other, and tells whether that ended the session. `true` is the turn of the thief.
fn taking_turns_ends_it(
    setting: &Setting,
    session: &Session,
    turns: Vec<bool>,
    mut now: Tick,
) -> bool {
    let mut session = session.clone();
    for is_thief in turns {
        now += 1;
        let requests = if is_thief {
            let newest = session.thief.tokens.iter().max();
            newest.map_or_else(Vec::new, |newest| setting.thefts(&session, newest))
        } else {
            vec![request_of(setting, &session, 0)]
        };
        let answer = requests
            .into_iter()
            .find_map(|request| settle(setting, &mut session.row, request, now));
        match answer {
            None => return true,
            Some(token) if is_thief => session.thief.tokens.insert(token),
            Some(token) => {
                session.client.stored = token;
                session.client.waiting = Default::default();
            }
        }
    }
    false
}

/// Serves a request at one go.
fn settle(setting: &Setting, row: &mut Row, request: Request, now: Tick) -> Option<Generation> {
    match setting.decision(request, *row, now) {
        Decision::Rotate(step) | Decision::CatchUp(step) => {
            setting.design.store.moves(row, &step);
            Some(step.to)
        }
        Decision::Repeat => Some(row.generation),
        Decision::Keep => Some(request.generation),
        Decision::Reuse | Decision::Dead => None,
    }
}

fn gives_a_token(decision: &Decision) -> bool {
    !matches!(decision, Decision::Reuse | Decision::Dead)
}

fn uses(world: &World) -> impl Iterator<Item = Use> {
    let sessions = world.sessions.iter();
    sessions.flat_map(|session| session.history.uses.iter())
}

/// Each session before and after.
pub(super) fn sessions<'a>(
    change: &Change<'a, Setting>,
) -> impl Iterator<Item = (&'a Session, &'a Session)> + use<'a> {
    change.before.sessions.iter().zip(&change.after.sessions)
}

pub(super) fn has_written(change: &Change<'_, Setting>) -> bool {
    sessions(change).any(|(before, after)| before.row != after.row)
}

/// What a server decided upon reading, or upon reading again when it could not write.
pub(super) fn decided(setting: &Setting, change: &Change<'_, Setting>) -> Option<Decision> {
    let Event::In(index, happening) = change.event else {
        return None;
    };
    let row = change.before.sessions[index].row;
    match happening {
        Happening::Arrives(request, at) => Some(setting.decision(request, row, at)),
        Happening::Writes(serving, at) if !has_written(change) => {
            Some(setting.decision(serving.request, row, at))
        }
        _ => None,
    }
}
