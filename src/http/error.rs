//! The one place where errors become HTTP: every body is JSON with `error` and
//! `error_description`, and says nothing about the inside.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::stream_limits::Full;
use crate::accounts::AccountError;
use crate::admin::AdminError;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::ports::{PasswordError, StoreError};
use crate::grants::{ChallengeRefusal, GrantError, invalid_refresh_token};
use crate::relay::UpstreamFailed;
use crate::revocation::{DocumentError, Unreadable};

/// Everything that an endpoint can answer instead of its result.
#[derive(Debug)]
pub(super) enum ApiError {
    /// RFC 6749 §5.2. With `challenge`, the client had used the `Authorization` header.
    OAuth { error: OAuthError, challenge: bool },
    /// RFC 6750 §3: access to the administrative API.
    Bearer(BearerError),
    /// What an administrator asked for cannot be done.
    Admin(AdminError),
    /// A grant that failed inside.
    Grant(GrantError),
    /// A login that has not led to a code.
    Challenge(Box<ChallengeRefusal>),
    /// What was asked for about an account cannot be done.
    Account(AccountError),
    /// A malformed request to the administrative API.
    Malformed(Cow<'static, str>),
    /// More than [`super::MAX_BODY_BYTES`].
    BodyTooLarge,
    /// The caller asks more than one may; so long to wait.
    TooManyRequests(chrono::TimeDelta),
    /// The body did not come in time.
    BodyTooSlow,
    /// There is no such endpoint.
    NotFound,
    /// The endpoint has other methods.
    MethodNotAllowed(&'static [Method]),
    /// The resource has no representation that the client accepts; this is what there is.
    NotAcceptable(&'static str),
    /// A part of a standard that this server does without.
    NotImplemented(&'static str),
    /// A signed document cannot be made.
    Document(DocumentError),
    /// The log of revocations cannot be read from there.
    Feed(Unreadable),
    /// The server that this one relays does not answer as it should.
    Upstream(UpstreamFailed),
    /// So many follow the log of revocations that there is no place for another.
    Full(Full),
    /// A defect.
    Internal(String),
}

/// The errors of RFC 6750 §3.1.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BearerError {
    /// No token: the challenge carries no error code.
    Missing,
    /// The header is malformed, or there are two.
    InvalidRequest,
    /// The token does not verify, for a reason that only the log tells.
    InvalidToken(&'static str),
    /// The token is good, but for another API.
    OtherAudience,
    /// The token is good but lacks the scope.
    InsufficientScope(&'static str),
}

/// How the request ended, for the log and the metrics; travels in the response's extensions.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) code: &'static str,
    /// What went wrong inside; never shown to the caller.
    pub(super) cause: Option<String>,
}

/// Why a bearer token was rejected, for the metrics; travels in the response's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejected(pub(super) &'static str);

/// The answer that an error becomes.
struct Answer {
    status: StatusCode,
    code: &'static str,
    description: Cow<'static, str>,
    header: Option<(header::HeaderName, HeaderValue)>,
    cause: Option<String>,
    /// Why the bearer token was rejected; never shown either.
    rejected: Option<Rejected>,
    /// With what a login goes on.
    auth_session: Option<String>,
}

impl ApiError {
    fn answer(&self) -> Answer {
        match self {
            Self::OAuth { error, challenge } => oauth(error, *challenge),
            Self::Bearer(error) => bearer(error),
            Self::Admin(error) => admin(error),
            Self::Grant(error) => grant(error),
            Self::Challenge(refusal) => Answer {
                auth_session: refusal.auth_session.clone(),
                ..grant(&refusal.error)
            },
            Self::Account(error) => account(error),
            Self::Malformed(description) => Answer::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                description.clone(),
            ),
            Self::BodyTooLarge => Answer::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "invalid_request",
                "the body is larger than 16 KiB",
            ),
            Self::BodyTooSlow => Answer::new(
                StatusCode::REQUEST_TIMEOUT,
                "invalid_request",
                "the body did not come within ten seconds",
            ),
            Self::TooManyRequests(wait) => too_many(
                *wait,
                "too many requests from here; wait as long as Retry-After says",
            ),
            Self::NotFound => Answer::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing at this address",
            ),
            Self::MethodNotAllowed(methods) => method_not_allowed(methods),
            Self::NotAcceptable(there_is) => Answer::new(
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                format!("this is available as {there_is}"),
            ),
            Self::NotImplemented(description) => {
                Answer::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", *description)
            }
            Self::Document(error) => document(error),
            Self::Feed(error) => feed(error),
            Self::Upstream(error) => unavailable(error.to_string()),
            Self::Full(full) => no_place(*full),
            Self::Internal(cause) => internal(cause.clone()),
        }
    }
}

impl Answer {
    fn new(
        status: StatusCode,
        code: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            description: description.into(),
            header: None,
            cause: None,
            rejected: None,
            auth_session: None,
        }
    }

    fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        self.header = HeaderValue::from_str(value).ok().map(|value| (name, value));
        self
    }

    fn rejecting(mut self, reason: &'static str) -> Self {
        self.rejected = Some(Rejected(reason));
        self.caused_by(reason.to_owned())
    }

    fn caused_by(mut self, cause: String) -> Self {
        self.cause = Some(cause);
        self
    }
}

/// RFC 6749 §5.2: 400 for all codes but `invalid_client`, which is 401 and answers a client that
/// used the `Authorization` header with a challenge.
fn oauth(error: &OAuthError, challenge: bool) -> Answer {
    let code = error.code.as_str();
    match error.code {
        OAuthErrorCode::InvalidClient => {
            let answer = Answer::new(StatusCode::UNAUTHORIZED, code, error.description.clone());
            if challenge {
                let scheme = r#"Basic realm="tokensmith", charset="UTF-8""#;
                answer.with_header(header::WWW_AUTHENTICATE, scheme)
            } else {
                answer
            }
        }
        OAuthErrorCode::InvalidRequest
        | OAuthErrorCode::UnauthorizedClient
        | OAuthErrorCode::UnsupportedGrantType
        | OAuthErrorCode::InvalidScope
        | OAuthErrorCode::InvalidTarget
        | OAuthErrorCode::InvalidGrant
        | OAuthErrorCode::UnsupportedResponseType
        | OAuthErrorCode::UnsupportedTokenType
        | OAuthErrorCode::InsufficientAuthorization
        | OAuthErrorCode::InvalidSession
        | OAuthErrorCode::RedirectToWeb
        // Told by redirect; a pushed request hears them like this (RFC 9126 §2.3).
        | OAuthErrorCode::AccessDenied
        | OAuthErrorCode::ServerError
        | OAuthErrorCode::TemporarilyUnavailable
        | OAuthErrorCode::LoginRequired
        | OAuthErrorCode::ConsentRequired
        | OAuthErrorCode::UnmetAuthenticationRequirements
        | OAuthErrorCode::InvalidRequestUri
        | OAuthErrorCode::RequestNotSupported
        | OAuthErrorCode::RequestUriNotSupported
        | OAuthErrorCode::RegistrationNotSupported => {
            Answer::new(StatusCode::BAD_REQUEST, code, error.description.clone())
        }
    }
}

fn grant(error: &GrantError) -> Answer {
    match error {
        GrantError::Refused(error) => oauth(error, false),
        GrantError::Refresh(_) => oauth(&invalid_refresh_token(), false),
        GrantError::TooManyAttempts(wait) => too_many_attempts(*wait),
        GrantError::Password(error) => password(error),
        GrantError::Store(error) => store(error),
        GrantError::NoSigningKey(_) => unavailable(error.to_string()),
        GrantError::Signing(_) | GrantError::NoEntropy(_) | GrantError::Claims(_) => {
            internal(error.to_string())
        }
    }
}

fn account(error: &AccountError) -> Answer {
    let invalid = || {
        Answer::new(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            error.to_string(),
        )
    };
    match error {
        AccountError::NoSuchUser(_) | AccountError::NoSuchSession(_) => {
            Answer::new(StatusCode::NOT_FOUND, "not_found", error.to_string())
        }
        AccountError::NameTaken => Answer::new(StatusCode::CONFLICT, "conflict", error.to_string()),
        AccountError::WrongPassword => {
            Answer::new(StatusCode::BAD_REQUEST, "wrong_password", error.to_string())
        }
        AccountError::UnacceptablePassword(_) => Answer::new(
            StatusCode::BAD_REQUEST,
            "unacceptable_password",
            error.to_string(),
        ),
        AccountError::InvalidProfile(_) | AccountError::VerifiedNothing => invalid(),
        AccountError::TooManyAttempts(wait) => too_many_attempts(*wait),
        AccountError::Password(error) => password(error),
        AccountError::Store(error) => store(error),
        AccountError::NoEntropy(_) | AccountError::Seal(_) => internal(error.to_string()),
    }
}

