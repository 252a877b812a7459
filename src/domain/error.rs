//! The errors that the OAuth specifications define. They become HTTP in one place, `http::error`.

use std::borrow::Cow;

/// An error code of the OAuth endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OAuthErrorCode {
    /// [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2): malformed, repeated or
    /// missing parameter, or more than one way of authenticating.
    InvalidRequest,
    /// RFC 6749 §5.2: client authentication failed.
    InvalidClient,
    /// RFC 6749 §5.2: this client may not use this grant.
    UnauthorizedClient,
    /// RFC 6749 §5.2: the server does not know this grant.
    UnsupportedGrantType,
    /// RFC 6749 §5.2: the scope is malformed, unknown, or more than the client may ask for.
    InvalidScope,
    /// [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2): the resource is malformed,
    /// unknown, or not for this client.
    InvalidTarget,
    /// RFC 6749 §5.2: the code or refresh token is unknown, expired, revoked, used, or another
    /// client's.
    InvalidGrant,
    /// [RFC 6749 §4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1): only `code`.
    UnsupportedResponseType,
    /// [RFC 7009 §2.2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.2.1): tokens of this kind
    /// cannot be revoked one by one.
    UnsupportedTokenType,
    /// draft-ietf-oauth-first-party-apps §5.2.2: more, or something else, has to be shown.
    InsufficientAuthorization,
    /// draft-ietf-oauth-first-party-apps §5.2.2: the `auth_session` is unknown or over.
    InvalidSession,
    /// draft-ietf-oauth-first-party-apps §5.2.2: this needs a browser.
    RedirectToWeb,
    /// RFC 6749 §4.1.2.1: the person, or the server, said no.
    AccessDenied,
    /// RFC 6749 §4.1.2.1: 500 cannot be told by redirect.
    ServerError,
    /// RFC 6749 §4.1.2.1: nor can 503.
    TemporarilyUnavailable,
    /// `OpenID` Connect Core §3.1.2.6: somebody has to sign in, and `prompt=none` forbids to ask.
    LoginRequired,
    /// `OpenID` Connect Core §3.1.2.6: somebody has to agree, and `prompt=none` forbids to ask.
    ConsentRequired,
    /// `OpenID` Connect Core Unmet Authentication Requirements 1.0 §2: an essential `acr` that
    /// nobody here can reach.
    UnmetAuthenticationRequirements,
    /// RFC 9101 §6.3: the `request_uri` is unknown, over, used, or another client's.
    InvalidRequestUri,
    /// `OpenID` Connect Core §3.1.2.6: no request objects by value.
    RequestNotSupported,
    /// `OpenID` Connect Core §3.1.2.6: no request objects but those that were pushed here.
    RequestUriNotSupported,
    /// `OpenID` Connect Core §3.1.2.6: nobody registers on the way.
    RegistrationNotSupported,
}

impl OAuthErrorCode {
    /// The `error` value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InsufficientAuthorization => "insufficient_authorization",
            Self::InvalidSession => "invalid_session",
            Self::RedirectToWeb => "redirect_to_web",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
        }
    }
}

/// A refusal: the code for programs, the description for the people who write them. The
/// description never repeats what was sent: a parameter put in the wrong place can be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", .code.as_str())]
pub struct OAuthError {
    /// `error` on the wire.
    pub code: OAuthErrorCode,
    /// `error_description` on the wire.
    pub description: Cow<'static, str>,
}

impl OAuthError {
    /// A refusal with its explanation.
    #[must_use]
    pub fn new(code: OAuthErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            description: description.into(),
        }
    }

    /// `invalid_request` with its explanation.
    #[must_use]
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthErrorCode::InvalidRequest, description)
    }

    /// The one answer to every failed client authentication, so that it tells nothing about which
    /// part was wrong.
    #[must_use]
    pub const fn invalid_client() -> Self {
        Self {
            code: OAuthErrorCode::InvalidClient,
            description: Cow::Borrowed("client authentication failed"),
        }
    }
}
