//! The pages before and after signing out.

use askama::Template;

use super::texts::Texts;
use super::{App, Frame, Page};

/// The page that asks whether to sign out, because an application wants it (`OpenID` Connect
/// RP-Initiated Logout §2) or because the request may come from elsewhere.
///
/// Posts the hidden field to `{base}/logout`.
#[derive(Debug)]
pub struct LogoutPage<'a> {
    /// Name and value of the hidden field that proves where the form comes from.
    pub csrf_field: (&'a str, &'a str),
    /// The application that asks.
    pub app: Option<App<'a>>,
    /// Who is signed in.
    pub person: &'a str,
}

/// The page after signing out.
#[derive(Debug)]
pub struct SignedOutPage<'a> {
    /// The application that asked.
    pub app: Option<App<'a>>,
    /// Where it wants the person to go next: one of its registered URIs.
    pub return_to: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/logout.html", whitespace = "minimize")]
struct LogoutView<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    page: &'a LogoutPage<'a>,
    person_initial: String,
}

#[derive(Template)]
#[template(path = "pages/signed_out.html", whitespace = "minimize")]
struct SignedOutView<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    page: &'a SignedOutPage<'a>,
}

impl Page for LogoutPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let view = LogoutView {
            frame,
            t,
            title: frame.title(t.sign_out.heading, false),
            page: self,
            person_initial: super::brand::initial(self.person),
        };
        view.render()
    }
}

impl Page for SignedOutPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let view = SignedOutView {
            frame,
            t,
            title: frame.title(t.sign_out.done_heading, false),
            page: self,
        };
        view.render()
    }
}