fn store(error: &StoreError) -> Answer {
    match error {
        StoreError::Unavailable(_) => unavailable(error.to_string()),
        StoreError::Corrupt(_) | StoreError::Failed(_) => internal(error.to_string()),
    }
}

fn password(error: &PasswordError) -> Answer {
    match error {
        PasswordError::Busy => unavailable(error.to_string()),
        PasswordError::Failed(_) => internal(error.to_string()),
    }
}

fn too_many_attempts(wait: chrono::TimeDelta) -> Answer {
    let description = "too many failed attempts; wait as long as Retry-After says";
    too_many(wait, description)
}

/// RFC 6585 §4.
fn too_many(wait: chrono::TimeDelta, description: &'static str) -> Answer {
    let seconds = wait.num_seconds().max(0) + 1;
    Answer::new(
        StatusCode::TOO_MANY_REQUESTS,
        "temporarily_unavailable",
        description,
    )
    .with_header(header::RETRY_AFTER, &seconds.to_string())
}

/// How a login ended that has not led to a code, for the metrics.
pub(super) fn challenge_outcome(refusal: &ChallengeRefusal) -> &'static str {
    match &refusal.error {
        GrantError::Refused(_) if refusal.is_wrong_password => "wrong_password",
        GrantError::Refused(error) => error.code.as_str(),
        GrantError::TooManyAttempts(_) => "blocked",
        GrantError::Password(PasswordError::Busy) => "busy",
        GrantError::Refresh(_)
        | GrantError::NoSigningKey(_)
        | GrantError::Signing(_)
        | GrantError::Claims(_)
        | GrantError::Password(PasswordError::Failed(_))
        | GrantError::Store(_)
        | GrantError::NoEntropy(_) => "error",
    }
}

