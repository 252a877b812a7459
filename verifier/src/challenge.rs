//! The answers of a protected resource (RFC 6750 §3), mapped once for every web framework.

use crate::{Claims, Reject, ScopeSet, Verifier};

/// Seconds after which a client may ask again when nothing can be said about its token.
const RETRY_AFTER_SECONDS: &str = "5";

/// Why a request was not let through, and what it is told.
///
/// The web integrations turn it into a response. The [`Reject`] inside is for logs; the response
/// does not reveal it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// No bearer token: 401 without an error code (RFC 6750 §3.1).
    #[error("the request has no bearer token")]
    MissingToken {
        /// The protection space.
        realm: String,
    },
    /// The request presents its token in a way that RFC 6750 §2 does not allow: 400.
    #[error("the request presents its token wrongly: {detail}")]
    InvalidRequest {
        /// The protection space.
        realm: String,
        /// What is wrong, in words for the client's developer.
        detail: &'static str,
    },
    /// The token was rejected: 401, whatever the reason.
    #[error("the token was rejected: {reject}")]
    InvalidToken {
        /// The protection space.
        realm: String,
        /// The reason, for logs.
        reject: Reject,
    },
    /// A token that is bound to a key was presented as a bearer token: 401 (RFC 9449 §7.2).
    #[error("the token is bound to a key and was presented without proof")]
    SenderConstrained {
        /// The protection space.
        realm: String,
    },
    /// The token is good, but does not carry the scope: 403.
    #[error("the token lacks the scope `{required}`")]
    InsufficientScope {
        /// The protection space.
        realm: String,
        /// What the resource requires.
        required: ScopeSet,
    },
    /// Nothing can be said about the token now, for lack of keys or of news about revocations: 503,
    /// so that the client keeps its token.
    #[error("the token could not be verified: {reject}")]
    Unavailable {
        /// The reason, for logs.
        reject: Reject,
    },
    /// The service was assembled without a [`Verifier`]: 500.
    #[error("no verifier is configured")]
    NotConfigured,
}

impl Denial {
    pub(crate) fn rejected(verifier: &Verifier, reject: Reject) -> Self {
        if reject.is_transient() {
            Self::Unavailable { reject }
        } else {
            Self::InvalidToken {
                realm: verifier.realm().to_owned(),
                reject,
            }
        }
    }

