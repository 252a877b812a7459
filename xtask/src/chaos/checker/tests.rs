//! Histories made by hand: one that keeps every rule, and for each rule some that break it.

use std::collections::BTreeSet;

use super::super::history::{Act, Answer, ClientTerms, Entry, Event, Role};
use super::{Rule, check};

const S: u64 = 1_000_000;
/// One that no rule forgives for.
const LONG_AGO: u64 = 100 * S;

/// A history that is told in order.
struct Story {
    entries: Vec<Entry>,
    /// Where the next entry begins; each takes a millisecond.
    at: u64,
}

fn answer(status: u16, error: &str) -> Answer {
    Answer {
        replica: 0,
        status,
        error: (!error.is_empty()).then(|| error.to_owned()),
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// The refresh token of a generation.
fn token(generation: u32) -> String {
    format!("r{generation}")
}

impl Story {
    fn new() -> Self {
        let client = |id, retry_window_ms| ClientTerms {
            id: text(id),
            retry_window_ms,
        };
        let mut story = Self {
            entries: Vec::new(),
            at: 0,
        };
        story.then(Event::Setup {
            database: text("sqlite"),
            seed: 1,
            replicas: 1,
            verifiers: vec![text("first"), text("second")],
            clients: vec![client("phone", 30_000), client("tablet", 1_000)],
        });
        story.at = LONG_AGO;
        story
    }

    /// One whose session began.
    fn signed_in() -> Self {
        let mut story = Self::new();
        story.sign_in("s", "phone");
        story
    }

    fn sign_in(&mut self, session: &str, client: &str) -> &mut Self {
        self.then(Event::Password {
            person: text("ada"),
            client: text(client),
            answer: answer(200, ""),
        });
        self.then(Event::SignIn {
            session: Some(text(session)),
            person: text("ada"),
            client: text(client),
            refresh: Some(token(1)),
            access: Some(text("a1")),
            answer: answer(200, ""),
        })
    }

    fn then(&mut self, what: Event) -> &mut Self {
        self.entries.push(Entry {
            began: self.at,
            ended: self.at + 1_000,
            who: text("somebody"),
            what,
        });
        self.at += 2_000;
        self
    }

    fn pause(&mut self, microseconds: u64) -> &mut Self {
        self.at += microseconds;
        self
    }

    fn fault(&mut self, lasting: u64) -> &mut Self {
        self.entries.push(Entry {
            began: self.at,
            ended: self.at + lasting,
            who: text("faults"),
            what: Event::Fault {
                fault: text("something"),
            },
        });
        self
    }

    fn present(&mut self, role: Role, generation: u32, key: &str, how: Answer) -> &mut Self {
        let next = generation + 1;
        let is_answered = how.status == 200;
        self.then(Event::Refresh {
            session: text("s"),
            client: text("phone"),
            role,
            presented: token(generation),
            generation,
            key: text(key),
            successor: is_answered.then(|| (token(next), next)),
            access: is_answered.then(|| format!("a{next}")),
            sabotaged: false,
            answer: how,
        })
    }

    fn refreshed(&mut self, role: Role, generation: u32, key: &str) -> &mut Self {
        self.present(role, generation, key, answer(200, ""))
    }

    fn refused(&mut self, role: Role, generation: u32, key: &str) -> &mut Self {
        self.present(role, generation, key, answer(400, "invalid_grant"))
    }

    fn logout(&mut self) -> &mut Self {
        self.then(Event::Logout {
            session: text("s"),
            client: text("phone"),
            with: text("refresh_token"),
            position: None,
            answer: answer(200, ""),
        })
    }

    fn verified(&mut self, access: &str, reject: Option<&str>) -> &mut Self {
        self.then(Event::Verify {
            verifier: 1,
            session: Some(text("s")),
            access: text(access),
            reject: reject.map(text),
        })
    }

    fn introspected(&mut self, active: bool) -> &mut Self {
        self.then(Event::Introspect {
            session: text("s"),
            access: text("a1"),
            active: Some(active),
            answer: answer(200, ""),
        })
    }

    fn admin(&mut self, act: Act, subject: &str) -> &mut Self {
        self.then(Event::Admin {
            act,
            subject: text(subject),
            position: None,
            answer: answer(200, ""),
        })
    }

    fn recorded(&mut self, kind: &str, session: Option<&str>) -> &mut Self {
        self.then(Event::Audit {
            kind: text(kind),
            session: session.map(text),
            person: Some(text("ada")),
            client: Some(text("phone")),
            detail: None,
        })
    }

    fn bit(&mut self, is_set: Option<bool>) -> &mut Self {
        self.then(Event::Bit {
            session: text("s"),
            replica: 0,
            is_set,
        })
    }

    fn calm(&mut self) -> &mut Self {
        self.pause(30 * S).then(Event::Calm)
    }

    /// The audit log was verified, and begins with the first key.
    fn whole(&mut self, is_whole: bool) -> &mut Self {
        self.then(Event::AuditVerified {
            is_whole,
            said: String::new(),
        })
        .key_recorded("made k1")
    }

    fn key_recorded(&mut self, detail: &str) -> &mut Self {
        self.then(Event::Audit {
            kind: text("signing_keys_changed"),
            session: None,
            person: None,
            client: None,
            detail: Some(text(detail)),
        })
    }

    /// The answers to the last questions about a session that nobody has ended; the next generation is this one.
    fn used_up(&mut self, generation: u32) -> &mut Self {
        self.refreshed(Role::Honest, generation, "last")
            .refreshed(Role::Honest, generation + 1, "very last")
            .refused(Role::Ghost, 1, "ghost")
    }

    fn sign_out(&mut self, session: &str, how: Answer) -> &mut Self {
        self.then(Event::SignOut {
            session: text(session),
            person: text("ada"),
            position: None,
            answer: how,
        })
    }

    /// The answers to the last questions about a session that was ended, and these records of its end.
    fn ended_well(&mut self, records: &[&str]) -> &mut Self {
        self.calm()
            .refused(Role::Ghost, 1, "ghost")
            .introspected(false)
            .bit(Some(true));
        self.whole(true);
        self.recorded("login_succeeded", None)
            .recorded("session_started", Some("s"));
        for kind in records {
            self.recorded(kind, Some("s"));
        }
        self
    }

    fn broken(&self) -> BTreeSet<Rule> {
        let violations = check(&self.entries).violations;
        violations
            .into_iter()
            .map(|violation| violation.rule)
            .collect()
    }

    #[track_caller]
    fn breaks(&self, rule: Rule) {
        assert_eq!(self.broken(), BTreeSet::from([rule]));
    }

    #[track_caller]
    fn keeps_all_rules(&self) {
        let violations = check(&self.entries).violations;
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

#[test]
fn a_life_by_the_rules_breaks_none() {
    Story::signed_in()
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 1, "k1")
        .verified("a2", None)
        .refreshed(Role::Honest, 2, "k2")
        .introspected(true)
        .logout()
        .verified("a3", None)
        .verified("a3", Some("revoked"))
        .ended_well(&["session_ended"])
        .keeps_all_rules();
}

#[test]
fn an_honest_client_that_is_refused_is_a_violation() {
    let mut story = Story::signed_in();
    story
        .refreshed(Role::Honest, 1, "k1")
        .refused(Role::Honest, 2, "k2");
    story.breaks(Rule::NoHonestClientIsLoggedOut);
}

#[test]
fn an_honest_client_is_refused_after_its_session_was_ended() {
    let mut by_logout = Story::signed_in();
    by_logout
        .logout()
        .refused(Role::Honest, 1, "k1")
        .keeps_all_rules();
    let mut by_administrator = Story::signed_in();
    by_administrator
        .admin(Act::EndSession, "s")
        .refused(Role::Honest, 1, "k1");
    by_administrator.keeps_all_rules();
    let mut by_thief = Story::signed_in();
    by_thief
        .refreshed(Role::Thief, 1, "t")
        .refused(Role::Honest, 1, "k1");
    by_thief.keeps_all_rules();
}

#[test]
fn the_end_of_another_session_is_no_reason_to_be_refused() {
    let mut story = Story::signed_in();
    story.sign_in("other", "phone");
    story.then(Event::Logout {
        session: text("other"),
        client: text("phone"),
        with: text("refresh_token"),
        position: None,
        answer: answer(200, ""),
    });
    story
        .refused(Role::Honest, 1, "k1")
        .breaks(Rule::NoHonestClientIsLoggedOut);
}

#[test]
fn a_person_who_signs_out_everywhere_ends_what_had_begun_and_nothing_later() {
    let sign_out = Event::SignOut {
        session: text("other"),
        person: text("ada"),
        position: None,
        answer: answer(204, ""),
    };
    let mut before = Story::signed_in();
    before
        .then(sign_out.clone())
        .refused(Role::Honest, 1, "k1")
        .keeps_all_rules();
    let mut still_there = Story::signed_in();
    still_there
        .then(sign_out.clone())
        .refreshed(Role::Honest, 1, "k1");
    still_there.breaks(Rule::NoRevocationIsLost);
    let mut later = Story::new();
    later
        .then(sign_out)
        .sign_in("s", "phone")
        .refused(Role::Honest, 1, "k1");
    later.breaks(Rule::NoHonestClientIsLoggedOut);
}

#[test]
fn a_living_access_token_that_is_called_dead_is_a_violation() {
    for reason in ["revoked", "cut_off"] {
        let mut story = Story::signed_in();
        story
            .verified("a1", Some(reason))
            .breaks(Rule::NoHonestClientIsLoggedOut);
    }
    Story::signed_in()
        .introspected(false)
        .breaks(Rule::NoHonestClientIsLoggedOut);
}

#[test]
fn a_token_with_two_successors_is_a_violation() {
    let mut story = Story::signed_in();
    story
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 1, "k1");
    if let Event::Refresh { successor, .. } = &mut story.entries.last_mut().unwrap().what {
        *successor = Some((text("another"), 2));
    }
    story.breaks(Rule::OneSuccessor);
}

#[test]
fn a_generation_that_is_skipped_or_missing_is_a_violation() {
    for wrong in [Some((token(3), 3)), None] {
        let mut story = Story::signed_in();
        story.refreshed(Role::Honest, 1, "k1");
        if let Event::Refresh { successor, .. } = &mut story.entries.last_mut().unwrap().what {
            *successor = wrong;
        }
        story.breaks(Rule::OneSuccessor);
    }
}

#[test]
fn a_superseded_token_that_is_answered_is_a_violation() {
    let mut story = Story::signed_in();
    story
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 2, "k2");
    story.refreshed(Role::Thief, 1, "t");
    story.breaks(Rule::TheftIsCaught);
}

#[test]
fn the_same_key_does_not_help_two_generations_later() {
    let mut story = Story::signed_in();
    story
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 2, "k2");
    story
        .refreshed(Role::Honest, 1, "k1")
        .breaks(Rule::TheftIsCaught);
}

