//! A history by sessions, clients and faults.

use std::collections::BTreeMap;

use super::super::history::{Act, Entry, Event};
use super::session::{End, Session, Why};
use super::{ACCESS_LIFETIME, SECOND};

/// A request without an answer has its effect after this time at the latest, or never.
const LONGEST_UNDER_WAY: u64 = 15 * SECOND;
/// Whoever failed so often at the login, or tries so often at once, has to wait; and for no longer than this.
const FREE_ATTEMPTS: usize = 5;
const LONGEST_WAIT: u64 = 300 * SECOND;
/// No fault lasts as long as this.
const LONGEST_DEAF: u64 = 30 * SECOND;

/// Everything that is known of the sessions, the clients and the faults.
pub(super) struct Book<'a> {
    pub(super) sessions: BTreeMap<&'a str, Session<'a>>,
    /// When there was a fault: its beginning, and the latest end of all that began until then.
    faults: Vec<(u64, u64)>,
    /// From the first entry to the last questions.
    lasting: (u64, u64),
    /// When each access token of a service was asked for.
    services: BTreeMap<&'a str, u64>,
    /// When somebody was at the login: whose, whether that failed, and when.
    logins: Vec<Login<'a>>,
    /// When the last questions began.
    pub(super) calm: Option<u64>,
    pub(super) replicas: usize,
    pub(super) verifiers: &'a [String],
    /// When people signed out everywhere, and until when that may have arrived.
    sign_outs: Vec<(&'a str, u64, u64)>,
    /// When clients were disabled.
    disabled: Vec<Disabled<'a>>,
}

/// An attempt to log in.
struct Login<'a> {
    person: &'a str,
    is_failure: bool,
    when: (u64, u64),
}

/// A time in which a client was disabled.
struct Disabled<'a> {
    client: &'a str,
    /// When that was first asked for, and when it was acknowledged.
    began: u64,
    acknowledged: Option<u64>,
    /// When the opposite was first asked for, and when it was acknowledged.
    enabling: u64,
    enabled: u64,
}

impl<'a> Book<'a> {
    pub(super) fn of(history: &'a [Entry]) -> Self {
        let mut book = Self {
            sessions: BTreeMap::new(),
            faults: Vec::new(),
            lasting: (0, 0),
            services: BTreeMap::new(),
            logins: Vec::new(),
            calm: None,
            replicas: 0,
            verifiers: &[],
            sign_outs: Vec::new(),
            disabled: Vec::new(),
        };
        let mut windows = BTreeMap::new();
        for entry in history {
            match &entry.what {
                Event::Setup {
                    replicas,
                    verifiers,
                    clients,
                    ..
                } => {
                    book.replicas = *replicas;
                    book.verifiers = verifiers;
                    let window = |ms: u64| ms.saturating_mul(1_000);
                    let known = clients.iter();
                    windows.extend(known.map(|it| (it.id.as_str(), window(it.retry_window_ms))));
                }
                Event::Fault { .. } => book.faults.push((entry.began, entry.ended)),
                Event::Calm => book.calm = Some(entry.began),
                Event::Service {
                    access: Some(access),
                    ..
                } => {
                    book.services.insert(access, entry.began);
                }
                Event::Password { person, answer, .. } => book.logins.push(Login {
                    person,
                    is_failure: answer.is_failure(),
                    when: (entry.began, entry.ended),
                }),
                Event::SignIn {
                    session: Some(session),
                    person,
                    client,
                    ..
                } => {
                    let window = windows.get(client.as_str()).copied().unwrap_or_default();
                    let began = Session::begun(session, (client, person), entry, window);
                    book.sessions.insert(session, began);
                }
                _ => {}
            }
        }
        book.faults.sort_unstable();
        let mut latest = 0;
        for (_, end) in &mut book.faults {
            latest = latest.max(*end);
            *end = latest;
        }
        let first = history.iter().map(|entry| entry.began).min();
        let last = history.iter().map(|entry| entry.ended).max();
        book.lasting = (
            first.unwrap_or_default(),
            book.calm.or(last).unwrap_or_default(),
        );
        book.take_in(history);
        book
    }

