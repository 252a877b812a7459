//! Every page, with one text wherever a text of others is shown.

use chrono::TimeDelta;

use super::super::*;
use crate::domain::Timestamp;
use crate::domain::password::UnacceptablePassword;

pub(super) struct Sample<'a> {
    pub(super) name: &'static str,
    pub(super) page: Box<dyn Page + 'a>,
}

fn sample<'a>(name: &'static str, page: impl Page + 'a) -> Sample<'a> {
    let page = Box::new(page);
    Sample { name, page }
}

/// What the pages show that no language changes.
pub(super) const DATA: &[&str] = &[
    "192.0.2.1",
    "https://api.example.com",
    "orders:read",
    "Safari",
];

fn at(hour: u32) -> Timestamp {
    format!("2026-03-12T{hour:02}:00:00Z").parse().unwrap()
}

fn app(text: &str) -> App<'_> {
    App {
        name: text,
        logo_uri: Some(text),
        host: Some(text),
        is_first_party: false,
    }
}

pub(super) fn login(text: &str) -> LoginPage<'_> {
    LoginPage {
        request: text,
        app: Some(app(text)),
        username: text,
        continue_as: None,
        confirm_it_is_you: false,
        problem: None,
        can_sign_up: true,
        can_cancel: true,
    }
}

pub(super) fn sign_up(text: &str) -> SignUpPage<'_> {
    SignUpPage {
        request: text,
        app: Some(app(text)),
        username: text,
        email: text,
        problems: SignUpProblems::default(),
    }
}

fn account(text: &str) -> AccountPage<'_> {
    AccountPage {
        csrf: text,
        profile: ProfileView {
            username: text,
            email: Some(text),
            email_verified: true,
            name: text,
            phone: text,
            address: text,
        },
        notice: None,
        profile_problem: None,
        password_problem: None,
        apps: ["orders", text]
            .into_iter()
            .map(|client_id| ConnectedApp {
                client_id,
                name: text,
                scopes: vec!["openid", "orders:read", text],
                granted_at: at(1),
            })
            .collect(),
    }
}

fn devices(text: &str) -> DevicesPage<'_> {
    let app = |sid: &str, works_offline| DeviceApp {
        sid: sid.to_owned(),
        name: text,
        last_seen_at: at(8),
        works_offline,
    };
    let device = |id: &str, label, apps| DeviceView {
        id: id.to_owned(),
        label,
        address: Some("192.0.2.1".to_owned()),
        created_at: at(1),
        last_seen_at: at(9),
        is_current: id == "d1",
        apps,
    };
    DevicesPage {
        csrf: text,
        devices: vec![
            device("d1", Some("Safari on iPhone"), vec![app("s1", true)]),
            device("d2", None, vec![app("s2", false)]),
            device("d3", Some(text), vec![]),
            DeviceView {
                address: Some(text.to_owned()),
                ..device("d4", Some("Firefox on Linux"), vec![])
            },
        ],
        notice: Some(Notice::OthersEnded),
        now: at(10),
    }
}

/// A page of every kind, none of which has been refused.
pub(super) fn pages(text: &str) -> Vec<Sample<'_>> {
    let known = LoginPage {
        continue_as: Some(text),
        ..login(text)
    };
    let again = LoginPage {
        confirm_it_is_you: true,
        app: None,
        ..login(text)
    };
    let saved = AccountPage {
        notice: Some(Notice::ProfileSaved),
        apps: Vec::new(),
        ..account(text)
    };
    let scopes: &[&str] = &[
        "openid",
        "profile",
        "email",
        "address",
        "phone",
        "offline_access",
        "tokensmith:account",
        "orders:read",
    ];
    let consent = ConsentPage {
        request: text,
        app: App {
            logo_uri: None,
            ..app(text)
        },
        person: text,
        scopes,
        apis: &["https://api.example.com"],
    };
    let logout = LogoutPage {
        csrf_field: (text, text),
        app: Some(app(text)),
        person: text,
    };
    let error = ErrorPage {
        problem: PageProblem::UnknownApp,
        detail: Some(text),
        request_id: Some(text),
    };
    let mut pages = vec![
        sample("login", login(text)),
        sample("login of somebody known", known),
        sample("login once more", again),
        sample("sign-up", sign_up(text)),
        sample("consent", consent),
        sample("account", account(text)),
        sample("account, saved", saved),
        sample("devices", devices(text)),
        sample("logout", logout),
        sample("signed out", SignedOutPage),
        sample("error", error),
    ];
    pages.push(sample(
        "form post",
        FormPost(text, vec![(text, text.to_owned())]),
    ));
    pages
}

