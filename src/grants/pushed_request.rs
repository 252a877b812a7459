//! Pushed authorization requests (RFC 9126).
//!
//! A request of a client that has proved who it is waits in a row. Anybody can pretend to be a public
//! client, so what comes in such a name costs no row: its name is the request itself, sealed, and
//! only the answer, for which somebody has to be signed in, leaves a note that it was given.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::authorization::{AuthorizationError, AuthorizationParameters};
use super::{GrantError, RequestContext, TokenService};
use crate::domain::Timestamp;
use crate::domain::authorization::AuthorizationRequest;
use crate::domain::client::Client;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::ports::{PushedName, PushedRequest};

/// How long the browser may take to come with the name of a request (§2.2 suggests 5 to 600 s).
const LIFETIME: Duration = Duration::from_secs(90);
/// How long it is kept in mind that a sealed request was answered: longer than a person may take
/// after coming with it.
const ANSWERED_FOR: Duration = Duration::from_mins(30);
/// What a request is sealed for.
const PURPOSE: &str = "pushed-request";
/// §2.2 leaves the form of a name to the server.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// What begins the name of a request that is sealed in it.
const SEALED: &str = "sealed:";

/// The answer to a request that was pushed (§2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedResponse {
    /// Its name.
    pub request_uri: String,
    /// How long it is good.
    pub expires_in: Duration,
}

/// A request in its own name.
#[derive(Serialize, Deserialize)]
struct SealedRequest {
    request: AuthorizationRequest,
    expires_at: Timestamp,
}

impl TokenService {
    /// Checks a request of a client that has proved who it is, as far as it can, and keeps it (§2.1).
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
        let expires_at = now + LIFETIME;
        let request_uri = if client.is_public() {
            self.seal_request(request, expires_at)?
        } else {
            self.store_request(&request, expires_at).await?
        };
        Ok(PushedResponse {
            request_uri,
            expires_in: LIFETIME,
        })
    }

    fn seal_request(
        &self,
        request: AuthorizationRequest,
        expires_at: Timestamp,
    ) -> Result<String, GrantError> {
        let sealed = SealedRequest {
            request,
            expires_at,
        };
        let plain = serde_json::to_vec(&sealed).map_err(GrantError::Claims)?;
        let sealed = self.accounts.tokens.seal(PURPOSE, &plain)?;
        Ok(format!("{PREFIX}{SEALED}{sealed}"))
    }

    async fn store_request(
        &self,
        request: &AuthorizationRequest,
        expires_at: Timestamp,
    ) -> Result<String, GrantError> {
        let (request_uri, digest) = self.accounts.tokens.new_request_name()?;
        let pushed = PushedRequest {
            digest,
            client_id: request.client_id.clone(),
            request: serde_json::to_string(request).map_err(GrantError::Claims)?,
            expires_at,
        };
        self.accounts.store.push_request(&pushed).await?;
        Ok(request_uri)
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
        let sealed = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix(SEALED));
        let found = match sealed {
            Some(sealed) => self.open_request(sealed, now),
            None => self.find_request(name).await?,
        };
        let (
            SealedRequest {
                request,
                expires_at,
            },
            name,
        ) = found.ok_or_else(unknown)?;
        let is_theirs = request.client_id == client.id && client.was_there(request.started_at);
        if !is_theirs || now >= expires_at {
            return Err(unknown());
        }
        let request = AuthorizationRequest {
            pushed_as: Some(name),
            started_at: now,
            ..request
        };
        self.client_of(&request)?;
        Ok(request)
    }

    fn open_request(&self, sealed: &str, now: Timestamp) -> Option<(SealedRequest, PushedName)> {
        let tokens = &self.accounts.tokens;
        let plain = tokens.open(PURPOSE, sealed)?;
        let request = serde_json::from_slice(&plain).ok()?;
        let name = PushedName::Sealed(tokens.sealed_request_digest(sealed), now + ANSWERED_FOR);
        Some((request, name))
    }

    async fn find_request(
        &self,
        name: &str,
    ) -> Result<Option<(SealedRequest, PushedName)>, GrantError> {
        let Some(digest) = self.accounts.tokens.read_request_name(name) else {
            return Ok(None);
        };
        let Some(pushed) = self.accounts.store.find_pushed_request(digest).await? else {
            return Ok(None);
        };
        let request = SealedRequest {
            request: serde_json::from_str(&pushed.request).map_err(GrantError::Claims)?,
            expires_at: pushed.expires_at,
        };
        Ok(Some((request, PushedName::Stored(digest))))
    }
}
