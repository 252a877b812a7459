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

/// The names of the cookies of one issuer. Issuers under different paths of one host do not take each
/// other's: `__Host-` wants them all for the path `/`.
pub(super) struct CookieNames {
    browser: String,
    login: String,
}

impl CookieNames {
    pub(super) fn new(base: &str, is_secure: bool) -> Self {
        let prefix = if is_secure { "__Host-" } else { "" };
        // One to one, so that no two paths share a name.
        let harmless = |byte: u8| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("_{byte:02x}"),
        };
        let suffix: String = base.bytes().map(harmless).collect();
        Self {
            browser: format!("{prefix}tokensmith-browser{suffix}"),
            login: format!("{prefix}tokensmith-login{suffix}"),
        }
    }
}

impl Jar {
    fn name(self, pages: &Pages) -> &str {
        match self {
            Self::Browser => &pages.cookie_names.browser,
            Self::Login => &pages.cookie_names.login,
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
        Cookie::build(self.name(pages).to_owned(), value.to_owned())
            .path("/")
            .http_only(true)
            .secure(pages.is_secure)
            // Strict would keep people signed out who come from another site, which is how single
            // sign-on begins.
            .same_site(SameSite::Lax)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_bound_to_the_host_and_to_tls_and_told_apart_by_path() {
        let login = |base, is_secure| CookieNames::new(base, is_secure).login;
        assert_eq!(login("", true), "__Host-tokensmith-login");
        assert_eq!(login("/auth", true), "__Host-tokensmith-login_2fauth");
        assert_ne!(login("/a/b", true), login("/a-b", true));
        assert_eq!(login("/;", true), "__Host-tokensmith-login_2f_3b");
        assert_eq!(login("", false), "tokensmith-login");
    }
}
