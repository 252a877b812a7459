//! The client credentials grant (RFC 6749 §4.4): a service acts for itself.

use super::access_token::{AccessTokenGrant, Subject};
use super::{AuthenticatedClient, GrantError, TokenResponse, TokenService};
use crate::domain::Timestamp;
use crate::domain::client::GrantType;
use crate::domain::entitlement::{grant_audience, grant_scope};
use crate::domain::error::OAuthError;

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
        client: &AuthenticatedClient,
        request: &ClientCredentialsRequest<'_>,
        now: Timestamp,
    ) -> Result<TokenResponse, GrantError> {
        super::check_grant(client, GrantType::ClientCredentials)?;
        let scope = grant_scope(request.scope, &client.metadata.scope)?;
        let audience = grant_audience(&request.resources, &client.metadata, &self.issuer)?;
        // RFC 6749 §4.4: for confidential clients only, and those have shown a secret.
        let status = client.status.ok_or_else(OAuthError::invalid_client)?;
        let grant = AccessTokenGrant {
            subject: Subject::Client(status),
            audience,
            scope: scope.clone(),
        };
        let (access_token, expires_in) = self.issue_access_token(client, grant, now)?;
        // RFC 6749 §4.4.3: no refresh token; the client can simply ask again.
        Ok(TokenResponse {
            access_token,
            expires_in,
            scope,
            refresh_token: None,
            id_token: None,
        })
    }
}