    fn take_in(&mut self, history: &'a [Entry]) {
        for entry in history {
            if let Some(session) = entry
                .what
                .session()
                .and_then(|id| self.sessions.get_mut(id))
            {
                session.entries.push(entry);
                if let Event::SignIn { access, .. } | Event::Refresh { access, .. } = &entry.what
                    && let Some(access) = access
                {
                    session.access.insert(access, (entry.began, entry.ended));
                }
            }
            self.note_ends(entry);
        }
        for session in self.sessions.values_mut() {
            session.complete();
        }
    }

    fn note_ends(&mut self, entry: &'a Entry) {
        let (why, answer) = match &entry.what {
            Event::Logout { answer, .. } => (Why::Logout, answer),
            Event::SignOut { answer, .. } => (Why::SignOut, answer),
            Event::Admin {
                act: Act::EndSession,
                answer,
                ..
            } => (Why::EndedByAdministrator, answer),
            Event::Admin {
                act,
                subject,
                answer,
                ..
            } => return self.note_client(*act, subject, (entry, answer.status == 200)),
            _ => return,
        };
        let is_done = matches!(answer.status, 200 | 204);
        if !is_done && !answer.is_failure() {
            // It was refused, and so has ended nothing.
            return;
        }
        // What was sent may still arrive.
        let until = entry.ended + if is_done { 0 } else { LONGEST_UNDER_WAY };
        let end = End {
            why,
            began: entry.began,
            acknowledged: is_done.then_some(entry.ended),
            until,
        };
        if let Event::SignOut { person, .. } = &entry.what {
            self.sign_outs.push((person, entry.began, until));
            self.end_all(person, end);
        } else if let Some(session) = entry.what.session()
            && let Some(session) = self.sessions.get_mut(session)
        {
            session.ends.push(end);
        }
    }

    fn note_client(&mut self, act: Act, client: &'a str, (entry, is_done): (&Entry, bool)) {
        let last = self
            .disabled
            .iter_mut()
            .rev()
            .find(|it| it.client == client);
        match (act, last.filter(|last| last.enabled == u64::MAX)) {
            (Act::DisableClient, None) => self.disabled.push(Disabled {
                client,
                began: entry.began,
                acknowledged: is_done.then_some(entry.ended),
                enabling: u64::MAX,
                enabled: u64::MAX,
            }),
            (Act::DisableClient, Some(last)) if is_done => {
                last.acknowledged.get_or_insert(entry.ended);
            }
            (Act::EnableClient, Some(last)) => {
                last.enabling = last.enabling.min(entry.began);
                if is_done {
                    last.enabled = entry.ended;
                }
            }
            _ => {}
        }
    }

    /// Ends sessions together. One that began at the same time may have been spared.
    fn end_all(&mut self, person: &str, end: End) {
        let those = self.sessions.values_mut();
        let those = those.filter(|session| session.person == person);
        for session in those.filter(|session| session.signed_in.0 <= end.until) {
            let is_certain = session.signed_in.1 < end.began;
            session.ends.push(End {
                acknowledged: end.acknowledged.filter(|_| is_certain),
                ..end
            });
        }
    }

    /// Whether a client may have been disabled in that time.
    pub(super) fn may_be_disabled(&self, client: &str, (began, ended): (u64, u64)) -> bool {
        let mut times = self.disabled.iter().filter(|it| it.client == client);
        // Others hear of it a little later, and much later where they are cut off from the database.
        let patience = if self.is_disturbed((began, ended), 2 * SECOND) {
            LONGEST_DEAF
        } else {
            2 * SECOND
        };
        times.any(|it| it.began <= ended && began <= it.enabled.saturating_add(patience))
    }

    /// Whether a person may have signed out everywhere in that time. Codes from before are good for nothing.
    pub(super) fn may_sign_out(&self, person: &str, (began, ended): (u64, u64)) -> bool {
        let mut times = self.sign_outs.iter().filter(|it| it.0 == person);
        times.any(|(_, from, to)| *from <= ended && began <= *to)
    }