#[test]
fn another_key_after_the_window_is_theft_and_within_it_is_not() {
    let story = |pause, key| {
        let mut story = Story::signed_in();
        story
            .refreshed(Role::Honest, 1, "k1")
            .pause(pause)
            .refreshed(Role::Thief, 1, key);
        story
    };
    story(29 * S, "t").keeps_all_rules();
    story(31 * S, "t").breaks(Rule::TheftIsCaught);
    story(31 * S, "k1").keeps_all_rules();
}

#[test]
fn a_window_is_that_of_the_client() {
    let mut story = Story::new();
    story.sign_in("s", "tablet");
    story
        .refreshed(Role::Honest, 1, "k1")
        .pause(2 * S)
        .refreshed(Role::Thief, 1, "t");
    story.breaks(Rule::TheftIsCaught);
}

#[test]
fn a_token_that_is_answered_after_a_thief_was_caught_is_a_violation() {
    let mut story = Story::signed_in();
    story
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 2, "k2");
    story
        .refused(Role::Thief, 1, "t")
        .refreshed(Role::Honest, 3, "k3");
    story.breaks(Rule::TheftIsCaught);
}

#[test]
fn a_request_that_began_before_the_thief_was_caught_may_be_answered() {
    let mut story = Story::signed_in();
    story
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 2, "k2");
    let began = story.at;
    story
        .refused(Role::Thief, 1, "t")
        .refreshed(Role::Honest, 3, "k3");
    story.entries.last_mut().unwrap().began = began;
    story.keeps_all_rules();
}

