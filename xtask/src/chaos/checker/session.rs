//! What is known of one session.

use std::collections::BTreeMap;

use super::super::history::{Entry, Event, Role};
use super::SECOND;

/// Clocks of the day, by which the service measures, and ours may disagree by so much.
const CLOCK_DRIFT: u64 = SECOND / 10;

/// What happened to one session.
pub(super) struct Session<'a> {
    pub(super) id: &'a str,
    pub(super) client: &'a str,
    pub(super) person: &'a str,
    /// In the order in which they ended.
    pub(super) entries: Vec<&'a Entry>,
    /// Whatever may have ended it, or was meant to.
    pub(super) ends: Vec<End>,
    /// Since when it is certain to be over.
    pub(super) death: Option<End>,
    /// Since when something may have ended it, or somebody else held a token of it.
    pub(super) touched_at: Option<u64>,
    pub(super) signed_in: (u64, u64),
    /// When each access token was asked for, and when it was there.
    pub(super) access: BTreeMap<&'a str, (u64, u64)>,
    /// When each generation was first answered with.
    issued: BTreeMap<u32, u64>,
    retry_window: u64,
}

/// Something that ends a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) why: Why,
    pub(super) began: u64,
    /// When it was acknowledged.
    pub(super) acknowledged: Option<u64>,
    /// Until then it has had its effect, or never has one.
    pub(super) until: u64,
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Logout,
    SignOut,
    EndedByAdministrator,
    /// A superseded refresh token was presented.
    Reuse,
}

/// A presentation of a refresh token.
pub(super) struct Presented<'a> {
    pub(super) entry: &'a Entry,
    pub(super) role: Role,
    pub(super) token: &'a str,
    pub(super) generation: u32,
    pub(super) key: &'a str,
    pub(super) successor: Option<&'a (String, u32)>,
    pub(super) status: u16,
    pub(super) error: Option<&'a str>,
}

impl<'a> Session<'a> {
    pub(super) fn begun(
        id: &'a str,
        (client, person): (&'a str, &'a str),
        entry: &'a Entry,
        retry_window: u64,
    ) -> Self {
        Self {
            id,
            client,
            person,
            entries: Vec::new(),
            ends: Vec::new(),
            death: None,
            touched_at: None,
            signed_in: (entry.began, entry.ended),
            access: BTreeMap::new(),
            issued: BTreeMap::from([(1, entry.ended)]),
            retry_window,
        }
    }

    /// What follows from all entries together.
    pub(super) fn complete(&mut self) {
        self.entries.sort_by_key(|entry| entry.ended);
        let mut issued = std::mem::take(&mut self.issued);
        for presented in self.presented() {
            if let Some((_, generation)) = presented.successor {
                issued.entry(*generation).or_insert(presented.entry.ended);
            }
        }
        self.issued = issued;
        let strangers = self.presented().filter(|it| it.role != Role::Honest);
        let strangers = strangers.map(|presented| presented.entry.began);
        let ends = self.ends.iter().map(|end| end.began);
        self.touched_at = ends.chain(strangers).min();
        let reused: Vec<_> = self.presented().filter(|it| self.is_reuse(it)).collect();
        for presented in reused {
            let is_caught = presented.status == 400 && presented.error == Some("invalid_grant");
            self.ends.push(End {
                why: Why::Reuse,
                began: presented.entry.began,
                acknowledged: is_caught.then_some(presented.entry.ended),
                until: presented.entry.ended,
            });
        }
        let certain = self.ends.iter().filter(|end| end.acknowledged.is_some());
        self.death = certain.min_by_key(|end| end.acknowledged).copied();
    }

    /// Every time that a refresh token of it was presented.
    pub(super) fn presented(&self) -> impl Iterator<Item = Presented<'a>> + use<'a, '_> {
        self.entries.iter().filter_map(|entry| Presented::of(entry))
    }

    /// Whether the token was certain to be superseded when it was presented, and none of the rules for
    /// retries could apply.
    pub(super) fn is_reuse(&self, presented: &Presented<'_>) -> bool {
        let (began, generation) = (presented.entry.began, presented.generation);
        let later = self.issued.range(generation.saturating_add(2)..);
        if later.into_iter().any(|(_, at)| *at < began) {
            return true;
        }
        let Some(next) = self.issued.get(&generation.saturating_add(1)) else {
            return false;
        };
        let is_late = began > next + self.retry_window + CLOCK_DRIFT;
        // The request that made the next token is one of those that began before it was there.
        let mut requests = self
            .presented()
            .filter(|other| other.generation == generation && other.entry.began < *next);
        is_late && !requests.any(|other| other.key == presented.key)
    }

    /// Whether something may have ended it before an instant.
    pub(super) fn is_touched_before(&self, instant: u64) -> bool {
        self.touched_at.is_some_and(|touched| touched < instant)
    }

    /// Whether a sign-out everywhere may be what has ended it, and not an act that was about it alone.
    pub(super) fn may_have_ended_with_others(&self) -> bool {
        let Some(death) = self.death else {
            return false;
        };
        let acknowledged = death.acknowledged.unwrap_or(u64::MAX);
        let lived_after = |instant| {
            self.presented()
                .any(|it| it.status == 200 && it.entry.began > instant)
        };
        let mut sign_outs = self.ends.iter().filter(|end| end.why == Why::SignOut);
        death.why == Why::SignOut
            || sign_outs.any(|end| end.began < acknowledged && !lived_after(end.until))
    }

    /// When a thief of it was first caught.
    pub(super) fn caught_at(&self) -> Option<u64> {
        let caught = self.ends.iter().filter(|end| end.why == Why::Reuse);
        caught.filter_map(|end| end.acknowledged).min()
    }
}

impl<'a> Presented<'a> {
    fn of(entry: &'a Entry) -> Option<Self> {
        let Event::Refresh {
            role,
            presented,
            generation,
            key,
            successor,
            answer,
            ..
        } = &entry.what
        else {
            return None;
        };
        Some(Self {
            entry,
            role: *role,
            token: presented,
            generation: *generation,
            key,
            successor: successor.as_ref(),
            status: answer.status,
            error: answer.error.as_deref(),
        })
    }
}
