//! The page for when a person cannot go on, which says what they can do.

use askama::Template;
use chrono::TimeDelta;

use super::texts::{Explained, Texts};
use super::{Frame, Page};

/// The page for when a person cannot go on.
#[derive(Debug)]
pub struct ErrorPage<'a> {
    /// What is wrong.
    pub problem: PageProblem,
    /// For whoever builds the application, such as `invalid_request: redirect_uri is missing`.
    pub detail: Option<&'a str>,
    /// What finds the request in the logs.
    pub request_id: Option<&'a str>,
}

/// Why a person cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageProblem {
    /// The client or its redirect URI is not known, so nobody is sent anywhere (RFC 6749
    /// §4.1.2.1).
    UnknownApp,
    /// The page was open for too long, or has been used before.
    ExpiredPage,
    /// The form belongs to a login that is no longer the one in this browser.
    StaleForm,
    /// The page was opened in another browser.
    OtherBrowser,
    /// The browser does not keep cookies.
    CookiesNeeded,
    /// There is no such page.
    NotFound,
    /// The request makes no sense.
    BadRequest,
    /// The request has too many bytes.
    TooLarge,
    /// People cannot make accounts for themselves.
    SignUpClosed,
    /// Too many attempts came before.
    TooManyAttempts {
        /// So long nothing is tried, if that is known.
        wait: Option<TimeDelta>,
    },
    /// Too much is going on; later it works.
    Busy,
    /// The server is at fault.
    Internal,
}

#[derive(Template)]
#[template(path = "pages/error.html", whitespace = "minimize")]
struct View<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    explained: Explained,
    wait: Option<String>,
    leads_to_account: bool,
    page: &'a ErrorPage<'a>,
}

impl Page for ErrorPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let explained = (t.error.problem)(self.problem);
        let wait = match self.problem {
            PageProblem::TooManyAttempts { wait } => wait,
            _ => None,
        };
        let view = View {
            frame,
            t,
            title: frame.title(explained.title, true),
            explained,
            wait: wait.map(|wait| t.error.wait.with(&t.time.wait(wait))),
            leads_to_account: matches!(
                self.problem,
                PageProblem::NotFound | PageProblem::SignUpClosed | PageProblem::StaleForm
            ),
            page: self,
        };
        view.render()
    }
}