#[test]
fn a_thief_who_was_not_answered_is_not_caught_yet() {
    let mut story = Story::signed_in();
    story
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 2, "k2");
    story
        .fault(S)
        .present(Role::Thief, 1, "t", answer(0, "timeout"));
    story.refreshed(Role::Honest, 3, "k3").keeps_all_rules();
}

#[test]
fn a_verifier_that_believes_for_more_than_two_seconds_is_a_violation_whatever_is_wrong() {
    let story = |pause| {
        let mut story = Story::signed_in();
        story
            .fault(60 * S)
            .logout()
            .pause(pause)
            .verified("a1", None);
        story
    };
    story(1_900_000).keeps_all_rules();
    story(2_100_000).breaks(Rule::LogoutReachesVerifiers);
}

#[test]
fn a_verifier_that_believes_for_more_than_a_second_is_a_violation_where_nothing_is_wrong() {
    let mut story = Story::signed_in();
    story.logout().pause(1_100_000).verified("a1", None);
    story.breaks(Rule::LogoutReachesVerifiers);
}

#[test]
fn a_verifier_that_forgets_is_a_violation() {
    let mut story = Story::signed_in();
    story
        .logout()
        .verified("a1", Some("revoked"))
        .pause(60 * S)
        .verified("a1", None);
    story.breaks(Rule::LogoutReachesVerifiers);
}

