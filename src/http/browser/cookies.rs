//! The two cookies. `__Host-` binds them to this host and to TLS (RFC 6265bis §4.1.3.2); over plain
//! http, which is for loopback only, browsers would drop such names.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::time;
use actix_web::cookie::{Cookie, SameSite};

use super::Pages;

/// A cookie of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Jar {
    /// Tells one browser from another before anybody signs in.
    Browser,
    /// Proves a login.
    Login,
}

impl Jar {
    fn name(self, pages: &Pages) -> &'static str {
        match (self, pages.is_secure) {
            (Self::Browser, true) => "__Host-tokensmith-browser",
            (Self::Login, true) => "__Host-tokensmith-login",
            (Self::Browser, false) => "tokensmith-browser",
            (Self::Login, false) => "tokensmith-login",
        }
    }

    /// What the browser has sent.
    pub(super) fn read(self, pages: &Pages, request: &HttpRequest) -> Option<String> {
        let cookie = request.cookie(self.name(pages))?;
        Some(cookie.value().to_owned())
    }

    /// What the browser shall keep; until it is closed, or for so long.
    pub(super) fn keep(
        self,
        pages: &Pages,
        value: &str,
        lifetime: Option<Duration>,
    ) -> Cookie<'static> {
        let mut cookie = self.of(pages, value);
        if let Some(lifetime) = lifetime {
            let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
            cookie.set_max_age(time::Duration::seconds(seconds));
        }
        cookie
    }

    /// What makes the browser forget.
    pub(super) fn forget(self, pages: &Pages) -> Cookie<'static> {
        let mut cookie = self.of(pages, "");
        cookie.set_max_age(time::Duration::ZERO);
        cookie
    }

    fn of(self, pages: &Pages, value: &str) -> Cookie<'static> {
        Cookie::build(self.name(pages), value.to_owned())
            .path("/")
            .http_only(true)
            .secure(pages.is_secure)
            // Strict would keep people signed out who come from another site, which is how single
            // sign-on begins.
            .same_site(SameSite::Lax)
            .finish()
    }
}
