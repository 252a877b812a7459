//! The client credentials grant (RFC 6749 §4.4): a service acts for itself.

use super::access_token::AccessTokenGrant;
use super::{GrantError, TokenResponse, TokenService};
use crate::domain::Timestamp;
use crate::domain::client::{Client, GrantType};
use crate::domain::entitlement::{grant_audience, grant_scope};
use crate::domain::error::{OAuthError, OAuthErrorCode};

/// The parameters of the grant (RFC 6749 §4.4.2, RFC 8707 §2).
#[derive(Clone, Debug, Default)]
pub struct ClientCredentialsRequest<'a> {
    /// Everything registered when absent.
    pub scope: Option<&'a str>,
    /// The client's default audience when empty.
    pub resources: Vec<&'a str>,
}

impl TokenService {
    /// Issues an access token whose subject is the client itself.
    pub fn client_credentials(
        &self,
        client: &Client,
        request: &ClientCredentialsRequest<'_>,
        now: Timestamp,
    ) -> Result<TokenResponse, GrantError> {
        if !client.allows(GrantType::ClientCredentials) {
            let description = "this client is not registered for client_credentials";
            return Err(OAuthError::new(OAuthErrorCode::UnauthorizedClient, description).into());
        }
        let scope = grant_scope(request.scope, &client.metadata.scope)?;
        let audience = grant_audience(&request.resources, &client.metadata, &self.issuer)?;
        // RFC 9068 §2.2: without a resource owner, `sub` is the client.
        let subject = client.id.to_string();
        let grant = AccessTokenGrant {
            subject,
            audience,
            scope: scope.clone(),
        };
        let (access_token, expires_in) = self.issue_access_token(client, grant, now)?;
        // RFC 6749 §4.4.3: no refresh token; the client can simply ask again.
        Ok(TokenResponse {
            access_token,
            expires_in,
            scope,
        })
    }
}