#[test]
fn theft_and_administrators_end_access_tokens_too() {
    let mut theft = Story::signed_in();
    theft
        .refreshed(Role::Honest, 1, "k1")
        .refreshed(Role::Honest, 2, "k2");
    theft
        .refused(Role::Thief, 1, "t")
        .pause(3 * S)
        .verified("a3", None);
    theft.breaks(Rule::LogoutReachesVerifiers);
    let mut administrator = Story::signed_in();
    administrator
        .admin(Act::EndSession, "s")
        .pause(3 * S)
        .verified("a1", None);
    administrator.breaks(Rule::LogoutReachesVerifiers);
}

#[test]
fn the_access_tokens_of_a_disabled_client_are_cut_off_and_its_sessions_go_on() {
    let mut story = Story::signed_in();
    story.admin(Act::DisableClient, "phone").pause(S);
    story.verified("a1", Some("cut_off")).introspected(false);
    story.present(Role::Honest, 1, "k1", answer(401, "invalid_client"));
    story.admin(Act::EnableClient, "phone");
    story
        .refreshed(Role::Honest, 1, "k1")
        .verified("a2", None)
        .keeps_all_rules();
    let mut believed = Story::signed_in();
    believed
        .admin(Act::DisableClient, "phone")
        .pause(3 * S)
        .verified("a1", None);
    believed.breaks(Rule::LogoutReachesVerifiers);
    let mut refused = Story::signed_in();
    refused
        .admin(Act::DisableClient, "phone")
        .admin(Act::EnableClient, "phone");
    refused
        .refused(Role::Honest, 1, "k1")
        .breaks(Rule::NoHonestClientIsLoggedOut);
    let mut served = Story::signed_in();
    served
        .admin(Act::DisableClient, "phone")
        .pause(2 * S)
        .refreshed(Role::Honest, 1, "k1");
    served.breaks(Rule::NoRevocationIsLost);
    let mut too_much = Story::signed_in();
    too_much
        .admin(Act::DisableClient, "phone")
        .admin(Act::EnableClient, "phone")
        .pause(5 * S);
    too_much
        .refreshed(Role::Honest, 1, "k1")
        .verified("a2", Some("cut_off"));
    too_much.breaks(Rule::NoHonestClientIsLoggedOut);
}

#[test]
fn what_is_answered_after_a_logout_is_a_violation() {
    let mut refresh = Story::signed_in();
    refresh
        .logout()
        .refreshed(Role::Ghost, 1, "g")
        .breaks(Rule::NoRevocationIsLost);
    let mut introspection = Story::signed_in();
    introspection
        .logout()
        .introspected(true)
        .breaks(Rule::NoRevocationIsLost);
}

#[test]
fn at_the_end_every_logout_is_still_there() {
    let last = |refused: bool, active: bool, bit: Option<bool>| {
        let mut story = Story::signed_in();
        story.logout().calm();
        if refused {
            story.refused(Role::Ghost, 1, "g");
        }
        if !active {
            story.introspected(false);
        }
        story.bit(bit).whole(true);
        story
            .recorded("login_succeeded", None)
            .recorded("session_started", Some("s"));
        story.recorded("session_ended", Some("s"));
        story
    };
    last(true, false, Some(true)).keeps_all_rules();
    last(false, false, Some(true)).breaks(Rule::NoRevocationIsLost);
    last(true, true, Some(true)).breaks(Rule::NoRevocationIsLost);
    last(true, false, Some(false)).breaks(Rule::NoRevocationIsLost);
    last(true, false, None).breaks(Rule::NoRevocationIsLost);
}

#[test]
fn rotations_that_the_database_has_lost_are_a_violation() {
    let mut story = Story::signed_in();
    story
        .logout()
        .ended_well(&["session_ended", "refresh_caught_up"]);
    story.breaks(Rule::NoRevocationIsLost);
}

