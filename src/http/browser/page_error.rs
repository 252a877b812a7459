//! The one place where errors become pages: what happened, what the person can do, and for whoever
//! writes the app a line with the code.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use chrono::TimeDelta;

use super::answer::{Permissions, page, redirect, with_retry_after};
use super::visitor::{frame, language};
use crate::accounts::AccountError;
use crate::domain::error::OAuthError;
use crate::domain::ports::{PasswordError, StoreError};
use crate::grants::{AuthorizationError, GrantError, StaleErrand};
use crate::http::Endpoints;
use crate::http::error::{ApiError, Outcome};
use crate::http::observe::{request_id, wants_page};
use crate::web::{ErrorPage, Frame, PageProblem};

/// Why a visit ends with a page that says so.
#[derive(Debug)]
pub(super) struct PageError {
    status: StatusCode,
    problem: PageProblem,
    /// For the log and the metrics.
    code: &'static str,
    /// For whoever writes the app.
    detail: Option<String>,
    /// What went wrong inside; never shown.
    cause: Option<String>,
}

impl PageError {
    const fn new(status: StatusCode, problem: PageProblem, code: &'static str) -> Self {
        Self {
            status,
            problem,
            code,
            detail: None,
            cause: None,
        }
    }

    /// A defect.
    pub(super) fn internal(cause: String) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self {
            cause: Some(cause),
            ..Self::new(status, PageProblem::Internal, "server_error")
        }
    }

    /// A form of another site.
    pub(super) const fn from_elsewhere() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            PageProblem::ExpiredPage,
            "cross_site_form",
        )
    }

    /// A form that does not carry what the page was given.
    pub(super) const fn stale_form() -> Self {
        let problem = PageProblem::StaleForm;
        Self::new(StatusCode::BAD_REQUEST, problem, "stale_form")
    }

    /// A browser that keeps no cookies.
    pub(super) const fn no_cookies() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            PageProblem::CookiesNeeded,
            "no_cookies",
        )
    }

    /// People cannot make accounts here.
    pub(super) const fn sign_up_closed() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            PageProblem::SignUpClosed,
            "sign_up_closed",
        )
    }

    /// A request that cannot be read.
    pub(super) fn bad_request(description: &str) -> Self {
        Self {
            detail: Some(format!("invalid_request: {description}")),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                PageProblem::BadRequest,
                "invalid_request",
            )
        }
    }

    /// A request that nobody but the person can be told about (RFC 6749 §4.1.2.1).
    pub(super) fn shown(error: &OAuthError) -> Self {
        Self {
            detail: Some(error.to_string()),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                PageProblem::UnknownApp,
                error.code.as_str(),
            )
        }
    }

    fn busy(cause: String) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self {
            cause: Some(cause),
            ..Self::new(status, PageProblem::Busy, "temporarily_unavailable")
        }
    }

    fn too_many_attempts(wait: TimeDelta) -> Self {
        let problem = PageProblem::TooManyAttempts { wait: Some(wait) };
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            problem,
            "temporarily_unavailable",
        )
    }

    /// The page. With the id of the request, so that whoever runs this can find it in the log.
    pub(super) fn into_response(self, frame: &Frame<'_>, request: &HttpRequest) -> HttpResponse {
        let request_id = request_id(request);
        let error = ErrorPage {
            problem: self.problem,
            detail: self.detail.as_deref(),
            request_id: request_id.as_deref(),
        };
        let shown = page(&error, frame, self.status, &Permissions::default());
        let mut response = shown.unwrap_or_else(|_| HttpResponse::new(self.status));
        let wait = match self.problem {
            PageProblem::Busy => Some(TimeDelta::zero()),
            PageProblem::TooManyAttempts { wait } => wait,
            _ => None,
        };
        if let Some(wait) = wait {
            response = with_retry_after(response, wait);
        }
        response.extensions_mut().insert(Outcome {
            code: self.code,
            cause: self.cause,
        });
        response
    }
}

impl From<StaleErrand> for PageError {
    fn from(stale: StaleErrand) -> Self {
        let (problem, code) = match stale {
            StaleErrand::Over => (PageProblem::ExpiredPage, "page_expired"),
            StaleErrand::OtherBrowser => (PageProblem::OtherBrowser, "other_browser"),
        };
        Self::new(StatusCode::BAD_REQUEST, problem, code)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::busy(error.to_string()),
            StoreError::Corrupt(_) | StoreError::Failed(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<GrantError> for PageError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Refused(error) => Self::shown(&error),
            GrantError::TooManyAttempts(wait) => Self::too_many_attempts(wait),
            GrantError::Store(error) => error.into(),
            GrantError::Password(PasswordError::Busy) | GrantError::NoSigningKey(_) => {
                Self::busy(error.to_string())
            }
            GrantError::Password(PasswordError::Failed(_))
            | GrantError::Refresh(_)
            | GrantError::Signing(_)
            | GrantError::NoEntropy(_)
            | GrantError::Claims(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<AccountError> for PageError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Store(error) => error.into(),
            AccountError::TooManyAttempts(wait) => Self::too_many_attempts(wait),
            AccountError::Password(PasswordError::Busy) => Self::busy(error.to_string()),
            // Forms say these themselves; elsewhere they are somebody's own address line.
            AccountError::NoSuchUser(_)
            | AccountError::NoSuchSession(_)
            | AccountError::NameTaken
            | AccountError::UnacceptablePassword(_)
            | AccountError::WrongPassword
            | AccountError::InvalidProfile(_)
            | AccountError::VerifiedNothing => Self::bad_request(&error.to_string()),
            AccountError::Password(PasswordError::Failed(_))
            | AccountError::Seal(_)
            | AccountError::NoEntropy(_) => Self::internal(error.to_string()),
        }
    }
}

/// What could not be read of a request.
impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        let status = error.status_code();
        let problem = match status {
            StatusCode::PAYLOAD_TOO_LARGE => PageProblem::TooLarge,
            status if status.is_server_error() => PageProblem::Internal,
            _ => PageProblem::BadRequest,
        };
        let status = if status == StatusCode::UNAUTHORIZED {
            StatusCode::BAD_REQUEST
        } else {
            status
        };
        Self {
            cause: Some(error.to_string()),
            ..Self::new(status, problem, "invalid_request")
        }
    }
}

/// Tells whoever is to be told about a request that has failed: the client, or the person.
pub(super) fn authorization_failed(
    error: AuthorizationError,
    endpoints: &Endpoints,
    frame: &Frame<'_>,
) -> Result<HttpResponse, PageError> {
    match error {
        AuthorizationError::Shown(error) => Err(PageError::shown(&error)),
        AuthorizationError::Failed(error) => Err(error.into()),
        AuthorizationError::Redirected(back, error) => {
            let answer = endpoints.service.error_response(&back, &error);
            super::answer::respond(&answer, frame)
        }
    }
}

/// What nobody has written a page for. Browsers get one that says so, programs JSON.
pub(in crate::http) async fn not_found(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let base = &endpoints.pages.base;
    if !wants_page(request.headers()) {
        return Err(ApiError::NotFound);
    }
    // Whoever types the name of the host wants to see the own account.
    if request.path().trim_end_matches('/') == base {
        return redirect(&endpoints.pages.path("/account")).map_err(|_| ApiError::NotFound);
    }
    let frame = frame(&endpoints.pages, language(&request));
    let error = PageError::new(StatusCode::NOT_FOUND, PageProblem::NotFound, "not_found");
    Ok(error.into_response(&frame, &request))
}
