//! The page on which a person decides what an application may do.

use askama::Template;

use super::texts::{Explained, Texts};
use super::{App, Frame, Page};

/// The page on which a person decides what an application may do.
///
/// Posts `request` and `decision` to `{base}/consent`: `allow`, `deny`, or `switch` to sign in as
/// somebody else.
#[derive(Debug)]
pub struct ConsentPage<'a> {
    /// As on the login page.
    pub request: &'a str,
    /// The application that asks.
    pub app: App<'a>,
    /// Who is signed in.
    pub person: &'a str,
    /// The scopes that it asks for. Those of `OpenID` Connect are explained; others are shown by
    /// name.
    pub scopes: &'a [&'a str],
    /// The APIs (RFC 8707) that it may call in the person's name; none when it may call no other than
    /// this server.
    pub apis: &'a [&'a str],
}

#[derive(Template)]
#[template(path = "pages/consent.html", whitespace = "minimize")]
struct View<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    page: &'a ConsentPage<'a>,
    scopes: Vec<ScopeText<'a>>,
    person_initial: String,
}

/// A scope, and what it means if that is known.
struct ScopeText<'a> {
    name: &'a str,
    explained: Option<Explained>,
}

impl Page for ConsentPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let scopes = self.scopes.iter().map(|name| ScopeText {
            name,
            explained: (t.consent.scope)(name),
        });
        let view = View {
            frame,
            t,
            title: frame.title(&t.consent.heading.with(self.app.name), false),
            page: self,
            scopes: scopes.collect(),
            person_initial: super::brand::initial(self.person),
        };
        view.render()
    }
}