#[test]
fn every_record_of_what_was_acknowledged_is_missed() {
    let full = || {
        let mut story = Story::signed_in();
        story
            .admin(Act::DisableClient, "phone")
            .admin(Act::EnableClient, "phone");
        story.admin(Act::RotateKeys, "the issuer");
        story.then(Event::SignOut {
            session: text("s"),
            person: text("ada"),
            position: None,
            answer: answer(204, ""),
        });
        story.ended_well(&[]).recorded("session_ended", None);
        story
            .recorded("client_disabled", None)
            .recorded("client_enabled", None);
        story.key_recorded("made k2, rescheduled k1");
        story
    };
    full().keeps_all_rules();
    let kinds = [
        "login_succeeded",
        "session_started",
        "session_ended",
        "client_disabled",
        "client_enabled",
        "signing_keys_changed",
    ];
    for missing in kinds {
        let mut story = full();
        let is_it =
            |entry: &Entry| matches!(&entry.what, Event::Audit { kind, .. } if kind == missing);
        let last = story.entries.iter().rposition(is_it).unwrap();
        story.entries.remove(last);
        assert_eq!(
            story.broken(),
            BTreeSet::from([Rule::NoRecordIsLost]),
            "{missing}"
        );
    }
}

#[test]
fn of_two_sign_outs_at_once_one_is_recorded() {
    let sign_out = |story: &mut Story| {
        story.then(Event::SignOut {
            session: text("s"),
            person: text("ada"),
            position: None,
            answer: answer(204, ""),
        });
    };
    let told = |records: usize| {
        let mut story = Story::signed_in();
        sign_out(&mut story);
        story.at -= 1_500;
        sign_out(&mut story);
        story.ended_well(&[]);
        for _ in 0..records {
            story.recorded("session_ended", None);
        }
        story
    };
    told(2).keeps_all_rules();
    told(1).keeps_all_rules();
    told(0).breaks(Rule::NoRecordIsLost);
}

#[test]
fn the_record_of_a_logout_or_of_a_theft_is_missed() {
    Story::signed_in()
        .logout()
        .ended_well(&[])
        .breaks(Rule::NoRecordIsLost);
    let theft = |records| {
        let mut story = Story::signed_in();
        story
            .refreshed(Role::Honest, 1, "k1")
            .refreshed(Role::Honest, 2, "k2");
        story.refused(Role::Thief, 1, "t").ended_well(records);
        story
    };
    theft(&["refresh_reused"]).keeps_all_rules();
    theft(&["session_ended"]).breaks(Rule::NoRecordIsLost);
}

#[test]
fn an_audit_log_that_is_not_whole_or_was_not_verified_is_a_violation() {
    let mut broken = Story::new();
    broken.calm().whole(false).breaks(Rule::NoRecordIsLost);
    Story::new().calm().breaks(Rule::NoRecordIsLost);
}

#[test]
fn an_owner_who_was_taken_for_a_thief_is_a_violation() {
    let mut story = Story::signed_in();
    story
        .fault(S)
        .present(Role::Honest, 1, "k1", answer(0, "timeout"));
    story.calm().whole(true).recorded("login_succeeded", None);
    story
        .recorded("session_started", Some("s"))
        .recorded("refresh_reused", Some("s"));
    story.breaks(Rule::NoHonestClientIsLoggedOut);
}

#[test]
fn a_failure_needs_a_fault() {
    for failure in [
        answer(0, "timeout"),
        answer(408, ""),
        answer(503, "temporarily_unavailable"),
    ] {
        let after = |pause| {
            let mut story = Story::signed_in();
            story.fault(S).pause(S + pause);
            story.present(Role::Honest, 1, "k1", failure.clone());
            story
        };
        after(4 * S).keeps_all_rules();
        assert!(check(&after(4 * S).entries).unexplained.is_empty());
        after(8 * S).keeps_all_rules();
        assert_eq!(check(&after(8 * S).entries).unexplained.len(), 1);
        after(12 * S).breaks(Rule::NoFailureWithoutFault);
    }
    let mut sabotaged = Story::signed_in();
    sabotaged.present(Role::Honest, 1, "k1", answer(0, "closed"));
    if let Event::Refresh { sabotaged, .. } = &mut sabotaged.entries.last_mut().unwrap().what {
        *sabotaged = true;
    }
    sabotaged.keeps_all_rules();
}

#[test]
fn a_verifier_that_is_stale_or_knows_no_key_needs_a_fault() {
    for reason in ["revocation_stale", "unknown_kid"] {
        let mut story = Story::signed_in();
        story
            .fault(S)
            .pause(2 * S)
            .verified("a1", Some(reason))
            .keeps_all_rules();
        story
            .pause(20 * S)
            .verified("a1", Some(reason))
            .breaks(Rule::NoFailureWithoutFault);
    }
}

