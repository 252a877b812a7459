//! Access tokens after RFC 9068 §2.2. The claims are defined once, in the verifier.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokensmith_verify::{Audience, Claims, ScopeSet};

use super::{GrantError, TokenService};
use crate::domain::Timestamp;
use crate::domain::client::Client;

/// What one access token says, apart from what every token of the client says.
pub(super) struct AccessTokenGrant {
    pub(super) subject: String,
    pub(super) audience: Audience,
    pub(super) scope: ScopeSet,
}

impl TokenService {
    /// Signs an access token for a client; answers it with its lifetime.
    pub(super) fn issue_access_token(
        &self,
        client: &Client,
        grant: AccessTokenGrant,
        now: Timestamp,
    ) -> Result<(String, Duration), GrantError> {
        let algorithm = client.metadata.access_token_alg;
        let signer = self
            .keys
            .signer(algorithm, now)
            .ok_or(GrantError::NoSigningKey(algorithm))?;
        let lifetime = client
            .metadata
            .access_token_lifetime(self.access_token_lifetime);
        let issued_at = now.timestamp();
        let claims: Claims<&Map<String, Value>> = Claims {
            iss: self.issuer.as_str().to_owned(),
            sub: grant.subject,
            aud: grant.audience,
            client_id: client.id.as_str().to_owned(),
            exp: issued_at.saturating_add_unsigned(lifetime.as_secs()),
            iat: issued_at,
            jti: self.token_id()?,
            scope: grant.scope,
            sid: None,
            auth_time: None,
            amr: Vec::new(),
            acr: None,
            status: None,
            cnf: None,
            act: None,
            custom: &client.metadata.access_token_claims,
        };
        let payload = serde_json::to_vec(&claims).map_err(GrantError::Claims)?;
        Ok((signer.sign_access_token(&payload)?, lifetime))
    }

    /// 128 random bits: RFC 7519 §4.1.7 asks for a negligible probability of collision.
    fn token_id(&self) -> Result<String, GrantError> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random)?;
        Ok(URL_SAFE_NO_PAD.encode(random))
    }
}
