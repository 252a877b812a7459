//! The page on which a person says who they are.

use askama::Template;
use chrono::TimeDelta;
use percent_encoding::utf8_percent_encode;

use super::brand::initial;
use super::field::{Fault, Field, Kind, Refusal, focus_first};
use super::texts::Texts;
use super::{App, Frame, Page, QUERY_VALUE};

/// The page on which a person signs in.
///
/// Posts `request`, `username`, `password` and `action` to `{base}/login`. The `action` is `login`,
/// `continue` (as who is signed in already) or `cancel`.
#[derive(Debug)]
pub struct LoginPage<'a> {
    /// What the person is about to do, opaque: sent back in the hidden field `request`, and in the
    /// query of the link to the sign-up page.
    pub request: &'a str,
    /// The application that the person comes from.
    pub app: Option<App<'a>>,
    /// As typed before, or hinted at by the application.
    pub username: &'a str,
    /// Who is signed in already and may go on with a click.
    pub continue_as: Option<&'a str>,
    /// The person is signed in already and has to show the password again.
    pub confirm_it_is_you: bool,
    /// Why what was sent is refused.
    pub problem: Option<LoginProblem>,
    /// Whether people may make accounts for themselves.
    pub can_sign_up: bool,
    /// Whether there is an application to go back to with `access_denied`.
    pub can_cancel: bool,
}

/// Why a person is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginProblem {
    /// No such account, or not its password: which of the two is not said.
    WrongCredentials,
    /// The username or the password is empty.
    MissingCredentials,
    /// Too many failures before.
    TooManyAttempts {
        /// So long nothing is tried.
        wait: TimeDelta,
    },
    /// Too many passwords are being checked at this moment.
    Busy,
    /// The app wants to go on with another person than the one who is signed in.
    OtherAccount,
}

#[derive(Template)]
#[template(path = "pages/login.html", whitespace = "minimize")]
struct View<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    heading: &'static str,
    page: &'a LoginPage<'a>,
    request_in_query: String,
    person_initial: String,
    refusal: Option<Refusal>,
    username: Field<'a>,
    password: Field<'a>,
}

impl Page for LoginPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let heading = if self.confirm_it_is_you {
            t.login.heading_confirm
        } else {
            t.login.heading
        };
        let (username_fault, password_fault) = self.faults(t);
        let mut username = Field::new("username", t.login.username, Kind::Identifier)
            .autocomplete("username")
            .value(self.username)
            .fault(username_fault);
        let mut password = Field::new("password", t.login.password, Kind::Password)
            .autocomplete("current-password")
            .fault(password_fault);
        let refusal = Refusal::of(self.message(t), &[&username, &password], t);
        match self.problem {
            // The password has to be typed again in any case.
            Some(LoginProblem::WrongCredentials) if !self.username.is_empty() => password.focus(),
            // A phone would put its keyboard over the button to continue.
            None if self.continue_as.is_some() => {}
            _ => focus_first(&mut [&mut username, &mut password]),
        }
        let view = View {
            frame,
            t,
            title: frame.title(heading, refusal.is_some()),
            heading,
            page: self,
            request_in_query: utf8_percent_encode(self.request, QUERY_VALUE).to_string(),
            person_initial: self.continue_as.map(initial).unwrap_or_default(),
            refusal,
            username,
            password,
        };
        view.render()
    }
}

impl LoginPage<'_> {
    fn faults(&self, t: &'static Texts) -> (Fault, Fault) {
        match self.problem {
            Some(LoginProblem::WrongCredentials) => (Fault::InMessage, Fault::InMessage),
            Some(LoginProblem::MissingCredentials) => {
                let is_missing = self.username.is_empty();
                let username = is_missing.then_some(t.login.missing_username);
                // It never comes back, so it has to be typed in any case.
                (
                    Fault::of(username),
                    Fault::of(Some(t.login.missing_password)),
                )
            }
            Some(
                LoginProblem::TooManyAttempts { .. }
                | LoginProblem::Busy
                | LoginProblem::OtherAccount,
            )
            | None => (Fault::None, Fault::None),
        }
    }

    fn message(&self, t: &'static Texts) -> Option<String> {
        Some(match self.problem? {
            LoginProblem::WrongCredentials => t.login.wrong_credentials.to_owned(),
            LoginProblem::TooManyAttempts { wait } => {
                t.common.too_many_attempts.with(&t.time.wait(wait))
            }
            LoginProblem::Busy => t.common.busy.to_owned(),
            LoginProblem::OtherAccount => t.login.another_expected.to_owned(),
            // The fields say it.
            LoginProblem::MissingCredentials => return None,
        })
    }
}
