//! Pushed authorization requests (RFC 9126).

use std::time::Duration;

use super::authorization::{AuthorizationError, AuthorizationParameters};
use super::{GrantError, RequestContext, TokenService};
use crate::domain::Timestamp;
use crate::domain::authorization::AuthorizationRequest;
use crate::domain::client::Client;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::ports::{PushedRequest, RequestDigest};

/// How long the browser may take to come with the name of a request (§2.2 suggests 5 to 600 s).
const LIFETIME: Duration = Duration::from_secs(90);

/// The answer to a request that was pushed (§2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedResponse {
    /// Its name.
    pub request_uri: String,
    /// How long it is good.
    pub expires_in: Duration,
}

impl TokenService {
    /// Checks a request of a client that has proved who it is, and keeps it (§2.1).
    ///
    /// # Errors
    /// With the codes of the authorization endpoint (§2.3).
    pub async fn push_request(
        &self,
        client: &Client,
        parameters: &AuthorizationParameters,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<PushedResponse, GrantError> {
        // §2.1: a request is not pushed by naming another.
        if parameters.first("request_uri").is_some() {
            let description = "request_uri must not be pushed (RFC 9126 section 2.1)";
            return Err(OAuthError::invalid_request(description).into());
        }
        let request = match self.read_request(client, parameters, now) {
            Ok(request) => request,
            Err(AuthorizationError::Shown(error) | AuthorizationError::Redirected(_, error)) => {
                self.note_refusal(&client.id, error.code, context, now)
                    .await?;
                return Err(error.into());
            }
            Err(AuthorizationError::Failed(error)) => return Err(error),
        };
        let (request_uri, digest) = self.accounts.tokens.new_request_name()?;
        let pushed = PushedRequest {
            digest,
            client_id: client.id.clone(),
            request: serde_json::to_string(&request).map_err(GrantError::Claims)?,
            expires_at: now + LIFETIME,
        };
        self.accounts.store.push_request(&pushed).await?;
        Ok(PushedResponse {
            request_uri,
            expires_in: LIFETIME,
        })
    }

    /// The request that a client has pushed under a name (§4).
    pub(super) async fn pushed_request(
        &self,
        client: &Client,
        name: &str,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        // One answer for whatever is wrong: nobody learns what others have pushed.
        let unknown = || {
            let description = "the request_uri is unknown, over, used, or another client's; push \
                               the request again";
            let code = OAuthErrorCode::InvalidRequestUri;
            AuthorizationError::Shown(OAuthError::new(code, description))
        };
        let digest = self.accounts.tokens.read_request_name(name);
        let digest = digest.ok_or_else(unknown)?;
        let found = self.accounts.store.find_pushed_request(digest).await?;
        let pushed = found
            .filter(|pushed| pushed.client_id == client.id && now < pushed.expires_at)
            .ok_or_else(unknown)?;
        let request: AuthorizationRequest =
            serde_json::from_str(&pushed.request).map_err(GrantError::Claims)?;
        if !client.was_there(request.started_at) {
            return Err(unknown());
        }
        let request = AuthorizationRequest {
            pushed_as: Some(name.to_owned()),
            started_at: now,
            ..request
        };
        self.client_of(&request)?;
        Ok(request)
    }

    pub(super) fn pushed_digest(&self, request: &AuthorizationRequest) -> Option<RequestDigest> {
        let name = request.pushed_as.as_deref()?;
        self.accounts.tokens.read_request_name(name)
    }
}
