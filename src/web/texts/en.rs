//! English.

use super::{
    Account, Common, Consent, Devices, Errors, Explained, FormPost, Login, SignOut, SignUp, Slot,
    Texts, Times,
};
use crate::domain::password::UnacceptablePassword;
use crate::web::{
    EmailProblem, Notice, PageProblem, PasswordChangeProblem, ProfileField, UsernameProblem,
};

pub(in crate::web) static EN: Texts = Texts {
    common: Common {
        error_prefix: "Error: ",
        optional: "optional",
        check_fields: "Please check:",
        skip_to_content: "Skip to the content",
        sign_out: "Sign out",
        busy: BUSY,
        too_many_attempts: Slot::new("Too many attempts. Please wait ", ", then try again."),
    },
    time: Times {
        active_now: "Active now",
        last_active: Slot::new("Last active ", ""),
        minutes_ago: |n| plural(n, "minute") + " ago",
        hours_ago: |n| plural(n, "hour") + " ago",
        days_ago: |n| plural(n, "day") + " ago",
        seconds: |n| plural(n, "second"),
        minutes: |n| plural(n, "minute"),
        hours: |n| plural(n, "hour"),
        months: [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        date: |day, month, year| format!("{day}\u{a0}{month} {year}"),
        on: Slot::new("on ", ""),
    },
    login: Login {
        heading: "Sign in",
        to_app: Slot::new("to continue to ", ""),
        heading_confirm: "Confirm it’s you",
        confirm: "You are signed in already. For your security, enter your password once more.",
        continue_as: "Continue as",
        other_account: "or use another account",
        username: "Username or email",
        password: "Password",
        submit: "Sign in",
        submit_confirm: "Confirm",
        cancel: "Cancel",
        new_here: "New here?",
        sign_up: "Create an account",
        another_expected: "The app expects another account than the one that is signed in. Sign in \
                        with that one, or cancel.",
        wrong_credentials: "That username and password do not match. Check both and try again.",
        missing_username: "Enter your username or email",
        missing_password: "Enter your password",
    },
    sign_up: SignUp {
        heading: "Create your account",
        username: "Username",
        email: "Email",
        password: "Password",
        password_hint: "At least 10 characters. A few random words make a good one.",
        submit: "Create account",
        have_account: "Already have an account?",
        log_in: "Sign in",
        name_taken: "That username or email already belongs to an account. Choose another one, or \
                     sign in if the account is yours.",
        too_many: Slot::new(
            "Too many accounts have been created from your network. Please wait ",
            ", then try again.",
        ),
        username_problem: |problem| match problem {
            UsernameProblem::Missing => "Choose a username",
            UsernameProblem::Malformed => {
                "Use 1 to 100 visible characters without spaces at the ends. An @ is fine only in \
                 an email address."
            }
        },
        email_problem: |problem| match problem {
            EmailProblem::Malformed => {
                "Enter an email address in the usual form, such as name@example.com"
            }
        },
        missing_password: "Choose a password",
        unacceptable_password: unacceptable,
    },
    consent: Consent {
        heading: Slot::new("Allow ", " to use your account?"),
        app_wants: "It will be able to:",
        signed_in_as: "Signed in as",
        switch: "Use another account",
        allow: "Allow",
        deny: "Don’t allow",
        back_to: Slot::new("You will go on to ", ""),
        trust: "Make sure that you know this address and trust it. You can take the permission \
                back in your account at any time.",
        unknown_scope: "Use the permission",
        in_your_name: "Use this in your name",
        scope: |scope| {
            Some(match scope {
                "openid" => Explained {
                    title: "Know who you are",
                    detail: "An identifier of your account",
                },
                "profile" => Explained {
                    title: "See your profile",
                    detail: "Your name and your username",
                },
                "email" => Explained {
                    title: "See your email address",
                    detail: "And whether it is confirmed",
                },
                "address" => Explained {
                    title: "See your postal address",
                    detail: "As you wrote it in your profile",
                },
                "phone" => Explained {
                    title: "See your phone number",
                    detail: "As you wrote it in your profile",
                },
                "offline_access" => Explained {
                    title: "Keep access while you are away",
                    detail: "Even when you do not have the app open",
                },
                "tokensmith:account" => Explained {
                    title: "Manage your account",
                    detail: "Your profile, your password and your devices",
                },
                _ => return None,
            })
        },
    },
    account: Account {
        navigation: "Account pages",
        heading: "Account",
        profile: Explained {
            title: "Profile",
            detail: "Apps see these details only when you allow it.",
        },
        username: "Username",
        email: "Email",
        no_email: "None",
        verified: "Confirmed",
        unverified: "Not confirmed",
        name: "Full name",
        phone: "Phone number",
        phone_hint: "With the country code, such as +44\u{a0}20\u{a0}7946\u{a0}0000",
        address: "Postal address",
        save: "Save profile",
        profile_problem: |field| match field {
            ProfileField::Name => "Keep the name to 200 characters in one line",
            ProfileField::Phone => "Keep the phone number to 200 characters in one line",
            ProfileField::Address => "Keep the address to 200 characters",
        },
        password: Explained {
            title: "Password",
            detail: "A new password signs you out on all other devices.",
        },
        current_password: "Current password",
        new_password: "New password",
        change_password: "Change password",
        password_problem: |problem| {
            Some(match problem {
                PasswordChangeProblem::MissingCurrent => "Enter your current password",
                PasswordChangeProblem::WrongCurrent => "That is not your current password",
                PasswordChangeProblem::Unacceptable(reason) => unacceptable(reason),
                PasswordChangeProblem::TooManyAttempts { .. } | PasswordChangeProblem::Busy => {
                    return None;
                }
            })
        },
        apps: Explained {
            title: "Connected apps",
            detail: "Apps that you have allowed to use your account.",
        },
        no_apps: "No app has access to your account.",
        granted: Slot::new("Allowed on ", ""),
        revoke: "Remove access",
        notice: |notice| match notice {
            Notice::ProfileSaved => "Your profile is saved.",
            Notice::PasswordChanged => {
                "Your password is changed, and you are signed out everywhere else."
            }
            Notice::ConsentRevoked => "The app no longer has access to your account.",
            Notice::SessionEnded => "Signed out there.",
            Notice::OthersEnded => "You are signed out on all other devices.",
        },
    },
    devices: Devices {
        heading: "Your devices",
        introduction: "Where you are signed in. If you do not recognise one of them, sign it out \
                       and change your password.",
        unknown: "Unknown device",
        current: "This device",
        address: "IP address",
        since: Slot::new("Signed in on ", ""),
        apps: "Apps",
        works_offline: "Has access while you are away",
        end: "Sign out",
        end_others: "Sign out of all other devices",
        end_others_detail: "You stay signed in here.",
        none: "You are not signed in on any device.",
        on_computer: " on ",
        on_phone: " on ",
    },
    sign_out: SignOut {
        heading: "Sign out?",
        app_asks: Slot::new("", " asks to sign you out."),
        stay: "Stay signed in",
        done_heading: "You are signed out",
        done_shared: "On a computer that you share, close the browser as well.",
        log_in: "Sign in again",
    },
    form_post: FormPost {
        heading: "One moment",
        text: "You are on your way back to the app. If nothing happens, continue yourself.",
        submit: "Continue",
    },
    error: Errors {
        problem,
        wait: Slot::new("Please wait ", ", then try again."),
        for_developers: "Details for the app’s developers",
        request_id: "Reference",
        to_account: "Go to your account",
    },
};

const BUSY: &str = "We are very busy right now. Please try again in a moment.";

fn unacceptable(reason: &UnacceptablePassword) -> &'static str {
    match reason {
        UnacceptablePassword::TooShort => {
            "Use at least 10 characters. A few random words make a good password."
        }
        UnacceptablePassword::TooLong => "Use a shorter password: 256 characters at most",
        UnacceptablePassword::ControlCharacter => {
            "Remove the tab or line break. It may have come along when you pasted."
        }
        UnacceptablePassword::Common => {
            "Very many people use this password, so attackers try it first. Choose another one."
        }
        UnacceptablePassword::Personal => {
            "This is too close to your name, your address or the name of this service. Choose \
             another one."
        }
        UnacceptablePassword::Guessable(_) => {
            "This password is easy to guess. Add another word or two."
        }
    }
}

