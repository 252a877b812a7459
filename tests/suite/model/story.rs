//! How it is told what happened.

use std::fmt;

use tokensmith::domain::rotation::Decision;

use super::explorer::Change;
use super::setting::Setting;
use super::system::{Event, Happening};
use super::world::{Key, Party, Phase, Request, Row, Serving};

impl Setting {
    pub(super) fn tell(&self, change: &Change<'_, Self>) -> String {
        match change.event {
            Event::WindowPasses => "the retry window passes".to_owned(),
            Event::BackupIsTaken => "the database is backed up".to_owned(),
            Event::BackupIsPutBack => {
                let rows = change
                    .after
                    .sessions
                    .iter()
                    .map(|session| session.row.to_string());
                let rows: Vec<_> = rows.collect();
                format!("the database is restored: {}", rows.join("; "))
            }
            Event::In(index, happening) => {
                let told = self.tell_happening(change, index, happening);
                if self.sessions > 1 {
                    format!("device {}: {told}", index + 1)
                } else {
                    told
                }
            }
        }
    }

    fn tell_happening(
        &self,
        change: &Change<'_, Self>,
        index: usize,
        happening: Happening,
    ) -> String {
        let (before, after) = (
            &change.before.sessions[index],
            &change.after.sessions[index],
        );
        let row = before.row;
        let decision = |request, at| {
            let by = if at < change.before.now {
                " by a slow clock"
            } else {
                ""
            };
            format!("{row}{by}: {}", word(&self.decision(request, row, at)))
        };
        match happening {
            Happening::Sends(tab) => {
                format!("use {}", self.next_request(&before.client, tab))
            }
            Happening::Restarts => "the client restarts".to_owned(),
            Happening::Arrives(request, at) => {
                format!("{request} arrives; {}", decision(request, at))
            }
            Happening::IsTrusted(request, _) => format!("{request} arrives and is trusted"),
            Happening::Writes(Serving { request, .. }, _) if row != after.row => {
                format!("{request} is written; {}", after.row)
            }
            Happening::Writes(Serving { request, .. }, at) => {
                format!("{request} is too late; {}", decision(request, at))
            }
            Happening::ComesBack(Serving { request, phase }) => match phase {
                Phase::ToAnswer(Some(token)) => format!("{request} gets {}", token.0),
                _ => format!("{request} is refused"),
            },
            Happening::IsLost(Serving { request, phase }) => match phase {
                Phase::ToWrite(_) => format!("the server of {request} stops"),
                Phase::ToAnswer(_) => format!("the answer to {request} is lost"),
            },
        }
    }
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Rotate(_) => "rotate",
        Decision::Keep => "keep",
        Decision::Repeat => "repeat",
        Decision::CatchUp(_) => "catch up",
        Decision::Reuse => "reuse",
        Decision::Dead => "dead",
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_ended {
            f.write_str("the session is ended")
        } else {
            write!(f, "{} is current", self.generation.0)
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.generation.0, self.from)?;
        self.key.map_or(Ok(()), |key| write!(f, " with {key}"))
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tab(0) => f.write_str("tab A"),
            Self::Tab(_) => f.write_str("tab B"),
            Self::Thief => f.write_str("thief"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request {
                tab,
                generation,
                restarts,
            } => {
                let tab = if *tab == 0 { 'a' } else { 'b' };
                let again = if *restarts == 0 { "" } else { "'" };
                write!(f, "key {tab}{}{again}", generation.0)
            }
            Self::Token(generation) => write!(f, "key {}", generation.0),
            Self::Thief => f.write_str("a key of its own"),
        }
    }
}
