//! The page on which people look after their account.

use askama::Template;
use chrono::TimeDelta;

use super::field::{Fault, Field, Kind, Refusal, focus_fault};
use super::texts::{Slot, Texts};
use super::{Frame, Page};
use crate::domain::Timestamp;
use crate::domain::password::UnacceptablePassword;

/// Has the pages of an account loaded anew that a browser kept for the way back. Without it they work
/// as well. Served at `{base}/account.js`.
pub const ACCOUNT_SCRIPT: &str = include_str!("../../templates/account.js");

/// The page on which people look after their account.
///
/// Every form has the hidden field `csrf`, and posts besides
///
/// - `name`, `phone` and `address`, empty for none, to `{base}/account/profile`,
/// - `current_password` and `new_password` (and `username`, which is for password managers only)
///   to `{base}/account/password`,
/// - `client_id` to `{base}/account/consents`, to take back what that app was allowed,
/// - nothing to `{base}/logout`.
#[derive(Debug)]
pub struct AccountPage<'a> {
    /// What proves that a form comes from this page.
    pub csrf: &'a str,
    /// Who the person is; what was typed, where it was refused.
    pub profile: ProfileView<'a>,
    /// What has just been done.
    pub notice: Option<Notice>,
    /// Why the profile is not saved.
    pub profile_problem: Option<ProfileProblem>,
    /// Why the password is not changed.
    pub password_problem: Option<PasswordChangeProblem<'a>>,
    /// The applications that the person has allowed something.
    pub apps: Vec<ConnectedApp<'a>>,
}

/// What is known about a person. Empty texts are not known.
#[derive(Clone, Copy, Debug)]
pub struct ProfileView<'a> {
    /// What the person signs in with.
    pub username: &'a str,
    /// The e-mail address.
    pub email: Option<&'a str>,
    /// Whether it is known to be the person's.
    pub email_verified: bool,
    /// The full name.
    pub name: &'a str,
    /// The telephone number.
    pub phone: &'a str,
    /// The postal address.
    pub address: &'a str,
}

/// An application that a person has allowed something.
#[derive(Clone, Debug)]
pub struct ConnectedApp<'a> {
    /// Names it.
    pub client_id: &'a str,
    /// What it calls itself.
    pub name: &'a str,
    /// What it may do.
    pub scopes: Vec<&'a str>,
    /// Since when.
    pub granted_at: Timestamp,
}

/// What has been done, on the page after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The profile is as it was typed.
    ProfileSaved,
    /// The password is the new one, and other devices are signed out.
    PasswordChanged,
    /// An application may do nothing any more.
    ConsentRevoked,
    /// A device, or one application on it, is signed out.
    SessionEnded,
    /// All other devices are signed out.
    OthersEnded,
}

/// Why a profile is not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileProblem {
    /// A text is too long, or has control characters.
    Invalid(ProfileField),
    /// The database did not do it now.
    Busy,
}

/// What people write in their profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileField {
    /// The full name.
    Name,
    /// The telephone number.
    Phone,
    /// The postal address.
    Address,
}

/// Why a password is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordChangeProblem<'a> {
    /// The current password is empty.
    MissingCurrent,
    /// The current password is another one.
    WrongCurrent,
    /// The new one is not good enough.
    Unacceptable(&'a UnacceptablePassword),
    /// Too many wrong ones before.
    TooManyAttempts {
        /// So long nothing is tried.
        wait: TimeDelta,
    },
    /// Too many passwords are being checked at this moment.
    Busy,
}

#[derive(Template)]
#[template(path = "pages/account.html", whitespace = "minimize")]
struct View<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    is_devices: bool,
    csrf: &'a str,
    notice: Option<&'static str>,
    refusal: Option<Refusal>,
    page: &'a AccountPage<'a>,
    profile_fields: [Field<'a>; 3],
    password_fields: [Field<'a>; 2],
    apps: Vec<AppView<'a>>,
}

struct AppView<'a> {
    app: &'a ConnectedApp<'a>,
    initial: String,
    granted: Slot,
    date: String,
    /// In words where there are any.
    scopes: Vec<ScopeName<'a>>,
}

