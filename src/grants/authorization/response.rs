//! The answer to an authorization request (RFC 6749 §4.1.2).

use url::form_urlencoded;

use crate::domain::authorization::{AuthorizationRequest, ResponseMode};
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::id::ClientId;
use crate::domain::issuer::Issuer;

/// Where an answer may go: the client and the redirect URI are known to belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnAddress {
    /// Whose request it was.
    pub client_id: ClientId,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// How it travels there.
    pub mode: ResponseMode,
    /// What the client wants to have back.
    pub state: Option<String>,
}

impl ReturnAddress {
    /// The address that a request has given.
    #[must_use]
    pub fn of(request: &AuthorizationRequest) -> Self {
        Self {
            client_id: request.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            mode: request.response_mode,
            state: request.state.clone(),
        }
    }

    pub(super) fn code(&self, code: &str, issuer: &Issuer) -> AuthorizationResponse {
        self.answer(None, vec![("code", code.to_owned())], issuer)
    }

    pub(super) fn error(&self, error: &OAuthError, issuer: &Issuer) -> AuthorizationResponse {
        let parameters = vec![
            ("error", error.code.as_str().to_owned()),
            ("error_description", error.description.to_string()),
        ];
        self.answer(Some(error.code), parameters, issuer)
    }

    fn answer(
        &self,
        error: Option<OAuthErrorCode>,
        mut parameters: Vec<(&'static str, String)>,
        issuer: &Issuer,
    ) -> AuthorizationResponse {
        if let Some(state) = &self.state {
            parameters.push(("state", state.clone()));
        }
        // RFC 9207 §2: so that a client of several servers can tell whose answer it is.
        parameters.push(("iss", issuer.as_str().to_owned()));
        AuthorizationResponse {
            redirect_uri: self.redirect_uri.clone(),
            mode: self.mode,
            error,
            parameters,
        }
    }
}

/// An answer on its way. Without `Debug` of its parameters: one may be a code.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    /// Where it goes.
    pub redirect_uri: String,
    /// How it travels there.
    pub mode: ResponseMode,
    /// What has gone wrong, for the log.
    pub error: Option<OAuthErrorCode>,
    /// What it says.
    pub parameters: Vec<(&'static str, String)>,
}

impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorizationResponse")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl AuthorizationResponse {
    /// The redirect URI with the answer in its query. A query that it has stays as it is (RFC 6749
    /// §3.1.2).
    #[must_use]
    pub fn url(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.parameters);
        let query = query.finish();
        let uri = &self.redirect_uri;
        format!("{uri}{}{query}", query_separator(uri))
    }
}

/// What stands between a URI and a parameter that is added to it; its own query stays as it is.
pub(in crate::grants) fn query_separator(uri: &str) -> &'static str {
    match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, own)) if own.ends_with('&') => "",
        Some(_) => "&",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(redirect_uri: &str, state: Option<&str>) -> String {
        let back = ReturnAddress {
            client_id: "shop".parse().unwrap(),
            redirect_uri: redirect_uri.to_owned(),
            mode: ResponseMode::Query,
            state: state.map(ToOwned::to_owned),
        };
        let issuer = Issuer::parse("https://login.example.com").unwrap();
        back.code("c+d", &issuer).url()
    }

    const ISS: &str = "iss=https%3A%2F%2Flogin.example.com";

    #[test]
    fn the_answer_is_added_to_the_query_that_is_there() {
        for (uri, expected) in [
            ("https://a.example/cb", "https://a.example/cb?code=c%2Bd"),
            (
                "https://a.example/cb?x=%20y",
                "https://a.example/cb?x=%20y&code=c%2Bd",
            ),
            ("https://a.example/cb?", "https://a.example/cb?code=c%2Bd"),
            ("com.example.app:/cb", "com.example.app:/cb?code=c%2Bd"),
        ] {
            assert_eq!(url(uri, None), format!("{expected}&{ISS}"));
        }
    }

    #[test]
    fn a_state_cannot_add_parameters_or_headers() {
        let hostile = "a&code=evil#\r\nSet-Cookie: x=1\0";
        let answer = url("https://a.example/cb", Some(hostile));
        assert_eq!(
            answer,
            format!(
                "https://a.example/cb?code=c%2Bd&state=a%26code%3Devil%23%0D%0A\
                 Set-Cookie%3A+x%3D1%00&{ISS}"
            )
        );
    }
}