    /// The HTTP status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidRequest { .. } => 400,
            Self::MissingToken { .. }
            | Self::InvalidToken { .. }
            | Self::SenderConstrained { .. } => 401,
            Self::InsufficientScope { .. } => 403,
            Self::NotConfigured => 500,
            Self::Unavailable { .. } => 503,
        }
    }

    /// The error code of RFC 6750 §3.1; `None` where the RFC asks for none.
    #[must_use]
    pub fn error(&self) -> Option<&'static str> {
        match self {
            Self::MissingToken { .. } => None,
            Self::InvalidRequest { .. } => Some("invalid_request"),
            Self::InvalidToken { .. } | Self::SenderConstrained { .. } => Some("invalid_token"),
            Self::InsufficientScope { .. } => Some("insufficient_scope"),
            Self::Unavailable { .. } => Some("temporarily_unavailable"),
            Self::NotConfigured => Some("server_error"),
        }
    }

    fn description(&self) -> &'static str {
        match self {
            Self::MissingToken { .. } => "The request has no bearer token.",
            Self::InvalidRequest { detail, .. } => detail,
            // One sentence for every reason, so that nobody learns which check failed.
            Self::InvalidToken { .. } | Self::SenderConstrained { .. } => {
                "The access token is expired, revoked, malformed, or invalid for other reasons."
            }
            Self::InsufficientScope { .. } => {
                "The request requires higher privileges than the access token provides."
            }
            Self::Unavailable { .. } => "The access token cannot be verified at the moment.",
            Self::NotConfigured => "The server is not set up to verify access tokens.",
        }
    }

    /// The headers of the response, names in lower case.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        if let Some(challenge) = self.challenge() {
            headers.push(("www-authenticate", challenge));
        }
        if matches!(self, Self::Unavailable { .. }) {
            headers.push(("retry-after", RETRY_AFTER_SECONDS.to_owned()));
        }
        headers
    }

    /// RFC 6750 §3. Realm, description and scopes cannot contain a quote or backslash, by
    /// construction, so nothing needs escaping.
    fn challenge(&self) -> Option<String> {
        let (realm, scope) = match self {
            Self::MissingToken { realm }
            | Self::InvalidRequest { realm, .. }
            | Self::InvalidToken { realm, .. }
            | Self::SenderConstrained { realm } => (realm, None),
            Self::InsufficientScope { realm, required } => (realm, Some(required)),
            Self::Unavailable { .. } | Self::NotConfigured => return None,
        };
        let error = self.error().map(|error| {
            let description = self.description();
            format!(", error=\"{error}\", error_description=\"{description}\"")
        });
        let scope = scope.map(|scope| format!(", scope=\"{scope}\""));
        let (error, scope) = (error.unwrap_or_default(), scope.unwrap_or_default());
        Some(format!("Bearer realm=\"{realm}\"{error}{scope}"))
    }

    /// The JSON body, with `error` and `error_description`.
    #[must_use]
    pub fn body(&self) -> String {
        // RFC 6750 §3.1 keeps the code out of the challenge when no token was sent; a JSON body
        // without a code would help nobody, and the remedy is the same: get a token.
        let error = self.error().unwrap_or("invalid_token");
        format!(
            r#"{{"error":"{error}","error_description":"{}"}}"#,
            self.description()
        )
    }
}

/// Finds the one bearer token of a request.
///
/// `authorization` are the values of all `Authorization` headers, `query` is the query string.
pub(crate) fn bearer_token<'r>(
    verifier: &Verifier,
    authorization: impl IntoIterator<Item = &'r [u8]>,
    query: Option<&str>,
) -> Result<&'r str, Denial> {
    let realm = || verifier.realm().to_owned();
    let invalid = |detail| Denial::InvalidRequest {
        realm: realm(),
        detail,
    };
    // RFC 6750 §2.3 and RFC 9700 §4.3.2: a token in a URL ends up in logs and histories.
    if query.is_some_and(has_access_token) {
        return Err(invalid("An access token must not be sent in the query."));
    }
    let mut authorization = authorization.into_iter();
    let Some(value) = authorization.next() else {
        return Err(Denial::MissingToken { realm: realm() });
    };
    if authorization.next().is_some() {
        return Err(invalid("The request has several Authorization headers."));
    }
    let value = std::str::from_utf8(value)
        .map_err(|_| invalid("The Authorization header is not readable."))?;
    // RFC 9110 §11.1: the scheme is case-insensitive.
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Denial::MissingToken { realm: realm() });
    }
    // RFC 9110 §11.4 allows several spaces.
    let token = token.trim_matches(' ');
    if token.is_empty() || token.contains([' ', ',', '\t']) {
        return Err(invalid("The Authorization header has no single token."));
    }
    Ok(token)
}

fn has_access_token(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split('=').next() == Some("access_token"))
}

/// What a bearer token must be beyond good: not bound to a key (RFC 9449 §7.2).
pub(crate) fn require_unbound<X>(verifier: &Verifier, claims: &Claims<X>) -> Result<(), Denial> {
    if claims.is_sender_constrained() {
        return Err(Denial::SenderConstrained {
            realm: verifier.realm().to_owned(),
        });
    }
    Ok(())
}

pub(crate) fn require_scope<X>(
    verifier: &Verifier,
    claims: &Claims<X>,
    required: &ScopeSet,
) -> Result<(), Denial> {
    if claims.scope.contains_all(required) {
        return Ok(());
    }
    Err(Denial::InsufficientScope {
        realm: verifier.realm().to_owned(),
        required: required.clone(),
    })
}