fn bearer(error: &BearerError) -> Answer {
    let challenge = |status, code, description: &'static str, parameters: &str| {
        let value = format!(r#"Bearer realm="tokensmith"{parameters}"#);
        Answer::new(status, code, description).with_header(header::WWW_AUTHENTICATE, &value)
    };
    match error {
        // RFC 6750 §3.1: without credentials the challenge carries no error; the body still says
        // what is missing.
        BearerError::Missing => challenge(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "this endpoint needs an access token in the Authorization header",
            "",
        ),
        BearerError::InvalidRequest => challenge(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "send one Authorization header of the form `Bearer TOKEN`",
            r#", error="invalid_request""#,
        ),
        BearerError::InvalidToken(reason) => challenge(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "the access token is not valid here",
            r#", error="invalid_token""#,
        )
        .rejecting(reason),
        BearerError::OtherAudience => challenge(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "the access token is for another API; refresh with the issuer as resource",
            r#", error="invalid_token""#,
        )
        .rejecting("wrong_audience"),
        BearerError::InsufficientScope(scope) => challenge(
            StatusCode::FORBIDDEN,
            "insufficient_scope",
            "the access token lacks a scope that this endpoint needs",
            &format!(r#", error="insufficient_scope", scope="{scope}""#),
        ),
    }
}

fn admin(error: &AdminError) -> Answer {
    let text = error.to_string();
    match error {
        // RFC 7591 §3.2.2.
        AdminError::InvalidRegistration(_) => {
            Answer::new(StatusCode::BAD_REQUEST, "invalid_client_metadata", text)
        }
        AdminError::Key(error) => key(error),
        AdminError::ClientExists(_)
        | AdminError::TwoSecretsAreLive(_)
        | AdminError::NoSecretToRotate(_)
        | AdminError::TooManyKeys(_)
        | AdminError::KeyExists(_) => Answer::new(StatusCode::CONFLICT, "conflict", text),
        AdminError::NoSuchClient(_) | AdminError::NoSuchKey(_) => {
            Answer::new(StatusCode::NOT_FOUND, "not_found", text)
        }
        AdminError::CutOffAhead => Answer::new(StatusCode::BAD_REQUEST, "invalid_request", text),
        AdminError::Store(StoreError::Unavailable(_)) | AdminError::Contended => unavailable(text),
        AdminError::Store(StoreError::Corrupt(_) | StoreError::Failed(_))
        | AdminError::NoEntropy(_)
        | AdminError::InvalidClientId(_)
        | AdminError::Cancelled => internal(text),
    }
}

fn document(error: &DocumentError) -> Answer {
    match error {
        DocumentError::NoSigningKey => unavailable(error.to_string()),
        DocumentError::Signing(_) | DocumentError::Unwritable(_) => internal(error.to_string()),
    }
}

fn key(error: &crate::domain::ports::KeyVaultError) -> Answer {
    use crate::domain::ports::KeyVaultError as Key;
    match error {
        Key::NotAPrivateKey
        | Key::Encrypted
        | Key::WrongKind(_)
        | Key::RsaSize
        | Key::RsaExponent
        | Key::RefusedByVerifiers(_) => Answer::new(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            error.to_string(),
        ),
        Key::Sealed(_) | Key::Destroyed(_) | Key::Failed => internal(error.to_string()),
    }
}

fn feed(error: &Unreadable) -> Answer {
    match error {
        Unreadable::Behind(_) => Answer::new(StatusCode::GONE, "reset", error.to_string()),
        Unreadable::NotBegun(_) => unavailable(error.to_string()),
    }
}

/// RFC 6585 §4, and for all together RFC 9110 §15.6.4.
fn no_place(full: Full) -> Answer {
    let (status, description, wait) = match full {
        Full::Address => (
            StatusCode::TOO_MANY_REQUESTS,
            "as many streams as one address may have are open from here",
            "30",
        ),
        Full::Everybody => (
            StatusCode::SERVICE_UNAVAILABLE,
            "as many streams are open as this server takes",
            "5",
        ),
    };
    Answer::new(status, "temporarily_unavailable", description)
        .with_header(header::RETRY_AFTER, wait)
}

fn method_not_allowed(methods: &[Method]) -> Answer {
    let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let allowed = allowed.join(", ");
    let description = format!("this endpoint takes {allowed}");
    Answer::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        description,
    )
    .with_header(header::ALLOW, &allowed)
}

fn unavailable(cause: String) -> Answer {
    let description = "the service cannot do this just now; try again";
    Answer::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        description,
    )
    .with_header(header::RETRY_AFTER, "1")
    .caused_by(cause)
}

fn internal(cause: String) -> Answer {
    let description = "the service failed; the log of the server says why";
    Answer::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "server_error",
        description,
    )
    .caused_by(cause)
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer().code)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.answer().status
    }

    fn error_response(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            error_description: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            auth_session: Option<&'a str>,
        }
        let answer = self.answer();
        let mut builder = HttpResponse::build(answer.status);
        // RFC 6749 §5.1: nothing that concerns a credential is kept by caches.
        builder.insert_header((header::CACHE_CONTROL, "no-store"));
        // What is left of the body is not read, so the connection has no next request.
        if matches!(self, Self::BodyTooLarge | Self::BodyTooSlow) {
            builder.force_close();
        }
        if let Some(header) = answer.header {
            builder.insert_header(header);
        }
        let mut response = builder.json(Body {
            error: answer.code,
            error_description: &answer.description,
            auth_session: answer.auth_session.as_deref(),
        });
        response.extensions_mut().insert(Outcome {
            code: answer.code,
            cause: answer.cause,
        });
        if let Some(rejected) = answer.rejected {
            response.extensions_mut().insert(rejected);
        }
        response
    }
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl From<Unreadable> for ApiError {
    fn from(error: Unreadable) -> Self {
        Self::Feed(error)
    }
}

impl From<UpstreamFailed> for ApiError {
    fn from(error: UpstreamFailed) -> Self {
        Self::Upstream(error)
    }
}

impl From<Full> for ApiError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        Self::Admin(error)
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<ChallengeRefusal> for ApiError {
    fn from(refusal: ChallengeRefusal) -> Self {
        Self::Challenge(Box::new(refusal))
    }
}

impl From<GrantError> for ApiError {
    fn from(error: GrantError) -> Self {
        Self::Grant(error)
    }
}
