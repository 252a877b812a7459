//! What has to come into view, or a property says nothing.

use tokensmith::domain::rotation::Decision;

use super::explorer::Claim;
use super::properties::{decided, has_written, sessions};
use super::setting::Setting;
use super::system::{Event, Happening};
use super::world::{Phase, Serving};

pub(super) const A_REPEAT: Claim<Setting> = Claim {
    name: "a repeated answer",
    is_true: |setting, change| decided(setting, change) == Some(Decision::Repeat),
};

pub(super) const A_KEPT_TOKEN: Claim<Setting> = Claim {
    name: "a token that is kept",
    is_true: |setting, change| decided(setting, change) == Some(Decision::Keep),
};

pub(super) const A_CATCH_UP: Claim<Setting> = Claim {
    name: "a session that catches up",
    is_true: |_, change| {
        let mut sessions = sessions(change);
        sessions.any(|(before, after)| Some(after.row.generation) > before.row.generation.next())
    },
};

pub(super) const A_REUSE: Claim<Setting> = Claim {
    name: "a session that is ended by a replay",
    is_true: |_, change| {
        let mut sessions = sessions(change);
        sessions.any(|(before, after)| !before.row.has_ended && after.row.has_ended)
    },
};

pub(super) const A_DEAD_TOKEN: Claim<Setting> = Claim {
    name: "a token of a session that is over",
    is_true: |setting, change| decided(setting, change) == Some(Decision::Dead),
};

pub(super) const A_LOST_RACE: Claim<Setting> = Claim {
    name: "a write that comes too late",
    is_true: |_, change| {
        matches!(change.event, Event::In(_, Happening::Writes(..))) && !has_written(change)
    },
};

pub(super) const A_LOST_ANSWER: Claim<Setting> = Claim {
    name: "an answer that is lost",
    is_true: |_, change| match change.event {
        Event::In(_, Happening::IsLost(Serving { phase, .. })) => {
            matches!(phase, Phase::ToAnswer(Some(_)))
        }
        _ => false,
    },
};

pub(super) const A_STOPPED_SERVER: Claim<Setting> = Claim {
    name: "a server that stops before it writes",
    is_true: |_, change| match change.event {
        Event::In(_, Happening::IsLost(Serving { phase, .. })) => {
            matches!(phase, Phase::ToWrite(_))
        }
        _ => false,
    },
};

pub(super) const A_RESURRECTION: Claim<Setting> = Claim {
    name: "an ended session that a restore brings back",
    is_true: |_, change| {
        let mut sessions = sessions(change);
        sessions.any(|(before, after)| before.row.has_ended && !after.row.has_ended)
    },
};

pub(super) const A_CLIENT_AT_THE_END: Claim<Setting> = Claim {
    name: "every client gets the last token",
    is_true: |setting, change| {
        let mut sessions = change.after.sessions.iter();
        sessions.all(|session| session.client.stored == setting.last_generation)
    },
};

pub(super) const NOBODY_WAITS: Claim<Setting> = Claim {
    name: "every request is answered",
    is_true: |_, change| {
        let mut sessions = change.after.sessions.iter();
        sessions.all(|session| session.client.waiting.iter().all(Option::is_none))
    },
};

pub(super) const A_THIEF_AT_THE_END: Claim<Setting> = Claim {
    name: "a thief gets the last token",
    is_true: |setting, change| {
        let mut thieves = change.after.sessions.iter().map(|session| &session.thief);
        thieves.any(|thief| {
            thief
                .tokens
                .iter()
                .any(|token| token == setting.last_generation)
        })
    },
};
