//! Pages and redirects as responses, with what keeps browsers from misusing them.

use actix_web::HttpResponse;
use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use chrono::TimeDelta;

use super::page_error::PageError;
use crate::domain::authorization::ResponseMode;
use crate::grants::AuthorizationResponse;
use crate::http::error::Outcome;
use crate::web::{FormPostPage, Frame, Page};

/// What a page may do beyond showing itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Permissions<'a> {
    /// Where its forms may lead in the end, beyond this origin. Chromium holds redirects after a
    /// form to `form-action` as well, and those of the client after them, so it is a scheme and not
    /// an origin.
    pub(super) forms_lead_to: Option<&'a str>,
    /// The origin of a client's logo.
    pub(super) image: Option<&'a str>,
    /// Whether it runs a script of this origin.
    pub(super) script: bool,
}

impl Permissions<'_> {
    /// Of the pages of the account.
    pub(super) const OF_ACCOUNT: Self = Self {
        forms_lead_to: None,
        image: None,
        script: true,
    };

    /// Content Security Policy Level 3. No inline script, no inline style, no frame around it.
    fn policy(&self) -> String {
        let image = self.image.map(|url| format!(" {url}")).unwrap_or_default();
        let script = if self.script {
            " script-src 'self';"
        } else {
            ""
        };
        let forms = self
            .forms_lead_to
            .and_then(scheme)
            .map(|scheme| format!(" {scheme}:"))
            .unwrap_or_default();
        format!(
            "default-src 'none'; style-src 'self'; img-src 'self'{image};{script} base-uri 'none'; \
             form-action 'self'{forms}; frame-ancestors 'none'"
        )
    }
}

/// The scheme of a URI, where it can stand in a policy.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.bytes().all(is_scheme).then_some(scheme)
}

/// A page as a response.
pub(super) fn page(
    page: &impl Page,
    frame: &Frame<'_>,
    status: StatusCode,
    permissions: &Permissions<'_>,
) -> Result<HttpResponse, PageError> {
    let html = page
        .render(frame)
        .map_err(|error| PageError::internal(error.to_string()))?;
    // A logo whose URL cannot stand in a header is not shown; the page is.
    let policy = HeaderValue::from_str(&permissions.policy())
        .or_else(|_| HeaderValue::from_str(&Permissions::default().policy()))
        .map_err(|error| PageError::internal(error.to_string()))?;
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::CONTENT_LANGUAGE, frame.language.tag()))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // `no-referrer` would make forms send `Origin: null` (Fetch §3.2).
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(html))
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Sends the browser on. 303, so that what was posted is not posted again (RFC 9700 §4.12).
pub(super) fn redirect(to: &str) -> Result<HttpResponse, PageError> {
    let location =
        HeaderValue::from_str(to).map_err(|error| PageError::internal(error.to_string()))?;
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

/// Brings an answer to the client, in the way that it asked for.
pub(super) fn respond(
    answer: &AuthorizationResponse,
    frame: &Frame<'_>,
) -> Result<HttpResponse, PageError> {
    let mut response = match answer.mode {
        ResponseMode::Query => redirect(&answer.url())?,
        ResponseMode::FormPost => {
            let form = FormPostPage {
                action: &answer.redirect_uri,
                fields: &answer.parameters,
            };
            let permissions = Permissions {
                forms_lead_to: Some(&answer.redirect_uri),
                script: true,
                ..Permissions::default()
            };
            page(&form, frame, StatusCode::OK, &permissions)?
        }
    };
    if let Some(error) = answer.error {
        response.extensions_mut().insert(Outcome {
            code: error.as_str(),
            cause: None,
        });
    }
    Ok(response)
}

/// Says when to come again (RFC 9110 §10.2.3); a second at least.
pub(super) fn with_retry_after(mut response: HttpResponse, wait: TimeDelta) -> HttpResponse {
    let seconds = HeaderValue::from(wait.num_seconds().max(0) + 1);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// Adds a cookie to a response.
pub(super) fn with_cookie(
    mut response: HttpResponse,
    cookie: &Cookie<'_>,
) -> Result<HttpResponse, PageError> {
    response
        .add_cookie(cookie)
        .map_err(|error| PageError::internal(error.to_string()))?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_may_lead_to_the_scheme_of_the_client_and_no_other() {
        let policy = |uri| {
            let permissions = Permissions {
                forms_lead_to: uri,
                ..Permissions::default()
            };
            permissions.policy()
        };
        assert!(policy(None).contains("form-action 'self';"));
        let https = policy(Some("https://app.example/cb"));
        assert!(https.contains("form-action 'self' https:;"));
        let app = policy(Some("com.example.app:/cb"));
        assert!(app.contains("form-action 'self' com.example.app:;"));
    }

    #[test]
    fn no_policy_allows_inline_script_or_style_or_a_frame() {
        let permissions = Permissions {
            forms_lead_to: Some("https://app.example/cb"),
            image: Some("https://app.example"),
            script: true,
        };
        for policy in [permissions.policy(), Permissions::default().policy()] {
            assert!(!policy.contains("unsafe"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(policy.contains("base-uri 'none'"), "{policy}");
        }
    }
}
