//! The page that takes an answer to an application as a form.

use askama::Template;

use super::texts::Texts;
use super::{Frame, Page};

/// Sends the form of a [`FormPostPage`] at once. Served at `{base}/form-post.js`.
pub const FORM_POST_SCRIPT: &str = include_str!("../../templates/form-post.js");

/// The page that takes an answer to an application (OAuth 2.0 Form Post Response Mode §2).
///
/// Needs `script-src 'self'`, and a `form-action` that allows `action`. Works by a click without
/// the script.
#[derive(Debug)]
pub struct FormPostPage<'a> {
    /// The redirect URI.
    pub action: &'a str,
    /// The parameters of the answer.
    pub fields: &'a [(&'a str, String)],
}

#[derive(Template)]
#[template(path = "pages/form_post.html", whitespace = "minimize")]
struct View<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    page: &'a FormPostPage<'a>,
}

impl Page for FormPostPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let view = View {
            frame,
            t,
            title: frame.title(t.form_post.heading, false),
            page: self,
        };
        view.render()
    }
}
