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
pub struct SignedOutPage;

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

impl Page for SignedOutPage {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let view = SignedOutView {
            frame,
            t,
            title: frame.title(t.sign_out.done_heading, false),
        };
        view.render()
    }
}
