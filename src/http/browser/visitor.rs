//! Who is asking: the browser, the person who is signed in, the language.

use std::future::Future;

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

use super::Pages;
use super::cookies::Jar;
use super::page_error::PageError;
use crate::accounts::browser::{Browser, SignedIn};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, Origin};
use crate::grants::{RequestContext, Visit};
use crate::http::Endpoints;
use crate::http::client;
use crate::web::{Frame, Language};

/// Somebody in front of a browser.
pub(super) struct Visitor<'a> {
    pub(super) endpoints: &'a Endpoints,
    pub(super) request: &'a HttpRequest,
    pub(super) now: Timestamp,
    pub(super) context: RequestContext,
    pub(super) language: Language,
    /// The name of the browser, if it has one already.
    pub(super) browser: Option<String>,
    /// Who is signed in in it.
    pub(super) signed_in: Option<SignedIn>,
}

impl<'a> Visitor<'a> {
    async fn of(endpoints: &'a Endpoints, request: &'a HttpRequest) -> Result<Self, PageError> {
        let pages = &endpoints.pages;
        let now = endpoints.clock.now();
        let signed_in = match Jar::Login.read(pages, request) {
            Some(cookie) => endpoints.service.accounts.signed_in(&cookie, now).await?,
            None => None,
        };
        Ok(Self {
            endpoints,
            request,
            now,
            context: client::context(endpoints, request),
            language: language(request),
            browser: Jar::Browser
                .read(pages, request)
                .filter(|name| !name.is_empty()),
            signed_in,
        })
    }

    pub(super) fn pages(&self) -> &'a Pages {
        &self.endpoints.pages
    }

    pub(super) fn frame(&self) -> Frame<'a> {
        frame(self.pages(), self.language)
    }

    /// The browser as a place to sign in.
    pub(super) fn as_browser(&self) -> Browser<'_> {
        Browser {
            address: self.context.address,
            device: self.context.device.as_ref(),
            before: self.signed_in.as_ref(),
        }
    }

    /// The visit, for whoever decides what comes next.
    pub(super) fn visit(&self) -> Visit<'_> {
        Visit {
            signed_in: self.signed_in.as_ref(),
            context: &self.context,
            now: self.now,
        }
    }

    /// Who acts, for the audit log.
    pub(super) fn origin(&self) -> Origin {
        let actor = match &self.signed_in {
            Some(person) => Actor::User(person.user.id),
            None => Actor::Browser,
        };
        Origin {
            actor,
            address: self.context.address,
        }
    }
}

/// Serves a visit; whatever goes wrong becomes a page that says what can be done.
pub(super) async fn visit<'a, F>(
    endpoints: &'a web::Data<Endpoints>,
    request: &'a HttpRequest,
    work: impl FnOnce(Visitor<'a>) -> F,
) -> HttpResponse
where
    F: Future<Output = Result<HttpResponse, PageError>>,
{
    let outcome = match Visitor::of(endpoints, request).await {
        Ok(visitor) => work(visitor).await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        let frame = frame(&endpoints.pages, language(request));
        error.into_response(&frame, request)
    })
}

/// Serves what a form has posted: as [`visit`], but only from a page of this very origin.
pub(super) async fn posted<'a, F>(
    endpoints: &'a web::Data<Endpoints>,
    request: &'a HttpRequest,
    work: impl FnOnce(Visitor<'a>) -> F,
) -> HttpResponse
where
    F: Future<Output = Result<HttpResponse, PageError>>,
{
    visit(endpoints, request, async |visitor| {
        if comes_from_elsewhere(request) {
            return Err(PageError::from_elsewhere());
        }
        work(visitor).await
    })
    .await
}

/// What browsers say themselves about where a request comes from (Fetch Metadata Request Headers
/// §2.3). The forms prove it besides, for browsers that say nothing.
fn comes_from_elsewhere(request: &HttpRequest) -> bool {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let site = request.headers().get(SITE);
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

pub(super) fn frame(pages: &Pages, language: Language) -> Frame<'_> {
    Frame {
        brand: &pages.brand,
        base: &pages.base,
        language,
        style_version: &pages.style_version,
    }
}

pub(super) fn language(request: &HttpRequest) -> Language {
    let accepted = request.headers().get(header::ACCEPT_LANGUAGE);
    Language::choose(&[], accepted.and_then(|value| value.to_str().ok()))
}