struct ScopeName<'a> {
    text: &'a str,
    is_code: bool,
}

impl Page for AccountPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let [mut name, mut phone, mut address] = self.profile_fields(t);
        let [mut current, mut new] = self.password_fields(t);
        let fields = [&name, &phone, &address, &current, &new];
        let refusal = Refusal::of(self.message(t), &fields, t);
        focus_fault(&mut [&mut name, &mut phone, &mut address, &mut current, &mut new]);
        let view = View {
            frame,
            t,
            title: frame.title(t.account.heading, refusal.is_some()),
            is_devices: false,
            csrf: self.csrf,
            notice: self.notice.map(t.account.notice),
            refusal,
            page: self,
            profile_fields: [name, phone, address],
            password_fields: [current, new],
            apps: self.apps.iter().map(|app| app.view(t)).collect(),
        };
        view.render()
    }
}

impl AccountPage<'_> {
    fn profile_fields(&self, t: &'static Texts) -> [Field<'_>; 3] {
        let fault = |field: ProfileField| match self.profile_problem {
            Some(ProfileProblem::Invalid(wrong)) if wrong == field => {
                Fault::of(Some((t.account.profile_problem)(field)))
            }
            _ => Fault::None,
        };
        [
            Field::new("name", t.account.name, Kind::Text)
                .autocomplete("name")
                .value(self.profile.name)
                .fault(fault(ProfileField::Name)),
            Field::new("phone", t.account.phone, Kind::Phone)
                .autocomplete("tel")
                .hint(t.account.phone_hint)
                .value(self.profile.phone)
                .fault(fault(ProfileField::Phone)),
            Field::new("address", t.account.address, Kind::Lines)
                .autocomplete("street-address")
                .value(self.profile.address)
                .fault(fault(ProfileField::Address)),
        ]
        .map(|field| field.optional(t))
    }

    fn password_fields(&self, t: &'static Texts) -> [Field<'_>; 2] {
        let text = self
            .password_problem
            .as_ref()
            .and_then(t.account.password_problem);
        let is_new = matches!(
            self.password_problem,
            Some(PasswordChangeProblem::Unacceptable(_))
        );
        [
            Field::new(
                "current-password",
                t.account.current_password,
                Kind::Password,
            )
            .named("current_password")
            .autocomplete("current-password")
            .fault(Fault::of(text.filter(|_| !is_new))),
            Field::new("new-password", t.account.new_password, Kind::Password)
                .named("new_password")
                .autocomplete("new-password")
                .hint(t.sign_up.password_hint)
                .fault(Fault::of(text.filter(|_| is_new))),
        ]
    }

    /// What is wrong with none of the fields.
    fn message(&self, t: &'static Texts) -> Option<String> {
        if let Some(PasswordChangeProblem::TooManyAttempts { wait }) = self.password_problem {
            return Some(t.common.too_many_attempts.with(&t.time.wait(wait)));
        }
        let is_busy = self.password_problem == Some(PasswordChangeProblem::Busy)
            || self.profile_problem == Some(ProfileProblem::Busy);
        is_busy.then(|| t.common.busy.to_owned())
    }
}

impl ConnectedApp<'_> {
    fn view(&self, t: &'static Texts) -> AppView<'_> {
        let scopes = self.scopes.iter().map(|name| {
            let explained = (t.consent.scope)(name);
            ScopeName {
                text: explained.map_or(*name, |explained| explained.title),
                is_code: explained.is_none(),
            }
        });
        AppView {
            app: self,
            initial: super::brand::initial(self.name),
            granted: t.account.granted,
            date: t.time.date(self.granted_at),
            scopes: scopes.collect(),
        }
    }
}
