//! Client authentication (RFC 6749 §2.3).

use std::sync::Arc;

use zeroize::Zeroizing;

use super::TokenService;
use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientAuthMethod};
use crate::domain::error::OAuthError;
use crate::domain::id::ClientId;

/// The credential that came with a request.
pub struct ClientCredential {
    /// Who the client says it is.
    pub client_id: String,
    /// Its secret.
    pub secret: Zeroizing<String>,
    /// Where both were found.
    pub method: ClientAuthMethod,
}

impl TokenService {
    /// The client that the credential proves. Every failure is the same error after the same
    /// work: which part was wrong is nobody's business.
    pub fn authenticate_client(
        &self,
        credential: &ClientCredential,
        now: Timestamp,
    ) -> Result<Arc<Client>, OAuthError> {
        let client = credential
            .client_id
            .parse::<ClientId>()
            .ok()
            .and_then(|id| self.clients.find_client(&id))
            .filter(|client| client.disabled_at.is_none() && client.accepts(credential.method));
        let secret = {
            let mut live = client.iter().flat_map(|client| client.live_secrets(now));
            self.secrets
                .find_matching(&credential.secret, &mut live)
                .map(|secret| secret.id)
        };
        let (Some(client), Some(secret)) = (client, secret) else {
            return Err(OAuthError::invalid_client());
        };
        self.clients.note_secret_use(secret, now);
        Ok(client)
    }
}