/// Owns the fields of the page.
struct FormPost<'a>(&'a str, Vec<(&'a str, String)>);

impl Page for FormPost<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let FormPost(action, fields) = self;
        FormPostPage { action, fields }.render(frame)
    }
}

/// Every page that says what is wrong, with everything that may be wrong.
pub(super) fn refused_pages(text: &str) -> Vec<Sample<'_>> {
    let wait = TimeDelta::seconds(30);
    let mut pages = Vec::new();
    for problem in [
        LoginProblem::WrongCredentials,
        LoginProblem::MissingCredentials,
        LoginProblem::TooManyAttempts { wait },
        LoginProblem::Busy,
        LoginProblem::OtherAccount,
    ] {
        let problem = Some(problem);
        pages.push(sample(
            "login",
            LoginPage {
                problem,
                ..login(text)
            },
        ));
    }
    for problems in sign_up_problems() {
        pages.push(sample(
            "sign-up",
            SignUpPage {
                problems,
                ..sign_up(text)
            },
        ));
    }
    for field in [
        ProfileField::Name,
        ProfileField::Phone,
        ProfileField::Address,
    ] {
        let profile_problem = Some(ProfileProblem::Invalid(field));
        let page = AccountPage {
            profile_problem,
            ..account(text)
        };
        pages.push(sample("account", page));
    }
    for password_problem in [
        PasswordChangeProblem::MissingCurrent,
        PasswordChangeProblem::WrongCurrent,
        PasswordChangeProblem::Unacceptable(&UnacceptablePassword::Common),
        PasswordChangeProblem::TooManyAttempts { wait },
        PasswordChangeProblem::Busy,
    ] {
        let page = AccountPage {
            password_problem: Some(password_problem),
            profile_problem: Some(ProfileProblem::Busy),
            ..account(text)
        };
        pages.push(sample("account", page));
    }
    for problem in [
        PageProblem::UnknownApp,
        PageProblem::ExpiredPage,
        PageProblem::StaleForm,
        PageProblem::OtherBrowser,
        PageProblem::CookiesNeeded,
        PageProblem::NotFound,
        PageProblem::BadRequest,
        PageProblem::TooLarge,
        PageProblem::SignUpClosed,
        PageProblem::TooManyAttempts { wait: Some(wait) },
        PageProblem::Busy,
        PageProblem::Internal,
    ] {
        let page = ErrorPage {
            problem,
            detail: Some(text),
            request_id: None,
        };
        pages.push(sample("error", page));
    }
    pages
}

fn sign_up_problems() -> Vec<SignUpProblems<'static>> {
    use UnacceptablePassword::{Common, ControlCharacter, Guessable, Personal, TooLong, TooShort};

    static GUESSABLE: UnacceptablePassword = Guessable(String::new());

    let none = SignUpProblems::default();
    let wait = TimeDelta::minutes(30);
    let usernames = [UsernameProblem::Missing, UsernameProblem::Malformed];
    let emails = [EmailProblem::Malformed];
    let passwords = [
        &TooShort,
        &TooLong,
        &ControlCharacter,
        &Common,
        &Personal,
        &GUESSABLE,
    ];
    let general = [
        SignUpProblem::NameTaken,
        SignUpProblem::TooManySignUps { wait },
        SignUpProblem::Busy,
    ];
    let username = usernames.map(|problem| SignUpProblems {
        username: Some(problem),
        ..none
    });
    let email = emails.map(|problem| SignUpProblems {
        email: Some(problem),
        ..none
    });
    let password = passwords.map(|reason| SignUpProblems {
        password: Some(NewPasswordProblem::Unacceptable(reason)),
        ..none
    });
    let missing = SignUpProblems {
        password: Some(NewPasswordProblem::Missing),
        ..none
    };
    let general = general.map(|problem| SignUpProblems {
        general: Some(problem),
        ..none
    });
    [&username[..], &email, &password, &[missing], &general].concat()
}
