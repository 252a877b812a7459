//! The page on which a person makes an account.

use askama::Template;
use chrono::TimeDelta;
use percent_encoding::utf8_percent_encode;

use super::field::{Fault, Field, Kind, Refusal, focus_first};
use super::texts::Texts;
use super::{App, Frame, Page, QUERY_VALUE};
use crate::domain::password::UnacceptablePassword;

/// The page on which a person makes an account.
///
/// Posts `request`, `username`, `email` (may be empty) and `password` to `{base}/signup`.
#[derive(Debug)]
pub struct SignUpPage<'a> {
    /// As on the login page.
    pub request: &'a str,
    /// The application that the person comes from.
    pub app: Option<App<'a>>,
    /// As typed before, or hinted at by the application.
    pub username: &'a str,
    /// As typed before.
    pub email: &'a str,
    /// Why what was sent is refused.
    pub problems: SignUpProblems<'a>,
}

/// Why there is no account yet, field by field.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignUpProblems<'a> {
    /// What is wrong with the username.
    pub username: Option<UsernameProblem>,
    /// What is wrong with the e-mail address.
    pub email: Option<EmailProblem>,
    /// What is wrong with the password.
    pub password: Option<NewPasswordProblem<'a>>,
    /// What is wrong with none of the fields, or with more than one.
    pub general: Option<SignUpProblem>,
}

/// What is wrong with a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsernameProblem {
    /// It is empty.
    Missing,
    /// It breaks a rule.
    Malformed,
}

/// What is wrong with an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailProblem {
    /// It is none.
    Malformed,
}

/// What is wrong with the password for a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPasswordProblem<'a> {
    /// It is empty.
    Missing,
    /// It is not good enough.
    Unacceptable(&'a UnacceptablePassword),
}

/// Why there is no account yet, whatever is in the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUpProblem {
    /// Another account has the username or the e-mail address; which of them is not known.
    NameTaken,
    /// Too many accounts were made from this network.
    TooManySignUps {
        /// So long no other is made.
        wait: TimeDelta,
    },
    /// Too many passwords are being hashed at this moment.
    Busy,
}

#[derive(Template)]
#[template(path = "pages/sign_up.html", whitespace = "minimize")]
struct View<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    page: &'a SignUpPage<'a>,
    request_in_query: String,
    refusal: Option<Refusal>,
    username: Field<'a>,
    email: Field<'a>,
    password: Field<'a>,
}

impl Page for SignUpPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let (mut username, mut email, mut password) = self.fields(t);
        let refusal = Refusal::of(self.message(t), &[&username, &email, &password], t);
        focus_first(&mut [&mut username, &mut email, &mut password]);
        let view = View {
            frame,
            t,
            title: frame.title(t.sign_up.heading, refusal.is_some()),
            page: self,
            request_in_query: utf8_percent_encode(self.request, QUERY_VALUE).to_string(),
            refusal,
            username,
            email,
            password,
        };
        view.render()
    }
}

impl SignUpPage<'_> {
    fn fields(&self, t: &'static Texts) -> (Field<'_>, Field<'_>, Field<'_>) {
        let texts = &t.sign_up;
        // Either of the two names is taken; the password is not to blame.
        let name_fault = |own: Option<&'static str>| match (own, self.problems.general) {
            (None, Some(SignUpProblem::NameTaken)) => Fault::InMessage,
            (own, _) => Fault::of(own),
        };
        let username_problem = self.problems.username.map(texts.username_problem);
        let email_problem = self.problems.email.map(texts.email_problem);
        let password_problem = self.problems.password.map(|problem| match problem {
            NewPasswordProblem::Missing => texts.missing_password,
            NewPasswordProblem::Unacceptable(reason) => (texts.unacceptable_password)(reason),
        });
        let username = Field::new("username", texts.username, Kind::Identifier)
            .autocomplete("username")
            .value(self.username)
            .fault(name_fault(username_problem));
        let email = Field::new("email", texts.email, Kind::Email)
            .autocomplete("email")
            .optional(t)
            .value(self.email);
        let email = match email_problem {
            None if self.email.is_empty() => email,
            problem => email.fault(name_fault(problem)),
        };
        let password = Field::new("password", texts.password, Kind::Password)
            .autocomplete("new-password")
            .hint(texts.password_hint)
            .fault(Fault::of(password_problem));
        (username, email, password)
    }

    fn message(&self, t: &'static Texts) -> Option<String> {
        Some(match self.problems.general? {
            SignUpProblem::NameTaken => t.sign_up.name_taken.to_owned(),
            SignUpProblem::TooManySignUps { wait } => t.sign_up.too_many.with(&t.time.wait(wait)),
            SignUpProblem::Busy => t.common.busy.to_owned(),
        })
    }
}