fn problem(problem: PageProblem) -> Explained {
    let (title, detail) = match problem {
        PageProblem::UnknownApp => (
            "This link does not work",
            "The app sent you here with a request that we cannot trust, so we stopped. Go back to \
             the app and try again. If it happens again, tell the people who make the app.",
        ),
        PageProblem::ExpiredPage => (
            "This page is too old",
            "For your security, you have a limited time to sign in. Go back to the app and start \
             again.",
        ),
        PageProblem::StaleForm => (
            "Nothing was changed",
            "Since this page was opened, somebody has signed in or out in this browser. Open your \
             account again and repeat what you wanted to do.",
        ),
        PageProblem::OtherBrowser => (
            "You started somewhere else",
            "This page belongs to a sign-in that began in another browser or a private window. Go \
             back to the app and start again in this browser.",
        ),
        PageProblem::CookiesNeeded => (
            "A cookie is missing",
            "We need a cookie to keep your sign-in safe. Allow cookies for this site, then go \
             back to the app and start again.",
        ),
        PageProblem::NotFound => (
            "There is nothing here",
            "The address may be mistyped or out of date. Check it, or start from your account.",
        ),
        PageProblem::BadRequest => (
            "We could not read that",
            "Your browser sent something that we did not expect. Go back, reload the page and try \
             again.",
        ),
        PageProblem::TooLarge => (
            "That was too much text",
            "What you sent is longer than we accept. Go back, shorten it and try again.",
        ),
        PageProblem::SignUpClosed => (
            "New accounts are by invitation",
            "You cannot create an account here yourself. Ask whoever runs this service for one.",
        ),
        PageProblem::TooManyAttempts { .. } => (
            "Too many attempts",
            "We have paused this to keep accounts safe.",
        ),
        PageProblem::Busy => (
            "We are very busy right now",
            "Nothing is wrong on your side. Wait a moment, then reload the page.",
        ),
        PageProblem::Internal => (
            "Something went wrong",
            "It is our fault, not yours, and it has been recorded. Try again in a few minutes. If \
             it happens again, tell whoever runs this service.",
        ),
    };
    Explained { title, detail }
}

fn plural(n: i64, unit: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{n} {unit}{ending}")
}
