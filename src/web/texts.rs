//! What people read, in every language: a text that one of them lacks does not compile.

mod de;
mod en;

use chrono::{Datelike, TimeDelta};

pub(super) use de::DE;
pub(super) use en::EN;

use super::{
    EmailProblem, Notice, PageProblem, PasswordChangeProblem, ProfileField, UsernameProblem,
};
use crate::domain::Timestamp;
use crate::domain::password::UnacceptablePassword;

/// Every text of the pages in one language, by page.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) common: Common,
    pub(super) time: Times,
    pub(super) login: Login,
    pub(super) sign_up: SignUp,
    pub(super) consent: Consent,
    pub(super) account: Account,
    pub(super) devices: Devices,
    pub(super) sign_out: SignOut,
    pub(super) form_post: FormPost,
    pub(super) error: Errors,
}

/// A text with a place for something that the template may mark up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

impl Slot {
    pub(super) const fn new(before: &'static str, after: &'static str) -> Self {
        Self { before, after }
    }

    /// The text with this in its place.
    pub(super) fn with(&self, text: &str) -> String {
        format!("{}{text}{}", self.before, self.after)
    }
}

/// Something with a line that explains it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explained {
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
}

#[derive(Debug)]
pub(super) struct Common {
    /// Before the title of a window whose form was refused.
    pub(super) error_prefix: &'static str,
    pub(super) optional: &'static str,
    pub(super) check_fields: &'static str,
    pub(super) skip_to_content: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) busy: &'static str,
    /// With how long to wait.
    pub(super) too_many_attempts: Slot,
}

#[derive(Debug)]
pub(super) struct Times {
    /// Used just now.
    pub(super) active_now: &'static str,
    /// With how long ago, or a day.
    pub(super) last_active: Slot,
    pub(super) minutes_ago: fn(i64) -> String,
    pub(super) hours_ago: fn(i64) -> String,
    pub(super) days_ago: fn(i64) -> String,
    pub(super) seconds: fn(i64) -> String,
    pub(super) minutes: fn(i64) -> String,
    pub(super) hours: fn(i64) -> String,
    pub(super) months: [&'static str; 12],
    /// Day, name of the month, year.
    pub(super) date: fn(u32, &str, i32) -> String,
    /// With a date.
    pub(super) on: Slot,
}

#[derive(Debug)]
pub(super) struct Login {
    pub(super) heading: &'static str,
    pub(super) to_app: Slot,
    pub(super) heading_confirm: &'static str,
    pub(super) confirm: &'static str,
    pub(super) continue_as: &'static str,
    pub(super) other_account: &'static str,
    pub(super) username: &'static str,
    pub(super) password: &'static str,
    pub(super) submit: &'static str,
    pub(super) submit_confirm: &'static str,
    pub(super) cancel: &'static str,
    pub(super) new_here: &'static str,
    pub(super) sign_up: &'static str,
    pub(super) wrong_credentials: &'static str,
    pub(super) another_expected: &'static str,
    pub(super) missing_username: &'static str,
    pub(super) missing_password: &'static str,
}

#[derive(Debug)]
pub(super) struct SignUp {
    pub(super) heading: &'static str,
    pub(super) username: &'static str,
    pub(super) email: &'static str,
    pub(super) password: &'static str,
    pub(super) password_hint: &'static str,
    pub(super) submit: &'static str,
    pub(super) have_account: &'static str,
    pub(super) log_in: &'static str,
    pub(super) name_taken: &'static str,
    pub(super) too_many: Slot,
    pub(super) username_problem: fn(UsernameProblem) -> &'static str,
    pub(super) email_problem: fn(EmailProblem) -> &'static str,
    pub(super) missing_password: &'static str,
    pub(super) unacceptable_password: fn(&UnacceptablePassword) -> &'static str,
}

#[derive(Debug)]
pub(super) struct Consent {
    /// With the name of the app.
    pub(super) heading: Slot,
    pub(super) app_wants: &'static str,
    pub(super) signed_in_as: &'static str,
    pub(super) switch: &'static str,
    pub(super) allow: &'static str,
    pub(super) deny: &'static str,
    /// With the host.
    pub(super) back_to: Slot,
    pub(super) trust: &'static str,
    pub(super) unknown_scope: &'static str,
    pub(super) in_your_name: &'static str,
    /// What a scope allows, for those that every server has.
    pub(super) scope: fn(&str) -> Option<Explained>,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) navigation: &'static str,
    pub(super) heading: &'static str,
    pub(super) profile: Explained,
    pub(super) username: &'static str,
    pub(super) email: &'static str,
    pub(super) no_email: &'static str,
    pub(super) verified: &'static str,
    pub(super) unverified: &'static str,
    pub(super) name: &'static str,
    pub(super) phone: &'static str,
    pub(super) phone_hint: &'static str,
    pub(super) address: &'static str,
    pub(super) save: &'static str,
    pub(super) profile_problem: fn(ProfileField) -> &'static str,
    pub(super) password: Explained,
    pub(super) current_password: &'static str,
    pub(super) new_password: &'static str,
    pub(super) change_password: &'static str,
    pub(super) password_problem: fn(&PasswordChangeProblem<'_>) -> Option<&'static str>,
    pub(super) apps: Explained,
    pub(super) no_apps: &'static str,
    /// With a date.
    pub(super) granted: Slot,
    pub(super) revoke: &'static str,
    pub(super) notice: fn(Notice) -> &'static str,
}

#[derive(Debug)]
pub(super) struct Devices {
    pub(super) heading: &'static str,
    pub(super) introduction: &'static str,
    pub(super) unknown: &'static str,
    pub(super) current: &'static str,
    pub(super) address: &'static str,
    /// With a date.
    pub(super) since: Slot,
    pub(super) apps: &'static str,
    pub(super) works_offline: &'static str,
    pub(super) end: &'static str,
    pub(super) end_others: &'static str,
    pub(super) end_others_detail: &'static str,
    pub(super) none: &'static str,
    /// Between a program and a computer, in a name such as `Chrome on Windows`.
    pub(super) on_computer: &'static str,
    /// Between a program and something for the hand, as in `Safari on iPhone`.
    pub(super) on_phone: &'static str,
}

#[derive(Debug)]
pub(super) struct SignOut {
    pub(super) heading: &'static str,
    /// With the name of the app that asks.
    pub(super) app_asks: Slot,
    pub(super) stay: &'static str,
    pub(super) done_heading: &'static str,
    pub(super) done_shared: &'static str,
    pub(super) log_in: &'static str,
}

#[derive(Debug)]
pub(super) struct FormPost {
    pub(super) heading: &'static str,
    pub(super) text: &'static str,
    pub(super) submit: &'static str,
}

#[derive(Debug)]
pub(super) struct Errors {
    /// What happened, and what the person can do.
    pub(super) problem: fn(PageProblem) -> Explained,
    /// With how long to wait.
    pub(super) wait: Slot,
    pub(super) for_developers: &'static str,
    pub(super) request_id: &'static str,
    pub(super) to_account: &'static str,
}

impl Times {
    /// How long ago something was used last; after a month, the day.
    pub(super) fn activity(&self, at: Timestamp, now: Timestamp) -> String {
        let past = now - at;
        let ago = match (past.num_minutes(), past.num_hours(), past.num_days()) {
            // Clocks of two replicas may differ, so it may lie ahead.
            (..2, ..) => return self.active_now.to_owned(),
            (minutes, 0, _) => (self.minutes_ago)(minutes),
            (_, hours, 0) => (self.hours_ago)(hours),
            (_, _, days @ ..=30) => (self.days_ago)(days),
            _ => self.on.with(&self.date(at)),
        };
        self.last_active.with(&ago)
    }