#[test]
fn an_answer_that_the_protocol_does_not_have_is_a_violation() {
    let mut refresh = Story::signed_in();
    refresh.present(Role::Honest, 1, "k1", answer(400, "invalid_request"));
    refresh.breaks(Rule::NoUnexpectedAnswer);
    let mut disabled = Story::signed_in();
    disabled.present(Role::Honest, 1, "k1", answer(401, "invalid_client"));
    disabled.breaks(Rule::NoUnexpectedAnswer);
    let mut service = Story::new();
    service.then(Event::Service {
        client: text("orders"),
        access: None,
        answer: answer(401, "invalid_client"),
    });
    service.breaks(Rule::NoUnexpectedAnswer);
    let mut panicked = Story::new();
    panicked.then(Event::Logged {
        replica: 0,
        line: text("thread panicked"),
    });
    panicked.breaks(Rule::NoUnexpectedAnswer);
}

#[test]
fn a_code_is_refused_only_where_its_person_signs_out_everywhere_or_its_client_is_disabled() {
    let refused = |story: &mut Story| {
        story.then(Event::SignIn {
            session: None,
            person: text("ada"),
            client: text("phone"),
            refresh: None,
            access: None,
            answer: answer(400, "invalid_grant"),
        });
    };
    let mut without_reason = Story::new();
    refused(&mut without_reason);
    without_reason.breaks(Rule::NoUnexpectedAnswer);
    let mut signed_out = Story::new();
    signed_out.then(Event::SignOut {
        session: text("s"),
        person: text("ada"),
        position: None,
        answer: answer(204, ""),
    });
    signed_out.at -= 1_000;
    refused(&mut signed_out);
    signed_out.keeps_all_rules();
    let mut disabled = Story::new();
    disabled.admin(Act::DisableClient, "phone");
    refused(&mut disabled);
    disabled.keeps_all_rules();
}

#[test]
fn delays_are_measured_from_the_acknowledgement_to_the_refusal() {
    let mut story = Story::signed_in();
    story.logout();
    let acknowledged = story.entries.last().unwrap().ended;
    story.verified("a1", None).verified("a1", Some("revoked"));
    let refused = story.entries.last().unwrap().ended;
    for entry in story.entries.iter_mut().rev().take(2) {
        entry.who = format!("{}s", super::WATCH);
    }
    let delays = check(&story.entries).delays;
    assert_eq!(delays.quiet, [refused - acknowledged]);
    assert!(delays.disturbed.is_empty());
    assert!((super::Delays::percentile(&[1_000, 2_000, 9_000], 50) - 2.0).abs() < 1e-9);
    assert!((super::Delays::percentile(&[1_000, 2_000, 9_000], 100) - 9.0).abs() < 1e-9);
}

#[test]
fn a_sign_out_that_comes_later_is_no_record_of_a_logout() {
    let mut later = Story::signed_in();
    later.logout().pause(S).sign_out("s", answer(204, ""));
    later.ended_well(&[]).breaks(Rule::NoRecordIsLost);
    let mut before = Story::signed_in();
    before.fault(S).sign_out("s", answer(0, "timeout")).logout();
    before.ended_well(&[]).keeps_all_rules();
    let mut without_effect = Story::signed_in();
    without_effect
        .fault(S)
        .sign_out("s", answer(0, "timeout"))
        .pause(20 * S);
    without_effect.refreshed(Role::Honest, 1, "k1").logout();
    without_effect.ended_well(&[]).breaks(Rule::NoRecordIsLost);
}

#[test]
fn the_token_of_a_service_is_never_called_dead() {
    let story = |reason: &str| {
        let mut story = Story::new();
        story.fault(60 * S).pause(S).then(Event::Service {
            client: text("orders"),
            access: Some(text("of orders")),
            answer: answer(200, ""),
        });
        story.then(Event::Verify {
            verifier: 1,
            session: None,
            access: text("of orders"),
            reject: Some(text(reason)),
        });
        story
    };
    story("revocation_stale").keeps_all_rules();
    story("revoked").breaks(Rule::NoHonestClientIsLoggedOut);
    story("cut_off").breaks(Rule::NoHonestClientIsLoggedOut);
    story("expired").breaks(Rule::NoFailureWithoutFault);
    story("bad_signature").breaks(Rule::NoFailureWithoutFault);
    let mut without_fault = Story::new();
    without_fault.then(Event::Verify {
        verifier: 1,
        session: None,
        access: text("of orders"),
        reject: Some(text("unknown_kid")),
    });
    without_fault.breaks(Rule::NoFailureWithoutFault);
}

