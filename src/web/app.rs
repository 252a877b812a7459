//! The application that a person comes from, and what it is called on a page.

use super::brand::initial;

/// The application that sent the person here.
#[derive(Clone, Copy, Debug)]
pub struct App<'a> {
    /// What it calls itself. Nobody has checked that.
    pub name: &'a str,
    /// Where its logo is. The page's `Content-Security-Policy` has to allow it (`img-src`).
    pub logo_uri: Option<&'a str>,
    /// Where the person is sent back to, so that an app that poses as another is noticed: the host
    /// of the redirect URI, or the scheme of an app.
    pub host: Option<&'a str>,
    /// Whether it belongs to whoever runs this service. Then the login page does not point out the
    /// host; the consent page always does.
    pub is_first_party: bool,
}

impl App<'_> {
    /// Stands for an app without a logo.
    pub(super) fn initial(&self) -> String {
        initial(self.name)
    }
}