    /// The day in UTC.
    pub(super) fn date(&self, at: Timestamp) -> String {
        let month = self.months.get(at.month0() as usize).copied();
        (self.date)(at.day(), month.unwrap_or_default(), at.year())
    }

    /// How long to wait, never too short: in minutes if more than a minute, in hours if more than
    /// two.
    pub(super) fn wait(&self, wait: TimeDelta) -> String {
        let up = |unit: i64| (wait.num_milliseconds().max(1) + unit - 1) / unit;
        match up(1000) {
            seconds @ ..=60 => (self.seconds)(seconds),
            61..=7200 => (self.minutes)(up(60_000)),
            _ => (self.hours)(up(3_600_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_past_is_told_in_the_unit_that_fits() {
        let now = at("2026-03-12T10:00:00Z");
        for (then, en, de) in [
            ("2026-03-12T10:05:00Z", "Active now", "Gerade aktiv"),
            ("2026-03-12T09:58:30Z", "Active now", "Gerade aktiv"),
            (
                "2026-03-12T09:58:00Z",
                "Last active 2 minutes ago",
                "Zuletzt aktiv vor 2 Minuten",
            ),
            (
                "2026-03-12T09:00:00Z",
                "Last active 1 hour ago",
                "Zuletzt aktiv vor 1 Stunde",
            ),
            (
                "2026-03-11T10:00:01Z",
                "Last active 23 hours ago",
                "Zuletzt aktiv vor 23 Stunden",
            ),
            (
                "2026-03-11T10:00:00Z",
                "Last active 1 day ago",
                "Zuletzt aktiv vor 1 Tag",
            ),
            (
                "2026-01-02T10:00:00Z",
                "Last active on 2\u{a0}January 2026",
                "Zuletzt aktiv am 2.\u{a0}Januar 2026",
            ),
        ] {
            assert_eq!(EN.time.activity(at(then), now), en);
            assert_eq!(DE.time.activity(at(then), now), de);
        }
    }

    #[test]
    fn nobody_is_told_to_wait_too_short() {
        for (milliseconds, en, de) in [
            (-1, "1 second", "1 Sekunde"),
            (1001, "2 seconds", "2 Sekunden"),
            (60_000, "60 seconds", "60 Sekunden"),
            (60_001, "2 minutes", "2 Minuten"),
            (7_200_000, "120 minutes", "120 Minuten"),
            (7_200_001, "3 hours", "3 Stunden"),
        ] {
            let wait = TimeDelta::milliseconds(milliseconds);
            assert_eq!(EN.time.wait(wait), en);
            assert_eq!(DE.time.wait(wait), de);
        }
    }
}