    /// Whether a client was certain to be disabled in that time, and every replica has had the time to hear
    /// of it.
    pub(super) fn is_disabled(&self, client: &str, (began, ended): (u64, u64)) -> bool {
        let mut times = self.disabled.iter().filter(|it| it.client == client);
        times.any(|it| {
            let known = it.acknowledged.map(|at| at + SECOND);
            known.is_some_and(|known| known < began) && ended < it.enabling
        })
    }

    /// Since when an access token of a session is certain to be cut off, because its client was disabled.
    pub(super) fn cut_off_at(&self, session: &Session<'_>, access: &str) -> Option<u64> {
        let (_, issued) = session.access.get(access)?;
        let times = self
            .disabled
            .iter()
            .filter(|it| it.client == session.client);
        let later = times.filter(|it| it.began > *issued);
        later.filter_map(|it| it.acknowledged).min()
    }

    /// Whether an access token of a session may have been cut off before an instant.
    pub(super) fn may_be_cut_off(&self, session: &Session<'_>, access: &str, before: u64) -> bool {
        let asked = session.access.get(access).map_or(0, |(asked, _)| *asked);
        let mut times = self
            .disabled
            .iter()
            .filter(|it| it.client == session.client);
        times.any(|it| it.began < before && asked <= it.enabled)
    }

    /// Whether whoever signs out with the newest access token of a session may be told that it is dead.
    pub(super) fn may_be_over(&self, session: &str, (began, ended): (u64, u64)) -> bool {
        let Some(session) = self.sessions.get(session) else {
            return false;
        };
        let known = session.access.iter().filter(|(_, (_, had))| *had <= began);
        let newest = known.max_by_key(|(_, when)| **when);
        session.is_touched_before(ended)
            || newest.is_some_and(|(access, _)| self.may_be_cut_off(session, access, ended))
    }

    /// Whether an access token, of a session or a service, may have come to the end of its life.
    pub(super) fn may_be_expired(&self, session: Option<&str>, access: &str, ended: u64) -> bool {
        let session = session.and_then(|session| self.sessions.get(session));
        let asked = session.and_then(|session| session.access.get(access));
        let asked = asked.map(|(asked, _)| *asked);
        let asked = asked.or_else(|| self.services.get(access).copied());
        // Whole seconds are written into a token.
        asked.is_some_and(|asked| ended + 2 * SECOND > asked + ACCESS_LIFETIME)
    }

    /// Whether a person may have to wait at the login: attempts count before the password is looked at, also
    /// those that a fault cut short, and those that other devices make at the same time.
    pub(super) fn may_have_to_wait(&self, person: &str, (began, ended): (u64, u64)) -> bool {
        let cut_short = |it: &Login<'_>| {
            let is_near = it.when.0 <= ended && began <= it.when.1.saturating_add(LONGEST_WAIT);
            it.person == person && it.is_failure && is_near
        };
        let at_once = |it: &&Login<'_>| it.when.0 <= ended && began <= it.when.1;
        let mut logins = self.logins.iter();
        logins.any(cut_short) || self.logins.iter().filter(at_once).count() > FREE_ATTEMPTS
    }

    /// Whether there was a fault in that time, or so long before.
    pub(super) fn is_disturbed(&self, (began, ended): (u64, u64), before: u64) -> bool {
        let begun = self.faults.partition_point(|(from, _)| *from <= ended);
        let last = begun.checked_sub(1).and_then(|last| self.faults.get(last));
        last.is_some_and(|(_, to)| began <= to.saturating_add(before))
    }

    /// In hundredths, how much of the time there was a fault, or so long before.
    pub(super) fn disturbed_share(&self, before: u64) -> u64 {
        let (mut seen, end) = self.lasting;
        let all = end.saturating_sub(seen);
        let mut disturbed = 0;
        for (from, to) in &self.faults {
            let from = (*from).max(seen);
            let to = to.saturating_add(before).min(end);
            disturbed += to.saturating_sub(from);
            seen = seen.max(to);
        }
        (disturbed * 100).checked_div(all).unwrap_or_default()
    }
}