#[test]
fn a_token_expires_when_its_time_is_over_and_not_before() {
    let story = |pause| {
        let mut story = Story::signed_in();
        story.pause(pause).verified("a1", Some("expired"));
        story
    };
    story(3_590 * S).breaks(Rule::NoFailureWithoutFault);
    story(3_600 * S).keeps_all_rules();
    let mut dead = Story::signed_in();
    dead.logout().pause(S).verified("a1", Some("expired"));
    dead.breaks(Rule::NoFailureWithoutFault);
}

#[test]
fn a_fault_makes_no_signature_invalid() {
    for reason in ["bad_signature", "invalid_signature", "wrong_issuer"] {
        let mut story = Story::signed_in();
        story.fault(60 * S).verified("a1", Some(reason));
        story.breaks(Rule::NoFailureWithoutFault);
    }
}

#[test]
fn an_error_of_the_service_is_a_violation_whatever_is_wrong() {
    for error in [
        answer(500, "server_error"),
        answer(502, ""),
        answer(503, "server_error"),
    ] {
        let mut story = Story::signed_in();
        story.fault(60 * S).admin(Act::DisableClient, "phone");
        story.present(Role::Honest, 1, "k1", error);
        story.breaks(Rule::NoUnexpectedAnswer);
    }
}

#[test]
fn a_client_that_is_disabled_gets_neither_codes_nor_sessions() {
    let story = |pause| {
        let mut story = Story::new();
        story.admin(Act::DisableClient, "phone").pause(pause);
        story.sign_in("s", "phone");
        story
    };
    story(S / 2).keeps_all_rules();
    let served = check(&story(2 * S).entries).violations;
    let what: Vec<_> = served
        .iter()
        .map(|it| (it.rule, it.what.as_str()))
        .collect();
    assert_eq!(
        what,
        [
            (
                Rule::NoRevocationIsLost,
                "a login was answered while the client was disabled"
            ),
            (
                Rule::NoRevocationIsLost,
                "the redemption of a code was answered while the client was disabled"
            ),
        ]
    );
}

#[test]
fn a_disabled_client_is_told_so_and_nothing_else() {
    let story = |how| {
        let mut story = Story::signed_in();
        story.admin(Act::DisableClient, "phone").pause(2 * S);
        story.present(Role::Honest, 1, "k1", how);
        story
    };
    story(answer(401, "invalid_client")).keeps_all_rules();
    story(answer(401, "invalid_token")).breaks(Rule::NoUnexpectedAnswer);
    story(answer(403, "invalid_client")).breaks(Rule::NoUnexpectedAnswer);
}

#[test]
fn a_sign_out_or_an_administrator_finds_nothing_only_where_the_session_may_be_over() {
    let end_session = |how| Event::Admin {
        act: Act::EndSession,
        subject: text("s"),
        position: None,
        answer: how,
    };
    let refused = answer(401, "invalid_token");
    let mut sign_out = Story::signed_in();
    sign_out.sign_out("s", refused.clone());
    sign_out.breaks(Rule::NoUnexpectedAnswer);
    let mut administrator = Story::signed_in();
    administrator.then(end_session(answer(404, "not_found")));
    administrator.breaks(Rule::NoUnexpectedAnswer);
    let mut over = Story::signed_in();
    over.logout().sign_out("s", refused.clone());
    over.then(end_session(answer(404, "not_found")));
    over.keeps_all_rules();
    let mut lost = Story::signed_in();
    lost.fault(S).sign_out("s", answer(0, "timeout"));
    lost.sign_out("s", refused.clone()).keeps_all_rules();
    let mut cut_off = Story::signed_in();
    cut_off.admin(Act::DisableClient, "phone");
    cut_off.sign_out("s", refused).keeps_all_rules();
}

#[test]
fn what_was_refused_has_ended_no_session() {
    let mut story = Story::signed_in();
    story.admin(Act::DisableClient, "phone");
    story.then(Event::Logout {
        session: text("s"),
        client: text("phone"),
        with: text("refresh_token"),
        position: None,
        answer: answer(401, "invalid_client"),
    });
    story.admin(Act::EnableClient, "phone");
    story
        .refused(Role::Honest, 1, "k1")
        .breaks(Rule::NoHonestClientIsLoggedOut);
}

#[test]
fn a_login_has_to_wait_only_where_others_have_failed_or_come_at_once() {
    let login = |story: &mut Story, status| {
        story.then(Event::Password {
            person: text("ada"),
            client: text("phone"),
            answer: answer(status, ""),
        });
    };
    let mut without_reason = Story::new();
    login(&mut without_reason, 429);
    without_reason.breaks(Rule::NoUnexpectedAnswer);
    let mut after_a_failure = Story::new();
    after_a_failure.fault(S);
    login(&mut after_a_failure, 0);
    login(&mut after_a_failure, 429);
    after_a_failure.keeps_all_rules();
    let mut at_once = Story::new();
    for _ in 0..6 {
        login(&mut at_once, 200);
        at_once.at -= 2_000;
    }
    login(&mut at_once, 429);
    at_once.keeps_all_rules();
    let mut always = Story::new();
    always.fault(S);
    login(&mut always, 0);
    for _ in 0..12 {
        login(&mut always, 429);
    }
    always.breaks(Rule::NoUnexpectedAnswer);
}

#[test]
fn a_session_that_nobody_has_ended_is_used_up_at_the_end() {
    let last = |questions: &dyn Fn(&mut Story)| {
        let mut story = Story::signed_in();
        story.refreshed(Role::Honest, 1, "k1").calm();
        questions(&mut story);
        story.whole(true).recorded("login_succeeded", None);
        story.recorded("session_started", Some("s"));
        story
    };
    let whole = |story: &mut Story| {
        story.used_up(2);
    };
    let mut kept = last(&whole);
    kept.recorded("refresh_reused", Some("s")).keeps_all_rules();
    last(&|_| {}).breaks(Rule::OneSuccessor);
    let without_ghost = |story: &mut Story| {
        story.refreshed(Role::Honest, 2, "last");
        story.refreshed(Role::Honest, 3, "very last");
    };
    last(&without_ghost).breaks(Rule::OneSuccessor);
    let only_ghost = |story: &mut Story| {
        story.refused(Role::Ghost, 1, "ghost");
    };
    let mut without_honest = last(&only_ghost);
    without_honest
        .recorded("refresh_reused", Some("s"))
        .breaks(Rule::OneSuccessor);
    let ghost_too_early = |story: &mut Story| {
        story.refreshed(Role::Honest, 2, "last");
        story.refused(Role::Ghost, 9, "ghost");
        story.refreshed(Role::Honest, 3, "very last");
    };
    last(&ghost_too_early).breaks(Rule::OneSuccessor);
}

#[test]
fn keys_are_counted_exactly() {
    let story = |how: &[u16], records: usize| {
        let mut story = Story::new();
        story.fault(S);
        for status in how {
            story.then(Event::Admin {
                act: Act::RotateKeys,
                subject: text("the issuer"),
                position: None,
                answer: answer(*status, ""),
            });
        }
        story.calm().whole(true);
        for _ in 0..records {
            story.key_recorded("made k2, rescheduled k1");
        }
        // No key was made.
        story.key_recorded("destroyed k1");
        story
    };
    story(&[200], 1).keeps_all_rules();
    story(&[200], 0).breaks(Rule::NoRecordIsLost);
    story(&[200], 2).breaks(Rule::NoRecordIsLost);
    story(&[408, 200], 1).keeps_all_rules();
    story(&[408, 200], 2).keeps_all_rules();
    story(&[408, 200], 0).breaks(Rule::NoRecordIsLost);
}

#[test]
fn an_introspection_that_does_not_say_whether_is_a_violation() {
    let mut story = Story::signed_in();
    story.then(Event::Introspect {
        session: text("s"),
        access: text("a1"),
        active: None,
        answer: answer(200, ""),
    });
    story.breaks(Rule::NoUnexpectedAnswer);
}

#[test]
fn a_history_without_the_last_questions_or_without_anything_is_no_clean_bill() {
    assert_eq!(check(&[]).unchecked.len(), 2);
    assert_eq!(check(&Story::signed_in().entries).unchecked.len(), 1);
    let mut whole = Story::signed_in();
    whole.logout().ended_well(&["session_ended"]);
    assert!(check(&whole.entries).unchecked.is_empty());
}

#[test]
fn the_share_of_the_time_near_faults_is_told() {
    let mut story = Story::new();
    story.entries.clear();
    story.at = 0;
    story.then(Event::Setup {
        database: text("sqlite"),
        seed: 1,
        replicas: 1,
        verifiers: Vec::new(),
        clients: Vec::new(),
    });
    story.at = 10 * S;
    // They overlap.
    story.fault(4 * S).pause(S).fault(S);
    story.at = 100 * S;
    story.then(Event::Calm);
    let verdict = check(&story.entries);
    assert_eq!((verdict.recovering, verdict.disturbed), (9, 14));
}
